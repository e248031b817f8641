//! Connections: URL and TLS. What runs on them are transactions (`transaction`).

use std::fmt;
use std::sync::{Arc, OnceLock};

use tokio_postgres::Client;

use crate::dial::{self, Dialled, Failure, Kind};
use crate::libpq::{self, Environment, Host, Settings};
use crate::stall::{Ended, Watch};
use crate::tap::Tap;
use crate::{Error, Idle, Result, Timeouts, recovery};

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

/// A connection to a server, or to a pooler before it, in a transaction under our settings.
///
/// Dropped, it is closed, and the server rolls back.
pub struct Connection {
    pub(crate) client: Client,
    endpoint: Endpoint,
    pub(crate) tap: Tap,
    pub(crate) timeouts: Timeouts,
    pub(crate) watch: Watch,
    server_version: u32,
    /// Whether the server is to watch for our end while it runs a statement.
    pub(crate) is_client_checked: bool,
}

impl Connection {
    /// Connects to a `postgres://` URL (or a `key=value` string).
    ///
    /// All of it is read as libpq does, with its environment, services, password file and certificates;
    /// `docs/connections.md` has the differences.
    ///
    /// # Errors
    /// [`Error::Url`] or [`Error::Connect`]; none of them shows the password.
    pub async fn open(url: &str, application_name: &str, timeouts: Timeouts) -> Result<Idle> {
        Self::open_in(url, application_name, timeouts, &Environment::of_process()).await
    }

    async fn open_in(url: &str, application_name: &str, timeouts: Timeouts, environment: &Environment) -> Result<Idle> {
        let settings = libpq::resolve(url, application_name, environment);
        let settings = settings.map_err(|reason| Error::Url { reason })?;
        let tap = Tap::default();
        let Dialled {
            client,
            driver,
            host,
            server_version,
        } = dial::dial(&settings, &tap)
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
                    let _ = ended.set(Ended {
                        reason: dial::reason(&error),
                        is_conflict: recovery::is_conflict(&error),
                    });
                }
            }
        });
        let watch = Watch {
            endpoint: endpoint.clone(),
            url: url.into(),
            application_name: application_name.into(),
            timeouts,
            gives_way: false,
            tap: tap.clone(),
            task: task.abort_handle(),
            ended,
        };
        Ok(Idle(Self {
            client,
            watch,
            endpoint,
            tap,
            timeouts,
            server_version,
            is_client_checked: server_version >= 14,
        }))
    }

    /// The server's major version, 0 if it does not tell.
    pub fn server_version(&self) -> u32 {
        self.server_version
    }

    /// Where the connection goes.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }
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
