//! Whether a server's certificate is believed, as libpq and OpenSSL see it.
//!
//! rustls has the strict view of the web: certificates of X.509 version 1, which PostgreSQL's own manual
//! makes, authorities' certificates in use by a server, and names in the subject are none to it. Its
//! verifier is asked first; what it refuses for one of these alone is looked at here.

use std::net::IpAddr;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{
    CertificateDer, ServerName, SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer, UnixTime,
};
use rustls::{CertificateError, DigitallySignedStruct, OtherError, SignatureScheme};
use webpki::RawPublicKeyEntity;
use x509_cert::Certificate;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{Decode as _, Encode as _};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAltName};

/// Authorities between a server's certificate and one that is believed.
const INTERMEDIATES_MAX: usize = 6;

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const SERVER_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");
const ANY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37.0");
/// Constraints, usage, extended usage, other names.
const UNDERSTOOD: &[&str] = &["2.5.29.19", "2.5.29.15", "2.5.29.37", "2.5.29.17"];

/// Why a server's certificate is not believed.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Untrusted {
    #[error("the server's certificate is signed by none of {0}")]
    Issuer(String),
    #[error("the server's certificate is not believed by {0}: {1}")]
    Chain(String, String),
    #[error("the server's certificate is for {}, not for {host:?}", if names.is_empty() { "no name".into() } else { names.join(", ") })]
    Name { host: String, names: Vec<String> },
}

impl Untrusted {
    pub(crate) fn hint(&self) -> &'static str {
        match self {
            Self::Issuer(_) => "; is it the right server? then name the certificate of its authority with sslrootcert",
            Self::Chain(..) => "; the server needs another certificate",
            Self::Name { .. } => "; connect by a name that the certificate has",
        }
    }
}

impl From<Untrusted> for rustls::Error {
    fn from(untrusted: Untrusted) -> Self {
        Self::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(untrusted))))
    }
}

/// Whose certificates are believed.
#[derive(Debug)]
pub(crate) struct Trust {
    /// For messages.
    pub(crate) named: String,
    pub(crate) certificates: Vec<CertificateDer<'static>>,
    pub(crate) chain: Arc<WebPkiServerVerifier>,
    /// There are lists of what is not believed any more.
    pub(crate) revocable: bool,
}

/// Looks at a server's certificate.
#[derive(Debug)]
pub(crate) struct Verifier {
    /// libpq's `require` without a file of authorities: encryption, whoever is at the other end.
    pub(crate) trust: Option<Trust>,
    /// The name that it must be for.
    pub(crate) host_name: Option<String>,
    pub(crate) algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        server: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(trust) = &self.trust else {
            return Ok(ServerCertVerified::assertion());
        };
        let strict = trust
            .chain
            .verify_server_cert(server, intermediates, name, ocsp_response, now);
        if let Err(error) = strict
            && !is_name(&error)
        {
            let looked_at = match is_old(&error) {
                true => self.verify_old(trust, server, intermediates, now),
                false => Err(reason(&error)),
            };
            looked_at.map_err(|reason| match reason {
                Reason::Issuer => Untrusted::Issuer(trust.named.clone()),
                Reason::Other(text) => Untrusted::Chain(trust.named.clone(), text),
            })?;
        }
        if let Some(host) = &self.host_name {
            let parsed = Certificate::from_der(server).map_err(|_| CertificateError::BadEncoding)?;
            let (fits, names) = names_fit(&parsed, host);
            if !fits {
                let host = host.clone();
                return Err(Untrusted::Name { host, names }.into());
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let key = public_key(certificate)?;
        let key = RawPublicKeyEntity::try_from(&key).map_err(|_| CertificateError::BadEncoding)?;
        let of_scheme = self
            .algorithms
            .mapping
            .iter()
            .find(|(scheme, _)| *scheme == signed.scheme);
        let algorithms = of_scheme.map(|(_, algorithms)| *algorithms).unwrap_or_default();
        let verified = |algorithm: &&dyn SignatureVerificationAlgorithm| {
            key.verify_signature(*algorithm, message, signed.signature()).is_ok()
        };
        match algorithms.iter().any(verified) {
            true => Ok(HandshakeSignatureValid::assertion()),
            false => Err(CertificateError::BadSignature.into()),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature_with_raw_key(message, &public_key(certificate)?, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

enum Reason {
    Issuer,
    Other(String),
}

impl Verifier {
    /// From a certificate that rustls refuses for its kind up to one that is believed.
    fn verify_old(
        &self,
        trust: &Trust,
        server: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Reason> {
        let other = |text: &str| Reason::Other(text.into());
        if trust.revocable {
            return Err(other(
                "whether it is revoked can't be told of a certificate of its kind (see sslcrl)",
            ));
        }
        let parse = |der: &CertificateDer<'_>| Certificate::from_der(der).ok();
        let mut current = parse(server).ok_or_else(|| other("it can't be read"))?;
        is_valid(&current, now)?;
        let usage = current.tbs_certificate.get::<ExtendedKeyUsage>().ok().flatten();
        if usage.is_some_and(|(_, usage)| !usage.0.iter().any(|usage| [SERVER_AUTH, ANY_USAGE].contains(usage))) {
            return Err(other("it is not for servers"));
        }
        let is_self_signed = current.tbs_certificate.subject == current.tbs_certificate.issuer;
        if is_self_signed && trust.certificates.iter().any(|root| root.as_ref() == server.as_ref()) {
            return Ok(());
        }
        let roots: Vec<Certificate> = trust.certificates.iter().filter_map(parse).collect();
        let mut between: Vec<Certificate> = intermediates.iter().take(INTERMEDIATES_MAX).filter_map(parse).collect();
        for depth in 0..=INTERMEDIATES_MAX {
            if let Some(root) = roots.iter().find(|root| self.is_signed_by(&current, root)) {
                return is_valid(root, now);
            }
            let next = between.iter().position(|issuer| {
                is_authority(issuer, depth) && is_valid(issuer, now).is_ok() && self.is_signed_by(&current, issuer)
            });
            match next {
                Some(next) => current = between.swap_remove(next),
                None => break,
            }
        }
        Err(Reason::Issuer)
    }

    fn is_signed_by(&self, certificate: &Certificate, issuer: &Certificate) -> bool {
        if certificate.tbs_certificate.issuer != issuer.tbs_certificate.subject {
            return false;
        }
        let signed = certificate.tbs_certificate.to_der();
        let algorithm_id = certificate.signature_algorithm.to_der();
        let (Ok(signed), Ok(algorithm_id), Ok(key)) = (signed, algorithm_id, key_of(issuer)) else {
            return false;
        };
        let Ok(key) = RawPublicKeyEntity::try_from(&key) else {
            return false;
        };
        let signature = certificate.signature.raw_bytes();
        // What follows the header of the sequence, two bytes long.
        let of_algorithm = self.algorithms.all.iter();
        let mut of_algorithm = of_algorithm.filter(|a| algorithm_id.get(2..) == Some(a.signature_alg_id().as_ref()));
        of_algorithm.any(|algorithm| key.verify_signature(*algorithm, &signed, signature).is_ok())
    }
}

/// Whether rustls believes the certificate, and misses the host's name in it.
fn is_name(error: &rustls::Error) -> bool {
    use CertificateError::{NotValidForName, NotValidForNameContext};
    matches!(
        error,
        rustls::Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. })
    )
}

/// Whether rustls refuses the certificate for its kind.
fn is_old(error: &rustls::Error) -> bool {
    let rustls::Error::InvalidCertificate(CertificateError::Other(other)) = error else {
        return false;
    };
    matches!(
        other.0.downcast_ref(),
        Some(webpki::Error::UnsupportedCertVersion | webpki::Error::CaUsedAsEndEntity)
    )
}

fn reason(error: &rustls::Error) -> Reason {
    use CertificateError as E;
    let rustls::Error::InvalidCertificate(error) = error else {
        return Reason::Other(error.to_string());
    };
    Reason::Other(match error {
        E::UnknownIssuer => return Reason::Issuer,
        E::Expired | E::ExpiredContext { .. } => "it has expired".into(),
        E::NotValidYet | E::NotValidYetContext { .. } => "it is not valid yet".into(),
        E::Revoked => "it is revoked".into(),
        E::UnknownRevocationStatus => "no list of `sslcrl` is of the authority that signed it".into(),
        E::InvalidPurpose | E::InvalidPurposeContext { .. } => "it is not for servers".into(),
        error => error.to_string(),
    })
}

fn is_valid(certificate: &Certificate, now: UnixTime) -> Result<(), Reason> {
    let validity = &certificate.tbs_certificate.validity;
    if now.as_secs() < validity.not_before.to_unix_duration().as_secs() {
        return Err(Reason::Other("it is not valid yet".into()));
    }
    if now.as_secs() > validity.not_after.to_unix_duration().as_secs() {
        return Err(Reason::Other("it has expired".into()));
    }
    Ok(())
}

/// Whether a certificate may sign others, with so many authorities below it.
fn is_authority(certificate: &Certificate, depth: usize) -> bool {
    let certificate = &certificate.tbs_certificate;
    let constraints = certificate.get::<BasicConstraints>().ok().flatten();
    let may = constraints.is_some_and(|(_, constraints)| {
        let below_max = constraints.path_len_constraint.map_or(usize::MAX, usize::from);
        constraints.ca && depth <= below_max
    });
    let usage = certificate.get::<KeyUsage>().ok().flatten();
    let extensions = certificate.extensions.as_deref().unwrap_or_default();
    may && usage.is_none_or(|(_, usage)| usage.key_cert_sign())
        && extensions
            .iter()
            .all(|extension| !extension.critical || UNDERSTOOD.contains(&&*extension.extn_id.to_string()))
}

fn key_of(certificate: &Certificate) -> x509_cert::der::Result<SubjectPublicKeyInfoDer<'static>> {
    certificate
        .tbs_certificate
        .subject_public_key_info
        .to_der()
        .map(Into::into)
}

/// A certificate's public key, as it is there.
pub(crate) fn public_key(certificate: &CertificateDer<'_>) -> Result<SubjectPublicKeyInfoDer<'static>, rustls::Error> {
    let parsed = Certificate::from_der(certificate).and_then(|certificate| key_of(&certificate));
    parsed.map_err(|_| CertificateError::BadEncoding.into())
}

/// Whether a certificate is for a host, and the names that it is for. As libpq has it, the subject's
/// name counts where no other name of the host's kind is there.
fn names_fit(certificate: &Certificate, host: &str) -> (bool, Vec<String>) {
    let certificate = &certificate.tbs_certificate;
    let ip = host.parse::<IpAddr>().ok();
    let (mut fits, mut names, mut subject_counts) = (false, Vec::new(), true);
    let others = certificate.get::<SubjectAltName>().ok().flatten();
    for name in others.iter().flat_map(|(_, names)| &names.0) {
        match name {
            GeneralName::DnsName(name) => {
                subject_counts &= ip.is_some();
                fits |= is_named(name.as_str(), host);
                names.push(name.to_string());
            }
            GeneralName::IpAddress(bytes) => {
                let bytes = bytes.as_bytes();
                let address = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
                let address = address.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from));
                let Ok(address) = address else { continue };
                subject_counts &= ip.is_none();
                fits |= ip == Some(address);
                names.push(address.to_string());
            }
            _ => {}
        }
    }
    if subject_counts {
        let attributes = certificate.subject.0.iter().flat_map(|name| name.0.iter());
        for name in attributes.filter(|attribute| attribute.oid == COMMON_NAME) {
            let Ok(name) = std::str::from_utf8(name.value.value()) else {
                continue;
            };
            fits |= is_named(name, host);
            names.push(name.into());
        }
    }
    (fits, names)
}

/// Whether a certificate's name is the host's; a star stands for one label at the beginning.
fn is_named(name: &str, host: &str) -> bool {
    if name.eq_ignore_ascii_case(host) {
        return true;
    }
    match (name.strip_prefix('*'), host.split_once('.')) {
        (Some(rest), Some((label, _))) if rest.starts_with('.') && !label.is_empty() => {
            rest.eq_ignore_ascii_case(&host[label.len()..])
        }
        _ => false,
    }
}

/// What ties a proof of the password to the TLS session (RFC 5929, tls-server-end-point): a digest of the
/// certificate, by the hash function of its signature.
pub(crate) fn binding_digest(certificate: &CertificateDer<'_>) -> Option<Vec<u8>> {
    use ring::digest::{SHA256, SHA384, SHA512, digest};
    let parsed = Certificate::from_der(certificate).ok()?;
    let algorithm = match &*parsed.signature_algorithm.oid.to_string() {
        // RSA and ECDSA with SHA-1 (which the RFC takes for SHA-256) and SHA-256, …
        "1.2.840.113549.1.1.5" | "1.2.840.10045.4.1" | "1.2.840.113549.1.1.11" | "1.2.840.10045.4.3.2" => &SHA256,
        // … SHA-384, …
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" => &SHA384,
        // … SHA-512.
        "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" => &SHA512,
        _ => return None,
    };
    Some(digest(algorithm, certificate).as_ref().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_one_label() {
        assert!(is_named("db.Example.org", "DB.example.org"));
        assert!(is_named("*.example.org", "db.example.org"));
        for (name, host) in [
            ("*.example.org", "a.b.example.org"),
            ("*.example.org", "example.org"),
            ("*.example.org", ".example.org"),
            ("*", "localhost"),
            ("d*.example.org", "db.example.org"),
            ("db.example.org", "db.example.com"),
        ] {
            assert!(!is_named(name, host), "{name} {host}");
        }
    }
}
