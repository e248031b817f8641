"""lineitem to Parquet by a dlt pipeline: the ConnectorX backend, which its documentation calls the fastest, and files."""

import pathlib
import sys
import tempfile

import dlt
from dlt.destinations import filesystem
from dlt.sources.sql_database import sql_table

url, out = sys.argv[1:]
folder = pathlib.Path(out).parent
table = sql_table(
    credentials=url.replace("postgres://", "postgresql+psycopg2://"),
    table="lineitem",
    backend="connectorx",
    reflection_level="full_with_precision",
    backend_kwargs={"return_type": "arrow_stream", "batch_size": 100_000},
)
with tempfile.TemporaryDirectory() as working_folder:
    pipeline = dlt.pipeline(
        "extract",
        destination=filesystem(bucket_url=folder.as_uri()),
        dataset_name="bench",
        pipelines_dir=working_folder,
    )
    print(pipeline.run(table, loader_file_format="parquet"))
