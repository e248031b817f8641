//! Lets one client at a time through to the embedded server.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::backend::{Backend, Session};
use super::startup;

/// How long a client waits while another is connected: clients close a connection a moment after
/// they have finished with it.
const WAIT_FOR_CLIENT: Duration = Duration::from_secs(1);

/// How long a client may take over its startup packet.
const WAIT_FOR_STARTUP: Duration = Duration::from_secs(10);

const BUFFER_BYTES: usize = 64 * 1024;

/// The listener of the port that clients see, and the server behind it.
#[derive(Debug)]
pub(super) struct Relay {
    port: u16,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The server, while no session holds it.
    idle: Option<Backend>,
    /// The client of the session that holds the server, until it goes away.
    client: Option<TcpStream>,
    /// The relay is about to end.
    closing: bool,
}

impl Relay {
    pub(super) fn start(backend: Backend) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared::default());
        shared.lock().idle = Some(backend);
        let acceptor = thread::Builder::new().name("embedded-accept".to_owned()).spawn({
            let shared = Arc::clone(&shared);
            move || accept(&listener, &shared)
        })?;
        Ok(Self {
            port,
            shared,
            acceptor: Some(acceptor),
        })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.closing = true;
        if let Some(client) = &state.client {
            let _ = client.shutdown(Shutdown::Both);
        }
        self.shared.changed.notify_all();
        // The session gives the server back when the client has gone.
        while state.idle.is_none() {
            state = self.shared.wait(state, None);
        }
        let backend = state.idle.take();
        drop(state);
        drop(backend);

        // The acceptor sees `closing` when a connection wakes it.
        let woken = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok();
        if let Some(acceptor) = self.acceptor.take()
            && woken
        {
            let _ = acceptor.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, timeout: Option<Duration>) -> MutexGuard<'a, State> {
        match timeout {
            Some(timeout) => match self.changed.wait_timeout(state, timeout) {
                Ok((state, _)) => state,
                Err(poisoned) => poisoned.into_inner().0,
            },
            None => self
                .changed
                .wait(state)
                .unwrap_or_else(|poisoned| poisoned.into_inner()),
        }
    }

    /// Waits for the server, and takes it for `client`; None where another client keeps it, or the
    /// relay is about to end.
    fn take(&self, client: &TcpStream) -> io::Result<Option<Lease<'_>>> {
        let client = client.try_clone()?;
        let deadline = Instant::now() + WAIT_FOR_CLIENT;
        let mut state = self.lock();
        loop {
            if state.closing {
                return Ok(None);
            }
            if let Some(backend) = state.idle.take() {
                state.client = Some(client);
                return Ok(Some(Lease {
                    shared: self,
                    backend: Some(backend),
                }));
            }
            // A session without its client ends by itself: it is worth waiting for.
            let timeout = match &state.client {
                Some(_) => match deadline.checked_duration_since(Instant::now()) {
                    Some(left) if !left.is_zero() => Some(left),
                    _ => return Ok(None),
                },
                None => None,
            };
            state = self.wait(state, timeout);
        }
    }

    /// Notes that the session's client has gone.
    fn forget_client(&self) {
        self.lock().client = None;
        self.changed.notify_all();
    }
}

/// The server in the hands of one session, which gives it back however it ends.
struct Lease<'a> {
    shared: &'a Shared,
    backend: Option<Backend>,
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.client = None;
        state.idle = self.backend.take();
        self.shared.changed.notify_all();
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for client in listener.incoming() {
        if shared.lock().closing {
            return;
        }
        let client = match client {
            Ok(client) => client,
            Err(error) => {
                tracing::warn!(%error, "the embedded PostgreSQL can't accept a connection");
                // Out of file descriptors, most likely: the next try would fail as fast.
                thread::sleep(Duration::from_millis(100));
                continue;
            }
        };
        let shared = Arc::clone(shared);
        let spawned = thread::Builder::new()
            .name("embedded-session".to_owned())
            .spawn(move || {
                if let Err(error) = serve(client, &shared) {
                    tracing::debug!(%error, "a connection to the embedded PostgreSQL broke");
                }
            });
        if let Err(error) = spawned {
            tracing::warn!(%error, "the embedded PostgreSQL can't serve a connection");
        }
    }
}

fn serve(mut client: TcpStream, shared: &Shared) -> io::Result<()> {
    client.set_nodelay(true)?;
    client.set_read_timeout(Some(WAIT_FOR_STARTUP))?;
    let Some(packet) = startup::read(&mut client)? else {
        return Ok(());
    };
    client.set_read_timeout(None)?;

    let Some(mut lease) = shared.take(&client)? else {
        let refusal = startup::refusal("53300", "the embedded PostgreSQL takes one connection at a time");
        return client.write_all(&refusal);
    };
    match lease.backend.as_mut().map(|backend| backend.open(&packet)) {
        Some(Ok(session)) => relay(&mut client, session, shared),
        Some(Err(error)) => client.write_all(&startup::refusal("57P03", &error.to_string())),
        None => Ok(()),
    }
}

/// Copies both ways until the server ends the session.
fn relay(client: &mut TcpStream, session: Session, shared: &Shared) -> io::Result<()> {
    let Session { mut stream, answer } = session;
    let (mut requests, mut server) = (client.try_clone()?, stream.try_clone()?);
    thread::scope(|scope| {
        scope.spawn(move || {
            let _ = copy(&mut requests, &mut server);
            shared.forget_client();
            // For the server, a client that has broken off is one that has closed.
            let _ = server.shutdown(Shutdown::Write);
        });
        let answered = client.write_all(&answer).and_then(|()| copy(&mut stream, client));
        if answered.is_err() {
            // The client no longer listens. The server must not see a broken pipe, which would
            // end it, so its answer goes nowhere.
            let _ = io::copy(&mut stream, &mut io::sink());
        }
        // The other thread may still wait for a request.
        let _ = client.shutdown(Shutdown::Both);
        answered
    })
}

fn copy(from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        to.write_all(&buffer[..read])?;
    }
}
