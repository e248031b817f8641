//! `lake load`

use crate::args::{Day, Global, Json, TakeOver};
use crate::commands::print_json;
use crate::pipeline::Pipeline;

/// Load a day into the analytics Postgres: its readers see the old day or the new one.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    day: Day,
    /// Only this table or query result; may be given several times.
    #[arg(short, long = "table", value_name = "TABLE", env = "LAKE_TABLE")]
    tables: Vec<String>,
    #[command(flatten)]
    take_over: TakeOver,
    #[command(flatten)]
    json: Json,
}

pub async fn run(global: &Global, args: &Args) -> anyhow::Result<()> {
    let mut pipeline = Pipeline::begin(global, "lake load", args.day.date).await?;
    let report = pipeline.load(&args.tables, args.take_over.take_over).await?;
    if args.json.json {
        print_json(&report)?;
    }
    Ok(())
}
