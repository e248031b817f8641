//! `lake transform`

use crate::args::{Day, Global, Json};
use crate::commands::print_json;
use crate::pipeline::Pipeline;

/// Run the saved queries over a day and keep their results in the lake.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    day: Day,
    /// Only this saved query; may be given several times.
    #[arg(long = "query", value_name = "QUERY", env = "LAKE_QUERY", value_delimiter = ',')]
    queries: Vec<String>,
    #[command(flatten)]
    json: Json,
}

pub async fn run(global: &Global, args: &Args) -> anyhow::Result<()> {
    let mut pipeline = Pipeline::begin(global, "lake transform", args.day.date).await?;
    let report = pipeline.transform(&args.queries).await?;
    if args.json.json {
        print_json(&report)?;
    }
    Ok(())
}
