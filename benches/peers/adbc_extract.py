"""lineitem to Parquet through ADBC's driver for PostgreSQL, which reads by binary COPY in a stream of batches."""

import sys

import adbc_driver_postgresql.dbapi
import pyarrow.parquet

url, out = sys.argv[1:]
with adbc_driver_postgresql.dbapi.connect(url) as connection, connection.cursor() as cursor:
    cursor.execute("select * from lineitem")
    reader = cursor.fetch_record_batch()
    with pyarrow.parquet.ParquetWriter(out, reader.schema, compression="zstd", compression_level=1) as writer:
        for batch in reader:
            writer.write_batch(batch)
