//! `lake verify`

use crate::args::{Global, Json};
use crate::commands::print_json;
use crate::config::Config;
use crate::failure::{self, Status, WithStatus, usage};
use crate::pipeline::target;
use crate::ui::{bytes_text, plural};
use lake_loader::Mismatch;
use lake_storage::{Audit, Lake, RunDate, RunId, SqlName};

/// Compare a day of the lake with the target, or the lake's files with what was written, table by table.
#[derive(clap::Args)]
pub struct Args {
    /// The day: YYYY-MM-DD, today or yesterday [default: today; with --lake, all days].
    #[arg(short, long, env = "LAKE_DATE", value_name = "DATE")]
    date: Option<RunDate>,
    /// Read every byte of the lake's own files and compare it with what was written; no target is needed.
    #[arg(long)]
    lake: bool,
    /// Only this table or query result; may be given several times.
    #[arg(short, long = "table", value_name = "TABLE", env = "LAKE_TABLE")]
    tables: Vec<String>,
    #[command(flatten)]
    json: Json,
}

pub async fn run(global: &Global, args: &Args) -> anyhow::Result<()> {
    let config = Config::read(&global.config)?;
    let lake = global.open_lake(&config)?;
    if args.lake {
        return audit(&lake, args).await;
    }
    let date = args.date.unwrap_or_else(RunDate::today);
    let request = lake_loader::LoadRequest {
        date,
        sources: config.source_names(),
        origins: Vec::new(), // nothing is written
        queries: config.query_names(),
        tables: args.tables.clone(),
        take_over: false,
        jobs: lake.memory().workers(),
        run: RunId::new(),
        command: "lake verify".into(),
    };
    let report = lake_loader::verify(&lake, &target(&config)?, &request).await?;
    if args.json.json {
        print_json(&report)?;
    }
    let mut different = 0;
    let mut take_over = false;
    for table in &report.tables {
        match &table.mismatch {
            Some(mismatch) => {
                different += 1;
                let is_stranger = table.loaded_day.is_none() && !matches!(mismatch, Mismatch::MissingTable);
                take_over |= is_stranger;
                let by_whom = if is_stranger { " (no load has filled it)" } else { "" };
                tracing::error!("{}: {mismatch}{by_whom}", table.target);
            }
            None => {
                let own: Vec<String> = table.own_columns.iter().map(|name| SqlName(name).to_string()).collect();
                let but = match own.is_empty() {
                    true => String::new(),
                    false => format!(", but for columns that the lake does not have: {}", own.join(", ")),
                };
                tracing::info!("{}: {} equal{but}", table.target, plural(table.rows, "row"));
            }
        }
    }
    if different > 0 {
        return Err(WithStatus {
            status: Status::Verification,
            message: format!(
                "{different} of {} differ from the lake's {date}: `lake load --date {date}{}` loads them again",
                plural(report.tables.len() as u64, "table"),
                if take_over { " --take-over" } else { "" },
            ),
        }
        .into());
    }
    Ok(())
}

/// The lake's files against its manifests.
async fn audit(lake: &Lake, args: &Args) -> anyhow::Result<()> {
    let audit = Audit {
        date: args.date,
        tables: args.tables.clone(),
        jobs: lake.memory().workers(),
    };
    let lake = lake.clone();
    let report = tokio::task::spawn_blocking(move || lake.audit(&audit, |_| ())).await??;
    if args.json.json {
        print_json(&report)?;
    }
    for finding in &report.findings {
        tracing::error!("{}", failure::with_config(&finding.problem));
    }
    let files = plural(report.files, "file");
    if !report.findings.is_empty() {
        return Err(WithStatus {
            status: Status::Verification,
            message: format!(
                "{} in {files} of {}",
                plural(report.findings.len() as u64, "problem"),
                plural(report.manifests, "day")
            ),
        }
        .into());
    }
    if report.files == 0 {
        return Err(usage("the lake has no such day or table"));
    }
    tracing::info!(
        "{files}, {} of {}: every byte as it was written",
        bytes_text(report.bytes),
        plural(report.manifests, "day")
    );
    if report.files_without_hashes > 0 {
        tracing::warn!(
            "{} of them from before there were hashes: these can be decoded, and more is not known of them",
            report.files_without_hashes
        );
    }
    Ok(())
}
