//! Connections: URL, TLS, and a session whose settings are ours.

use std::fmt;
use std::sync::{Arc, OnceLock};

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use crate::dial::{self, Clock, Dialled, Failure, Kind};
use crate::libpq::{self, Environment, Host, Settings};
use crate::stall::Watch;
use crate::tap::Tap;
use crate::{Error, Result, Timeouts};

/// What a value looks like must not depend on the server's, the role's or the database's settings,
/// nor what it is read as (without `array_nulls`, `{NULL}` is a text of four letters); and rows come in the
/// order of their table, also where somebody else is in the middle of a scan. The timeouts go first: one of a
/// millisecond would else end the rest of this.
const SESSION_SETTINGS: &str = "\
    SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; \
    SET timezone = 'UTC'; SET datestyle = 'ISO, YMD'; SET intervalstyle = 'postgres'; \
    SET extra_float_digits = 3; SET bytea_output = 'hex'; SET lc_monetary = 'C'; SET xmloption = 'content'; \
    SET client_encoding = 'UTF8'; SET standard_conforming_strings = on; SET search_path = ''; \
    SET array_nulls = on; SET quote_all_identifiers = off; SET row_security = off; SET synchronize_seqscans = off";

/// Ends the statement of a client that was killed: since PostgreSQL 14, and not on every platform.
const CLIENT_CHECK: &str = "SET client_connection_check_interval = '1s'";

/// Where a connection goes, as messages print it: never with the password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// A host and its port, or several to choose from.
    place: String,
    database: String,
    user: String,
}

impl Endpoint {
    fn of(settings: &Settings, hosts: &[Host]) -> Self {
        Self {
            place: hosts.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
            database: settings.database.clone(),
            user: settings.user.clone(),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, database, user } = self;
        write!(f, "database {database:?} at {place} as user {user:?}")
    }
}

/// Whether two URLs name the same database at the same address, as far as names tell.
pub fn same_database(a: &str, b: &str) -> bool {
    let environment = Environment::of_process();
    let resolved = |url| libpq::resolve(url, "lake", &environment).ok();
    let (Some(a), Some(b)) = (resolved(a), resolved(b)) else {
        return false;
    };
    let place = |host: &Host| match host.name.to_ascii_lowercase().as_str() {
        "127.0.0.1" | "::1" => ("localhost".to_owned(), host.port),
        name => (name.to_owned(), host.port),
    };
    a.database == b.database && a.hosts.iter().any(|a| b.hosts.iter().any(|b| place(a) == place(b)))
}

/// A session on a server.
pub struct Connection {
    pub(crate) client: Client,
    endpoint: Endpoint,
    pub(crate) tap: Tap,
    pub(crate) timeouts: Timeouts,
    pub(crate) watch: Watch,
    // What a further connection is opened with.
    pub(crate) url: String,
    pub(crate) application_name: String,
}

impl std::ops::Deref for Connection {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Connection {
    /// Connects to a `postgres://` URL (or a `key=value` string) and sets the session up.
    ///
    /// All of it is read as libpq does, with its environment, services, password file and certificates;
    /// `docs/connections.md` has the differences.
    ///
    /// # Errors
    /// [`Error::Url`] or [`Error::Connect`]; none of them shows the password.
    pub async fn open(url: &str, application_name: &str, timeouts: Timeouts) -> Result<Self> {
        Self::open_in(url, application_name, timeouts, &Environment::of_process()).await
    }

    async fn open_in(url: &str, application_name: &str, timeouts: Timeouts, environment: &Environment) -> Result<Self> {
        let settings = libpq::resolve(url, application_name, environment);
        let settings = settings.map_err(|reason| Error::Url { reason })?;
        let tap = Tap::default();
        let Dialled { client, driver, host } = dial::dial(&settings, &tap)
            .await
            .map_err(|failures| failure(failures, &settings))?;
        let endpoint = Endpoint::of(&settings, &[host]);
        let ended = Arc::new(OnceLock::new());
        let task = tokio::spawn({
            let ended = ended.clone();
            async move {
                let mut driver = driver;
                // Noted before the driver goes, and with it whoever waits for an answer.
                if let Err(error) = driver.as_mut().await {
                    tracing::debug!(%error, "connection ended");
                    let _ = ended.set(dial::reason(&error));
                }
            }
        });
        let prepared = async {
            set_up(&client, timeouts).await?;
            if let Err(error) = client.batch_execute(CLIENT_CHECK).await {
                tracing::debug!(%error, "the server does not watch for clients that are gone");
            }
            Ok(())
        };
        let clock = Clock::start(settings.connect_timeout);
        let prepared = clock.within("the session was set up", prepared).await;
        let refused = |error: tokio_postgres::Error| Failure::new(Kind::Unwilling, dial::reason(&error));
        prepared
            .and_then(|prepared| prepared.map_err(refused))
            .map_err(|Failure { reason, hint, .. }| Error::Connect {
                endpoint: endpoint.clone().into(),
                reason,
                hint,
            })?;
        let watch = Watch {
            endpoint: endpoint.clone(),
            url: url.into(),
            application_name: application_name.into(),
            timeouts,
            tap: tap.clone(),
            task: task.abort_handle(),
            ended,
        };
        Ok(Self {
            client,
            watch,
            endpoint,
            tap,
            timeouts,
            url: url.into(),
            application_name: application_name.into(),
        })
    }

    /// Where the connection goes.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }
}

/// A `statement_timeout` of a millisecond, of the role or of the database, ends now and then the very statement
/// that lifts it: then that is said again.
async fn set_up(client: &Client, timeouts: Timeouts) -> Result<(), tokio_postgres::Error> {
    let settings = format!(
        "{SESSION_SETTINGS}; SET lock_timeout = {}",
        timeouts.lock.milliseconds()
    );
    for _ in 0..20 {
        match client.batch_execute(&settings).await {
            Err(error) if error.code() == Some(&SqlState::QUERY_CANCELED) => {}
            done => return done,
        }
    }
    client.batch_execute(&settings).await
}

/// One failure as it is, several each with its host.
fn failure(mut failures: Vec<(Host, Failure)>, settings: &Settings) -> Error {
    let endpoint = Endpoint::of(settings, &settings.hosts).into();
    if failures.len() > 1 {
        let reasons = failures
            .iter()
            .map(|(host, failure)| format!("{host}: {}", failure.reason));
        let hint = failures
            .iter()
            .map(|(_, failure)| &failure.hint)
            .find(|hint| !hint.is_empty());
        return Error::Connect {
            endpoint,
            reason: reasons.collect::<Vec<_>>().join("; "),
            hint: hint
                .cloned()
                .unwrap_or_else(|| "; is one of them running, and can this machine reach it?".into()),
        };
    }
    let (host, Failure { kind, reason, hint }) = failures.swap_remove(0);
    let reachable = || format!("; is the server running, and can this machine reach {host}?");
    Error::Connect {
        endpoint,
        hint: if kind == Kind::Unreachable && hint.is_empty() {
            reachable()
        } else {
            hint
        },
        reason,
    }
}

#[cfg(all(test, unix))]
mod tests;
