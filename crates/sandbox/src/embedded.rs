//! A PostgreSQL 17 inside this process: WebAssembly, run by pglite-oxide.
//!
//! pglite-oxide serves one connection after another. A second one would hang until the first
//! ends, a client that goes away in the middle of a COPY would end the server for good, and a
//! shutdown would wait for the client. So the server sits behind a [`relay`], which refuses what
//! would hang, starts the server anew on the same data where it has ended, and cuts the client
//! off at the end:
//!
//! ```text
//!  clients ──► relay (the URL's port) ── one session at a time ──► pglite-oxide (a socket in its folder)
//!                └─ the others: "53300, one connection at a time" after a second
//! ```

use tokio_postgres::Config;

use crate::{Error, script};

mod backend;
mod folder;
mod relay;
mod startup;

use backend::Backend;
use folder::Folder;
use relay::Relay;

/// The database that [`EmbeddedPostgres::url`] names.
const DATABASE: &str = "postgres";

/// A PostgreSQL 17 inside this process, with an empty database in a temporary folder.
///
/// It takes **one connection at a time**. Another waits for a second, then fails with SQLSTATE
/// 53300; one that comes after the first has been closed is served. Every connection starts a
/// backend, in about 0.2 s. There are no parallel workers, extensions, ICU, XML or TLS; requests to
/// cancel are ignored, and `statement_timeout` does not interrupt a statement. COPY in both
/// directions, snapshots, locks, roles and several databases work as usual.
///
/// Several instances live side by side, each with threads of its own. The first start of a user
/// unpacks 100 MB into a cache, `$XDG_CACHE_HOME/pglite-oxide` or `~/.cache/pglite-oxide` on Linux
/// (the home folder comes from `/etc/passwd` where `HOME` is not set); it must be writable. The
/// data are in a folder of the system's temporary one (TMPDIR), about 40 MB, and go with a drop; what a
/// killed process has left goes with the next start.
///
/// A drop cuts the client off, and blocks until the server has stopped: 0.1 s, or as long as the
/// statement at work takes, for it can't be interrupted.
#[derive(Debug)]
pub struct EmbeddedPostgres {
    // The server stops before its folder goes.
    relay: Relay,
    _folder: Folder,
}

impl EmbeddedPostgres {
    /// Starts a server on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// [`Error::EmbeddedStart`] where the temporary folder or the cache can't be written, or the
    /// platform has no build of the server.
    pub async fn start() -> Result<Self, Error> {
        tokio::task::spawn_blocking(Self::start_blocking)
            .await
            .map_err(|error| Error::EmbeddedStart { source: error.into() })?
    }

    fn start_blocking() -> Result<Self, Error> {
        let folder = Folder::create().map_err(|error| Error::EmbeddedStart { source: error.into() })?;
        let backend = Backend::start(folder.data())?;
        let relay = Relay::start(backend).map_err(|error| Error::EmbeddedStart { source: error.into() })?;
        Ok(Self { relay, _folder: folder })
    }

    /// The URL of the database `postgres`, for the superuser.
    pub fn url(&self) -> String {
        format!(
            "postgres://postgres@127.0.0.1:{}/{DATABASE}?sslmode=disable",
            self.relay.port()
        )
    }

    /// Runs a script of SQL statements on a connection of its own.
    ///
    /// # Errors
    /// [`Error::Connect`], also where another connection is open; [`Error::Execute`].
    pub async fn execute(&self, sql: &str) -> Result<(), Error> {
        let mut config = Config::new();
        config
            .host("127.0.0.1")
            .port(self.relay.port())
            .user("postgres")
            .dbname(DATABASE)
            .ssl_mode(tokio_postgres::config::SslMode::Disable);
        script::execute(&config, sql).await
    }
}
