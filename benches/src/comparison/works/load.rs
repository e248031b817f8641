//! lineitem from the lake's Parquet files into a new table of Postgres, by `lake`, its peers, and psql.

use std::process::Command;

use super::{LAKE, run, tpch_lake};
use crate::comparison::markdown::thousands;
use crate::comparison::measure::Measured;
use crate::comparison::peers::Peer;
use crate::comparison::scene::{Scene, TARGET};
use crate::comparison::work::{Bar, Contender, Work};
use crate::tpch;

const COPY: &str = "psql `\\copy` of a ready file";
const DUCKDB: &str = "DuckDB";

pub fn work(scene: &Scene) -> anyhow::Result<Work<'_>> {
    let project = tpch_lake(scene)?;
    let loaded = Loaded::of_source(scene)?;
    let files = project.day("source", "lineitem");
    let file = scene.folder.join("lineitem.copy");
    scene.once("lineitem.copy", || {
        let copy = format!("\\copy lineitem to '{}' (format binary)", file.display());
        run(scene.server.psql("tpch").args(["--command", &copy]))
    })?;

    let psql = {
        let (loaded, file) = (loaded.clone(), file.clone());
        Contender::new(COPY, move || {
            let mut psql = scene.server.psql(TARGET);
            psql.args(["--command", tpch::LINEITEM, "--command"]);
            psql.arg(format!("\\copy lineitem from '{}' (format binary)", file.display()));
            loaded.measure(psql, 5.0, "lineitem")
        })
    };
    let duckdb = {
        let (loaded, files) = (loaded.clone(), files.clone());
        Contender::new(DUCKDB, move || {
            scene.peers.ensure_ready(Peer::DuckDb)?;
            let command = scene.peers.duckdb_with_postgres(&format!(
                "attach '{}' as pg (type postgres);
                 create table pg.public.lineitem as
                     from read_parquet('{}/*.parquet', hive_partitioning = false);",
                scene.server.url(TARGET),
                files.display(),
            ));
            loaded.measure(command, 10.0, "lineitem")
        })
    };
    let script = |name: &str, peer: Peer, script: &'static str, table: &'static str| {
        let (loaded, files) = (loaded.clone(), files.clone());
        Contender::new(name, move || {
            scene.peers.ensure_ready(peer)?;
            let mut command = scene.peers.script(script);
            command.arg(&files).arg(scene.server.url(TARGET));
            loaded.measure(command, 15.0, table)
        })
    };
    let adbc = script("ADBC", Peer::Adbc, "adbc_load.py", "lineitem");
    let dlt = script("dlt", Peer::Dlt, "dlt_load.py", "bench.lineitem");
    let lake = Contender::new(LAKE, move || {
        loaded.measure(project.lake_day("load --table lineitem"), 5.0, "lineitem")
    });
    Ok(Work {
        id: "load",
        title: format!(
            "Load: lineitem, {} rows, from Parquet to a new table of Postgres",
            thousands(scene.server.rows("tpch", "lineitem")?)
        ),
        contenders: vec![
            lake.note("visible by one transaction, counts reconciled"),
            psql.note("binary, 1 connection"),
            duckdb.note("`create table as`, binary COPY"),
            adbc.note("`adbc_ingest` of a stream of batches").rounds_max(3),
            dlt.note("Parquet files of 1,000,000 rows, ingested through ADBC")
                .rounds_max(3),
        ],
        bars: vec![Bar::times(LAKE, 0.65, &[DUCKDB]), Bar::times(LAKE, 1.0, &[COPY])],
    })
}

/// What a load has to end with: the rows of the source.
#[derive(Clone)]
struct Loaded<'a> {
    scene: &'a Scene,
    summary: String,
}

impl<'a> Loaded<'a> {
    fn of_source(scene: &'a Scene) -> anyhow::Result<Self> {
        let summary = Self::summary(scene, "tpch", "lineitem")?;
        Ok(Self { scene, summary })
    }

    fn summary(scene: &Scene, database: &str, table: &str) -> anyhow::Result<String> {
        let sql = "select concat_ws(' ', count(*), sum(l_orderkey::numeric), sum(l_extendedprice::numeric))";
        scene.server.value(database, &format!("{sql} from {table}"))
    }

    /// Runs a load into a new target, and compares.
    fn measure(&self, command: Command, minutes: f64, table: &str) -> anyhow::Result<Measured> {
        self.scene.new_target()?;
        let measured = self.scene.measure(command, minutes)?;
        let found = Self::summary(self.scene, TARGET, table)?;
        let expected = &self.summary;
        anyhow::ensure!(found == *expected, "the target has {found}, the source {expected}");
        Ok(measured)
    }
}
