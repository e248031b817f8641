//! From what is said about a connection to a session: hosts and addresses in turn, TLS or not, in time.
//!
//! The order of attempts is libpq's: the next address or host after one that can't be reached, but not
//! after one that refuses; `prefer` goes on without TLS, and `allow` with it, where the first is refused.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::time::Duration;

use rand::seq::SliceRandom as _;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_postgres::config::{SslMode as LibraryMode, SslNegotiation as LibraryNegotiation};
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::TlsConnect;
use tokio_postgres::{Client, Config, SimpleQueryMessage};

use crate::authentication::{Guard, Refusal};
use crate::libpq::{Address, Host, Settings, SslMode, SslNegotiation, TargetSession};
use crate::tap::{Carrier, Tap, Tapped};
use crate::tls::{self, TlsFailure};

/// What keeps a client's connection going.
pub(crate) type Driver = Pin<Box<dyn Future<Output = Result<(), tokio_postgres::Error>> + Send>>;

/// A session that has begun, and where.
pub(crate) struct Dialled {
    pub(crate) client: Client,
    pub(crate) driver: Driver,
    pub(crate) host: Host,
    /// The server's major version, 0 if it does not tell.
    pub(crate) server_version: u32,
}

/// A client, what keeps its connection going, and the server's major version.
type Session = (Client, Driver, u32);

/// Why there is no session.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) kind: Kind,
    pub(crate) reason: String,
    pub(crate) hint: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing answers there: another address may.
    Unreachable,
    /// Something answers, and not as a server should, or not in time.
    Mute,
    /// There is no TLS, or none that is believed.
    Tls,
    /// The server refuses, with its code.
    Refused(SqlState),
    /// The session is not of the kind that is wanted.
    OtherSession,
    /// What it asks for we do not do.
    Unwilling,
}

impl Failure {
    pub(crate) fn new(kind: Kind, reason: impl Into<String>) -> Self {
        let (reason, hint) = (reason.into(), String::new());
        Self { kind, reason, hint }
    }

    /// Whether the other hosts are tried still.
    fn goes_on(&self) -> bool {
        match &self.kind {
            Kind::Unreachable | Kind::Mute | Kind::OtherSession => true,
            Kind::Refused(code) => *code == SqlState::CANNOT_CONNECT_NOW,
            Kind::Tls | Kind::Unwilling => false,
        }
    }
}

impl From<TlsFailure> for Failure {
    fn from(failure: TlsFailure) -> Self {
        Self {
            kind: Kind::Tls,
            reason: failure.reason,
            hint: failure.hint.into(),
        }
    }
}

/// Begins a session at the first host that gives one.
///
/// # Errors
/// Each host that was tried, and why it gave none; at least one.
pub(crate) async fn dial(settings: &Settings, tap: &Tap) -> Result<Dialled, Vec<(Host, Failure)>> {
    let wanted: &[TargetSession] = match settings.target_session {
        TargetSession::PreferStandby => &[TargetSession::Standby, TargetSession::Any],
        ref one => std::slice::from_ref(one),
    };
    let mut hosts: Vec<&Host> = settings.hosts.iter().collect();
    if settings.any_order {
        hosts.shuffle(&mut rand::rng());
    }
    let mut failures = Vec::new();
    for wanted in wanted {
        failures.clear();
        for host in &hosts {
            match dial_host(settings, host, *wanted, tap).await {
                Ok((client, driver, server_version)) => {
                    return Ok(Dialled {
                        client,
                        driver,
                        host: (*host).clone(),
                        server_version,
                    });
                }
                Err(failure) => {
                    let goes_on = failure.goes_on();
                    failures.push(((*host).clone(), failure));
                    if !goes_on {
                        return Err(failures);
                    }
                }
            }
        }
    }
    Err(failures)
}

/// Tries a host's addresses in turn, each with all of the time.
async fn dial_host(settings: &Settings, host: &Host, wanted: TargetSession, tap: &Tap) -> Result<Session, Failure> {
    let port = host.port;
    let addresses = match &host.address {
        Address::Socket(_) => vec![None],
        Address::Ip(ip) => vec![Some(SocketAddr::new(*ip, port))],
        Address::Name(name) => match name.parse::<IpAddr>() {
            Ok(ip) => vec![Some(SocketAddr::new(ip, port))],
            Err(_) => {
                let bare = Clock::start(settings.connect_timeout);
                let found = bare.within("its name was looked up", tokio::net::lookup_host((name.as_str(), port)));
                let found = found.await?.map_err(|error| {
                    Failure::new(Kind::Unreachable, format!("its name leads to no address: {error}"))
                })?;
                let mut found: Vec<_> = found.map(Some).collect();
                if settings.any_order {
                    found.shuffle(&mut rand::rng());
                }
                found
            }
        },
    };
    let mut failure = Failure::new(Kind::Unreachable, "its name leads to no address");
    for address in addresses {
        let attempt = Attempt {
            settings,
            host,
            address,
            clock: Clock::start(settings.connect_timeout),
            tap,
        };
        match attempt.session(wanted).await {
            Ok(session) => return Ok(session),
            Err(reason) => failure = reason,
        }
        if !failure.goes_on() {
            break;
        }
    }
    Err(failure)
}

/// The time that one address has.
pub(crate) struct Clock {
    deadline: Option<Instant>,
    whole: Duration,
}

impl Clock {
    pub(crate) fn start(whole: Option<Duration>) -> Self {
        Self {
            deadline: whole.map(|whole| Instant::now() + whole),
            whole: whole.unwrap_or_default(),
        }
    }

    /// What a step gives, or that it took too long: `step` is what was done meanwhile.
    pub(crate) async fn within<T>(&self, step: &str, doing: impl Future<Output = T>) -> Result<T, Failure> {
        let Some(deadline) = self.deadline else {
            return Ok(doing.await);
        };
        timeout_at(deadline, doing).await.map_err(|_| {
            let seconds = self.whole.as_secs_f64();
            Failure {
                kind: Kind::Mute,
                reason: format!("no answer within {seconds} s while {step}"),
                hint: "; `connect_timeout` in the URL is how many seconds are waited".into(),
            }
        })
    }
}

/// How a session's bytes travel.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Plain,
    /// With TLS; without, if the server has none.
    TlsIfSpoken,
    Tls,
}

/// One address, to be tried with TLS and without it as `sslmode` says.
struct Attempt<'a> {
    settings: &'a Settings,
    host: &'a Host,
    /// None of a socket of the machine.
    address: Option<SocketAddr>,
    clock: Clock,
    tap: &'a Tap,
}

impl Attempt<'_> {
    async fn session(&self, wanted: TargetSession) -> Result<Session, Failure> {
        let (client, mut driver, version) = self.by_ways().await?;
        if wanted != TargetSession::Any {
            let fits = async {
                tokio::select! {
                    fits = is_session(&client, wanted) => fits,
                    ended = &mut driver => Err(ended.err().map_or_else(|| "it closed the connection".into(), |e| e.to_string())),
                }
            };
            let fits = self.clock.within("the kind of session was asked for", fits).await?;
            if !fits.map_err(|reason| Failure::new(Kind::Mute, reason))? {
                let kind = match wanted {
                    TargetSession::ReadWrite => "read-only",
                    TargetSession::ReadOnly => "not read-only",
                    TargetSession::Primary => "a standby",
                    _ => "no standby",
                };
                return Err(Failure::new(
                    Kind::OtherSession,
                    format!("it is {kind} (target_session_attrs)"),
                ));
            }
        }
        Ok((client, driver, version))
    }

    async fn by_ways(&self) -> Result<Session, Failure> {
        let first = match self.settings.tls.mode {
            _ if self.address.is_none() => Way::Plain,
            SslMode::Disable | SslMode::Allow => Way::Plain,
            SslMode::Prefer => Way::TlsIfSpoken,
            _ => Way::Tls,
        };
        let failure = match self.by(first).await {
            Ok(session) => return Ok(session),
            Err((failure, over_tls)) => {
                let refused = matches!(failure.kind, Kind::Refused(_));
                let second = match self.settings.tls.mode {
                    _ if self.address.is_none() => None,
                    SslMode::Allow if refused => Some(Way::Tls),
                    SslMode::Prefer if over_tls && (refused || failure.kind == Kind::Tls) => Some(Way::Plain),
                    _ => None,
                };
                let Some(second) = second else { return Err(failure) };
                match self.by(second).await {
                    Ok(session) => {
                        if failure.kind == Kind::Tls {
                            crate::say::once(format!(
                                "no TLS with {}: {}; connected without it, as `sslmode=prefer` has it",
                                self.host, failure.reason
                            ));
                        }
                        return Ok(session);
                    }
                    Err((other, _)) if other.reason == failure.reason => other,
                    Err((other, _)) => {
                        let (with, without) = match second {
                            Way::Tls => (&other, &failure),
                            _ => (&failure, &other),
                        };
                        Failure {
                            reason: format!("with TLS: {}; without TLS: {}", with.reason, without.reason),
                            hint: if with.hint.is_empty() {
                                without.hint.clone()
                            } else {
                                with.hint.clone()
                            },
                            kind: other.kind,
                        }
                    }
                }
            }
        };
        Err(failure)
    }

    /// Begins a session; of a failure is told whether there was TLS, or an attempt at it.
    async fn by(&self, way: Way) -> Result<Session, (Failure, bool)> {
        let Some(address) = self.address else {
            return self.by_socket().await.map_err(|failure| (failure, false));
        };
        let mut socket = self.connect(address).await.map_err(|failure| (failure, false))?;
        let direct = self.settings.tls.negotiation == SslNegotiation::Direct;
        let over_tls = match way {
            Way::Plain => false,
            _ if direct => true,
            _ => {
                let spoken = tls::is_spoken(&mut socket);
                let spoken = self
                    .clock
                    .within("it was asked for TLS: it takes connections, and says nothing", spoken);
                let spoken = spoken.await.map_err(|failure| (failure, false))?;
                spoken.map_err(|error| (broken(&error), false))?
            }
        };
        if way == Way::Tls && !over_tls {
            return Err((
                Failure {
                    kind: Kind::Tls,
                    reason: "the server has no TLS".into(),
                    hint: "; turn `ssl` on in the server's settings, or is a proxy between that takes it away?".into(),
                },
                false,
            ));
        }
        let session = async {
            if !over_tls {
                return self.authenticate(socket, false).await;
            }
            let session = tls::begin(socket, self.host, &self.settings.tls);
            let session = self.clock.within("TLS was begun with it", session).await??;
            self.authenticate(session, true).await
        };
        session.await.map_err(|failure| (failure, over_tls))
    }

    async fn connect(&self, address: SocketAddr) -> Result<TcpStream, Failure> {
        let socket = self
            .clock
            .within("the connection was made", TcpStream::connect(address))
            .await?;
        let configured = socket.and_then(|socket| {
            socket.set_nodelay(true)?;
            let options = SockRef::from(&socket);
            if let Some(keepalive) = self.settings.keepalive {
                let of_socket = TcpKeepalive::new()
                    .with_time(keepalive.idle)
                    .with_interval(keepalive.interval)
                    .with_retries(keepalive.count);
                options.set_tcp_keepalive(&of_socket)?;
            }
            #[cfg(target_os = "linux")]
            if let Some(timeout) = self.settings.tcp_user_timeout {
                options.set_tcp_user_timeout(Some(timeout))?;
            }
            Ok(socket)
        });
        configured.map_err(|error| Failure::new(Kind::Unreachable, error.to_string()))
    }

    #[cfg(unix)]
    async fn by_socket(&self) -> Result<Session, Failure> {
        let Address::Socket(folder) = &self.host.address else {
            return Err(Failure::new(Kind::Unreachable, "no socket is named"));
        };
        let path = crate::libpq::socket_of(folder, self.host.port);
        let socket = tokio::net::UnixStream::connect(path);
        let socket = self.clock.within("the connection was made", socket).await?;
        let socket = socket.map_err(|error| Failure::new(Kind::Unreachable, error.to_string()))?;
        self.authenticate(socket, true).await
    }

    #[cfg(not(unix))]
    async fn by_socket(&self) -> Result<Session, Failure> {
        Err(Failure::new(Kind::Unreachable, "this system has no such sockets"))
    }

    /// `closed` is a way on which nobody else reads.
    async fn authenticate(&self, carrier: impl Carrier + 'static, closed: bool) -> Result<Session, Failure> {
        let settings = self.settings;
        let mut config = Config::new();
        config
            .user(&settings.user)
            .dbname(&settings.database)
            .application_name(&settings.application_name)
            .channel_binding(settings.channel_binding)
            // So that it asks the stream, which is ready as it is, for what ties it to TLS.
            .ssl_mode(LibraryMode::Require)
            .ssl_negotiation(LibraryNegotiation::Direct);
        if let Some(options) = &settings.options {
            config.options(options);
        }
        if let Some(password) = &self.host.password {
            config.password(password);
        }
        let in_clear = closed || settings.tls.mode == SslMode::Disable;
        let guard = Guard::new(settings.methods.clone(), in_clear);
        let stream = Tapped::new(carrier, self.tap.clone(), guard);
        let connected = config.connect_raw(stream, Ready);
        let connected = self.clock.within(
            "the user was authenticated: it takes connections, and says nothing",
            connected,
        );
        let (client, driver) = connected.await?.map_err(|error| failure_of(&error))?;
        let version = driver.parameter("server_version").map_or(0, major_version);
        Ok((client, Box::pin(driver), version))
    }
}

/// Of `16.4 (Debian 16.4-1)`, `17beta1` and the like.
fn major_version(text: &str) -> u32 {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .map_or(text, |end| &text[..end]);
    digits.parse().unwrap_or(0)
}

/// For the client library, to which a stream is TLS if it is none of its own making.
struct Ready;

impl TlsConnect<Tapped> for Ready {
    type Stream = Tapped;
    type Error = io::Error;
    type Future = std::future::Ready<io::Result<Tapped>>;

    fn connect(self, stream: Tapped) -> Self::Future {
        std::future::ready(Ok(stream))
    }
}

async fn is_session(client: &Client, wanted: TargetSession) -> Result<bool, String> {
    let (statement, yes) = match wanted {
        TargetSession::ReadWrite => ("show transaction_read_only", "off"),
        TargetSession::ReadOnly => ("show transaction_read_only", "on"),
        TargetSession::Primary => ("select pg_catalog.pg_is_in_recovery()", "f"),
        _ => ("select pg_catalog.pg_is_in_recovery()", "t"),
    };
    let messages = client.simple_query(statement).await.map_err(|error| reason(&error))?;
    Ok(messages
        .iter()
        .any(|message| matches!(message, SimpleQueryMessage::Row(row) if row.get(0) == Some(yes))))
}

fn broken(error: &io::Error) -> Failure {
    let reason = match error.kind() {
        io::ErrorKind::UnexpectedEof => "it closed the connection at once".into(),
        _ => error.to_string(),
    };
    Failure::new(Kind::Unreachable, reason)
}

/// The innermost cause: what is around it only says that a connection failed.
pub(crate) fn reason(error: &tokio_postgres::Error) -> String {
    if let Some(server) = error.as_db_error() {
        return server.message().to_owned() + crate::recovery::hint(error);
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

fn failure_of(error: &tokio_postgres::Error) -> Failure {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(inner) = cause {
        let refusal = inner.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(refusal) = refusal.and_then(|inner| inner.downcast_ref::<Refusal>()) {
            return unwilling(*refusal);
        }
        cause = inner.source();
    }
    let reason = reason(error);
    if let Some(code) = error.code() {
        let hint = match *code {
            SqlState::INVALID_PASSWORD | SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
                "; check the user and the password in the URL"
            }
            SqlState::INVALID_CATALOG_NAME => "; check the database's name in the URL",
            SqlState::TOO_MANY_CONNECTIONS => "; the server has no connection left: run with fewer --jobs",
            _ if reason.contains("unsupported startup parameter") => {
                "; it is a pooler that takes no `options`: leave them out of the URL and of PGOPTIONS, or add them to \
                 its `ignore_startup_parameters`"
            }
            _ => "",
        };
        return Failure {
            kind: Kind::Refused(code.clone()),
            reason,
            hint: hint.into(),
        };
    }
    let hint = match &*reason {
        text if text.contains("password missing") => {
            "; the server asks for a password: write it into the URL, PGPASSWORD or ~/.pgpass"
        }
        text if text.contains("channel binding") => "; `channel_binding=require` needs TLS and scram-sha-256",
        text if text.contains("unsupported authentication method") => {
            "; lake has passwords (scram-sha-256, md5) and certificates: let the server's pg_hba.conf ask for these"
        }
        _ => return Failure::new(Kind::Unreachable, reason),
    };
    Failure {
        kind: Kind::Unwilling,
        reason,
        hint: hint.into(),
    }
}

fn unwilling(refusal: Refusal) -> Failure {
    Failure {
        kind: Kind::Unwilling,
        reason: refusal.to_string(),
        hint: match refusal {
            Refusal::InClear => {
                "; turn TLS on (`ssl` in the server's settings, `sslmode=require` in the URL) or have pg_hba.conf ask \
                 for scram-sha-256; where the way is safe, `sslmode=disable` in the URL sends it"
            }
            Refusal::Method(_) => "; have pg_hba.conf ask for one that it allows",
        }
        .into(),
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.reason, self.hint)
    }
}
