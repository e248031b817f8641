//! `lake run`

use crate::args::{Day, Global, Json, TakeOver};
use crate::commands::print_json;
use crate::pipeline::Pipeline;

/// Extract, transform, load and export a day.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    day: Day,
    #[command(flatten)]
    take_over: TakeOver,
    #[command(flatten)]
    json: Json,
}

pub async fn run(global: &Global, args: &Args) -> anyhow::Result<()> {
    let mut pipeline = Pipeline::begin(global, "lake run", args.day.date).await?;
    let report = pipeline.run(args.take_over.take_over).await?;
    if args.json.json {
        print_json(&report)?;
    }
    Ok(())
}
