//! `lake run`

use crate::args::{Day, Global, Json};
use crate::commands::print_json;
use crate::pipeline::Pipeline;

/// Extract, transform, load and export a day.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    day: Day,
    #[command(flatten)]
    json: Json,
}

pub async fn run(global: &Global, args: &Args) -> anyhow::Result<()> {
    let mut pipeline = Pipeline::begin(global, "lake run", args.day.date).await?;
    let report = pipeline.run().await?;
    if args.json.json {
        print_json(&report)?;
    }
    Ok(())
}
