//! What is said about a connection, checked and typed.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_postgres::config::ChannelBinding;

use super::home::Environment;
use super::parameters::Parameters;
use super::passfile::PassFile;
use crate::authentication::Methods;

const PORT: u16 = 5432;
/// libpq waits for ever; a daily job needs an answer.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection whose other end is gone is found out in a minute, where libpq takes two hours.
const KEEPALIVE: Keepalive = Keepalive {
    idle: Duration::from_secs(30),
    interval: Duration::from_secs(10),
    count: 3,
};
/// Where servers of Debian, of Red Hat and of a plain build have their sockets.
const SOCKET_FOLDERS: &[&str] = &["/var/run/postgresql", "/run/postgresql", "/tmp"];

/// A server, and everything about how to get to it.
pub(crate) struct Settings {
    pub(crate) hosts: Vec<Host>,
    pub(crate) user: String,
    pub(crate) database: String,
    pub(crate) options: Option<String>,
    pub(crate) application_name: String,
    /// For each address; `None` is for ever.
    pub(crate) connect_timeout: Option<Duration>,
    pub(crate) keepalive: Option<Keepalive>,
    pub(crate) tcp_user_timeout: Option<Duration>,
    pub(crate) target_session: TargetSession,
    pub(crate) any_order: bool,
    pub(crate) channel_binding: ChannelBinding,
    pub(crate) methods: Methods,
    pub(crate) tls: TlsSettings,
}

/// One of the servers that are named, to be tried in turn; not to be shown by Debug, for the password.
#[derive(Clone)]
pub(crate) struct Host {
    /// As it is written: what a certificate has to be for.
    pub(crate) name: String,
    pub(crate) address: Address,
    pub(crate) port: u16,
    /// Nothing names it.
    pub(crate) by_default: bool,
    pub(crate) password: Option<String>,
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, self.port)
    }
}

/// How a host is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    Name(String),
    Ip(IpAddr),
    /// The folder of a socket.
    Socket(PathBuf),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Keepalive {
    pub(crate) idle: Duration,
    pub(crate) interval: Duration,
    pub(crate) count: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub(crate) enum SslMode {
    Disable,
    Allow,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SslNegotiation {
    Postgres,
    Direct,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CertificateMode {
    Disable,
    Allow,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TargetSession {
    Any,
    ReadWrite,
    ReadOnly,
    Primary,
    Standby,
    PreferStandby,
}

/// Whose certificates are believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RootCertificates {
    System,
    File(FileChoice),
}

/// A file that is named, or the one of the user's folder, which need not be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileChoice {
    pub(crate) path: PathBuf,
    pub(crate) named: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct TlsSettings {
    pub(crate) mode: SslMode,
    pub(crate) negotiation: SslNegotiation,
    pub(crate) roots: Option<RootCertificates>,
    pub(crate) revoked: Option<FileChoice>,
    pub(crate) certificate: Option<FileChoice>,
    pub(crate) key: Option<FileChoice>,
    pub(crate) certificate_mode: CertificateMode,
    pub(crate) server_name: bool,
    /// TLS 1.2 may be spoken, and 1.3.
    pub(crate) versions: (bool, bool),
}

/// Looks up what is said, in the words that it may be said in.
struct Said<'a>(&'a Parameters);

impl<'a> Said<'a> {
    fn get(&self, name: &str) -> Option<&'a str> {
        self.0.get(name)
    }

    fn one_of<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> Result<Option<T>, String> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let found = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(value));
        let possible = || words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
        found
            .map(|(_, meaning)| Some(*meaning))
            .ok_or_else(|| format!("`{name}` is none of {}", possible()))
    }

    fn number(&self, name: &str) -> Result<Option<i32>, String> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let number = value
            .trim()
            .parse()
            .map_err(|_| format!("`{name}` is no whole number"))?;
        Ok(Some(number))
    }

    /// A time to which nothing, zero and less are no bound.
    fn time(&self, name: &str, unit: Duration) -> Result<Option<Duration>, String> {
        let number = self.number(name)?.and_then(|number| u32::try_from(number).ok());
        Ok(number.filter(|number| *number > 0).map(|number| unit * number))
    }

    fn list(&self, name: &str) -> Vec<&'a str> {
        self.get(name)
            .map(|value| value.split(',').map(str::trim).collect())
            .unwrap_or_default()
    }
}

pub(super) fn checked(
    said: &Parameters,
    application_name: &str,
    environment: &Environment,
) -> Result<Settings, String> {
    let said = Said(said);
    let user = said.get("user").unwrap_or_else(|| environment.user());
    let user = if user.is_empty() { "postgres" } else { user };
    let database = said.get("dbname").unwrap_or(user);
    let mut hosts = hosts(&said)?;
    let socket = hosts.iter().any(|host| matches!(host.address, Address::Socket(_)));
    if socket && said.get("requirepeer").is_some() {
        return Err("`requirepeer` can't be done: leave it out".into());
    }
    match said.get("password") {
        Some(password) => hosts.iter_mut().for_each(|host| host.password = Some(password.into())),
        None => {
            if let Some(file) = PassFile::open(said.get("passfile"), environment) {
                for host in &mut hosts {
                    host.password = file.password(host, database, user);
                }
            }
        }
    }
    if said.one_of(
        "gssencmode",
        &[("disable", false), ("prefer", false), ("require", true)],
    )? == Some(true)
    {
        return Err("`gssencmode=require` can't be done: lake does not speak Kerberos; use TLS (`sslmode`)".into());
    }
    let encoding = said.get("client_encoding").unwrap_or("utf8");
    if !["utf8", "utf-8", "unicode", "auto"].contains(&&*encoding.to_lowercase()) {
        return Err(
            "`client_encoding` can't be done: the session is in UTF-8, and values are the same; leave it out".into(),
        );
    }
    Ok(Settings {
        user: user.into(),
        database: database.into(),
        options: said.get("options").map(Into::into),
        application_name: said
            .get("application_name")
            .or_else(|| said.get("fallback_application_name"))
            .unwrap_or(application_name)
            .into(),
        connect_timeout: match said.get("connect_timeout") {
            Some(_) => said.time("connect_timeout", Duration::from_secs(1))?,
            None => Some(CONNECT_TIMEOUT),
        },
        keepalive: keepalive(&said)?,
        tcp_user_timeout: said.time("tcp_user_timeout", Duration::from_millis(1))?,
        target_session: said
            .one_of(
                "target_session_attrs",
                &[
                    ("any", TargetSession::Any),
                    ("read-write", TargetSession::ReadWrite),
                    ("read-only", TargetSession::ReadOnly),
                    ("primary", TargetSession::Primary),
                    ("standby", TargetSession::Standby),
                    ("prefer-standby", TargetSession::PreferStandby),
                ],
            )?
            .unwrap_or(TargetSession::Any),
        any_order: said
            .one_of("load_balance_hosts", &[("disable", false), ("random", true)])?
            .unwrap_or(false),
        channel_binding: said
            .one_of(
                "channel_binding",
                &[
                    ("disable", ChannelBinding::Disable),
                    ("prefer", ChannelBinding::Prefer),
                    ("require", ChannelBinding::Require),
                ],
            )?
            .unwrap_or(ChannelBinding::Prefer),
        methods: Methods::parse(said.get("require_auth"))?,
        tls: tls(&said, environment)?,
        hosts,
    })
}

fn hosts(said: &Said<'_>) -> Result<Vec<Host>, String> {
    let (names, addresses, ports) = (said.list("host"), said.list("hostaddr"), said.list("port"));
    let count = names.len().max(addresses.len()).max(1);
    for (what, list) in [("host", &names), ("hostaddr", &addresses)] {
        if !list.is_empty() && list.len() != count {
            return Err(format!("`{what}` names {}, and there are {count} hosts", list.len()));
        }
    }
    if ports.len() > 1 && ports.len() != count {
        return Err(format!("`port` names {}, and there are {count} hosts", ports.len()));
    }
    (0..count)
        .map(|number| {
            let port = match ports.get(number).or(ports.first()).copied().unwrap_or_default() {
                "" => PORT,
                text => text
                    .parse()
                    .ok()
                    .filter(|port| *port > 0)
                    .ok_or("the port is no number from 1 to 65535; a `:`, `/`, `@` or `%` in the user or the password is written %3A, %2F, %40 or %25")?,
            };
            let text = |list: &[&str]| list.get(number).copied().filter(|text| !text.is_empty()).map(str::to_owned);
            host(text(&names), text(&addresses), port)
        })
        .collect()
}

fn host(name: Option<String>, address: Option<String>, port: u16) -> Result<Host, String> {
    let ip = address.as_deref().map(|address| {
        let ip = address.parse::<IpAddr>();
        ip.map_err(|_| "`hostaddr` is no IP address: a name goes into `host`".to_owned())
    });
    let by_default = name.is_none() && ip.is_none();
    let (name, address) = match (name, ip.transpose()?) {
        (Some(name), _) if name.starts_with('@') => {
            return Err("an abstract socket (`@…`) can't be used: name the socket's folder".into());
        }
        (Some(name), Some(ip)) => (name, Address::Ip(ip)),
        (None, Some(ip)) => (ip.to_string(), Address::Ip(ip)),
        (Some(name), None) if cfg!(unix) && name.starts_with('/') => {
            let folder = PathBuf::from(&name);
            (name, Address::Socket(folder))
        }
        (Some(name), None) => (name.clone(), Address::Name(name)),
        // As libpq, which however knows where the one server is that it was built with.
        (None, None) => match SOCKET_FOLDERS
            .iter()
            .find(|folder| socket_of(Path::new(folder), port).exists())
        {
            Some(folder) if cfg!(unix) => ((*folder).into(), Address::Socket(folder.into())),
            _ => ("localhost".into(), Address::Name("localhost".into())),
        },
    };
    Ok(Host {
        name,
        address,
        port,
        by_default,
        password: None,
    })
}

/// A server's socket in a folder.
pub(crate) fn socket_of(folder: &Path, port: u16) -> PathBuf {
    folder.join(format!(".s.PGSQL.{port}"))
}

fn keepalive(said: &Said<'_>) -> Result<Option<Keepalive>, String> {
    let second = Duration::from_secs(1);
    let keepalive = Keepalive {
        idle: said.time("keepalives_idle", second)?.unwrap_or(KEEPALIVE.idle),
        interval: said.time("keepalives_interval", second)?.unwrap_or(KEEPALIVE.interval),
        count: said
            .number("keepalives_count")?
            .and_then(|count| u32::try_from(count).ok())
            .filter(|count| *count > 0)
            .unwrap_or(KEEPALIVE.count),
    };
    Ok((said.number("keepalives")? != Some(0)).then_some(keepalive))
}

fn tls(said: &Said<'_>, environment: &Environment) -> Result<TlsSettings, String> {
    let mode = said.one_of(
        "sslmode",
        &[
            ("disable", SslMode::Disable),
            ("allow", SslMode::Allow),
            ("prefer", SslMode::Prefer),
            ("require", SslMode::Require),
            ("verify-ca", SslMode::VerifyCa),
            ("verify-full", SslMode::VerifyFull),
        ],
    )?;
    let required = || said.get("requiressl").filter(|text| text.starts_with('1'));
    let mode = mode.or_else(|| required().map(|_| SslMode::Require));
    let of_system = said.get("sslrootcert") == Some("system");
    let mode = match mode {
        Some(mode) if of_system && mode < SslMode::VerifyFull => {
            return Err(
                "`sslrootcert=system` needs `sslmode=verify-full`: anybody has a certificate of the \
                        system's authorities"
                    .into(),
            );
        }
        Some(mode) => mode,
        None if of_system => SslMode::VerifyFull,
        None => SslMode::Prefer,
    };
    let negotiation = said
        .one_of(
            "sslnegotiation",
            &[
                ("postgres", SslNegotiation::Postgres),
                ("direct", SslNegotiation::Direct),
            ],
        )?
        .unwrap_or(SslNegotiation::Postgres);
    if negotiation == SslNegotiation::Direct && mode < SslMode::Require {
        return Err("`sslnegotiation=direct` needs `sslmode=require`, verify-ca or verify-full".into());
    }
    if said.get("sslcompression").is_some_and(|value| value != "0") {
        return Err("`sslcompression` can't be done: TLS compresses no more; leave it out".into());
    }
    if said.get("sslcrldir").is_some() {
        return Err("`sslcrldir` can't be done: name one file of all lists with `sslcrl`".into());
    }
    let certificate_mode = said.one_of(
        "sslcertmode",
        &[
            ("disable", Some(CertificateMode::Disable)),
            ("allow", Some(CertificateMode::Allow)),
            ("require", None),
        ],
    )?;
    let Some(certificate_mode) = certificate_mode.unwrap_or(Some(CertificateMode::Allow)) else {
        return Err(
            "`sslcertmode=require` can't be done: `clientcert` in the server's pg_hba.conf asks for one".into(),
        );
    };
    let file = |name: &str, of_home: &str| match said.get(name) {
        Some(path) => Some(FileChoice {
            path: environment.path(path),
            named: true,
        }),
        None => environment
            .of_home(of_home)
            .map(|path| FileChoice { path, named: false }),
    };
    let key = file("sslkey", ".postgresql/postgresql.key");
    if said.get("sslkey").is_some_and(|key| key.contains(':')) {
        return Err("`sslkey` can't be a key of an OpenSSL engine: name a file".into());
    }
    Ok(TlsSettings {
        mode,
        negotiation,
        roots: match of_system {
            true => Some(RootCertificates::System),
            false => file("sslrootcert", ".postgresql/root.crt").map(RootCertificates::File),
        },
        revoked: file("sslcrl", ".postgresql/root.crl"),
        certificate: file("sslcert", ".postgresql/postgresql.crt"),
        key,
        certificate_mode,
        server_name: said.one_of("sslsni", &[("0", false), ("1", true)])?.unwrap_or(true),
        versions: versions(said)?,
    })
}

/// Which of TLS 1.2 and 1.3 may be spoken; older ones are not.
fn versions(said: &Said<'_>) -> Result<(bool, bool), String> {
    let words = [("TLSv1", 0), ("TLSv1.1", 1), ("TLSv1.2", 2), ("TLSv1.3", 3)];
    let least = said.one_of("ssl_min_protocol_version", &words)?.unwrap_or(2);
    let most = said.one_of("ssl_max_protocol_version", &words)?.unwrap_or(3);
    if most < 2 {
        return Err("`ssl_max_protocol_version` is older than TLSv1.2, which is not safe, and not spoken".into());
    }
    if least > most {
        return Err("`ssl_max_protocol_version` is older than `ssl_min_protocol_version`".into());
    }
    Ok((least <= 2, most >= 3))
}
