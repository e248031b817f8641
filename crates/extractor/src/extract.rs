//! One step: a source's day.

use std::path::PathBuf;
use std::time::Instant;

use lake_storage::{Coverage, Lake, Manifest, Relation, RunDate, RunId};
use serde::Serialize;

use crate::{CsvSource, PostgresSource, Result};

/// Where data comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// A Postgres database.
    Postgres(PostgresSource),
    /// CSV files.
    Csv(CsvSource),
}

impl Source {
    /// The source's name: its folder in the lake and its schema in SQL.
    pub fn name(&self) -> &str {
        match self {
            Self::Postgres(source) => &source.name,
            Self::Csv(source) => &source.name,
        }
    }
}

/// What is to be extracted.
#[derive(Clone, Debug)]
pub struct Request {
    /// The day that the data is filed under.
    pub date: RunDate,
    /// The run that does it.
    pub run: RunId,
    /// The command, for whoever finds the day locked.
    pub command: String,
    /// Only these tables, by their name in the lake or in SQL; all if empty.
    pub tables: Vec<String>,
    /// Connections to a database at the most.
    pub jobs: usize,
}

impl Request {
    /// Tables taken singly leave the rest of the day as it is.
    pub(crate) fn coverage(&self) -> Coverage {
        if self.tables.is_empty() {
            Coverage::Whole
        } else {
            Coverage::Some
        }
    }
}

/// News of an extract under way.
#[derive(Clone, Debug)]
pub enum Progress {
    /// What there is to do, as the source estimates it.
    Planned {
        /// Tables.
        tables: u64,
        /// Bytes as the source stores them; an estimate.
        bytes: u64,
    },
    /// Some more rows are in the lake.
    Read {
        /// Rows since the last such news.
        rows: u64,
        /// Their bytes as they came from the source.
        bytes: u64,
    },
    /// A table is read.
    TableDone(ExtractedTable),
}

/// What came of an extract.
#[derive(Clone, Debug, Serialize)]
pub struct ExtractReport {
    /// The source.
    pub source: String,
    /// The day.
    pub date: RunDate,
    /// The run.
    pub run: RunId,
    /// Each table, by name.
    pub tables: Vec<ExtractedTable>,
    /// Rows of all of them.
    pub rows: u64,
    /// Bytes of their Parquet files.
    pub bytes: u64,
    /// Rows that were left out, a table each; empty if there are none.
    pub quarantined: Vec<Quarantined>,
    /// How CSV files were read where the config does not say it.
    pub found: Vec<FoundFormat>,
    /// From the first connection to the manifest.
    pub elapsed_ms: u64,
}

/// How a table's CSV file was read where the config does not say it.
#[derive(Clone, Debug, Serialize)]
pub struct FoundFormat {
    /// The table.
    pub table: String,
    /// What was found.
    #[serde(flatten)]
    pub found: lake_csv::Found,
}

/// The rows of a file that were refused, and kept apart.
#[derive(Clone, Debug, Serialize)]
pub struct Quarantined {
    /// The table.
    pub table: String,
    /// The file that they are in.
    pub source_file: PathBuf,
    /// How many there are.
    pub rows: u64,
    /// Whether the file has no other rows.
    pub all: bool,
    /// Where they are kept: a CSV file with the columns `line`, `reason` and `row`.
    pub file: PathBuf,
}

/// A table's share of an extract.
#[derive(Clone, Debug, Serialize)]
pub struct ExtractedTable {
    /// Its name in the lake.
    pub name: String,
    /// Rows.
    pub rows: u64,
    /// Bytes of its Parquet files.
    pub bytes: u64,
}

/// Extracts a source's day and publishes it.
///
/// # Errors
/// Any [`crate::Error`]; the day's earlier data is as it was.
pub async fn extract(
    lake: &Lake,
    source: &Source,
    request: &Request,
    progress: impl Fn(Progress) + Clone + Send + Sync + 'static,
) -> Result<ExtractReport> {
    let started = Instant::now();
    let (manifest, names, quarantined, found) = match source {
        Source::Postgres(source) => {
            let (manifest, names) = crate::postgres::extract(lake, source, request, progress).await?;
            (manifest, names, Vec::new(), Vec::new())
        }
        Source::Csv(source) => crate::files::extract(lake, source, request, progress).await?,
    };
    let mut report = report(source.name(), request, &manifest, &names, started);
    (report.quarantined, report.found) = (quarantined, found);
    Ok(report)
}

fn report(source: &str, request: &Request, manifest: &Manifest, names: &[String], started: Instant) -> ExtractReport {
    let tables: Vec<ExtractedTable> = manifest
        .tables
        .iter()
        .filter(|(name, _)| names.contains(name))
        .map(|(name, entry)| ExtractedTable {
            name: name.clone(),
            rows: entry.rows,
            bytes: entry.bytes,
        })
        .collect();
    ExtractReport {
        source: source.into(),
        date: request.date,
        run: request.run.clone(),
        rows: tables.iter().map(|table| table.rows).sum(),
        bytes: tables.iter().map(|table| table.bytes).sum(),
        quarantined: Vec::new(),
        found: Vec::new(),
        elapsed_ms: started.elapsed().as_millis() as u64,
        tables,
    }
}

/// What a source answers when it is only asked.
#[derive(Clone, Debug, Serialize)]
pub struct Probe {
    /// What it is: a server with its version, or files.
    pub description: String,
    /// Its tables, by their names in the lake, with those in its database, if it is one.
    pub tables: Vec<(String, Option<Relation>)>,
}

/// Looks at a source without taking anything: connects, lists and locks its tables, or opens and
/// checks its files.
///
/// # Errors
/// What an extract would meet first.
pub async fn probe(lake: &Lake, source: &Source, command: &str) -> Result<Probe> {
    match source {
        Source::Postgres(source) => crate::postgres::probe(lake, source, command).await,
        Source::Csv(source) => crate::files::probe(source).await,
    }
}

/// Looks at all values of a source without taking anything: what the config has to say for an extract is found at
/// once.
///
/// # Errors
/// All that extracts would refuse.
pub async fn probe_values(
    lake: &Lake,
    source: &Source,
    command: &str,
    jobs: usize,
    progress: impl Fn(Progress) + Clone + Send + Sync + 'static,
) -> Result<Probe> {
    match source {
        Source::Postgres(source) => crate::postgres::probe_values(lake, source, command, jobs, progress).await,
        // Each file is read as a whole for its types.
        Source::Csv(source) => crate::files::probe(source).await,
    }
}
