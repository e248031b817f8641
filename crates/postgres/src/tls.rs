//! From a socket to the stream that a connection runs on: TLS where `sslmode` asks for it, and the tap.

use std::io;
use std::pin::Pin;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_postgres::config::{SslMode, SslNegotiation};
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_postgres::{Config, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::tap::{Carrier, Tap, Tapped};

/// Asks whether the server speaks TLS; it answers with one byte ("Message Formats", SSLRequest).
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

type RustlsConnect = <MakeRustlsConnect as MakeTlsConnect<Socket>>::TlsConnect;
/// A session of TLS over a socket.
type Session = Box<dyn TlsStream + Send + Unpin>;

impl Carrier for Socket {}

#[cfg(unix)]
impl Carrier for tokio::net::UnixStream {}

impl Carrier for Session {
    fn channel_binding(&self) -> ChannelBinding {
        (**self).channel_binding()
    }
}

/// Makes of each socket a stream with a tap, over TLS where that is wanted.
///
/// The client library calls what it takes for its TLS on every socket if the configuration says that
/// TLS is required and not negotiated; the negotiation is done here.
pub(crate) struct Connector<T = MakeRustlsConnect> {
    /// For any host, or for the one at hand; none where `sslmode` is `disable`.
    tls: Option<T>,
    mode: SslMode,
    negotiation: SslNegotiation,
    tap: Tap,
}

impl Connector {
    /// A connector of the configuration's `sslmode`, and what the configuration has to say instead.
    ///
    /// # Errors
    /// Why the certificates can't be read.
    pub(crate) fn new(
        config: &mut Config,
        verify: bool,
        root_certificates: Option<&str>,
        tap: Tap,
    ) -> Result<Self, String> {
        let mode = config.get_ssl_mode();
        let negotiation = config.get_ssl_negotiation();
        config
            .ssl_mode(SslMode::Require)
            .ssl_negotiation(SslNegotiation::Direct);
        let tls = match mode {
            SslMode::Disable => None,
            _ => Some(tls_connector(verify, root_certificates)?),
        };
        Ok(Self {
            tls,
            mode,
            negotiation,
            tap,
        })
    }
}

impl MakeTlsConnect<Socket> for Connector {
    type Stream = Tapped;
    type TlsConnect = Connector<RustlsConnect>;
    type Error = <MakeRustlsConnect as MakeTlsConnect<Socket>>::Error;

    fn make_tls_connect(&mut self, host: &str) -> Result<Connector<RustlsConnect>, Self::Error> {
        let tls = self
            .tls
            .as_mut()
            .map(|tls| MakeTlsConnect::<Socket>::make_tls_connect(tls, host));
        Ok(Connector {
            tls: tls.transpose()?,
            mode: self.mode,
            negotiation: self.negotiation,
            tap: self.tap.clone(),
        })
    }
}

impl TlsConnect<Socket> for Connector<RustlsConnect> {
    type Stream = Tapped;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Tapped>> + Send>>;

    fn connect(self, socket: Socket) -> Self::Future {
        Box::pin(self.connect_to(socket))
    }
}

impl Connector<RustlsConnect> {
    async fn connect_to(self, mut socket: Socket) -> io::Result<Tapped> {
        let Some(tls) = self.tls else {
            return Ok(Tapped::new(socket, self.tap));
        };
        if self.negotiation == SslNegotiation::Postgres {
            socket.write_all(&SSL_REQUEST).await?;
            let answer = socket.read_u8().await?;
            if answer != b'S' {
                return match self.mode {
                    SslMode::Prefer => Ok(Tapped::new(socket, self.tap)),
                    _ => Err(io::Error::other("server does not support TLS")),
                };
            }
        }
        let session: Session = Box::new(tls.connect(socket).await?);
        Ok(Tapped::new(session, self.tap))
    }
}

fn tls_connector(verify: bool, root_certificates: Option<&str>) -> Result<MakeRustlsConnect, String> {
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

fn root_store(file: Option<&str>) -> Result<RootCertStore, String> {
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
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
