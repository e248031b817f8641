//! `lake extract`

use crate::args::{Day, Global, Json};
use crate::commands::print_json;
use crate::pipeline::Pipeline;

/// Copy the sources into the lake, each as one consistent snapshot.
///
/// A past day is filed under that day, with what the source holds now.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    day: Day,
    /// Only this source; may be given several times.
    #[arg(
        short,
        long = "source",
        value_name = "SOURCE",
        env = "LAKE_SOURCE",
        value_delimiter = ','
    )]
    sources: Vec<String>,
    /// Only this table, by its name in the lake or as SQL writes it; may be given several times.
    #[arg(short, long = "table", value_name = "TABLE", env = "LAKE_TABLE")]
    tables: Vec<String>,
    #[command(flatten)]
    json: Json,
}

pub async fn run(global: &Global, args: &Args) -> anyhow::Result<()> {
    let mut pipeline = Pipeline::begin(global, "lake extract", args.day.date).await?;
    let reports = pipeline.extract(&args.sources, &args.tables).await?;
    if args.json.json {
        print_json(&reports)?;
    }
    Ok(())
}
