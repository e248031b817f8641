//! From a socket to TLS over it: what is asked of the server, and with which certificates.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{CertificateError, ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_postgres::tls::ChannelBinding;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::certificate::{Trust, Untrusted, Verifier, binding_digest, public_key};
use crate::libpq::{CertificateMode, FileChoice, Host, RootCertificates, SslMode, SslNegotiation, TlsSettings};
use crate::tap::Carrier;

/// Asks whether the server speaks TLS; it answers with one byte ("Message Formats", SSLRequest).
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
/// The protocol's name, without which a server takes no TLS that was not asked for.
const ALPN: &[u8] = b"postgresql";

/// Why there is no TLS, and what helps.
#[derive(Debug)]
pub(crate) struct TlsFailure {
    pub(crate) reason: String,
    pub(crate) hint: &'static str,
}

impl TlsFailure {
    fn new(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            hint: "",
        }
    }
}

impl Carrier for TcpStream {}

#[cfg(unix)]
impl Carrier for tokio::net::UnixStream {}

impl Carrier for TlsStream<TcpStream> {
    fn channel_binding(&self) -> ChannelBinding {
        let certificates = self.get_ref().1.peer_certificates().unwrap_or_default();
        let digest = certificates.first().and_then(binding_digest);
        digest.map_or_else(ChannelBinding::none, ChannelBinding::tls_server_end_point)
    }
}

/// The server's answer to whether it speaks TLS.
pub(crate) async fn is_spoken(socket: &mut TcpStream) -> io::Result<bool> {
    socket.write_all(&SSL_REQUEST).await?;
    match socket.read_u8().await? {
        b'S' => Ok(true),
        b'N' => Ok(false),
        b'E' => Err(io::Error::other(
            "the server answered the question for TLS with an error: see its log",
        )),
        _ => Err(io::Error::other("what answers is no PostgreSQL server")),
    }
}

/// Begins TLS on a socket whose server is ready for it.
pub(crate) async fn begin(
    socket: TcpStream,
    host: &Host,
    settings: &TlsSettings,
) -> Result<TlsStream<TcpStream>, TlsFailure> {
    let config = client_config(host, settings)?;
    // Names that no certificate and no SNI can have; their check is ours, and told the name itself.
    let name = ServerName::try_from(host.name.clone())
        .unwrap_or_else(|_| ServerName::IpAddress(IpAddr::V4(Ipv4Addr::UNSPECIFIED).into()));
    let session = TlsConnector::from(Arc::new(config)).connect(name, socket).await;
    let session = session.map_err(|error| failure_of(&error))?;
    let direct = settings.negotiation == SslNegotiation::Direct;
    if direct && session.get_ref().1.alpn_protocol() != Some(ALPN) {
        return Err(TlsFailure {
            reason: "the server did not agree on the protocol (ALPN)".into(),
            hint: "; `sslnegotiation=direct` needs PostgreSQL 17 or later",
        });
    }
    Ok(session)
}

fn failure_of(error: &io::Error) -> TlsFailure {
    let cause = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match cause {
        Some(rustls::Error::InvalidCertificate(CertificateError::Other(other))) => {
            match other.0.downcast_ref::<Untrusted>() {
                Some(untrusted) => TlsFailure {
                    reason: untrusted.to_string(),
                    hint: untrusted.hint(),
                },
                None => TlsFailure::new(error.to_string()),
            }
        }
        Some(rustls::Error::AlertReceived(alert)) => TlsFailure {
            reason: format!("the server ended the TLS handshake: {alert:?}"),
            hint: "; the server's log says why",
        },
        Some(rustls::Error::PeerIncompatible(reason)) => TlsFailure {
            reason: format!("the server and lake have no TLS in common: {reason:?}"),
            hint: "; TLS 1.2 and 1.3 are spoken, with the ciphers that are thought safe",
        },
        _ if error.kind() == io::ErrorKind::UnexpectedEof => {
            TlsFailure::new("the server closed the connection during the TLS handshake")
        }
        _ => TlsFailure::new(error.to_string()),
    }
}

fn client_config(host: &Host, settings: &TlsSettings) -> Result<ClientConfig, TlsFailure> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut versions = Vec::new();
    if settings.versions.0 {
        versions.push(&rustls::version::TLS12);
    }
    if settings.versions.1 {
        versions.push(&rustls::version::TLS13);
    }
    let verifier = Verifier {
        trust: trust(settings, &provider)?,
        host_name: (settings.mode == SslMode::VerifyFull).then(|| host.name.clone()),
        algorithms: provider.signature_verification_algorithms,
    };
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&versions)
        .map_err(|error| TlsFailure::new(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match client_certificate(settings, &provider)? {
        // Put together here: rustls' own way refuses certificates of X.509 version 1.
        Some(key) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key))),
        None => builder.with_no_client_auth(),
    };
    config.enable_sni = settings.server_name;
    if settings.negotiation == SslNegotiation::Direct {
        config.alpn_protocols = vec![ALPN.to_vec()];
    }
    Ok(config)
}

/// Whom to believe: as in libpq, a file of authorities that is there is used whatever the mode.
fn trust(settings: &TlsSettings, provider: &Arc<rustls::crypto::CryptoProvider>) -> Result<Option<Trust>, TlsFailure> {
    let (named, certificates) = match &settings.roots {
        Some(RootCertificates::System) => of_system()?,
        Some(RootCertificates::File(file)) if is_there(file, "sslrootcert")? => (
            file.path.display().to_string(),
            certificates(&file.path, "sslrootcert")?,
        ),
        // The system's authorities certify anybody, but nobody for another's name.
        _ if settings.mode == SslMode::VerifyFull => of_system()?,
        _ if settings.mode == SslMode::VerifyCa => {
            return Err(TlsFailure {
                reason: "`sslmode=verify-ca` has no authority to verify with".into(),
                hint: "; name its certificate's file with sslrootcert, or put it into ~/.postgresql/root.crt",
            });
        }
        _ => return Ok(None),
    };
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(certificates.iter().cloned());
    if added == 0 {
        return Err(TlsFailure::new(format!(
            "there is no certificate of an authority in {named}"
        )));
    }
    let lists = match &settings.revoked {
        Some(file) if is_there(file, "sslcrl")? => CertificateRevocationListDer::pem_file_iter(&file.path)
            .and_then(Iterator::collect)
            .map_err(|error| unreadable("the revocation lists", &file.path, "sslcrl", &error))?,
        _ => Vec::new(),
    };
    let revocable = !lists.is_empty();
    let chain = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .with_crls(lists)
        .build()
        .map_err(|error| TlsFailure::new(format!("the revocation lists of `sslcrl` can't be used: {error}")))?;
    Ok(Some(Trust {
        named,
        certificates,
        chain,
        revocable,
    }))
}

fn of_system() -> Result<(String, Vec<CertificateDer<'static>>), TlsFailure> {
    let certificates = rustls_native_certs::load_native_certs().certs;
    if certificates.is_empty() {
        return Err(TlsFailure {
            reason: "the system has no certificates of authorities".into(),
            hint: "; install them (the package ca-certificates), or name a file with sslrootcert",
        });
    }
    Ok(("the system's authorities".into(), certificates))
}

/// A file of the user's folder need not be there, one that is named must.
fn is_there(file: &FileChoice, parameter: &str) -> Result<bool, TlsFailure> {
    if file.path.exists() {
        return Ok(true);
    }
    if file.named {
        let path = file.path.display();
        return Err(TlsFailure::new(format!(
            "there is no file {path}, which `{parameter}` names"
        )));
    }
    Ok(false)
}

fn certificates(path: &Path, parameter: &str) -> Result<Vec<CertificateDer<'static>>, TlsFailure> {
    CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| unreadable("the certificates", path, parameter, &error))
}

fn unreadable(what: &str, path: &Path, parameter: &str, error: &dyn std::error::Error) -> TlsFailure {
    TlsFailure::new(format!(
        "{what} of `{parameter}` in {} can't be read: {error}",
        path.display()
    ))
}

/// What proves to the server who we are, if there is such a thing.
fn client_certificate(
    settings: &TlsSettings,
    provider: &rustls::crypto::CryptoProvider,
) -> Result<Option<CertifiedKey>, TlsFailure> {
    let Some(file) = &settings.certificate else {
        return Ok(None);
    };
    if settings.certificate_mode == CertificateMode::Disable || !is_there(file, "sslcert")? {
        return Ok(None);
    }
    let chain = certificates(&file.path, "sslcert")?;
    let no_key = |path: &Path| TlsFailure {
        reason: format!(
            "there is a certificate, {}, and no key, {}",
            file.path.display(),
            path.display()
        ),
        hint: "; name the key's file with sslkey",
    };
    let Some(key) = &settings.key else {
        return Err(no_key(Path::new("~/.postgresql/postgresql.key")));
    };
    let Ok(metadata) = fs::metadata(&key.path) else {
        return Err(no_key(&key.path));
    };
    if !metadata.is_file() {
        return Err(TlsFailure::new(format!("the key {} is no file", key.path.display())));
    }
    only_ours(&key.path, &metadata)?;
    let text = fs::read(&key.path).map_err(|error| unreadable("the key", &key.path, "sslkey", &error))?;
    let key_of = if text.first() == Some(&0x30) {
        PrivateKeyDer::try_from(text).map_err(ToOwned::to_owned)
    } else if String::from_utf8_lossy(&text).contains("ENCRYPTED") {
        return Err(TlsFailure {
            reason: format!(
                "the key {} is encrypted, and `sslpassword` can't be done",
                key.path.display()
            ),
            hint: "; `openssl pkey -in KEY -out PLAIN` decrypts it; keep PLAIN to yourself (`chmod 600 PLAIN`)",
        });
    } else {
        PrivateKeyDer::from_pem_slice(&text).map_err(|error| error.to_string())
    };
    let in_file = |reason: String| {
        TlsFailure::new(format!(
            "the key of `sslkey` in {} can't be read: {reason}",
            key.path.display()
        ))
    };
    let signing = provider.key_provider.load_private_key(key_of.map_err(in_file)?);
    let signing = signing.map_err(|error| in_file(error.to_string()))?;
    let of_certificate = chain.first().and_then(|certificate| public_key(certificate).ok());
    if signing.public_key() != of_certificate {
        let file = file.path.display();
        return Err(in_file(format!("it is not the one of the certificate in {file}")));
    }
    Ok(Some(CertifiedKey::new(chain, signing)))
}

/// libpq's rule: nobody else reads a key, but a group one of root's.
#[cfg(unix)]
fn only_ours(path: &Path, metadata: &fs::Metadata) -> Result<(), TlsFailure> {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    let forbidden = if metadata.uid() == 0 { 0o037 } else { 0o077 };
    if metadata.permissions().mode() & forbidden != 0 {
        let path = path.display();
        return Err(TlsFailure::new(format!(
            "others can read the key {path}, run `chmod 600 {path}`"
        )));
    }
    Ok(())
}

#[cfg(not(unix))]
fn only_ours(_: &Path, _: &fs::Metadata) -> Result<(), TlsFailure> {
    Ok(())
}
