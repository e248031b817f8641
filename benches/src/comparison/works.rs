//! The works, by name.

use std::process::Command;

use super::dataset;
use super::measure::tail;
use super::scene::{Project, Scene};
use super::work::Work;

mod extract;
mod load;
mod many_tables;
mod memory;
mod northwind;
mod query;

/// The name of a work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum WorkName {
    /// lineitem out of Postgres into Parquet.
    Extract,
    /// lineitem from Parquet into a new table of Postgres.
    Load,
    /// An aggregate over orders and lineitem.
    Query,
    /// A whole day of 14 small tables.
    Northwind,
    /// 2,000 tables of 10 rows.
    ManyTables,
    /// Peak memory of extract and load: large, wide, and with large rows.
    Memory,
}

impl WorkName {
    /// Makes the work's data, where it is not there yet, and the work.
    pub fn work(self, scene: &Scene) -> anyhow::Result<Vec<Work<'_>>> {
        match self {
            Self::Extract => Ok(vec![extract::work(scene)?]),
            Self::Load => Ok(vec![load::work(scene)?]),
            Self::Query => query::works(scene),
            Self::Northwind => Ok(vec![northwind::work(scene)?]),
            Self::ManyTables => Ok(vec![many_tables::work(scene)?]),
            Self::Memory => Ok(vec![memory::work(scene)?]),
        }
    }
}

/// What is to be called in every table of results.
const LAKE: &str = "lake";

/// A lake with the day's lineitem and orders.
fn tpch_lake(scene: &Scene) -> anyhow::Result<Project<'_>> {
    dataset::tpch(scene)?;
    let project = Project::of_tables(scene, "tpch", "tpch", &["lineitem", "orders"])?;
    scene.once("the lake of lineitem and orders", || {
        run(&mut project.lake_day("extract"))
    })?;
    Ok(project)
}

/// Runs a program that is not measured.
fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command.output()?;
    anyhow::ensure!(output.status.success(), "{}: {}", output.status, tail(&output.stderr));
    Ok(())
}
