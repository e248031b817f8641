//! `lake query`

mod shell;

pub use shell::is_open as shell_is_open;

use std::io::{IsTerminal as _, Read as _, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use futures::TryStreamExt as _;
use lake_query::{Engine, Format, FormatWriter, OutputFile, Scope};
use lake_storage::RunDate;

use crate::args::Global;
use crate::config::Config;
use crate::ui::{path_text, plural};

/// Run SQL over the lake; without SQL on a terminal, open a shell.
///
/// A table is `source.table`, or its plain name where one source has it; a saved query's result is
/// `results.query`; `lake.runs` lists every step of every run. With --date a table shows that day;
/// without, all days, with the column extract_date.
#[derive(clap::Args)]
pub struct Args {
    /// The SQL: one statement that only reads.
    #[arg(value_name = "SQL", conflicts_with = "file")]
    sql: Option<String>,
    /// Read the SQL from a file.
    #[arg(short, long, value_name = "FILE", env = "LAKE_FILE")]
    file: Option<PathBuf>,
    /// Only this day: YYYY-MM-DD, today or yesterday.
    #[arg(short, long, env = "LAKE_DATE", value_name = "DATE")]
    date: Option<RunDate>,
    /// table, csv, tsv, json, ndjson or parquet [default: table, or what the name of --output ends with].
    #[arg(long, value_name = "FORMAT", env = "LAKE_FORMAT")]
    format: Option<Format>,
    /// Write to a file, which appears once it is whole.
    #[arg(short, long, value_name = "FILE", env = "LAKE_OUTPUT")]
    output: Option<PathBuf>,
}

pub async fn run(global: &Global, args: &Args) -> anyhow::Result<()> {
    let config = Config::read(&global.config)?;
    let lake = global.open_lake(&config)?;
    let scope = args.date.map_or(Scope::AllDays, Scope::Day);
    let engine = Engine::new(&lake, scope, &config.source_names(), &global.query_settings(&config))?;
    let sql = match (&args.sql, &args.file) {
        (Some(sql), _) => sql.clone(),
        (None, Some(file)) => {
            std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?
        }
        (None, None) if std::io::stdin().is_terminal() => return shell::run(&engine, scope).await,
        (None, None) => {
            let mut sql = String::new();
            std::io::stdin()
                .read_to_string(&mut sql)
                .context("cannot read SQL from stdin")?;
            sql
        }
    };
    match &args.output {
        None => {
            write(&engine, &sql, args.format.unwrap_or(Format::Table), std::io::stdout()).await?;
        }
        Some(path) => {
            let by_name = path.extension().and_then(|e| e.to_str()?.parse().ok());
            let format = args.format.or(by_name).unwrap_or(Format::Table);
            let mut file = OutputFile::create(path)?;
            let rows = write(&engine, &sql, format, &mut file)
                .await
                .map_err(|error| named(error, path))?;
            file.publish()?;
            tracing::info!("wrote {}: {}", path_text(path), plural(rows, "row"));
        }
    }
    Ok(())
}

/// Says which file can't be written; none is stdout, whose reader may go.
fn named(error: anyhow::Error, path: &Path) -> anyhow::Error {
    match error.downcast() {
        Ok(lake_query::Error::Write { source }) => lake_query::Error::File {
            action: "write",
            path: path.to_owned(),
            source,
        }
        .into(),
        Ok(error @ lake_query::Error::WriteParquet { .. }) => {
            anyhow::Error::from(error).context(format!("cannot write {}", path.display()))
        }
        Ok(error) => error.into(),
        Err(error) => error,
    }
}

/// Runs a statement and writes its rows as they come; returns how many.
pub async fn write(engine: &Engine, sql: &str, format: Format, out: impl Write + Send) -> anyhow::Result<u64> {
    let mut batches = engine.query(sql).await?;
    let mut writer = FormatWriter::new(format, &batches.schema(), out)?;
    while let Some(batch) = batches.try_next().await? {
        tokio::task::block_in_place(|| writer.write(&batch))?;
    }
    let rows = writer.rows();
    writer.finish()?.flush()?;
    Ok(rows)
}
