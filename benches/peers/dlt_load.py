"""Parquet files to a new table bench.lineitem by a dlt pipeline: arrow batches, kept as Parquet, ingested through ADBC."""

import sys
import tempfile

import dlt
import pyarrow.dataset

files, url = sys.argv[1:]


@dlt.resource(name="lineitem")
def lineitem():
    yield from pyarrow.dataset.dataset(files, format="parquet").to_batches()


# It insists on a password, which the server does not ask for.
credentials = url.replace("postgres://postgres@", "postgresql://postgres:none@")
# Several files, which dlt loads at once.
dlt.config["data_writer.file_max_items"] = 1_000_000
with tempfile.TemporaryDirectory() as folder:
    pipeline = dlt.pipeline(
        "load",
        destination=dlt.destinations.postgres(credentials),
        dataset_name="bench",
        pipelines_dir=folder,
    )
    print(pipeline.run(lineitem(), loader_file_format="parquet"))
