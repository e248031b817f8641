//! What can go wrong between us and a PostgreSQL server.

use tokio_postgres::error::SqlState;

use crate::{Endpoint, LockWait, TimeLimit};

/// A failure to talk to a server, or of the values that it sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The connection URL isn't one. The URL itself may hold a password and is not repeated.
    #[error("the connection URL can't be read: {reason}")]
    Url {
        /// What is wrong with it.
        reason: String,
    },
    /// No connection came about.
    #[error("cannot connect to {endpoint}: {reason}{hint}")]
    Connect {
        /// Where to.
        endpoint: Box<Endpoint>,
        /// The server's or the operating system's answer.
        reason: String,
        /// What helps; empty, or begins with a separator.
        hint: String,
    },
    /// A transaction did not begin: a pooler keeps us from the server.
    #[error("{endpoint} does not begin a transaction: {reason}; {hint}")]
    Begin {
        /// Where to.
        endpoint: Box<Endpoint>,
        /// What it does instead.
        reason: String,
        /// What helps.
        hint: &'static str,
    },
    /// The server refused a statement, or the connection broke.
    #[error("cannot {action}{}{}", crate::path_hint(source), crate::recovery::hint(source))]
    Query {
        /// What was tried, e.g. `list the tables`.
        action: String,
        /// The server's answer.
        source: tokio_postgres::Error,
    },
    /// Nothing moves in a stream any more.
    #[error(
        "cannot {action}: no byte has moved for {limit} between here and {endpoint}, in the middle of the rows; a proxy, a \
         firewall or the network has dropped the connection, or the server hangs; `stall_timeout` in the config is how \
         long is waited"
    )]
    Stalled {
        /// What was under way.
        action: String,
        /// With whom.
        endpoint: Box<Endpoint>,
        /// How long nothing moved.
        limit: TimeLimit,
    },
    /// The connection broke in the middle of a stream.
    #[error("cannot {action}: the connection to {endpoint} broke: {reason}")]
    Lost {
        /// What was under way.
        action: String,
        /// With whom.
        endpoint: Box<Endpoint>,
        /// The operating system's word, or TLS's, or the server's.
        reason: String,
        /// Whether a standby ended it for what it replays.
        is_conflict: bool,
    },
    /// A lock did not come in the time that there is for it.
    #[error(
        "cannot {action}: it has waited {limit} (`lock_timeout` in the config) for a lock: {}",
        crate::lock_wait::told(wait.as_ref())
    )]
    LockTimeout {
        /// What was tried.
        action: String,
        /// How long it waited.
        limit: TimeLimit,
        /// Who was in the way, if it could be asked.
        wait: Option<LockWait>,
    },
    /// A COPY stream that does not follow the format.
    #[error("the server's COPY stream is damaged: {reason} (row {row})")]
    Stream {
        /// What is wrong.
        reason: String,
        /// Rows decoded before, from this stream.
        row: u64,
    },
    /// A COPY whose end does not tell how many rows it had.
    #[error("the server ended its COPY without a row count: is there a proxy between that changes messages?")]
    Uncounted,
    /// A value that its column's Arrow type can't hold.
    #[error("column {column}: the value {value} can't be held as {data_type}")]
    Value {
        /// The column.
        column: String,
        /// The value, as the server would print it.
        value: String,
        /// The Arrow type.
        data_type: String,
    },
    /// An array that a list can't hold.
    #[error("column {column}: {shape} can't be held as a list")]
    ArrayShape {
        /// The column.
        column: String,
        /// What it is instead.
        shape: String,
    },
    /// A value that travels as text, and whose bytes are none.
    #[error("column {column}: the value \"{value}\" is not text in UTF-8")]
    NotText {
        /// The column.
        column: String,
        /// The value, with escapes for what is not ASCII.
        value: String,
    },
    /// A value of an Arrow array that its Postgres type can't hold.
    #[error("column {column}: {reason}")]
    Encode {
        /// The column.
        column: String,
        /// What is wrong.
        reason: String,
    },
    /// Arrays that do not make a batch.
    #[error("cannot build a batch")]
    Arrow(#[from] arrow::error::ArrowError),
}

/// The result of an operation on a server.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Whether the session was one of several that waited for each other.
    pub fn is_deadlock(&self) -> bool {
        let Self::Query { source, .. } = self else { return false };
        source.code() == Some(&SqlState::T_R_DEADLOCK_DETECTED)
    }

    /// Whether a standby has ended the reading for what it replays.
    pub fn is_recovery_conflict(&self) -> bool {
        match self {
            Self::Query { source, .. } => crate::recovery::is_conflict(source),
            Self::Lost { is_conflict, .. } => *is_conflict,
            _ => false,
        }
    }

    /// Whether another session's lock was in the way.
    pub fn is_lock_in_the_way(&self) -> bool {
        self.is_deadlock() || matches!(self, Self::LockTimeout { .. })
    }

    /// Names what was tried with a statement: for `map_err`.
    pub fn query(action: impl Into<String>) -> impl FnOnce(tokio_postgres::Error) -> Self {
        let action = action.into();
        move |source| Self::Query { action, source }
    }
}
