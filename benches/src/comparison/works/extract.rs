//! lineitem out of Postgres into Parquet, by `lake`, by its peers, and to nowhere.

use std::path::Path;
use std::process::Command;

use anyhow::Context as _;

use super::LAKE;
use crate::comparison::dataset;
use crate::comparison::markdown::thousands;
use crate::comparison::measure::Measured;
use crate::comparison::parquet_rows::ensure_parquet_rows;
use crate::comparison::peers::Peer;
use crate::comparison::scene::{Project, Scene};
use crate::comparison::work::{Bar, Contender, Work};

const COPY: &str = "COPY, 2 connections, to nowhere";
const ZSTD: &str = "DuckDB, zstd 1";
const SNAPPY: &str = "DuckDB, snappy";

pub fn work(scene: &Scene) -> anyhow::Result<Work<'_>> {
    dataset::tpch(scene)?;
    let rows = scene.server.rows("tpch", "lineitem")?;
    let project = Project::of_tables(scene, "extract", "tpch", &["lineitem"])?;
    let lake = Contender::new(LAKE, move || {
        project.clear()?;
        let measured = scene.measure(project.lake_day("extract"), 5.0)?;
        ensure_parquet_rows(&project.day("source", "lineitem"), rows)?;
        Ok(measured)
    });
    let peer = |name: &str, peer: Peer, command: fn(&Scene, &Path) -> Command| {
        Contender::new(name, move || to_parquet(scene, rows, peer, command))
    };
    Ok(Work {
        id: "extract",
        title: format!("Extract: lineitem, {} rows, from Postgres to Parquet", thousands(rows)),
        contenders: vec![
            lake.note("zstd 1; synced, committed to Delta, rows reconciled"),
            copy_to_nowhere(scene, rows)?.note("psql, `(FORMAT binary)`, halves by ctid at once"),
            peer(ZSTD, Peer::DuckDb, |scene, out| {
                duckdb(scene, out, "zstd, compression_level 1")
            }),
            peer(SNAPPY, Peer::DuckDb, |scene, out| duckdb(scene, out, "snappy")),
            peer("ConnectorX", Peer::ConnectorX, |scene, out| {
                script(scene, out, "connectorx_extract.py")
            })
            .note("2 partitions, Arrow, then pyarrow's writer; zstd 1")
            .rounds_max(3),
            peer("ADBC", Peer::Adbc, |scene, out| script(scene, out, "adbc_extract.py"))
                .note("Arrow stream, pyarrow's writer; zstd 1; numerics as text")
                .rounds_max(3),
            peer("pg2parquet", Peer::Pg2Parquet, |scene, out| {
                let mut command = scene.peers.pg2parquet();
                command.args([
                    "export",
                    "--host=127.0.0.1",
                    "--user=postgres",
                    "--password=",
                    "--dbname=tpch",
                ]);
                command.arg(format!("--port={}", scene.server.port()));
                command.args(["--table=lineitem", "--compression=zstd", "--compression-level=1"]);
                command.arg("--output-file").arg(out);
                command
            })
            .note("zstd 1")
            .rounds_max(3),
            peer("dlt", Peer::Dlt, |scene, out| script(scene, out, "dlt_extract.py"))
                .note("ConnectorX backend, files")
                .rounds_max(3),
        ],
        bars: vec![Bar::times(LAKE, 0.80, &[ZSTD, SNAPPY]), Bar::times(LAKE, 1.35, &[COPY])],
    })
}

fn to_parquet(scene: &Scene, rows: u64, peer: Peer, command: fn(&Scene, &Path) -> Command) -> anyhow::Result<Measured> {
    scene.peers.ensure_ready(peer)?;
    // A folder for those that write several files.
    let folder = scene.cleared("peer_output")?;
    std::fs::create_dir(&folder)?;
    let measured = scene.measure(command(scene, &folder.join("lineitem.parquet")), 10.0)?;
    ensure_parquet_rows(&folder, rows)?;
    Ok(measured)
}

fn duckdb(scene: &Scene, out: &Path, compression: &str) -> Command {
    scene.peers.duckdb_with_postgres(&format!(
        "attach '{}' as pg (type postgres, read_only);
         set preserve_insertion_order = false;
         copy (from pg.public.lineitem) to '{}' (format parquet, compression {compression});",
        scene.server.url("tpch"),
        out.display(),
    ))
}

fn script(scene: &Scene, out: &Path, name: &str) -> Command {
    let mut command = scene.peers.script(name);
    command.arg(scene.server.url("tpch")).arg(out);
    command
}

/// What the server can hand out at most: nobody decodes, nothing is written.
fn copy_to_nowhere(scene: &Scene, rows: u64) -> anyhow::Result<Contender<'_>> {
    let pages = "select pg_relation_size('lineitem') / current_setting('block_size')::integer";
    let pages: u64 = scene.server.value("tpch", pages)?.parse()?;
    let middle = pages / 2;
    let halves = [format!("ctid < '({middle},0)'"), format!("ctid >= '({middle},0)'")];
    let mut counted = 0;
    for half in &halves {
        counted += scene.server.rows("tpch", &format!("lineitem where {half}"))?;
    }
    anyhow::ensure!(counted == rows, "the halves have {counted} rows, the table {rows}");
    Ok(Contender::new(COPY, move || {
        let commands = halves.iter().map(|half| {
            let mut psql = scene.server.psql("tpch");
            psql.arg("--command");
            psql.arg(format!(
                "copy (select * from lineitem where {half}) to stdout (format binary)"
            ));
            psql
        });
        scene.measure_all(commands.collect(), 5.0).context("psql")
    }))
}
