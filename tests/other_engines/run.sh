#!/usr/bin/env bash
# Makes lakes with `lake` and reads them with delta-rs, pyarrow, DuckDB and Polars.
# Usage: tests/other_engines/run.sh    (LAKE_BIN names the binary, else target/debug/lake)
# Needs Python 3.11 or later with venv and pip, on the first run a package index, and the programs of a
# PostgreSQL server (in PG_BIN, else of the newest in /usr/lib/postgresql, else of PATH).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)

lake=${LAKE_BIN:-}
if [ -z "$lake" ]; then
  lake=${CARGO_TARGET_DIR:-target}/debug/lake
  [[ $lake = /* ]] || lake=$root/$lake
fi
[ -x "$lake" ] || { echo "no lake binary at $lake: build it, or set LAKE_BIN" >&2; exit 1; }
lake=$(cd "$(dirname "$lake")" && pwd)/$(basename "$lake")

# Debian and Ubuntu leave ensurepip out of python3, and `python3 -m venv` fails halfway without it.
python3 -c 'import ensurepip, venv' 2>/dev/null || {
  echo "python3 with venv is needed: install Python 3.11 or later (Debian, Ubuntu: apt-get install python3-venv)" >&2
  exit 1
}
# Named for what is in it, and outside the clone: the next run, or the next clone, finds it.
key=$(cat "$here/requirements.txt" <(python3 -c 'import sys; print(sys.version)') |
  python3 -c 'import hashlib, sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest()[:16])')
venv=${XDG_CACHE_HOME:-$HOME/.cache}/lake-tests/other_engines-$key
if [ ! -e "$venv/complete" ]; then
  python3 -m venv --clear "$venv"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary :all: -r "$here/requirements.txt"
  touch "$venv/complete"
fi

pg_bin=${PG_BIN:-$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)}
pg_bin=${pg_bin:-$(dirname "$(command -v postgres || echo /nowhere/postgres)")}
[ -x "$pg_bin/initdb" ] || { echo "the programs of a PostgreSQL server are needed: set PG_BIN" >&2; exit 1; }

work=$(mktemp -d)
chmod 755 "$work"
as_server=()
[ "$(id -u)" != 0 ] || as_server=(setpriv --reuid postgres --regid postgres --clear-groups)
server() { (cd / && "${as_server[@]}" "$pg_bin/pg_ctl" --silent -D "$work/server/data" "$@"); }
finish() {
  [ ! -e "$work/server/data/postmaster.pid" ] || server stop --mode immediate
  rm -rf "$work"
}
trap finish EXIT
read_lake() { echo "== $1"; "$venv/bin/python" "$here/read.py" "$2"; }
run() { # A step's messages are shown when it fails.
  "$lake" --progress log "$@" >"$work/log" 2>&1 || { tail -n 20 "$work/log" >&2; echo "failed: lake $*" >&2; exit 1; }
}
cd "$work"
failed=0

for day in 2026-01-30 2026-01-31; do run demo --dir "$work/demo" --date $day; done
read_lake "the demo's lake, two days" demo/lake || failed=1

# More than a hundred commits, so that the Delta logs have checkpoints; a column that comes on a later
# day and one that goes; a file without rows; a day that is run again; names with capitals.
mkdir types && cd types
cp "$here/types.sql" .
cat >lake.yaml <<'YAML'
lake: ./lake
output: ./output
exports: []
sources:
  "Files-Ö":
    type: csv
    files:
      "Orders-Ö": ./orders.csv
      empty: ./empty.csv
YAML
printf 'id,Amount,sold_at\n1,1.50,2026-01-01 10:00:00\n2,-0.01,\n' >orders.csv
printf 'id,note\n' >empty.csv
run backfill --from 2026-01-01 --to 2026-02-28
printf 'id,Amount,Größe\n1,1.50,0.125\n2,-0.01,\n3,,7.000\n' >orders.csv
run backfill --from 2026-03-01 --to 2026-04-15
printf 'id,Amount,Größe\n4,2.00,0.500\n' >orders.csv
run run --date 2026-01-05
printf 'queries:\n  types: ./types.sql\n' >>lake.yaml
for day in 2026-01-05 2026-03-01 2026-04-15; do run transform --date $day; done
ls lake/*/*/_delta_log/*.checkpoint.parquet >/dev/null || { echo "no Delta log has a checkpoint" >&2; exit 1; }
read_lake "a hundred days, every type" lake || failed=1

# Every native type, with what the server prints of its values.
mkdir "$work/server" && [ "$(id -u)" != 0 ] || chown postgres "$work/server"
(cd / && "${as_server[@]}" "$pg_bin/initdb" --pgdata="$work/server/data" --username=postgres --auth=trust \
  --encoding=UTF8 --locale=C --no-sync >/dev/null)
server start --wait --log="$work/server/log" --options="-c listen_addresses= -c unix_socket_directories=$work/server"
psql() { command psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --host="$work/server" --username=postgres postgres "$@"; }
psql --output=/dev/null --file="$here/postgres_types.sql"
mkdir "$work/postgres" && cd "$work/postgres"
cat >lake.yaml <<YAML
lake: ./lake
output: ./output
exports: []
sources:
  pg:
    type: postgres
    url: "host=$work/server user=postgres dbname=postgres"
YAML
run extract --date 2026-01-31
read_lake "every native type of Postgres" lake || failed=1
# A filter finds what it finds in the server, whatever the statistics say.
psql --tuples-only --no-align --output=filters.sql --file="$here/filters.sql"
found=$("$lake" --progress none query --format csv --file filters.sql)
if [ "$found" = "filter" ]; then
  echo "ok    lake query: $(grep -c 'where' filters.sql) filters find their rows"
else
  echo "FAIL  lake query: these do not find the rows that the server finds: $found"
  failed=1
fi
exit $failed
