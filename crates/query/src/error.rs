//! What can go wrong while SQL is planned, run and written out.

use std::path::PathBuf;

use lake_storage::RunDate;

use crate::Position;

/// A failure of a query, a transform or an export, with the cause in `source`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The lake refused: a step is missing, a file can't be read …
    #[error(transparent)]
    Lake(#[from] lake_storage::Error),
    /// The text is not SQL.
    #[error("the SQL can't be read{}: {message}", at(position))]
    Syntax {
        /// Where.
        position: Option<Position>,
        /// What the parser expected and found.
        message: String,
    },
    /// The SQL would need more stack than there is.
    #[error(
        "the SQL is too deep: more than {depth_max} operators, joins or queries on top of each other; a long list of \
         values goes into IN (…), or into VALUES that are joined"
    )]
    TooDeep {
        /// What is taken.
        depth_max: usize,
    },
    /// Nothing to run, or more than one statement.
    #[error("there are {count} statements: write one")]
    StatementCount {
        /// How many.
        count: usize,
    },
    /// A statement that would change something.
    #[error("{statement} is refused: queries only read, so write {allowed}")]
    NotReadOnly {
        /// Its first word.
        statement: String,
        /// What is allowed instead.
        allowed: &'static str,
    },
    /// No source has the table.
    #[error("there is no table {table}: {hint}")]
    UnknownTable {
        /// The name as it was written.
        table: String,
        /// The nearest names.
        hint: String,
    },
    /// Several sources have the table.
    #[error("several sources have a table {table}: write {}", candidates.join(" or "))]
    AmbiguousTable {
        /// The name as it was written.
        table: String,
        /// The qualified names.
        candidates: Vec<String>,
    },
    /// No table of the query has the column.
    #[error("there is no column {column}{}: {hint}", at(position))]
    UnknownColumn {
        /// The name as it was written.
        column: String,
        /// Where.
        position: Option<Position>,
        /// The nearest names.
        hint: String,
    },
    /// A column's type changed from one day to another.
    #[error(
        "table {table}, column {column}: it is {old} on {old_date} and {new} on {new_date}, which no type holds exactly; \
         read one day with `--date`"
    )]
    ColumnType {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// The earlier type.
        old: String,
        /// A day that has it.
        old_date: RunDate,
        /// The later type.
        new: String,
        /// The first day that has it.
        new_date: RunDate,
    },
    /// The query can't be planned, or failed while it ran.
    #[error("{message}{}", at(position))]
    Query {
        /// The engine's own words.
        message: String,
        /// Where in the SQL, if the engine says.
        position: Option<Position>,
    },
    /// The query needs more memory than it may have.
    #[error(
        "the query needs more memory than it may use: set `memory` in the config to more, or read less of the tables \
         at once: {message}"
    )]
    Memory {
        /// The engine's own words.
        message: String,
    },
    /// A saved query's file can't be read.
    #[error("query {query}: cannot read {}", path.display())]
    ReadQuery {
        /// The query.
        query: String,
        /// Its file.
        path: PathBuf,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// A saved query failed.
    #[error("query {query} ({})", path.display())]
    SavedQuery {
        /// The query.
        query: String,
        /// Its file.
        path: PathBuf,
        /// Why.
        source: Box<Error>,
    },
    /// A saved query reads something else than a source's table.
    #[error(
        "it reads {table}, but a saved query reads tables of sources only: put that part into this query with WITH"
    )]
    NotOfASource {
        /// The table.
        table: String,
    },
    /// A result's column can't be kept in the lake.
    #[error("its column {column:?} {reason}")]
    ResultColumn {
        /// The column.
        column: String,
        /// Why, and what helps.
        reason: String,
    },
    /// A value of a result can't be kept in the lake exactly.
    #[error("its column {column:?} has a value that {data_type} can't hold exactly")]
    ResultValue {
        /// The column.
        column: String,
        /// The type that the lake has for the column.
        data_type: String,
        /// The value.
        source: arrow::error::ArrowError,
    },
    /// Two columns of a name, in a format whose readers would lose one.
    #[error("two columns are called {column:?}, which {format} can't hold: name one with AS")]
    DuplicateColumn {
        /// The name.
        column: String,
        /// The format.
        format: crate::Format,
    },
    /// Not a format.
    #[error("{text:?} is no format: write one of {}", crate::Format::NAMES)]
    UnknownFormat {
        /// What was given.
        text: String,
    },
    /// A value can't be shown as text.
    #[error("column {column:?} has a value that can't be written")]
    Value {
        /// The column.
        column: String,
        /// The cause.
        source: arrow::error::ArrowError,
    },
    /// The output can't be written; `source.kind()` is `BrokenPipe` where its reader went away.
    #[error("cannot write the output")]
    Write {
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// A Parquet output can't be written.
    #[error("cannot write the output as Parquet")]
    WriteParquet {
        /// The cause.
        source: parquet::errors::ParquetError,
    },
    /// An exported file can't be written.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The operating system's answer.
        source: std::io::Error,
    },
}

/// The result of an operation of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Whether the reader of the output went away, as `head` does.
    pub fn is_broken_pipe(&self) -> bool {
        match self {
            Self::Write { source } => source.kind() == std::io::ErrorKind::BrokenPipe,
            _ => false,
        }
    }
}

fn at(position: &Option<Position>) -> String {
    position.map(|position| format!(" at {position}")).unwrap_or_default()
}
