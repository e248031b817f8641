//! The embedded server behind the relay, started anew where it has ended.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use pglite_oxide::PgliteServer;

use crate::Error;

/// The server on the data of one folder. Only the session that holds it talks to it.
#[derive(Debug)]
pub(super) struct Backend {
    folder: PathBuf,
    /// None only where a start has failed.
    server: Option<PgliteServer>,
}

/// A connection to the server that has answered.
pub(super) struct Session {
    pub(super) stream: UnixStream,
    /// The beginning of the answer.
    pub(super) answer: Vec<u8>,
}

impl Backend {
    /// Makes a cluster in an empty folder, and a server on it.
    pub(super) fn start(folder: PathBuf) -> Result<Self, Error> {
        let mut backend = Self { folder, server: None };
        backend.restart()?;
        Ok(backend)
    }

    fn restart(&mut self) -> Result<(), Error> {
        // The old server holds a lock on the folder.
        self.server = None;
        // Its TCP sockets send small packets late (Nagle's algorithm): 40 ms a statement.
        let server = PgliteServer::builder()
            .path(&self.folder)
            .unix(self.folder.with_extension("sock"))
            .start()
            .map_err(|error| Error::EmbeddedStart { source: error.into() })?;
        self.server = Some(server);
        Ok(())
    }

    /// Opens a connection with a client's startup packet.
    ///
    /// A client that goes away in the middle of a COPY ends the server's thread, and nothing but
    /// the next connection shows it: it is refused, or closed without an answer.
    pub(super) fn open(&mut self, startup: &[u8]) -> Result<Session, Error> {
        match self.try_open(startup) {
            Ok(session) => Ok(session),
            Err(error) => {
                tracing::warn!(%error, "the embedded PostgreSQL has ended, starting it anew");
                self.restart()?;
                self.try_open(startup)
                    .map_err(|error| Error::EmbeddedStart { source: error.into() })
            }
        }
    }

    fn try_open(&self, startup: &[u8]) -> io::Result<Session> {
        let path = self
            .server
            .as_ref()
            .and_then(PgliteServer::socket_path)
            .ok_or(io::ErrorKind::NotConnected)?;
        let mut stream = UnixStream::connect(path)?;
        stream.write_all(startup)?;
        let mut answer = vec![0; 8192];
        let read = stream.read(&mut answer)?;
        if read == 0 {
            let _ = stream.shutdown(Shutdown::Both);
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        answer.truncate(read);
        Ok(Session { stream, answer })
    }
}
