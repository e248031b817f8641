//! What can go wrong while a source is read.

use std::path::PathBuf;

use lake_storage::SqlName;

use crate::postgres::Ungranted;

/// A failure of an extract: which table, with the cause in `source`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The lake.
    #[error(transparent)]
    Storage(#[from] lake_storage::Error),
    /// The server, or a value that it sent.
    #[error(transparent)]
    Postgres(#[from] lake_postgres::Error),
    /// A CSV file.
    #[error(transparent)]
    Csv(#[from] lake_csv::CsvError),
    /// A failure within a table.
    #[error("table {table}")]
    Table {
        /// The table, as the source names it.
        table: String,
        /// The cause.
        #[source]
        cause: Box<Error>,
    },
    /// Several at once.
    #[error("{}", errors.iter().map(Error::chain).collect::<Vec<_>>().join("\n"))]
    Several {
        /// Each of them.
        errors: Vec<Error>,
    },
    /// Columns with values that the lake's types for them can't hold.
    #[error(
        "{}\nnothing was published; with this as `tables` of the source {source_name} in the config they go through:\n{config}",
        refused.join("\n")
    )]
    Values {
        /// Which column and value of which table, a column each.
        refused: Vec<String>,
        /// The source.
        source_name: String,
        /// The source's `tables`, with what these columns need.
        config: String,
    },
    /// A selection that selects nothing.
    #[error("{what} matches no table{nearest}")]
    NoMatch {
        /// The pattern or name, as it was written.
        what: String,
        /// What might have been meant; empty, or begins with a separator.
        nearest: String,
    },
    /// A table pattern that can't be read.
    #[error("the table pattern {pattern:?} can't be read: {reason}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Tables that the role may not read.
    #[error(
        "the role {} may not read {}: {}",
        SqlName(role),
        tables.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        crate::postgres::mend(role, tables)
    )]
    NotGranted {
        /// The role.
        role: String,
        /// The tables.
        tables: Vec<Ungranted>,
    },
    /// A table that can't have its name in the lake.
    #[error(
        "{table} can't be called {name} in the lake: {reason}; give it another name in the config, \
         where `tables` is a map with a line for each pattern, with\n      {mend}"
    )]
    Name {
        /// The table.
        table: String,
        /// The name.
        name: String,
        /// Why.
        reason: String,
        /// The line of the config.
        mend: String,
    },
    /// A setting that names a column which the table hasn't.
    #[error("table {table}: the config speaks of a column {column:?}, which the table does not have")]
    NoSuchColumn {
        /// The table.
        table: String,
        /// The column.
        column: String,
    },
    /// A setting that carries a column as a decimal, and it is none.
    #[error(
        "table {table}: the config carries the column {column:?} as a decimal, which only a numeric can be; it is {type_name}"
    )]
    NotNumeric {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// The column's type.
        type_name: String,
    },
    /// Tables came, went or changed each time they were about to be locked.
    #[error(
        "the tables changed while they were being locked, {attempts} times in a row: run this when no migration is under way"
    )]
    Unsettled {
        /// How often it was tried.
        attempts: u32,
    },
    /// A table's name has become another's while it was read.
    #[error(
        "table {table}: its schema was renamed while it was read, so that what was read may be another table's; \
         nothing was published: run this again"
    )]
    Renamed {
        /// The table.
        table: String,
    },
    /// The rows that arrived of a COPY are not those that the server says it sent.
    #[error("the server sent {counted} rows, but {decoded} arrived")]
    RowCount {
        /// The server's count.
        counted: u64,
        /// The rows decoded.
        decoded: u64,
    },
    /// A worker stopped without an answer.
    #[error("a worker stopped unexpectedly")]
    Worker(#[from] tokio::task::JoinError),
    /// A worker's thread ended without an answer.
    #[error("a worker stopped unexpectedly")]
    Stopped,
    /// The system gives no thread.
    #[error("cannot start a thread")]
    Thread {
        /// The system's answer.
        source: std::io::Error,
    },
    /// A source file is not there.
    #[error("the file {} of {table} is not there: check `files` in the config", path.display())]
    NoFile {
        /// The table that it is to become.
        table: String,
        /// The file.
        path: PathBuf,
    },
}

/// The result of an extract.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// What went wrong, if anything did.
    pub(crate) fn all(mut errors: Vec<Error>) -> Result<()> {
        match errors.len() {
            0 => Ok(()),
            1 => Err(errors.remove(0)),
            _ => Err(Error::Several { errors }),
        }
    }

    /// With its causes.
    pub(crate) fn chain(&self) -> String {
        let causes = std::iter::successors(std::error::Error::source(self), |cause| cause.source());
        causes.fold(self.to_string(), |text, cause| format!("{text}: {cause}"))
    }

    pub(crate) fn in_table(table: impl Into<String>) -> impl FnOnce(Error) -> Error {
        let table = table.into();
        move |cause| Error::Table {
            table,
            cause: Box::new(cause),
        }
    }
}

/// A name near a wrong one, for a message: `; did you mean …?`, or nothing.
pub fn nearest<'a>(wrong: &str, names: impl Iterator<Item = &'a str>) -> String {
    let wrong = wrong.to_lowercase();
    let best = names
        .map(|name| (strsim::levenshtein(&wrong, &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= 1 + name.len() / 3)
        .min();
    match best {
        Some((_, name)) => format!("; did you mean {name}?"),
        None => String::new(),
    }
}
