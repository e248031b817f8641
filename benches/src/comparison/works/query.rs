//! An aggregate over orders and lineitem, by `lake query` and by DuckDB over the same Parquet files.

use std::fs;
use std::path::Path;

use anyhow::Context as _;

use super::{LAKE, tpch_lake};
use crate::comparison::peers::Peer;
use crate::comparison::scene::Scene;
use crate::comparison::work::{Bar, Contender, Work};

const DUCKDB: &str = "DuckDB";

/// What both may differ by: they add decimals in types of their own.
const RELATIVE_ERROR_MAX: f64 = 1e-9;

struct Query {
    id: &'static str,
    title: &'static str,
    sql: &'static str,
}

const QUERIES: [Query; 2] = [
    Query {
        id: "query",
        title: "Query: all of orders ⋈ lineitem, revenue by priority",
        sql: "select o_orderpriority, count(*) as lines, sum(l_extendedprice * (1 - l_discount)) as revenue
from orders join lineitem on l_orderkey = o_orderkey
group by o_orderpriority
order by o_orderpriority
",
    },
    Query {
        id: "query_filtered",
        title: "Query: orders ⋈ lineitem with filters, revenue by month",
        sql: "select extract(year from o_orderdate) as year, extract(month from o_orderdate) as month,
       count(*) as lines, sum(l_extendedprice * (1 - l_discount)) as revenue
from orders join lineitem on l_orderkey = o_orderkey
where o_orderdate >= date '1995-01-01' and o_orderdate < date '1997-01-01'
  and l_returnflag = 'R' and l_receiptdate > l_commitdate
group by 1, 2
order by 1, 2
",
    },
];

pub fn works(scene: &Scene) -> anyhow::Result<Vec<Work<'_>>> {
    QUERIES.iter().map(|query| work(scene, query)).collect()
}

fn work<'a>(scene: &'a Scene, query: &'static Query) -> anyhow::Result<Work<'a>> {
    let project = tpch_lake(scene)?;
    let file = project.folder.join(format!("{}.sql", query.id));
    fs::write(&file, query.sql)?;
    let view = |table| {
        let files = project.day("source", table);
        format!(
            "create view {table} as from read_parquet('{}/*.parquet', hive_partitioning = true);",
            files.display()
        )
    };
    let statements = format!("{}{}{};", view("orders"), view("lineitem"), query.sql);

    // Whichever runs first, each is compared with what the other found last.
    let (ours, theirs) = (
        scene.folder.join(format!("{}.lake.csv", query.id)),
        scene.folder.join(format!("{}.duckdb.csv", query.id)),
    );
    let lake = {
        let (ours, theirs) = (ours.clone(), theirs.clone());
        Contender::new(LAKE, move || {
            let mut command = project.lake("query --format csv --file");
            command.arg(&file);
            let measured = scene.measure_into(&ours, command, 2.0)?;
            ensure_same_rows(&ours, &theirs)?;
            Ok(measured)
        })
    };
    let duckdb = Contender::new(DUCKDB, move || {
        scene.peers.ensure_ready(Peer::DuckDb)?;
        let measured = scene.measure_into(&theirs, scene.peers.duckdb(&statements), 2.0)?;
        ensure_same_rows(&theirs, &ours)?;
        Ok(measured)
    });
    Ok(Work {
        id: query.id,
        title: query.title.into(),
        contenders: vec![
            lake.note("`lake query --format csv`"),
            duckdb.note("its command line, the same files, `-csv`"),
        ],
        bars: vec![Bar::times(LAKE, 1.2, &[DUCKDB])],
    })
}

fn ensure_same_rows(one: &Path, other: &Path) -> anyhow::Result<()> {
    let one = fs::read_to_string(one).context("no result")?;
    anyhow::ensure!(one.lines().count() > 1, "the result has no rows");
    // One that has not run yet is compared when it has.
    if let Ok(other) = fs::read_to_string(other) {
        anyhow::ensure!(same(&one, &other), "the results differ: {one} and {other}");
    }
    Ok(())
}

/// Whether two CSV texts without quotes are the same, numbers by their values.
fn same(one: &str, other: &str) -> bool {
    let fields = |text: &str| -> Vec<Vec<String>> {
        let lines = text.lines();
        lines
            .map(|line| line.split(',').map(|field| field.trim().to_owned()).collect())
            .collect()
    };
    let (one, other) = (fields(one), fields(other));
    one.len() == other.len()
        && one.iter().zip(&other).all(|(one, other)| {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same_field(one, other))
        })
}

fn same_field(one: &str, other: &str) -> bool {
    match (one.parse::<f64>(), other.parse::<f64>()) {
        (Ok(one), Ok(other)) => (one - other).abs() <= RELATIVE_ERROR_MAX * one.abs(),
        _ => one == other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_by_value() {
        assert!(same("a,b\nx,1.50\n", "a,b\nx,1.5000\n"));
        assert!(!same("a,b\nx,1.50\n", "a,b\nx,1.51\n"));
        assert!(!same("a,b\nx,1.50\n", "a,b\ny,1.50\n"));
        assert!(!same("a,b\nx,1.50\n", "a,b\n"));
    }
}
