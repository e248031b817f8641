//! `lake adopt`

use lake_storage::{Adopt, RunDate, RunId, SqlName};

use crate::args::{Global, Json};
use crate::commands::print_json;
use crate::config::Config;
use crate::ui::plural;

/// Take over what other tools changed in the lake's Delta tables.
///
/// Rows that were deleted there stay deleted, files that were put together are read as such.
#[derive(clap::Args)]
pub struct Args {
    /// Only this source; `results` for those of queries. More than one may be given.
    #[arg(short, long, value_name = "NAME")]
    source: Vec<String>,
    /// Only this table, by its name in the lake. More than one may be given.
    #[arg(short, long, value_name = "NAME")]
    table: Vec<String>,
    /// Only this day: YYYY-MM-DD, today or yesterday.
    #[arg(short, long, value_name = "DATE")]
    date: Option<RunDate>,
    #[command(flatten)]
    json: Json,
}

pub async fn run(global: &Global, args: &Args) -> anyhow::Result<()> {
    let config = Config::read(&global.config)?;
    let lake = global.open_lake(&config)?;
    lake.clear_leftovers().await?;
    let wanted = Adopt {
        sources: args.source.clone(),
        tables: args.table.clone(),
        date: args.date,
    };
    let adopted = lake.adopt(&wanted, &RunId::new(), "lake adopt").await?;
    if args.json.json {
        print_json(&adopted)?;
    }
    for day in &adopted {
        let before = match day.rows == day.rows_before {
            true => String::new(),
            false => format!(", {} before", plural(day.rows_before, "row")),
        };
        let (source, table) = (SqlName(&day.source), SqlName(&day.table));
        tracing::info!(
            "adopt     {source}.{table} of {}: {}{before}",
            day.date,
            plural(day.rows, "row")
        );
    }
    if adopted.is_empty() {
        tracing::info!("adopt     the manifests are up to date");
    }
    Ok(())
}
