//! `lake verify`

use crate::args::{Day, Global, Json};
use crate::commands::print_json;
use crate::config::Config;
use crate::failure::{Status, WithStatus};
use crate::pipeline::target;
use crate::ui::plural;
use lake_storage::RunId;

/// Compare a day of the lake with the target, table by table.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    day: Day,
    #[command(flatten)]
    json: Json,
}

pub async fn run(global: &Global, args: &Args) -> anyhow::Result<()> {
    let config = Config::read(&global.config)?;
    let lake = global.open_lake(&config)?;
    let request = lake_loader::LoadRequest {
        date: args.day.date,
        sources: config.source_names(),
        queries: config.query_names(),
        tables: Vec::new(),
        jobs: lake.memory().workers(),
        run: RunId::new(),
        command: "lake verify".into(),
    };
    let report = lake_loader::verify(&lake, &target(&config)?, &request).await?;
    if args.json.json {
        print_json(&report)?;
    }
    let mut different = 0;
    for table in &report.tables {
        match &table.mismatch {
            Some(mismatch) => {
                different += 1;
                tracing::error!("{}: {mismatch}", table.target);
            }
            None => tracing::info!("{}: {} equal", table.target, plural(table.rows, "row")),
        }
    }
    if different > 0 {
        return Err(WithStatus {
            status: Status::Verification,
            message: format!(
                "{different} of {} differ from the lake's {}: `lake load --date {}` loads them again",
                plural(report.tables.len() as u64, "table"),
                args.day.date,
                args.day.date
            ),
        }
        .into());
    }
    Ok(())
}
