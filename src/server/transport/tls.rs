//! TLS of a listener: the server certificate, and client certificates if a client CA is configured.
//!
//! The files are read when the listener is bound and at each reload. Open connections keep their
//! session; new ones use the new files, and cannot resume a session of the former ones. So whoever
//! trusts a name in the certificate of an open connection verifies it again ([`ClientAuthority`]).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{self, CertificateDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use sha2::{Digest as _, Sha256};
use tokio_rustls::TlsAcceptor;
use x509_parser::parse_x509_certificate;

use super::protocol::Protocol;
use crate::clock::UnixTime;
use crate::config::TlsConfig;
use crate::trusted_file::{self, FileKind, TrustError};

/// An error in the certificates of a listener.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read, or others could change it or read the key.
    #[error(transparent)]
    Untrusted(#[from] TrustError),
    /// A file lacks the expected content.
    #[error("{} cannot be read as {what} in PEM", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The expected content.
        what: &'static str,
        /// The error of the reader.
        source: pem::Error,
    },
    /// Certificate and key do not match, or their type is not supported.
    #[error("the certificate and the key cannot be used")]
    Certificate(#[source] rustls::Error),
    /// The client CA file has an unusable certificate.
    #[error("{} has a CA certificate that cannot be used", path.display())]
    ClientCa {
        /// The file.
        path: PathBuf,
        /// The error of the certificate.
        source: VerifierBuilderError,
    },
}

/// The TLS of a listener for new connections. Clones share it.
#[derive(Clone, Debug)]
pub(in crate::server) struct ListenerTls(Arc<ArcSwap<LoadedTls>>);

/// The content of the files of a listener.
#[derive(Debug)]
pub(in crate::server) struct LoadedTls {
    server: Arc<ServerConfig>,
    expires_at: Option<UnixTime>,
    clients: Option<ClientAuthority>,
}

/// The authority that verifies client certificates. Two are equal if their CA certificates are.
#[derive(Clone, Debug)]
pub(in crate::server) struct ClientAuthority {
    verifier: Arc<dyn ClientCertVerifier>,
    /// A hash of the CA certificates.
    hash: [u8; 32],
}

// === impl ListenerTls ===

impl ListenerTls {
    pub(super) fn new(loaded: LoadedTls) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(loaded)))
    }

    /// Uses `loaded` for connections from now on.
    pub(in crate::server) fn replace(&self, loaded: LoadedTls) {
        self.0.store(Arc::new(loaded));
    }

    /// Returns the time at which the first certificate of the file expires.
    pub(in crate::server) fn expires_at(&self) -> Option<UnixTime> {
        self.0.load().expires_at
    }

    /// Returns the authority of client certificates, if there is one.
    pub(super) fn clients(&self) -> Option<ClientAuthority> {
        self.0.load().clients.clone()
    }

    /// Returns the acceptor for a connection that starts now.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.0.load().server))
    }
}

// === impl LoadedTls ===

impl LoadedTls {
    /// Reads the files of `config`.
    pub(in crate::server) fn load(
        config: &TlsConfig,
        protocol: Protocol,
    ) -> Result<Self, TlsError> {
        let chain = certificates(&config.certificate_file, "certificates")?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let clients = config.client_ca_file.as_deref();
        let clients = clients
            .map(|path| ClientAuthority::load(path, &provider))
            .transpose()?;
        let verifier = clients
            .as_ref()
            .map_or_else(WebPkiClientVerifier::no_client_auth, |clients| {
                Arc::clone(&clients.verifier)
            });
        let server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Certificate)?
            .with_client_cert_verifier(verifier);
        let expires_at = chain.iter().filter_map(expiry).min();
        let mut server = server
            .with_single_cert(chain, private_key(&config.key_file)?)
            .map_err(TlsError::Certificate)?;
        server.alpn_protocols = vec![alpn(protocol).to_vec()];
        Ok(Self {
            server: Arc::new(server),
            expires_at,
            clients,
        })
    }

    /// Returns the authority of client certificates, if there is one.
    pub(in crate::server) const fn clients(&self) -> Option<&ClientAuthority> {
        self.clients.as_ref()
    }
}

// === impl ClientAuthority ===

impl ClientAuthority {
    /// Reads the CA certificates. The handshake refuses clients without a certificate of them.
    fn load(path: &Path, provider: &Arc<CryptoProvider>) -> Result<Self, TlsError> {
        let unusable = |source| TlsError::ClientCa {
            path: path.to_owned(),
            source,
        };
        let (mut roots, mut hash) = (RootCertStore::empty(), Sha256::new());
        for certificate in certificates(path, "CA certificates")? {
            hash.update(&certificate);
            roots
                .add(certificate)
                .map_err(|_| unusable(VerifierBuilderError::NoRootAnchors))?;
        }
        let verifier =
            WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(provider))
                .build()
                .map_err(unusable)?;
        Ok(Self {
            verifier,
            hash: hash.finalize().into(),
        })
    }

    /// Returns true if the first certificate is valid now, as in a handshake. The others lead from it
    /// to a CA.
    pub(in crate::server) fn verifies(&self, chain: &[CertificateDer<'_>]) -> bool {
        let now = pki_types::UnixTime::now();
        chain.split_first().is_some_and(|(first, others)| {
            let verified = self.verifier.verify_client_cert(first, others, now);
            verified.is_ok()
        })
    }
}

impl PartialEq for ClientAuthority {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash
    }
}

/// Returns the end of a certificate's validity.
fn expiry(certificate: &CertificateDer<'_>) -> Option<UnixTime> {
    let (_, certificate) = parse_x509_certificate(certificate).ok()?;
    let end = certificate.validity().not_after.timestamp();
    Some(UnixTime::from_secs(end.try_into().unwrap_or(0)))
}

const fn alpn(protocol: Protocol) -> &'static [u8] {
    match protocol {
        Protocol::Http1 => b"http/1.1",
        Protocol::Http2 => b"h2",
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let pem = trusted_file::read(path, FileKind::Secret, MAX_FILE_LEN)?;
    PrivateKeyDer::from_pem_slice(&pem).map_err(|source| file_error(path, "a private key", source))
}

fn certificates(path: &Path, what: &'static str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = trusted_file::read(path, FileKind::Certificate, MAX_FILE_LEN)?;
    let found: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|source| file_error(path, what, source))?;
    if found.is_empty() {
        Err(file_error(path, what, pem::Error::NoItemsFound))
    } else {
        Ok(found)
    }
}

fn file_error(path: &Path, what: &'static str, source: pem::Error) -> TlsError {
    TlsError::File {
        path: path.to_owned(),
        what,
        source,
    }
}

/// More than the certificates of a system take.
const MAX_FILE_LEN: u64 = 4 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    #[test]
    fn the_expiry_is_that_of_the_certificate_that_expires_first() {
        let directory = tempfile::tempdir().unwrap();
        let [chain, key] = ["chain.pem", "key.pem"].map(|name| directory.path().join(name));
        let pair = KeyPair::generate().unwrap();
        let until = |year| {
            let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
            params.not_after = date_time_ymd(year, 1, 1);
            params.self_signed(&pair).unwrap().pem()
        };
        fs::write(&chain, until(2040) + &until(2030)).unwrap();
        fs::write(&key, pair.serialize_pem()).unwrap();
        fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
        let config = TlsConfig {
            certificate_file: chain,
            key_file: key,
            client_ca_file: None,
        };
        let loaded = LoadedTls::load(&config, Protocol::Http2).unwrap();
        let first_of_2030 = UnixTime::from_secs(1_893_456_000);
        assert_eq!(ListenerTls::new(loaded).expires_at(), Some(first_of_2030));
    }

    #[test]
    fn an_error_names_the_file_without_certificates() {
        let directory = tempfile::tempdir().unwrap();
        let empty = directory.path().join("empty.pem");
        fs::write(&empty, "").unwrap();
        let absent = directory.path().join("absent.pem");
        for (file, certificate_file, key_file, problem) in [
            (
                &empty,
                &empty,
                &empty,
                "cannot be read as certificates in PEM",
            ),
            (&absent, &absent, &empty, "No such file or directory"),
        ] {
            let config = TlsConfig {
                certificate_file: certificate_file.clone(),
                key_file: key_file.clone(),
                client_ca_file: None,
            };
            let error = LoadedTls::load(&config, Protocol::Http2).unwrap_err();
            let said = error.to_string();
            let names_it = said.contains(&file.display().to_string());
            assert!(names_it && said.contains(problem), "{said}");
        }
    }
}
