//! `lake demo`

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context as _;
use lake_query::{Engine, Format, Scope, Settings};
use lake_sandbox::{EmbeddedPostgres, Northwind};
use lake_storage::{Lake, RunDate};

use crate::args::Global;
use crate::config::Config;
use crate::pipeline::Pipeline;
use crate::ui::{duration_text, path_text};

const QUERY: &str = include_str!("../../../../queries/orders_with_details.sql");

/// Run the whole thing on this machine: two embedded Postgres servers, sample data, the result.
#[derive(clap::Args)]
pub struct Args {
    /// The folder for the demo's config, lake and output.
    #[arg(short, long, default_value = "lake-demo", env = "LAKE_DIR", value_name = "FOLDER")]
    dir: PathBuf,
    /// The day.
    #[arg(long, env = "LAKE_DATE", default_value = "today", value_name = "DATE")]
    date: RunDate,
}

pub async fn run(global: &Global, args: &Args) -> anyhow::Result<()> {
    let started = Instant::now();
    let config_path = write_files(&args.dir).with_context(|| format!("cannot write to {}", args.dir.display()))?;
    tracing::info!("starting two embedded PostgreSQL servers, a source with the sample data and a target");
    let (source, target) = tokio::try_join!(EmbeddedPostgres::start(), EmbeddedPostgres::start())?;
    let mut script = Vec::new();
    Northwind::default().write_sql(&mut script)?;
    source.execute(&String::from_utf8(script)?).await?;

    let config = Config::read(&config_path)?.with_urls(source.url(), target.url());
    let global = Global {
        config: config_path.clone(),
        jobs: Some(1), // an embedded server takes one connection
        ..global.clone()
    };
    let report = Pipeline::with_config(config, &global, "lake demo", args.date)
        .await?
        .run(false)
        .await?;

    let lake = Lake::at(&args.dir.join("lake"))?;
    let engine = Engine::new(
        &lake,
        Scope::Day(args.date),
        &["postgres".into(), "csv".into()],
        &Settings::default(),
    )?;
    tracing::info!("\nthe first rows of orders_with_details:\n");
    let first = "select order_id, customer_id, order_date, product_id, unit_price, quantity, discount
                 from results.orders_with_details limit 5";
    super::query::write(&engine, first, Format::Table, std::io::stdout()).await?;
    tracing::info!("");
    for file in report.export.iter().flat_map(|export| &export.files) {
        tracing::info!("{}", path_text(&file.path));
    }

    let lake = std::env::args()
        .next()
        .map_or_else(|| "lake".into(), |name| path_text(Path::new(&name)));
    let config = path_text(&config_path);
    tracing::info!(
        "\ndone in {}. Try next:\n\n  {lake} -c {config} status\n  {lake} -c {config} query \
         \"select customer_id, count(*) as orders from postgres.orders group by 1 order by 2 desc limit 5\"\n  \
         {lake} -c {config} query",
        duration_text(started.elapsed()),
    );
    // A drop stops the servers and waits for them.
    tokio::task::block_in_place(|| drop((source, target)));
    Ok(())
}

/// Writes the demo's config, query and CSV file, and returns the config's path.
fn write_files(folder: &Path) -> anyhow::Result<PathBuf> {
    std::fs::create_dir_all(folder.join("queries"))?;
    std::fs::write(folder.join("queries/orders_with_details.sql"), QUERY)?;
    let mut csv = Vec::new();
    Northwind::default().write_order_details_csv(&mut csv)?;
    std::fs::write(folder.join("order_details.csv"), csv)?;
    let config = folder.join("lake.yaml");
    std::fs::write(&config, CONFIG)?;
    Ok(config)
}

const CONFIG: &str = "\
lake: ./lake
output: ./output
exports: [csv, json]

sources:
  postgres:
    type: postgres
    url: ${SOURCE_URL}       # the demo's servers end with it; name a server of yours to run this again
    tables: [\"public.*\"]
  csv:
    type: csv
    files:
      order_details: ./order_details.csv

target:
  type: postgres
  url: ${TARGET_URL}

queries:
  orders_with_details: ./queries/orders_with_details.sql
";
