//! Peak resident memory of `lake`, at its default settings and at a lower one.

use std::fs;
use std::process::Command;
use std::rc::Rc;

use super::run;
use crate::comparison::dataset::{self, LARGE_ROWS, WIDE_COLUMNS};
use crate::comparison::markdown::thousands;
use crate::comparison::measure::Measured;
use crate::comparison::parquet_rows::ensure_parquet_rows;
use crate::comparison::scene::{Project, Scene, TARGET};
use crate::comparison::work::{Bar, Contender, Limit, Work};

const DEFAULT_BYTES_MAX: u64 = 400_000_000;
const LOWER_BYTES_MAX: u64 = 256_000_000;
/// The line of config for it.
const LOWER: &str = "memory: 256MB";
/// Beside `lake.yaml`, and for the same lake.
const LOWER_CONFIG: &str = "lower.yaml";

/// Peaks vary less than times.
const ROUNDS_MAX: usize = 3;

/// A table of a database of the same name, or of one of TPC-H's.
struct Case<'a> {
    project: Project<'a>,
    table: &'static str,
    rows: u64,
}

pub fn work(scene: &Scene) -> anyhow::Result<Work<'_>> {
    dataset::tpch(scene)?;
    dataset::wide(scene)?;
    dataset::large(scene)?;
    let mut work = Work {
        id: "memory",
        title: "Peak resident memory of `lake`".into(),
        contenders: Vec::new(),
        bars: Vec::new(),
    };
    let lineitem = |case: &Case<'_>| format!("lineitem, {} rows", thousands(case.rows));
    let tenth = case(scene, "tpch", "lineitem_tenth")?;
    add(scene, &mut work, lineitem(&tenth), tenth, true);
    let whole = case(scene, "tpch", "lineitem")?;
    add(scene, &mut work, lineitem(&whole), whole, true);
    if scene.scale_10 {
        dataset::tpch10(scene)?;
        let ten = case(scene, "tpch10", "lineitem")?;
        add(scene, &mut work, lineitem(&ten), ten, false);
    }
    let wide = case(scene, "wide", "wide")?;
    add(
        scene,
        &mut work,
        format!("{WIDE_COLUMNS} columns, {} rows", thousands(wide.rows)),
        wide,
        true,
    );
    let large = case(scene, "large", "large")?;
    let bytes = scene
        .server
        .value("large", "select max(length(body)) / 1000000 from large")?;
    let title = format!("rows of {bytes} MB of text and {bytes} MB of bytea, {LARGE_ROWS} rows");
    add(scene, &mut work, title, large, true);
    Ok(work)
}

fn case<'a>(scene: &'a Scene, database: &'static str, table: &'static str) -> anyhow::Result<Case<'a>> {
    let name = format!("memory_{database}_{table}");
    let project = Project::of_tables(scene, &name, database, &[table])?;
    let lower = format!("{}{LOWER}\n", Project::config(scene, database, &[table]));
    fs::write(project.folder.join(LOWER_CONFIG), lower)?;
    let rows = scene.server.rows(database, table)?;
    Ok(Case { project, table, rows })
}

/// Adds the extract and the load of a table, each at both settings.
fn add<'a>(scene: &'a Scene, work: &mut Work<'a>, title: String, case: Case<'a>, with_load: bool) {
    let case = Rc::new(case);
    for (config, setting, bytes_max) in [
        ("lake.yaml", String::new(), DEFAULT_BYTES_MAX),
        (LOWER_CONFIG, format!(", `{LOWER}`"), LOWER_BYTES_MAX),
    ] {
        let mut push = |step: &str, run: fn(&Scene, &Case<'_>, &str) -> anyhow::Result<Measured>| {
            let name = format!("{step}: {title}{setting}");
            work.bars.push(Bar::new(&name, Limit::PeakBytes(bytes_max)));
            let case = case.clone();
            work.contenders
                .push(Contender::new(name, move || run(scene, &case, config)).rounds_max(ROUNDS_MAX));
        };
        push("extract", extract);
        if with_load {
            push("load", load);
        }
    }
}

fn lake(case: &Case<'_>, config: &str, step: &str) -> Command {
    case.project.lake_day(&format!("--config {config} {step}"))
}

fn extract(scene: &Scene, case: &Case<'_>, config: &str) -> anyhow::Result<Measured> {
    case.project.clear()?;
    let measured = scene.measure(lake(case, config, "extract"), 10.0)?;
    ensure_parquet_rows(&case.project.day("source", case.table), case.rows)?;
    Ok(measured)
}

fn load(scene: &Scene, case: &Case<'_>, config: &str) -> anyhow::Result<Measured> {
    // It may be its turn before the extract's, or after one that failed.
    if !case.project.is_extracted() {
        run(&mut lake(case, "lake.yaml", "extract"))?;
    }
    scene.new_target()?;
    let measured = scene.measure(lake(case, config, "load"), 10.0)?;
    let rows = scene.server.rows(TARGET, case.table)?;
    let expected = case.rows;
    anyhow::ensure!(rows == expected, "the target has {rows} rows, the source {expected}");
    Ok(measured)
}
