"""Parquet files to a new table bench.lineitem by a dlt pipeline: arrow batches, kept as Parquet, ingested through ADBC."""

import sys
import tempfile

import dlt
import pyarrow.dataset

files, url = sys.argv[1:]


@dlt.resource(name="lineitem")
def lineitem():
    yield from pyarrow.dataset.dataset(files, format="parquet").to_batches()


with tempfile.TemporaryDirectory() as folder:
    pipeline = dlt.pipeline(
        "load",
        destination=dlt.destinations.postgres(url.replace("postgres://", "postgresql://")),
        dataset_name="bench",
        pipelines_dir=folder,
    )
    print(pipeline.run(lineitem(), loader_file_format="parquet"))
