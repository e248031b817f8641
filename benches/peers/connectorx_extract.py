"""lineitem to Parquet through ConnectorX: two partitions read at once into an Arrow table, which is written then.

Its `arrow_stream`, which holds less at a time, takes a little longer.
"""

import sys

import connectorx
import pyarrow.parquet

url, out = sys.argv[1:]
table = connectorx.read_sql(
    url,
    "select * from lineitem",
    protocol="binary",
    partition_on="l_orderkey",
    partition_num=2,
    return_type="arrow",
)
pyarrow.parquet.write_table(table, out, compression="zstd", compression_level=1)
