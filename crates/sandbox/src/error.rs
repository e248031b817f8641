//! What can go wrong in the sandbox.

use std::io;
use std::path::PathBuf;

/// An error of this crate. The cause is in `source`, never in the text.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No installed PostgreSQL server was found.
    #[error(
        "no PostgreSQL server found in {searched}: install one (`apt-get install postgresql`), \
         or set PG_BIN to the folder that holds its `initdb` and `postgres`"
    )]
    ServerMissing {
        /// Where it was looked for.
        searched: String,
    },

    /// There is no pgbouncer.
    #[error("no `pgbouncer` found in PATH: install it (`apt-get install pgbouncer`)")]
    PgbouncerMissing,

    /// PostgreSQL refuses to run as root, and there is no other user to run it as.
    #[error(
        "PostgreSQL refuses to run as root, and /etc/passwd names neither `postgres` nor `nobody`: \
         run as an ordinary user"
    )]
    ServerUser,

    /// The folder of a throwaway server can't be made.
    #[error("can't prepare the folder {} of a throwaway PostgreSQL", folder.display())]
    ServerFolder {
        /// The folder.
        folder: PathBuf,
        /// The cause.
        source: io::Error,
    },

    /// The shell that starts and stops a throwaway server can't be run.
    #[error("can't run `sh`, which starts and stops a throwaway PostgreSQL")]
    ServerSpawn {
        /// The cause.
        source: io::Error,
    },

    /// `initdb`, `postgres` or `pgbouncer` ended, or was not ready in time.
    #[error("the throwaway PostgreSQL did not start ({reason}); its log ends with:\n{log}")]
    ServerStart {
        /// Whether it ended or took too long.
        reason: &'static str,
        /// The last lines that the server wrote.
        log: String,
    },

    /// The embedded PostgreSQL can't start.
    #[error(
        "the embedded PostgreSQL did not start: it needs a writable folder for temporary files \
         (TMPDIR) and one for its cache (XDG_CACHE_HOME, else ~/.cache)"
    )]
    EmbeddedStart {
        /// The cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },

    /// A connection to a server of the sandbox failed.
    #[error("can't connect to the database {database:?}")]
    Connect {
        /// The database's name.
        database: String,
        /// The cause.
        source: tokio_postgres::Error,
    },

    /// A server of the sandbox refused a script.
    #[error("the database {database:?} refused the script")]
    Execute {
        /// The database's name.
        database: String,
        /// The cause.
        source: tokio_postgres::Error,
    },

    /// The sample can't be made that large.
    #[error("scale {scale} is out of range: from 1 to {scale_max}")]
    Scale {
        /// The scale that was asked for.
        scale: u32,
        /// The largest one.
        scale_max: u32,
    },
}
