"""Parquet files to a new table lineitem through ADBC's bulk ingestion, which writes by binary COPY."""

import sys

import adbc_driver_postgresql.dbapi
import pyarrow.dataset

files, url = sys.argv[1:]
with adbc_driver_postgresql.dbapi.connect(url) as connection, connection.cursor() as cursor:
    reader = pyarrow.dataset.dataset(files, format="parquet").scanner().to_reader()
    cursor.adbc_ingest("lineitem", reader, mode="create")
    connection.commit()
