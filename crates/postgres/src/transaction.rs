//! Transactions: of what we set, lock and prepare, nothing outlives one.
//!
//! Behind a pooler (pgbouncer in transaction mode) each transaction of a connection may run in another
//! of the server's sessions, and others use that session before and after. Whether there is a pooler
//! can't be told from outside: an idle one hands out the same session each time. So every statement
//! is part of a transaction, whose settings are local to it, and is never a named one.

use std::time::Duration;

use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Row};

use crate::parameter::{Parameter, typed};
use crate::{Connection, Error, Result};

/// What a value looks like must not depend on the server's, the role's or the database's settings,
/// nor what it is read as (without `array_nulls`, `{NULL}` is a text of four letters); and rows come in the
/// order of their table, also where somebody else is in the middle of a scan. The timeouts go first: one of a
/// millisecond would else end the rest of this. The role is the one that the connection began with: another user of
/// the session may have left it with theirs.
const SETTINGS: &str = "\
    set local statement_timeout = 0; set local idle_in_transaction_session_timeout = 0; \
    set local role = default; set local timezone = 'UTC'; set local datestyle = 'ISO, YMD'; set local intervalstyle = 'postgres'; \
    set local extra_float_digits = 3; set local bytea_output = 'hex'; set local lc_monetary = 'C'; \
    set local xmloption = 'content'; set local client_encoding = 'UTF8'; \
    set local standard_conforming_strings = on; set local search_path = ''; set local array_nulls = on; \
    set local quote_all_identifiers = off; set local row_security = off; set local synchronize_seqscans = off";

/// Ends the statement of a client that was killed: since PostgreSQL 14, and not on every platform.
const CLIENT_CHECK: &str = "client_connection_check_interval";

/// When a transaction does not begin at once, a message says what is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a transaction waits for a lock that gives way, in milliseconds.
const GIVE_WAY: u128 = 100;

/// A `statement_timeout` of a millisecond, of the role or of the database, ends now and then the very statement
/// that lifts it: then that is said again.
const ATTEMPTS: u32 = 20;

/// A connection between two transactions.
pub struct Idle(pub(crate) Connection);

/// What a transaction is begun for.
#[derive(Clone, Copy, Debug)]
pub enum Mode<'a> {
    /// Changes: each statement sees what is committed when it begins.
    ReadWrite,
    /// Reading under one snapshot, which is fixed by the first query.
    Snapshot,
    /// Reading under the snapshot that another transaction exported by this name. It gives way: a lock that it
    /// can't have soon is an error, since who is in its way may wait for that other transaction.
    Adopted(&'a str),
}

impl Mode<'_> {
    fn gives_way(self) -> bool {
        matches!(self, Self::Adopted(_))
    }

    fn begin(self) -> String {
        const SNAPSHOT: &str = "begin isolation level repeatable read, read only";
        match self {
            Self::ReadWrite => "begin isolation level read committed, read write".into(),
            Self::Snapshot => SNAPSHOT.into(),
            Self::Adopted(name) => format!("{SNAPSHOT}; set transaction snapshot {}", crate::quote_literal(name)),
        }
    }
}

impl Idle {
    /// Begins a transaction, in one round trip. A pooler all of whose connections are taken is waited for
    /// as a lock is.
    ///
    /// # Errors
    /// [`Error::Begin`]; [`Error::Query`] with the server's answer.
    pub async fn begin(self, mode: Mode<'_>) -> Result<Connection> {
        let (endpoint, watch) = (self.0.endpoint().clone(), self.0.watch.clone());
        let limit = self.0.timeouts.lock;
        let told = async {
            let first = limit.duration().map_or(PATIENCE, |limit| PATIENCE.min(limit / 2));
            tokio::time::sleep(first).await;
            tracing::warn!(
                "waiting for a transaction on {endpoint}: if it is a pooler, all of its connections are taken, by \
                 others or by this run"
            );
            match limit.duration() {
                Some(limit) => tokio::time::sleep(limit - first).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            begun = self.begun(mode) => begun,
            () = told => {
                watch.task.abort(); // the library would go on waiting, and keep our place in the queue
                Err(Error::Begin {
                    endpoint: endpoint.clone().into(),
                    reason: format!("it has not done so within {limit} (`lock_timeout` in the config)"),
                    hint: "if it is a pooler, all of its connections stayed taken: give it more, or run this again later",
                })
            }
        }
    }

    /// Begins a transaction if that is to be had soon: a pooler keeps waiting who finds all its
    /// connections taken, even if it is we who have them.
    ///
    /// # Errors
    /// See [`Self::begin`].
    pub async fn begin_soon(self, mode: Mode<'_>) -> Result<Connection> {
        let (endpoint, watch) = (self.0.endpoint().clone(), self.0.watch.clone());
        let begun = tokio::time::timeout(PATIENCE, self.begun(mode)).await;
        begun.unwrap_or_else(|_| {
            watch.task.abort();
            Err(Error::Begin {
                endpoint: endpoint.into(),
                reason: format!("it has not done so within {} s", PATIENCE.as_secs()),
                hint: "if it is a pooler with few connections, fewer `--jobs` leave it some",
            })
        })
    }

    /// Runs statements in a transaction of their own.
    ///
    /// # Errors
    /// [`Error::Query`] with this `action`; nothing has changed then.
    pub async fn batch_execute(&mut self, statements: &str, action: &str) -> Result<()> {
        self.start(Mode::ReadWrite).await?;
        let client = &self.0.client;
        let done = client.batch_execute(&format!("{statements}; commit")).await;
        if done.is_err() {
            roll_back(client).await.map_err(Error::query(action))?;
        }
        done.map_err(Error::query(action))
    }

    async fn begun(mut self, mode: Mode<'_>) -> Result<Connection> {
        self.start(mode).await?;
        self.0.watch.gives_way = mode.gives_way();
        Ok(self.0)
    }

    async fn start(&mut self, mode: Mode<'_>) -> Result<()> {
        let mut statements = self.beginning(mode);
        for _ in 0..ATTEMPTS {
            let Err(source) = self.0.client.batch_execute(&statements).await else {
                return Ok(());
            };
            if self.0.is_client_checked && is_about(&source, CLIENT_CHECK) {
                tracing::debug!(error = %source, "the server does not watch for clients that are gone");
                self.0.is_client_checked = false;
            } else if !is_canceled(&source) {
                return Err(self.refused(source));
            }
            statements = format!("rollback; {}", self.beginning(mode));
        }
        let done = self.0.client.batch_execute(&statements).await;
        done.map_err(|source| self.refused(source))
    }

    fn beginning(&self, mode: Mode<'_>) -> String {
        let lock_timeout = match mode.gives_way() {
            true => GIVE_WAY,
            false => self.0.timeouts.lock.milliseconds(),
        };
        let mut text = format!("{}; {SETTINGS}; set local lock_timeout = {lock_timeout}", mode.begin());
        if self.0.server_version() >= 17 {
            text += "; set local transaction_timeout = 0";
        }
        if self.0.is_client_checked {
            text += &format!("; set local {CLIENT_CHECK} = '1s'");
        }
        text
    }

    fn refused(&self, source: tokio_postgres::Error) -> Error {
        let said = source.as_db_error().map_or("", |error| error.message());
        let (reason, hint) = if said.contains("statement pooling mode") {
            (
                "it is a pooler that takes no transactions (`pool_mode = statement`)",
                "connect to the server itself, or to a pool with `pool_mode = transaction` or `session`",
            )
        } else if said.contains("query_wait_timeout") {
            (
                "it is a pooler, and all of its connections stayed taken (its `query_wait_timeout`)",
                "give it more, or run this again later",
            )
        } else if said.contains("read-write mode during recovery") {
            (
                "it is a standby, which takes no changes",
                "load into its primary, or into a server of its own",
            )
        } else {
            return self.0.watch.error("begin a transaction", source);
        };
        Error::Begin {
            endpoint: self.0.endpoint().clone().into(),
            reason: reason.into(),
            hint,
        }
    }
}

fn is_about(error: &tokio_postgres::Error, setting: &str) -> bool {
    error
        .as_db_error()
        .is_some_and(|error| error.message().contains(setting))
}

fn is_canceled(error: &tokio_postgres::Error) -> bool {
    error.code() == Some(&SqlState::QUERY_CANCELED)
}

/// After an error the role's own settings are back, its `statement_timeout` too.
async fn roll_back(client: &Client) -> Result<(), tokio_postgres::Error> {
    for _ in 0..ATTEMPTS {
        match client.batch_execute("rollback").await {
            Err(error) if is_canceled(&error) => {}
            done => return done,
        }
    }
    client.batch_execute("rollback").await
}

impl Connection {
    /// Commits.
    ///
    /// # Errors
    /// [`Error::Query`], also where a statement has failed before: the server would roll back, and not
    /// say so.
    pub async fn commit(self) -> Result<Idle> {
        // Fails if a statement has, and makes deferred constraints speak up.
        let ended = self.client.batch_execute("set constraints all immediate; commit").await;
        self.idle(ended)
    }

    /// Rolls back.
    ///
    /// # Errors
    /// [`Error::Query`] if the connection is broken; then the server rolls back by itself.
    pub async fn rollback(self) -> Result<Idle> {
        let ended = roll_back(&self.client).await;
        self.idle(ended)
    }

    fn idle(self, ended: Result<(), tokio_postgres::Error>) -> Result<Idle> {
        match ended {
            Ok(()) => Ok(Idle(self)),
            Err(source) => Err(self.watch.error("end the transaction", source)),
        }
    }

    /// The rows that a query returns, whose columns have built-in types.
    ///
    /// # Errors
    /// The server's answer.
    pub async fn query(
        &self,
        statement: &str,
        parameters: &[&dyn Parameter],
    ) -> Result<Vec<Row>, tokio_postgres::Error> {
        self.client.query_typed(statement, &typed(parameters)).await
    }

    /// The one row that a query returns; see [`Self::query`].
    ///
    /// # Errors
    /// The server's answer, or if there are none or several.
    pub async fn query_one(
        &self,
        statement: &str,
        parameters: &[&dyn Parameter],
    ) -> Result<Row, tokio_postgres::Error> {
        self.client.query_typed_one(statement, &typed(parameters)).await
    }

    /// The row that a query returns, if any; see [`Self::query`].
    ///
    /// # Errors
    /// The server's answer, or if there are several.
    pub async fn query_opt(
        &self,
        statement: &str,
        parameters: &[&dyn Parameter],
    ) -> Result<Option<Row>, tokio_postgres::Error> {
        self.client.query_typed_opt(statement, &typed(parameters)).await
    }

    /// Runs a statement; returns the number of rows that it changed.
    ///
    /// # Errors
    /// The server's answer.
    pub async fn execute(&self, statement: &str, parameters: &[&dyn Parameter]) -> Result<u64, tokio_postgres::Error> {
        self.client.execute_typed(statement, &typed(parameters)).await
    }

    /// Runs any number of statements, in one round trip.
    ///
    /// # Errors
    /// The server's answer.
    pub async fn batch_execute(&self, statements: &str) -> Result<(), tokio_postgres::Error> {
        self.client.batch_execute(statements).await
    }
}
