//! Streams in which nothing moves any more: told from a server that is at work, and ended.
//!
//! A stream may pause for as long as it likes before its first row, and after its last. In the middle a
//! pause is either the server's work (a view between two rows, a region of dead rows) or a connection
//! that is dead without the two ends knowing. The server itself knows which: a second session asks it.

use std::pin::pin;
use std::sync::{Arc, OnceLock};

use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};

use crate::tap::Tap;
use crate::{Connection, Endpoint, Error, Mode, Result, TimeLimit, Timeouts};

/// How often a server that says it is at work is believed: it may be stopped, or its disk.
const BELIEVED_MAX: u32 = 6;

/// Whether a session with this statement does anything but wait for us. It is known by the statement,
/// since behind a pooler nobody knows which process runs it.
const IS_AT_WORK: &str = "\
select coalesce(bool_or(state = 'active' and wait_event_type is distinct from 'Client'), false)
from pg_catalog.pg_stat_activity
where datname = pg_catalog.current_database() and usename = session_user
  and application_name = pg_catalog.current_setting('application_name')
  and query <> '' and pg_catalog.left($1, pg_catalog.length(query)) = query";

/// What is known of a connection by who waits for its stream.
#[derive(Clone)]
pub(crate) struct Watch {
    pub(crate) endpoint: Endpoint,
    pub(crate) url: String,
    pub(crate) application_name: String,
    pub(crate) timeouts: Timeouts,
    /// A lock that can't be had soon is done without: nobody is told of it.
    pub(crate) gives_way: bool,
    pub(crate) tap: Tap,
    pub(crate) task: AbortHandle,
    /// Why the connection ended.
    pub(crate) ended: Arc<OnceLock<Ended>>,
}

/// Why a connection ended.
pub(crate) struct Ended {
    pub(crate) reason: String,
    /// A standby ended it for what it replays.
    pub(crate) is_conflict: bool,
}

impl Watch {
    /// Waits for a step of the stream that this statement of this connection takes or gives; whether the
    /// stream is in its middle is told by `flows`.
    ///
    /// # Errors
    /// [`Error::Stalled`] when no byte has moved for `stall_timeout`, and the server is not at work;
    /// [`Error::Lost`] if the connection breaks; else [`Error::Query`] with this `action`.
    pub(crate) async fn wait<T>(
        &self,
        statement: &str,
        action: &str,
        flows: impl Fn() -> bool,
        step: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T> {
        let named = |result: Result<T, tokio_postgres::Error>| result.map_err(|source| self.error(action, source));
        let limit = self.timeouts.stall;
        let Some(patience) = limit.duration() else {
            return named(step.await);
        };
        let mut step = pin!(step);
        let mut since = Instant::now();
        let mut believed = 0;
        loop {
            if let Ok(done) = timeout_at(since + patience, step.as_mut()).await {
                return named(done);
            }
            let moved = self.tap.moved().filter(|moved| *moved > since);
            if moved.is_some() || !flows() {
                since = moved.filter(|_| flows()).unwrap_or_else(Instant::now);
                believed = 0;
                continue;
            }
            // The answer takes a while, in which the stream may go on.
            let at_work = tokio::select! {
                done = step.as_mut() => return named(done),
                at_work = self.is_at_work(statement) => at_work,
            };
            if believed == BELIEVED_MAX || !at_work {
                self.task.abort(); // nobody waits for its end
                return Err(Error::Stalled {
                    action: action.into(),
                    endpoint: self.endpoint.clone().into(),
                    limit,
                });
            }
            believed += 1;
            crate::say::once(format!(
                "{action}: no byte has moved for {limit}, and the server says that it is at work on `{}`",
                beginning(statement)
            ));
            since = Instant::now();
        }
    }

    pub(crate) fn error(&self, action: &str, source: tokio_postgres::Error) -> Error {
        match self.ended.get().filter(|_| source.is_closed()) {
            Some(Ended { reason, is_conflict }) => Error::Lost {
                action: action.into(),
                endpoint: self.endpoint.clone().into(),
                reason: reason.clone(),
                is_conflict: *is_conflict,
            },
            None => Error::query(action)(source),
        }
    }

    /// What can't be asked is not at work.
    async fn is_at_work(&self, statement: &str) -> bool {
        // The question itself must not stall.
        let timeouts = Timeouts {
            stall: TimeLimit::NEVER,
            ..self.timeouts
        };
        let asked = async {
            let asking = Box::pin(Connection::open(&self.url, &self.application_name, timeouts))
                .await
                .ok()?;
            let asking = asking.begin_soon(Mode::Snapshot).await.ok()?;
            let rows = asking.query(IS_AT_WORK, &[&statement]).await.ok()?;
            rows.first().map(|row| row.get(0))
        };
        let patience = self.timeouts.stall.duration().unwrap_or_default();
        match tokio::time::timeout(patience.max(crate::libpq::CONNECT_TIMEOUT), asked).await {
            Ok(answer) => answer.unwrap_or(false),
            Err(_) => false,
        }
    }
}

fn beginning(statement: &str) -> String {
    let mut shown: String = statement.chars().take(60).collect();
    if shown.len() < statement.len() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use bytes::Bytes;
    use lake_sandbox::PostgresServer;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    /// Passes connections on to a server until it is stopped; then it reads and writes nothing.
    async fn relay(server: &PostgresServer, stopped: Arc<AtomicBool>, only_first: bool) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (port, there) = (listener.local_addr().unwrap().port(), server.port());
        tokio::spawn(async move {
            let mut first = true;
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(("127.0.0.1", there)).await.unwrap();
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = server.into_split();
                let stopped = if first || !only_first {
                    stopped.clone()
                } else {
                    Arc::default()
                };
                first = false;
                tokio::spawn(pass(from_client, to_server, stopped.clone()));
                tokio::spawn(pass(from_server, to_client, stopped));
            }
        });
        port
    }

    async fn pass(
        mut from: tokio::net::tcp::OwnedReadHalf,
        mut to: tokio::net::tcp::OwnedWriteHalf,
        stopped: Arc<AtomicBool>,
    ) {
        let mut buffer = vec![0; 16 << 10];
        loop {
            let bytes = from.read(&mut buffer).await.unwrap_or(0);
            while stopped.load(Ordering::Relaxed) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            if bytes == 0 || to.write_all(&buffer[..bytes]).await.is_err() {
                return;
            }
        }
    }

    async fn open(port: u16, stall: &str) -> Connection {
        let url = format!("postgres://postgres@127.0.0.1:{port}/postgres?connect_timeout=1");
        let stall = stall.parse().unwrap();
        let timeouts = Timeouts {
            stall,
            ..Timeouts::default()
        };
        let connection = Connection::open(&url, "test", timeouts).await.unwrap();
        connection.begin(Mode::ReadWrite).await.unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_stream_that_stops_in_its_middle_is_ended() {
        let server = PostgresServer::shared().unwrap();
        // Whether further connections come about or not.
        for only_first in [true, false] {
            let stopped = Arc::new(AtomicBool::new(false));
            let port = relay(server, stopped.clone(), only_first).await;
            let connection = open(port, "300 ms").await;
            let statement = "copy (select n, repeat('x', 900) from generate_series(1, 100000) n) to stdout";
            let mut rows = connection.copy_out(statement, "read it").await.unwrap();
            rows.next().await.unwrap();
            stopped.store(true, Ordering::Relaxed);
            let error = loop {
                match rows.next().await {
                    Ok(chunk) => assert!(chunk.is_some(), "the stream came to its end"),
                    Err(error) => break error.to_string(),
                }
            };
            let place = format!("127.0.0.1:{port}");
            for part in ["cannot read it", "300 ms", "stall_timeout", place.as_str()] {
                assert!(error.contains(part), "{error}");
            }
            // It is over: what comes after does not wait for it.
            assert!(connection.batch_execute("select 1").await.is_err());
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_stream_that_nobody_takes_is_ended() {
        let server = PostgresServer::shared().unwrap();
        let stopped = Arc::new(AtomicBool::new(false));
        let port = relay(server, stopped.clone(), true).await;
        let connection = open(port, "300 ms").await;
        connection
            .batch_execute("create temporary table stalled (t text)")
            .await
            .unwrap();
        let statement = "copy stalled from stdin";
        let mut copy = connection.copy_in(statement, "copy into it").await.unwrap();
        stopped.store(true, Ordering::Relaxed);
        let row = Bytes::from(vec![b'x'; 256 << 10]);
        let error = loop {
            if let Err(error) = copy.send(row.clone()).await {
                break error.to_string();
            }
        };
        assert!(
            error.contains("cannot copy into it") && error.contains("stall_timeout"),
            "{error}"
        );
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_server_at_work_is_waited_for() {
        let server = PostgresServer::shared().unwrap();
        let connection = open(server.port(), "300 ms").await;
        // Before the first row, and between two of them.
        let statement =
            "copy (select n, repeat('x', 9000), case when n in (1, 50) then pg_catalog.pg_sleep(0.9)::text end
                         from generate_series(1, 60) n) to stdout";
        let mut rows = connection.copy_out(statement, "read it").await.unwrap();
        while rows.next().await.unwrap().is_some() {}
        assert_eq!(rows.counted().unwrap(), 60);
    }
}
