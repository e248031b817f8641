//! `lake export`

use lake_query::Format;

use crate::args::{Day, Global, Json};
use crate::commands::print_json;
use crate::pipeline::Pipeline;

/// Write the results of the saved queries to files.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    day: Day,
    /// Only this saved query; may be given several times.
    #[arg(long = "query", value_name = "QUERY", env = "LAKE_QUERY", value_delimiter = ',')]
    queries: Vec<String>,
    /// The formats: csv, tsv, json, ndjson, parquet [default: `exports` of the config].
    #[arg(
        short,
        long = "format",
        value_name = "FORMAT",
        env = "LAKE_FORMAT",
        value_delimiter = ','
    )]
    formats: Vec<Format>,
    #[command(flatten)]
    json: Json,
}

pub async fn run(global: &Global, args: &Args) -> anyhow::Result<()> {
    let mut pipeline = Pipeline::begin(global, "lake export", args.day.date).await?;
    let report = pipeline.export(&args.queries, &args.formats).await?;
    if args.json.json {
        print_json(&report)?;
    }
    Ok(())
}
