//! Sources to Arrow batches to the lake.
//!
//! [`extract`] takes a source's day: every selected table of a Postgres database under one snapshot,
//! or every file of a CSV source, streamed into Parquet and published together.

mod error;
mod extract;
mod files;
pub mod postgres;

pub use error::{Error, Result, nearest};
pub use extract::{
    ExtractReport, ExtractedTable, FoundFormat, Probe, Progress, Quarantined, Request, Source, extract, probe,
    probe_values,
};
pub use files::CsvSource;
pub use lake_postgres::{TimeLimit, Timeouts};
pub use postgres::{Arrays, ColumnAs, PostgresSource, TablePattern, TableSettings};
