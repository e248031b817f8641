"""lineitem to Parquet through ConnectorX: two partitions read at once, batches written as they come."""

import sys

import connectorx
import pyarrow.parquet

url, out = sys.argv[1:]
reader = connectorx.read_sql(
    url,
    "select * from lineitem",
    protocol="binary",
    partition_on="l_orderkey",
    partition_num=2,
    return_type="arrow_stream",
    batch_size=65536,
)
with pyarrow.parquet.ParquetWriter(out, reader.schema, compression="zstd", compression_level=1) as writer:
    for batch in reader:
        writer.write_batch(batch)
