//! A throwaway server of the installed PostgreSQL, for tests against the real thing.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio_postgres::Config;

use crate::{Error, script};

mod cluster;
mod installation;
mod keeper;
mod pgbouncer;

use keeper::Keeper;
pub use pgbouncer::Pgbouncer;

/// Another process may take the port between our look and the server's bind.
const START_ATTEMPTS_MAX: usize = 5;

const SUPERUSER: &str = "postgres";

/// A throwaway server of the installed PostgreSQL, on a free port of 127.0.0.1.
///
/// It has the superuser `postgres` without a password, and the database `postgres`. The programs
/// are those of the folder `PG_BIN`, else of the newest `/usr/lib/postgresql/*/bin`, else of
/// `PATH`. Where this process is root's, which PostgreSQL refuses, the server runs as `postgres`,
/// else as `nobody`. It stops, and its folder goes, with a drop or with the process, however that
/// ends.
#[derive(Debug)]
pub struct PostgresServer {
    /// Dropped with this struct, which stops the server.
    _keeper: Keeper,
    bin: PathBuf,
    port: u16,
    databases: AtomicU32,
}

impl PostgresServer {
    /// Starts a server with the default settings. Blocks for about a second.
    pub fn start() -> Result<Self, Error> {
        Self::builder().start()
    }

    /// Starts a server with more settings, such as `("wal_level", "minimal")`. A later setting
    /// of a name overrides an earlier one, and all override the defaults of this crate.
    pub fn start_with(settings: &[(&str, &str)]) -> Result<Self, Error> {
        settings
            .iter()
            .fold(Self::builder(), |builder, (name, value)| builder.setting(name, value))
            .start()
    }

    /// Starts a server with settings, or a cluster of another encoding.
    pub fn builder() -> PostgresServerBuilder {
        PostgresServerBuilder::default()
    }

    /// The server that all tests of this process share; the first call starts it.
    ///
    /// Each test makes a database of its own there with [`Self::fresh_database`].
    pub fn shared() -> Result<&'static Self, Error> {
        static SHARED: Mutex<Option<&'static PostgresServer>> = Mutex::new(None);
        // A start that panicked has left nothing behind.
        let mut shared = SHARED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        match *shared {
            Some(server) => Ok(server),
            None => Ok(shared.insert(Box::leak(Box::new(Self::start()?)))),
        }
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of a database, for the superuser. It need not exist.
    pub fn url(&self, database: &str) -> String {
        url(self.port, database)
    }

    /// The path of one of the installation's programs, such as `psql`.
    pub fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }

    /// Makes an empty database and returns its URL.
    pub async fn create_database(&self, name: &str) -> Result<String, Error> {
        let quoted = name.replace('"', "\"\"");
        self.execute("postgres", &format!("create database \"{quoted}\""))
            .await?;
        Ok(self.url(name))
    }

    /// Makes an empty database with a name that no other of this server has, and returns its URL.
    pub async fn fresh_database(&self) -> Result<String, Error> {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        self.create_database(&format!("fresh_{number}")).await
    }

    /// Runs a script of SQL statements in a database, as the superuser.
    pub async fn execute(&self, database: &str, sql: &str) -> Result<(), Error> {
        let mut config = Config::new();
        config
            .host("127.0.0.1")
            .port(self.port)
            .user(SUPERUSER)
            .dbname(database);
        script::execute(&config, sql).await
    }
}

/// Settings of a [`PostgresServer`] before its start.
#[derive(Debug, Clone)]
pub struct PostgresServerBuilder {
    encoding: String,
    locale: Option<String>,
    settings: Vec<(String, String)>,
    primary: Option<u16>,
}

impl Default for PostgresServerBuilder {
    fn default() -> Self {
        Self {
            encoding: "UTF8".to_owned(),
            locale: None,
            settings: Vec::new(),
            primary: None,
        }
    }
}

impl PostgresServerBuilder {
    /// The encoding of the cluster, `UTF8` unless told.
    pub fn encoding(mut self, encoding: &str) -> Self {
        encoding.clone_into(&mut self.encoding);
        self
    }

    /// The locale of the cluster: `C.UTF-8` unless told, or `C` with another encoding, which it
    /// goes with.
    pub fn locale(mut self, locale: &str) -> Self {
        self.locale = Some(locale.to_owned());
        self
    }

    /// Makes it a standby of another server, from which it is copied.
    pub fn standby_of(mut self, primary: &PostgresServer) -> Self {
        self.primary = Some(primary.port);
        self
    }

    /// A setting of `postgresql.conf`. The last of a name holds.
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Makes the cluster, starts the server and waits until it takes connections. Blocks for
    /// about a second.
    pub fn start(self) -> Result<PostgresServer, Error> {
        let bin = installation::bin_folder()?;
        let mut attempt = 1;
        loop {
            let port = free_port().map_err(|source| Error::ServerSpawn { source })?;
            let keeper = cluster::spawn(&self, &bin, port)?;
            match keeper.wait_until_ready(cluster::is_ready) {
                Ok(()) => {
                    return Ok(PostgresServer {
                        _keeper: keeper,
                        bin,
                        port,
                        databases: AtomicU32::new(0),
                    });
                }
                Err(Error::ServerStart { log, .. })
                    if log.contains("could not bind") && attempt < START_ATTEMPTS_MAX =>
                {
                    tracing::warn!(port, attempt, "the port is taken, trying another");
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn locale_or_default(&self) -> &str {
        match (&self.locale, self.encoding.as_str()) {
            (Some(locale), _) => locale,
            (None, "UTF8") => "C.UTF-8",
            (None, _) => "C",
        }
    }
}

fn url(port: u16, database: &str) -> String {
    format!("postgres://{SUPERUSER}@127.0.0.1:{port}/{}", percent_encoded(database))
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn percent_encoded(name: &str) -> String {
    name.bytes()
        .fold(String::with_capacity(name.len()), |mut encoded, byte| {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                    encoded.push(char::from(byte));
                }
                _ => encoded.push_str(&format!("%{byte:02X}")),
            }
            encoded
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_name_survives_the_url() {
        let encoded = percent_encoded("Zoë's d/b?");
        assert_eq!(encoded, "Zo%C3%AB%27s%20d%2Fb%3F");
        let config: Config = format!("postgres://postgres@127.0.0.1:1/{encoded}").parse().unwrap();
        assert_eq!(config.get_dbname(), Some("Zoë's d/b?"));
    }

    #[test]
    fn another_encoding_brings_the_locale_c() {
        assert_eq!(PostgresServer::builder().locale_or_default(), "C.UTF-8");
        assert_eq!(PostgresServer::builder().encoding("LATIN1").locale_or_default(), "C");
        let builder = PostgresServer::builder().encoding("LATIN1").locale("POSIX");
        assert_eq!(builder.locale_or_default(), "POSIX");
    }
}
