//! Connections: URL, TLS, and a session whose settings are ours.

use std::fmt;
use std::pin::Pin;
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Client, Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::{Error, Result};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// What a value looks like must not depend on the server's, the role's or the database's settings,
/// nor what it is read as (without `array_nulls`, `{NULL}` is a text of four letters).
const SESSION_SETTINGS: &str = "\
    SET timezone = 'UTC'; SET datestyle = 'ISO, YMD'; SET intervalstyle = 'postgres'; \
    SET extra_float_digits = 3; SET bytea_output = 'hex'; SET lc_monetary = 'C'; SET xmloption = 'content'; \
    SET client_encoding = 'UTF8'; SET standard_conforming_strings = on; SET search_path = ''; \
    SET array_nulls = on; SET quote_all_identifiers = off; \
    SET statement_timeout = 0; SET lock_timeout = 0; SET idle_in_transaction_session_timeout = 0; \
    SET row_security = off";

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
    client: Client,
    endpoint: Endpoint,
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
    pub async fn open(url: &str, application_name: &str) -> Result<Self> {
        let Target {
            config,
            verify,
            root_certificates,
        } = Target::parse(url, application_name)?;
        let endpoint = Endpoint::of(&config);
        let tls = tls_connector(verify, root_certificates.as_deref()).map_err(|reason| Error::Tls {
            endpoint: endpoint.clone(),
            reason,
        })?;
        let connect_error = |error: tokio_postgres::Error| {
            let reason = reason(&error);
            Error::Connect {
                hint: hint(&error, &reason, &endpoint),
                endpoint: endpoint.clone().into(),
                reason,
            }
        };
        let (client, connection): (Client, Driver) = if is_local(&config) {
            let (client, connection) = config.connect(NoTls).await.map_err(connect_error)?;
            (client, Box::pin(connection))
        } else {
            let (client, connection) = config.connect(tls).await.map_err(connect_error)?;
            (client, Box::pin(connection))
        };
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection ended"); // the query under way reports it
            }
        });
        client.batch_execute(SESSION_SETTINGS).await.map_err(connect_error)?;
        if let Err(error) = client.batch_execute(CLIENT_CHECK).await {
            tracing::debug!(%error, "the server does not watch for clients that are gone");
        }
        Ok(Self { client, endpoint })
    }

    /// Where the connection goes.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }
}

/// What keeps a client's connection going.
type Driver = Pin<Box<dyn Future<Output = Result<(), tokio_postgres::Error>> + Send>>;

/// Whether all hosts are sockets of this machine: they have no TLS, in libpq neither, and their paths
/// are no names for a certificate.
fn is_local(config: &Config) -> bool {
    #[cfg(unix)]
    return config.get_hosts().iter().all(|host| matches!(host, Host::Unix(_))) && config.get_hostaddrs().is_empty();
    #[cfg(not(unix))]
    return false;
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

fn hint(error: &tokio_postgres::Error, reason: &str, endpoint: &Endpoint) -> String {
    use tokio_postgres::error::SqlState;
    let advice = match error.code() {
        Some(&SqlState::INVALID_PASSWORD | &SqlState::INVALID_AUTHORIZATION_SPECIFICATION) => {
            "check the user and the password in the URL"
        }
        Some(&SqlState::INVALID_CATALOG_NAME) => "check the database's name in the URL",
        Some(&SqlState::TOO_MANY_CONNECTIONS) => "the server has no connection left: run with fewer --jobs",
        Some(_) => return String::new(),
        None if reason.contains("password missing") => "the server asks for a password, and the URL has none",
        None if reason.contains("TLS") => "the server has no TLS: leave `sslmode` out of the URL, or set it to prefer",
        None => {
            let Endpoint { host, port, .. } = endpoint;
            return format!("; is the server running, and can this machine reach {host}:{port}?");
        }
    };
    format!("; {advice}")
}

fn tls_connector(verify: bool, root_certificates: Option<&str>) -> std::result::Result<MakeRustlsConnect, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let config = if verify {
        builder
            .with_root_certificates(root_store(root_certificates)?)
            .with_no_client_auth()
    } else {
        builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
            .with_no_client_auth()
    };
    Ok(MakeRustlsConnect::new(config))
}

fn root_store(file: Option<&str>) -> std::result::Result<RootCertStore, String> {
    use rustls::pki_types::pem::PemObject as _;
    let mut roots = RootCertStore::empty();
    let certificates: Vec<CertificateDer<'static>> = match file {
        Some(file) if file != "system" => CertificateDer::pem_file_iter(file)
            .and_then(Iterator::collect)
            .map_err(|error| format!("cannot read the certificates in {file}: {error}"))?,
        _ => rustls_native_certs::load_native_certs().certs,
    };
    let (added, _) = roots.add_parsable_certificates(certificates);
    if added == 0 {
        return Err("no root certificate found: name a file with sslrootcert in the URL".into());
    }
    Ok(roots)
}

/// libpq's `require`: encryption without a look at who is at the other end.
#[derive(Debug)]
struct AnyCertificate(Arc<rustls::crypto::CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
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
