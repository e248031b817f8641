"""Reads a lake with other programs than `lake`, and compares what they see.

    python read.py LAKE_FOLDER

For every table of the lake, for every day:

  * the manifest, the Delta log and the folder name the same files, and the files' footers hold the
    rows that the manifest and the log count;
  * the files have the columns and types that the manifest and the Delta schema say;
  * every reader below sees those rows, those types, and the same values as the others;
  * where a column `x` has a column `x_text` beside it, every value is what is printed there, and the
    readers of the Delta log find it by a filter.

Prints a line per table and ends with `N passed, N failed`; exit status 1 if any failed, and also if
there was nothing to compare.
"""

import datetime
import glob
import json
import re
import struct
import sys
from collections import Counter
from pathlib import Path

import duckdb
import polars
import pyarrow
import pyarrow.compute
import pyarrow.dataset
import pyarrow.parquet
from deltalake import DeltaTable, QueryBuilder, Schema

DAY = "extract_date"
PROBLEMS_SHOWN = 12


# --- the readers -----------------------------------------------------------------------------------
#
# Each has `counts()`, the rows of every day from a scan of the whole table, and `day(day)`, the rows
# of one day as an Arrow table, asked for with a filter so that the reader prunes by the partition.


class DeltaPyArrow:
    """delta-rs for the log, Arrow C++ for the files: what pandas users have."""

    name = "deltalake"

    def __init__(self, folder):
        self.dataset = DeltaTable(folder).to_pyarrow_dataset()

    def counts(self):
        return count_days(self.dataset.to_table(columns=[DAY]))

    def day(self, day):
        return self.dataset.to_table(filter=pyarrow.compute.field(DAY) == day)


class DeltaSql:
    """delta-rs with DataFusion."""

    name = "deltalake SQL"

    def __init__(self, folder):
        self.table = DeltaTable(folder)

    def query(self, sql):
        return pyarrow.table(QueryBuilder().register("t", self.table).execute(sql).read_all())

    def counts(self):
        return as_counts(self.query(f"select {DAY}, count(*) from t group by 1"))

    def day(self, day):
        return self.query(f"select * from t where {DAY} = date '{day}'")


class PolarsDelta:
    """delta-rs for the log, Polars for the files."""

    name = "polars scan_delta"

    def __init__(self, folder):
        self.frame = polars.scan_delta(str(folder))

    def counts(self):
        return as_counts(self.frame.group_by(DAY).len().collect().to_arrow())

    def day(self, day):
        return self.frame.filter(polars.col(DAY) == day).collect().to_arrow()


# The plain readers name the day's folders in their pattern, not `**`: after a hundred commits the
# log has checkpoints, which are Parquet files too, and only pyarrow skips folders that begin with `_`.


def pattern(folder):
    return f"{glob.escape(str(folder))}/{DAY}=*/*.parquet"


class PyArrow:
    """Arrow C++ on the folder. It takes its columns from the first file, so it is given all of them."""

    name = "pyarrow"

    def __init__(self, folder):
        partitioning = pyarrow.dataset.partitioning(pyarrow.schema([(DAY, pyarrow.date32())]), flavor="hive")
        found = pyarrow.dataset.dataset(folder, format="parquet", partitioning=partitioning)
        schema = pyarrow.unify_schemas([found.schema] + [piece.physical_schema for piece in found.get_fragments()])
        self.dataset = found.replace_schema(schema)

    counts = DeltaPyArrow.counts
    day = DeltaPyArrow.day


class DuckDb:
    """DuckDB on the folder. Its Delta extension is not used: it is downloaded at run time."""

    name = "duckdb"
    source = "read_parquet(?, hive_partitioning = true, union_by_name = true)"

    def __init__(self, folder):
        self.connection = duckdb.connect(config={"autoinstall_known_extensions": False})
        self.connection.execute("set TimeZone = 'UTC'")
        self.pattern = pattern(folder)

    def query(self, sql):
        return self.connection.sql(sql, params=[self.pattern]).to_arrow_table()

    def counts(self):
        return as_counts(self.query(f"select {DAY}, count(*) from {self.source} group by 1"))

    def day(self, day):
        return self.query(f"select * from {self.source} where {DAY} = date '{day}'")


class PolarsParquet:
    """Polars on the folder. It takes its columns from the first file, so it is given all of them."""

    name = "polars scan_parquet"

    def __init__(self, folder):
        files = sorted(folder.glob(f"{DAY}=*/*.parquet"))
        schema = {}
        for file in files:
            schema.update(polars.read_parquet_schema(file))
        self.frame = polars.scan_parquet(
            pattern(folder), schema=schema, missing_columns="insert", hive_partitioning=True, try_parse_hive_dates=True
        )

    counts = PolarsDelta.counts
    day = PolarsDelta.day


DELTA_READERS = [DeltaPyArrow, DeltaSql, PolarsDelta]
FOLDER_READERS = [PyArrow, DuckDb, PolarsParquet]


def as_counts(table):
    return dict(zip(table.column(0).to_pylist(), table.column(1).to_pylist()))


def count_days(table):
    return as_counts(pyarrow.table(table.group_by(DAY).aggregate([([], "count_all")])).select([DAY, "count_all"]))


# --- comparing -------------------------------------------------------------------------------------


def shape(kind):
    """A type's name without what readers are free in: the width of offsets, and names inside lists."""
    types = pyarrow.types
    if types.is_list(kind) or types.is_large_list(kind):
        return f"list<{shape(kind.value_type)}>"
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return "string"
    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind):
        return "binary"
    if types.is_decimal(kind):
        return f"decimal({kind.precision}, {kind.scale})"
    return str(kind)


def shapes(schema):
    return {field.name: shape(field.type) for field in schema}


def delta_shapes(schema):
    return shapes(pyarrow.schema(schema.to_arrow()))


def integers(kind):
    """The type with numbers for dates and times: Python has neither year 0 nor year 10000."""
    types = pyarrow.types
    if types.is_list(kind) or types.is_large_list(kind):
        return pyarrow.large_list(integers(kind.value_type))
    if types.is_date32(kind):
        return pyarrow.int32()
    if types.is_timestamp(kind):
        return pyarrow.int64()
    return kind


def has_floats(kind):
    if pyarrow.types.is_list(kind) or pyarrow.types.is_large_list(kind):
        return has_floats(kind.value_type)
    return pyarrow.types.is_floating(kind)


def exact_float(value):
    """A float as text: NaN equals itself then, and 0.0 and -0.0 differ."""
    if isinstance(value, list):
        return [exact_float(item) for item in value]
    return None if value is None else value.hex()


def printed(kind, value):
    """A value as postgres_types.sql prints it; floats as their bits, since notations are free."""
    types = pyarrow.types
    if value is None or isinstance(value, str):
        return value
    if types.is_list(kind) or types.is_large_list(kind):
        return [printed(kind.value_type, item) for item in value]
    if types.is_floating(kind):
        return struct.pack(">f" if types.is_float32(kind) else ">d", value).hex()
    if types.is_boolean(kind):
        return str(value).lower()
    if types.is_decimal(kind):
        return format(value, "f")
    return value.hex() if isinstance(value, bytes) else str(value)


def wanted_print(kind, text):
    """The print of the server in the form of `printed`."""
    types = pyarrow.types
    if types.is_list(kind) or types.is_large_list(kind):
        return None if text is None else [wanted_print(kind.value_type, item) for item in json.loads(text)]
    if text is not None and types.is_floating(kind):
        return printed(kind, float(text))
    return text


def sorted_rows(table, names):
    columns = []
    for name in names:
        column = table.column(name)
        values = column.cast(integers(column.type)).to_pylist()
        columns.append([exact_float(v) for v in values] if has_floats(column.type) else values)
    return sorted(map(repr, zip(*columns)))


def first_difference(got, wanted):
    extra, missing = Counter(got) - Counter(wanted), Counter(wanted) - Counter(got)
    text = [f"{sum(extra.values())} rows differ"]
    text += [f"only here {min(extra)[:300]}"] if extra else []
    text += [f"not here {min(missing)[:300]}"] if missing else []
    return "; ".join(text)


# --- the lake --------------------------------------------------------------------------------------


def decode(segment):
    """A folder's name as the name it stands for: `@4frders` is `Orders`."""
    raw = re.sub(rb"@([0-9a-f]{2})", lambda hit: bytes([int(hit[1], 16)]), segment.encode())
    return raw.decode(errors="replace")


def read_manifests(lake):
    """The entry of every table's days. A day of single tables has a `.partial` manifest instead."""
    entries = {}
    for file in sorted(lake.glob("_manifests/*/*.json")):
        partial = file.name.endswith(".partial.json")
        if partial and file.with_name(file.name.replace(".partial", "")).exists():
            continue
        manifest = json.loads(file.read_text())
        if manifest["source"] != decode(file.parent.name):
            raise SystemExit(f"{file} is of another source, {manifest['source']}")
        for table, entry in manifest["tables"].items():
            days = entries.setdefault((manifest["source"], table), {})
            days[datetime.date.fromisoformat(manifest["date"])] = entry
    return entries


def table_folders(lake):
    found = {}
    for source in sorted(lake.iterdir()):
        if source.is_dir() and not source.name.startswith("_"):
            for table in sorted(source.iterdir()):
                if table.is_dir() and not table.name.startswith("_"):
                    found[decode(source.name), decode(table.name)] = table
    return found


class Comparison:
    def __init__(self, folder, days):
        self.folder, self.days, self.problems = folder, days, []
        self.columns = {column["name"] for entry in days.values() for column in entry["schema"]["fields"]}

    def attempt(self, what, action, *arguments):
        """Runs a step; what it raises is a difference like any other."""
        try:
            return action(*arguments)
        except Exception as error:  # whatever a reader raises, the table can't be read with it
            self.problems.append(f"{what}: {type(error).__name__}: {str(error).strip()[:400]}")
            return None

    def expect(self, what, got, wanted):
        if got != wanted:
            self.problems.append(f"{what}: {got}, expected {wanted}")

    def run(self):
        delta = self.attempt("deltalake", DeltaTable, self.folder)
        if delta is None:
            return
        wanted = delta_shapes(delta.schema())
        self.expect("partition columns", delta.metadata().partition_columns, [DAY])
        self.attempt("files", self.files, delta)
        self.attempt("types", self.types, wanted)
        self.attempt("versions", self.versions)
        # A table whose last day was taken away has no file left for a reader of the folder to find.
        readers = DELTA_READERS + (FOLDER_READERS if self.days else [])
        opened = [(kind.name, self.attempt(kind.name, kind, self.folder)) for kind in readers]
        opened = [(name, reader) for name, reader in opened if reader is not None]
        for name, reader in opened:
            self.attempt(name, self.counts, name, reader)
        for day in self.days:
            self.content(day, opened, wanted)

    def files(self, delta):
        """The files of the manifests are those of the log and those on disk, and hold their rows."""
        named = {file["path"]: file for entry in self.days.values() for file in entry["files"]}
        on_disk = (path.relative_to(self.folder) for path in self.folder.glob("*/*"))
        on_disk = sorted(str(path) for path in on_disk if path.parts[0] != "_delta_log")
        self.expect("files in the folder", on_disk, sorted(named))
        adds = pyarrow.table(delta.get_add_actions(flatten=True)).to_pylist()
        self.expect("files in the Delta log", sorted(add["path"] for add in adds), sorted(named))
        for add in adds:
            file = named.get(add["path"])
            if file:
                self.expect(f"rows of {add['path']} in the Delta log", add["num_records"], file["rows"])
                self.expect(f"bytes of {add['path']} in the Delta log", add["size_bytes"], file["bytes"])
        for path, file in named.items():
            self.expect(f"rows of {path}", pyarrow.parquet.read_metadata(self.folder / path).num_rows, file["rows"])
            self.expect(f"bytes of {path}", (self.folder / path).stat().st_size, file["bytes"])
        for day, entry in self.days.items():
            self.expect(f"rows of {day}'s files", sum(file["rows"] for file in entry["files"]), entry["rows"])

    def types(self, wanted):
        """The files have their manifest's columns, and those are of the Delta table's types."""
        self.expect(f"type of {DAY}", wanted.get(DAY), "date32[day]")
        for day, entry in self.days.items():
            columns = delta_shapes(Schema.from_json(json.dumps(entry["schema"])))
            self.expect(f"columns of {day} in the Delta schema", {name: wanted.get(name) for name in columns}, columns)
            for file in entry["files"]:
                written = shapes(pyarrow.parquet.read_schema(self.folder / file["path"]))
                self.expect(f"columns of {file['path']}", written, columns)

    def versions(self):
        """The Delta version that a manifest names holds its day's rows."""
        for day, entry in self.days.items():
            dataset = DeltaTable(self.folder, version=entry["delta_version"]).to_pyarrow_dataset()
            rows = dataset.count_rows(filter=pyarrow.compute.field(DAY) == day)
            self.expect(f"rows of {day} at version {entry['delta_version']}", rows, entry["rows"])

    def counts(self, name, reader):
        wanted = {str(day): entry["rows"] for day, entry in self.days.items() if entry["rows"]}
        got = {str(day): rows for day, rows in reader.counts().items()}
        for day in sorted(wanted | got):
            self.expect(f"{name}: rows of {day}", got.get(day, 0), wanted.get(day, 0))

    def content(self, day, readers, wanted):
        """Every reader sees the day's rows, with the types of the Delta schema and the same values."""
        names = [name for name in wanted if name in self.columns or name == DAY]
        first = None
        for name, reader in readers:
            what = f"{name}: {day}"
            table = self.attempt(what, reader.day, day)
            if table is None:
                continue
            # A column that no day has any more is in the Delta schema alone.
            columns = wanted if type(reader) in DELTA_READERS else {name: wanted[name] for name in names}
            self.expect(f"{what}: types", shapes(table.schema), columns)
            self.expect(f"{what}: rows", table.num_rows, self.days[day]["rows"])
            self.attempt(what, self.prints, what, table)
            if isinstance(reader, DeltaPyArrow):
                self.attempt(what, self.filters, what, table, reader.dataset)
            rows = self.attempt(what, sorted_rows, table, names)
            if first is None:
                first = (name, rows)
            elif rows is not None and first[1] is not None and rows != first[1]:
                self.problems.append(f"{what}: not what {first[0]} reads: {first_difference(rows, first[1])}")

    def prints(self, what, table):
        """Every value is what the server prints of it."""
        for name in sorted(self.columns):
            if f"{name}_text" not in self.columns:
                continue
            column = table.column(name)
            texts = table.column(f"{name}_text").to_pylist()
            values = column.cast(integers(column.type)).to_pylist()
            for value, text in zip(values, texts, strict=True):
                got, wanted = printed(column.type, value), wanted_print(column.type, text)
                if got != wanted:
                    self.problems.append(f"{what}: {name} is {got!r:.200}, and the server prints {wanted!r:.200}")

    def filters(self, what, table, dataset):
        """A filter on a value finds the rows that it finds once all are read."""
        if "v_text" not in self.columns or table.column("v").type == pyarrow.bool_():
            return
        column = table.column("v")
        for row, value in enumerate(column):
            if not value.is_valid:
                continue
            for name in ("equal", "less_equal", "greater_equal"):
                compare = getattr(pyarrow.compute, name)
                wanted = pyarrow.compute.sum(compare(column, value)).as_py()
                got = dataset.count_rows(filter=compare(pyarrow.compute.field("v"), value))
                self.expect(f"{what}: rows where v is {name} to that of row {row}", got, wanted)

    def line(self):
        rows = sum(entry["rows"] for entry in self.days.values())
        parts = [(len(self.days), "day"), (rows, "row"), (len(self.columns), "column")]
        return ", ".join(f"{number} {noun}{'' if number == 1 else 's'}" for number, noun in parts)


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        raise SystemExit("usage: read.py LAKE_FOLDER")
    lake = Path(sys.argv[1]).absolute()
    if not lake.is_dir():
        raise SystemExit(f"{lake} is not a folder")
    entries, folders = read_manifests(lake), table_folders(lake)
    passed = failed = 0
    for key in sorted(entries.keys() | folders.keys()):
        name = ".".join(key)
        if key in folders:
            comparison = Comparison(folders[key], entries.get(key, {}))
            comparison.run()
            line, problems = comparison.line(), comparison.problems
        else:
            line, problems = "no folder", ["a manifest names it, and it has no folder"]
        if problems:
            failed += 1
            print(f"FAIL  {name}: {line}; differences: {len(problems)}")
            for problem in problems[:PROBLEMS_SHOWN]:
                print(f"        {problem}")
            if len(problems) > PROBLEMS_SHOWN:
                print(f"        … and {len(problems) - PROBLEMS_SHOWN} more")
        else:
            passed += 1
            print(f"ok    {name}: {line}")
    if passed + failed == 0:
        print(f"{lake} has no tables: nothing was compared")
    elif not any(entry["rows"] for days in entries.values() for entry in days.values()):
        failed += 1
        print("FAIL  no table has a row: no value was compared")
    print(f"{passed} passed, {failed} failed")
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
