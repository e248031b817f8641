//! The databases that are read: TPC-H's, and cases of the harness's own making.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use anyhow::Context as _;
use lake_sandbox::Northwind;

use super::measure::tail;
use super::scene::Scene;

/// Columns of the wide table.
pub const WIDE_COLUMNS: u64 = 200;
const WIDE_ROWS: u64 = 500_000;
/// Rows of the table whose rows are large, each with a text and a bytea of this many bytes.
pub const LARGE_ROWS: u64 = 40;
const LARGE_BYTES: u64 = 20_000_000;
const MANY_TABLES: u64 = 2000;
/// Rows of each of the many tables.
pub const MANY_ROWS: u64 = 10;
/// A script that makes more tables at once takes more locks than the server has places for.
const TABLES_PER_SCRIPT: u64 = 200;

/// lineitem, orders, and a tenth of lineitem, of TPC-H: database `tpch`.
pub fn tpch(scene: &Scene) -> anyhow::Result<()> {
    scene.once("tpch", || {
        make_tpch(scene, "tpch", scene.scale)?;
        let tenth = "create table lineitem_tenth as select * from lineitem
            where l_orderkey <= (select max(l_orderkey) / 10 from lineitem)";
        scene.server.execute("tpch", tenth)?;
        scene.server.settle("tpch")
    })
}

/// The same at ten times the scale, without the tenth: database `tpch10`.
pub fn tpch10(scene: &Scene) -> anyhow::Result<()> {
    scene.once("tpch10", || {
        make_tpch(scene, "tpch10", scene.scale * 10.0)?;
        scene.server.settle("tpch10")
    })
}

/// In a process of its own: see [`crate::tpch::Args`].
fn make_tpch(scene: &Scene, database: &str, scale: f64) -> anyhow::Result<()> {
    scene.server.new_database(database)?;
    let output = Command::new(std::env::current_exe()?)
        .args([
            "tpch",
            "--url",
            &scene.server.url(database),
            "--scale",
            &scale.to_string(),
        ])
        .output()?;
    anyhow::ensure!(output.status.success(), "{}", tail(&output.stderr));
    Ok(())
}

/// A table `wide` of 200 columns of all common types, every eleventh value null: database `wide`.
pub fn wide(scene: &Scene) -> anyhow::Result<()> {
    scene.once("wide", || {
        scene.server.new_database("wide")?;
        let columns: Vec<String> = (0..WIDE_COLUMNS).map(wide_column).collect();
        let rows = scene.shrunk(WIDE_ROWS);
        let table = format!(
            "create table wide as select g as id, {} from generate_series(1, {rows}) g",
            columns.join(", ")
        );
        scene.server.execute("wide", &table)?;
        scene.server.settle("wide")
    })
}

/// A value that is a function of the row's number `g` and of the column's.
fn wide_column(column: u64) -> String {
    let hash = format!("hashint8extended(g, {column})");
    let value = match column % 14 {
        0 => format!("({hash} % 2147483647)::integer"),
        1 => hash.clone(),
        2 => format!("({hash} % 32767)::smallint"),
        3 => format!("({hash} / 1e6)::double precision"),
        4 => format!("(({hash} % 1000000) / 1e3)::real"),
        5 => format!("(({hash} % 10000000000) / 100.0)::numeric(12,2)"),
        6 => format!("{hash} % 2 = 0"),
        7 => format!("date '2000-01-01' + ({hash} % 10000)::integer"),
        8 => format!("timestamp '2000-01-01' + make_interval(secs => {hash} % 1000000000)"),
        9 => format!("timestamptz '2000-01-01 00:00:00Z' + make_interval(secs => {hash} % 1000000000)"),
        10 => format!("left(md5({hash}::text), 4 + abs({hash} % 20)::integer)"),
        11 => format!("('state ' || abs({hash} % 50))::varchar(20)"),
        12 => format!("md5({hash}::text)::uuid"),
        _ => format!("jsonb_build_object('n', {hash} % 1000)"),
    };
    format!("case when {hash} % 11 <> 0 then {value} end as c{column:03}")
}

/// A table `large` of rows of 20 MB of text and 20 MB of bytea, which compress little: database `large`.
pub fn large(scene: &Scene) -> anyhow::Result<()> {
    scene.once("large", || {
        scene.server.new_database("large")?;
        let create = "create table large (id integer not null, body text, image bytea);
            alter table large alter body set storage external, alter image set storage external";
        scene.server.execute("large", create)?;
        // A SHA-512 is 64 bytes, and 128 as hexadecimal digits.
        let bytes = scene.shrunk(LARGE_BYTES);
        let (hexadecimal, binary) = (bytes.div_ceil(128), bytes.div_ceil(64));
        let fill = format!(
            "insert into large select g,
                (select string_agg(encode(sha512((g || ' ' || i)::bytea), 'hex'), '') from generate_series(1, {hexadecimal}) i),
                (select string_agg(sha512((i || ' ' || g)::bytea), ''::bytea) from generate_series(1, {binary}) i)
             from generate_series(1, {LARGE_ROWS}) g"
        );
        scene.server.execute("large", &fill)?;
        scene.server.settle("large")
    })
}

/// Tables `t0000` … of 10 rows each, with a primary key: database `many`. Returns how many.
pub fn many(scene: &Scene) -> anyhow::Result<u64> {
    let tables = scene.shrunk(MANY_TABLES);
    scene.once("many", || {
        scene.server.new_database("many")?;
        for first in (0..tables).step_by(TABLES_PER_SCRIPT as usize) {
            let mut script = String::new();
            for table in first..tables.min(first + TABLES_PER_SCRIPT) {
                writeln!(
                    script,
                    "create table t{table:04} (id integer primary key, name text, amount numeric(12,2), at timestamptz);
                     insert into t{table:04} select g, 'name ' || g, g * {table} / 100.0,
                         timestamptz '2026-01-01 00:00:00Z' + make_interval(hours => g)
                     from generate_series(1, {MANY_ROWS}) g;"
                )?;
            }
            scene.server.execute("many", &script)?;
        }
        scene.server.settle("many")
    })?;
    Ok(tables)
}

/// The sandbox's sample: database `northwind`, and `order_details.csv` in a folder.
pub fn northwind(scene: &Scene, folder: &std::path::Path) -> anyhow::Result<()> {
    let mut csv = Vec::new();
    Northwind::default().write_order_details_csv(&mut csv)?;
    fs::write(folder.join("order_details.csv"), csv)?;
    scene.once("northwind", || {
        scene.server.new_database("northwind")?;
        let mut script = Vec::new();
        Northwind::default().write_sql(&mut script)?;
        let script = String::from_utf8(script).context("the sample is not UTF-8")?;
        scene.server.execute("northwind", &script)?;
        scene.server.settle("northwind")
    })
}
