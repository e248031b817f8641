//! What can go wrong in the lake.

use std::fmt;
use std::path::PathBuf;

use crate::{ColumnChange, Damage, Holder, ManifestFault, MissingStep, RunDate, SqlName, yaml};

/// A failure of the lake: which path, table or day, with the cause in `source`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder of the lake could not be used.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried: `create`, `read`, `write` …
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// A link in the lake, which would lead out of it.
    #[error(
        "{} is a link, and none is followed inside the lake: remove it, or put there what it leads to; only the lake's \
         own folder may be one",
        path.display()
    )]
    Link {
        /// The link.
        path: PathBuf,
    },
    /// A Parquet file is not what was written.
    #[error("{of}the Parquet file {} is damaged: {damage}; {mend}", path.display())]
    Damaged {
        /// The table's day that it is of, as the text begins.
        of: String,
        /// The file.
        path: PathBuf,
        /// What is wrong.
        damage: Damage,
        /// What helps.
        mend: String,
    },
    /// A manifest that can't be believed.
    #[error("the manifest {} is not to be used: {fault}; {mend}", path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        fault: ManifestFault,
        /// What helps.
        mend: String,
    },
    /// A Parquet file could not be written.
    #[error("cannot write the Parquet file {}", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: parquet::errors::ParquetError,
    },
    /// A Delta table's log could not be read or written.
    #[error("cannot use the Delta table {}", path.display())]
    Delta {
        /// The table's folder.
        path: PathBuf,
        /// The cause.
        source: Box<deltalake::DeltaTableError>,
    },
    /// A damaged log entry that a manifest names.
    #[error(
        "{} is empty or cut off, and the manifest of {date} names it: move it away, and run \
         `lake adopt --date {date}`, which writes it anew", path.display()
    )]
    TornEntry {
        /// The entry.
        path: PathBuf,
        /// The day.
        date: RunDate,
    },
    /// A day that another tool has changed in the Delta table.
    #[error(
        "table {}: another tool changed its day {date} in the Delta table: `{command}` brings lake's manifest \
         up to date, and what was deleted stays deleted",
        SqlName(table)
    )]
    OtherTool {
        /// The table.
        table: String,
        /// The day.
        date: RunDate,
        /// What mends it.
        command: String,
    },
    /// A file of a day that is no longer there.
    #[error(
        "table {}: {} is gone, which its day {date} has rows in; a vacuum by another tool removes files: `{command}` \
         mends the day", SqlName(table), path.display()
    )]
    FileGone {
        /// The table.
        table: String,
        /// The day.
        date: RunDate,
        /// The file.
        path: PathBuf,
        /// What mends it.
        command: String,
    },
    /// A day with rows that another tool has only marked as deleted.
    #[error(
        "table {}: another tool marked rows of {date} as deleted without rewriting their files (deletion vectors): \
         let it rewrite them (in Spark `reorg table … apply (purge)`), then run this again",
        SqlName(table)
    )]
    DeletionVectors {
        /// The table.
        table: String,
        /// The day.
        date: RunDate,
    },
    /// A run's record is not what this version writes.
    #[error(
        "the run's record {} is not what this version of lake writes: remove it, nothing but what `lake status` \
         shows depends on it",
        path.display()
    )]
    Json {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: serde_json::Error,
    },
    /// A schema can't be held by Delta or Arrow.
    #[error("table {}: its columns can't be held in Delta", SqlName(table))]
    Schema {
        /// The table.
        table: String,
        /// The cause.
        source: arrow::error::ArrowError,
    },
    /// Columns whose names Delta can't hold.
    #[error(
        "table {table}: {}\n  give them other names in the config, under the table or the file:\n        {}",
        columns.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n  "), rename_line(columns)
    )]
    ColumnNames {
        /// The table, as SQL writes it.
        table: String,
        /// Every such column.
        columns: Vec<RefusedColumn>,
    },
    /// A table all of whose columns are left out.
    #[error(
        "no column of table {table} is selected, and a Delta table needs one: leave it out, in the config's list `tables` with\n      \
         - {0}\n  or, where `tables` is a map, with\n      {0}:",
        yaml(&format!("!{table}"))
    )]
    NoColumns {
        /// The table, as SQL writes it.
        table: String,
    },
    /// A column whose values of all days no type holds.
    #[error("{change}; no type holds both: leave the column out, or rename it so that it is a new one")]
    ColumnType {
        /// The column with both types.
        change: Box<ColumnChange>,
    },
    /// Another run changed a table's columns while this one wrote a day of it.
    #[error(
        "table {}: another run gave its columns other types meanwhile: run this again",
        SqlName(table)
    )]
    ColumnsChanged {
        /// The table.
        table: String,
    },
    /// Columns that changed where the config allows no change.
    #[error(
        "the config says `schema_change: freeze`, and columns changed:\n  {}\n  \
         mend the source, or write `schema_change: evolve` and run this again",
        changes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n  ")
    )]
    Frozen {
        /// Every change.
        changes: Vec<ColumnChange>,
    },
    /// A value of an earlier day that the column's new type can't hold.
    #[error(
        "column {column}: it is {data_type} now, which can't hold a value of {}: leave the column out, or \
         rename it so that it is a new one", path.display()
    )]
    Retype {
        /// The column.
        column: String,
        /// Its new type.
        data_type: String,
        /// The Parquet file of the day.
        path: PathBuf,
        /// The value.
        source: arrow::error::ArrowError,
    },
    /// A name that is too long for a folder.
    #[error("the name {name:?} makes a folder name of more than 255 bytes: rename it")]
    NameTooLong {
        /// The name.
        name: String,
    },
    /// A lake in a folder that Delta readers would not find.
    #[error("the lake {} has an escape such as `%41` in its path, which Delta readers would decode: choose another folder", root.display())]
    EscapeInPath {
        /// The lake's folder.
        root: PathBuf,
    },
    /// The rows that reached the Parquet files are not those that the source counted.
    #[error(
        "table {}: {expected} rows were read but {written} are in its Parquet files; nothing was published",
        SqlName(table)
    )]
    RowCount {
        /// The table.
        table: String,
        /// Rows that the source reported.
        expected: u64,
        /// Rows in the Parquet footers.
        written: u64,
    },
    /// Another run writes the same day.
    #[error("{date} of {source_name} is being written by {holder}: wait for it to end, then run this again")]
    Locked {
        /// The source.
        source_name: String,
        /// The day.
        date: RunDate,
        /// Who holds the lock.
        holder: Holder,
    },
    /// Steps that have to succeed first.
    #[error("{}", missing.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n  "))]
    Prerequisite {
        /// Each of them, with the command that mends it.
        missing: Vec<MissingStep>,
    },
    /// A date that does not exist or isn't written as one.
    #[error("{text:?} is not a date: write YYYY-MM-DD, today or yesterday")]
    Date {
        /// What was given.
        text: String,
    },
}

/// The result of an operation on the lake.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A column whose name Delta can't hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedColumn {
    /// Its name.
    pub name: String,
    /// Why.
    pub reason: &'static str,
    /// A name that it could have.
    pub rename: String,
}

impl fmt::Display for RefusedColumn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "column {:?}: {}", self.name, self.reason)
    }
}

fn rename_line(columns: &[RefusedColumn]) -> String {
    let renames = columns
        .iter()
        .map(|column| format!("{}: {}", yaml(&column.name), yaml(&column.rename)));
    format!("rename: {{{}}}", renames.collect::<Vec<_>>().join(", "))
}
