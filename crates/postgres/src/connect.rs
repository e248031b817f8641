//! Connections: URL, TLS, and a session whose settings are ours.

use std::fmt;
use std::pin::Pin;
use std::str::FromStr as _;
use std::time::Duration;

#[cfg(unix)]
use tokio::net::UnixStream;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Client, Config, NoTls};

use crate::tap::{Tap, Tapped};
use crate::tls::Connector;
use crate::{Error, Result, Timeouts};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

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
    host: String,
    port: u16,
    database: String,
    user: String,
}

impl Endpoint {
    fn of(config: &Config) -> Self {
        let host = match config.get_hosts().first() {
            Some(Host::Tcp(name)) => name.clone(),
            #[cfg(unix)]
            Some(Host::Unix(path)) => path.display().to_string(),
            None => "localhost".into(),
        };
        let user = config.get_user().unwrap_or_default();
        Self {
            host,
            port: config.get_ports().first().copied().unwrap_or(5432),
            database: config.get_dbname().unwrap_or(user).into(),
            user: user.into(),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            host,
            port,
            database,
            user,
        } = self;
        write!(f, "database {database:?} at {host}:{port} as user {user:?}")
    }
}

/// A session on a server.
pub struct Connection {
    pub(crate) client: Client,
    endpoint: Endpoint,
    pub(crate) tap: Tap,
    pub(crate) timeouts: Timeouts,
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
    /// `sslmode` is libpq's: `disable`, `prefer` (the default) and `require` encrypt without looking
    /// at the server's certificate, `verify-full` checks it and the host's name against the system's
    /// roots or the file in `sslrootcert`.
    ///
    /// # Errors
    /// [`Error::Url`], [`Error::Tls`] or [`Error::Connect`]; none of them shows the password.
    pub async fn open(url: &str, application_name: &str, timeouts: Timeouts) -> Result<Self> {
        let Target {
            mut config,
            verify,
            root_certificates,
        } = Target::parse(url, application_name)?;
        let endpoint = Endpoint::of(&config);
        let tap = Tap::default();
        let connector = Connector::new(&mut config, verify, root_certificates.as_deref(), tap.clone());
        let connector = connector.map_err(|reason| Error::Tls {
            endpoint: endpoint.clone(),
            reason,
        })?;
        let (client, connection) = connect(config, connector, &endpoint, &tap).await?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection ended"); // the query under way reports it
            }
        });
        client
            .batch_execute(&format!(
                "{SESSION_SETTINGS}; SET lock_timeout = {}",
                timeouts.lock.milliseconds()
            ))
            .await
            .map_err(refused(&endpoint))?;
        if let Err(error) = client.batch_execute(CLIENT_CHECK).await {
            tracing::debug!(%error, "the server does not watch for clients that are gone");
        }
        Ok(Self {
            client,
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

/// What keeps a client's connection going.
type Driver = Pin<Box<dyn Future<Output = Result<(), tokio_postgres::Error>> + Send>>;

async fn connect(config: Config, connector: Connector, endpoint: &Endpoint, tap: &Tap) -> Result<(Client, Driver)> {
    #[cfg(unix)]
    if is_local(&config) {
        return connect_locally(config, endpoint, tap).await;
    }
    let (client, connection) = config.connect(connector).await.map_err(refused(endpoint))?;
    Ok((client, Box::pin(connection)))
}

/// Whether all hosts are sockets of this machine: they have no TLS, in libpq neither, and their paths
/// are no names for a certificate.
#[cfg(unix)]
fn is_local(config: &Config) -> bool {
    config.get_hosts().iter().all(|host| matches!(host, Host::Unix(_))) && config.get_hostaddrs().is_empty()
}

/// Tries the sockets in turn. The client library calls no connector for them, so it gets one that is
/// connected, and has its tap.
#[cfg(unix)]
async fn connect_locally(mut config: Config, endpoint: &Endpoint, tap: &Tap) -> Result<(Client, Driver)> {
    config.ssl_mode(SslMode::Disable);
    let timeout = config.get_connect_timeout().copied().unwrap_or(CONNECT_TIMEOUT);
    let mut failure = None;
    for (number, host) in config.get_hosts().iter().enumerate() {
        let Host::Unix(folder) = host else { continue };
        let ports = config.get_ports();
        let port = ports.get(number).or(ports.first()).copied().unwrap_or(5432);
        let socket = UnixStream::connect(folder.join(format!(".s.PGSQL.{port}")));
        let attempt = match tokio::time::timeout(timeout, socket).await {
            Ok(Ok(socket)) => {
                let connected = config.connect_raw(Tapped::new(socket, tap.clone()), NoTls).await;
                connected.map_err(refused(endpoint))
            }
            Ok(Err(error)) => Err(unreachable_at(endpoint, error.to_string())),
            Err(_) => Err(unreachable_at(endpoint, "connection timed out".into())),
        };
        match attempt {
            Ok((client, connection)) => return Ok((client, Box::pin(connection))),
            Err(error) => failure = Some(error),
        }
    }
    Err(failure.unwrap_or_else(|| unreachable_at(endpoint, "no socket is named".into())))
}

struct Target {
    config: Config,
    verify: bool,
    root_certificates: Option<String>,
}

impl Target {
    /// Takes libpq's parameters that the client library does not know out of the URL.
    fn parse(text: &str, application_name: &str) -> Result<Self> {
        let mut verify = false;
        let mut root_certificates = None;
        let mut cleaned = text.trim().to_owned();
        if cleaned.is_empty() {
            return Err(Error::Url {
                reason: "it is empty".into(),
            });
        }
        if let Ok(mut url) = url::Url::parse(&cleaned) {
            if !matches!(url.scheme(), "postgres" | "postgresql") {
                return Err(Error::Url {
                    reason: format!("it begins with {}://, not postgres://", url.scheme()),
                });
            }
            let mut kept = Vec::new();
            for (key, value) in url.query_pairs() {
                match (&*key, &*value) {
                    ("sslmode", "verify-full" | "verify-ca") => {
                        verify = true;
                        kept.push(("sslmode".to_owned(), "require".to_owned()));
                    }
                    ("sslmode", "allow") => kept.push(("sslmode".to_owned(), "prefer".to_owned())),
                    ("sslrootcert", file) => root_certificates = Some(file.to_owned()),
                    _ => kept.push((key.into_owned(), value.into_owned())),
                }
            }
            url.set_query(None);
            if !kept.is_empty() {
                url.query_pairs_mut().extend_pairs(kept);
            }
            cleaned = url.into();
        }
        let mut config = Config::from_str(&cleaned).map_err(|error| Error::Url {
            // The parser's own text names the key at fault and repeats no value.
            reason: std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string),
        })?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            config.host("localhost");
        }
        if config.get_user().is_none() {
            config.user(std::env::var("USER").unwrap_or_else(|_| "postgres".into()));
        }
        if config.get_application_name().is_none() {
            config.application_name(application_name);
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        if verify {
            config.ssl_mode(SslMode::Require);
        }
        Ok(Self {
            config,
            verify,
            root_certificates,
        })
    }
}

/// The innermost cause: what is around it only says that a connection failed.
fn reason(error: &tokio_postgres::Error) -> String {
    if let Some(server) = error.as_db_error() {
        return server.message().to_owned();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

fn refused(endpoint: &Endpoint) -> impl Fn(tokio_postgres::Error) -> Error {
    use tokio_postgres::error::SqlState;
    move |error| {
        let reason = reason(&error);
        let advice = match error.code() {
            Some(&SqlState::INVALID_PASSWORD | &SqlState::INVALID_AUTHORIZATION_SPECIFICATION) => {
                "; check the user and the password in the URL"
            }
            Some(&SqlState::INVALID_CATALOG_NAME) => "; check the database's name in the URL",
            Some(&SqlState::TOO_MANY_CONNECTIONS) => "; the server has no connection left: run with fewer --jobs",
            Some(_) => "",
            None if reason.contains("password missing") => "; the server asks for a password, and the URL has none",
            None if reason.contains("TLS") => {
                "; the server has no TLS: leave `sslmode` out of the URL, or set it to prefer"
            }
            None => return unreachable_at(endpoint, reason),
        };
        Error::Connect {
            endpoint: endpoint.clone().into(),
            reason,
            hint: advice.into(),
        }
    }
}

fn unreachable_at(endpoint: &Endpoint, reason: String) -> Error {
    let Endpoint { host, port, .. } = endpoint;
    Error::Connect {
        hint: format!("; is the server running, and can this machine reach {host}:{port}?"),
        endpoint: endpoint.clone().into(),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_shows_everything_but_the_password() {
        let target = Target::parse("postgres://ann:s3cret@db.example:6432/shop?sslmode=verify-full", "lake").unwrap();
        assert!(target.verify);
        assert_eq!(
            Endpoint::of(&target.config).to_string(),
            r#"database "shop" at db.example:6432 as user "ann""#
        );
        assert!(!format!("{:?}", Endpoint::of(&target.config)).contains("s3cret"));
    }

    #[test]
    fn a_socket_is_used_without_tls() {
        let target = Target::parse("host=/run/postgresql user=ann sslmode=prefer", "lake").unwrap();
        assert!(is_local(&target.config));
        let target = Target::parse("host=db.example user=ann", "lake").unwrap();
        assert!(!is_local(&target.config));
    }

    #[test]
    fn a_bad_url_is_refused_without_repeating_it() {
        for bad in [
            "mysql://root:s3cret@h/d",
            "postgres://u:s3cret@h:port/d",
            "postgres://u:s3cret@h/d?sslmode=maybe",
        ] {
            let Err(error) = Target::parse(bad, "lake") else {
                panic!("{bad} was taken")
            };
            assert!(!error.to_string().contains("s3cret"), "{error}");
        }
    }
}
