//! TLS of a listener: our certificate, and with a client CA, theirs.
//!
//! A connection takes the configuration that is current when it begins, so that certificates can be replaced while the
//! service runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::protocol::Protocol;
use crate::config::TlsConfig;

/// Why TLS can not be offered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file can not be read, or has nothing in it that is needed.
    #[error("{} can not be read as {what} in PEM", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
        /// Why it is not there.
        source: pem::Error,
    },
    /// Certificate and key do not belong together, or are of a kind that is not supported.
    #[error("certificate and key can not be used")]
    Certificate(#[source] rustls::Error),
    /// A certificate in the client CA file can not be used.
    #[error("{} holds a CA certificate that can not be used", path.display())]
    ClientCa {
        /// The file.
        path: PathBuf,
        /// Why it can not be used.
        source: VerifierBuilderError,
    },
}

/// What a listener offers on every new connection.
#[derive(Debug)]
pub(crate) struct Tls {
    current: watch::Sender<Arc<ServerConfig>>,
}

impl Tls {
    /// Reads the files that `config` names.
    pub(crate) fn load(config: &TlsConfig, protocol: Protocol) -> Result<Self, TlsError> {
        server_config(config, protocol).map(|current| Self {
            current: watch::Sender::new(Arc::new(current)),
        })
    }

    /// What to offer on a connection that begins now.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.current.borrow()))
    }
}

fn server_config(config: &TlsConfig, protocol: Protocol) -> Result<ServerConfig, TlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let chain = certificates(&config.certificate_file, "certificates")?;
    let key = PrivateKeyDer::from_pem_file(&config.key_file).map_err(|source| TlsError::File {
        path: config.key_file.clone(),
        what: "a private key",
        source,
    })?;
    let clients = client_verifier(config.client_ca_file.as_deref(), &provider)?;
    let mut server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Certificate)?
        .with_client_cert_verifier(clients)
        .with_single_cert(chain, key)
        .map_err(TlsError::Certificate)?;
    server.alpn_protocols = match protocol {
        Protocol::Http1 => vec![b"http/1.1".to_vec()],
        Protocol::Http2 => vec![b"h2".to_vec()],
    };
    Ok(server)
}

/// With a CA, a client without a certificate of it is refused in the handshake.
fn client_verifier(
    ca_file: Option<&Path>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let Some(path) = ca_file else {
        return Ok(WebPkiClientVerifier::no_client_auth());
    };
    let unusable = |source| TlsError::ClientCa {
        path: path.to_owned(),
        source,
    };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path, "CA certificates")? {
        roots
            .add(certificate)
            .map_err(|_| unusable(VerifierBuilderError::NoRootAnchors))?;
    }
    WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(provider))
        .build()
        .map_err(unusable)
}

fn certificates(path: &Path, what: &'static str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |source| TlsError::File {
        path: path.to_owned(),
        what,
        source,
    };
    let found: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(failed)?;
    if found.is_empty() {
        Err(failed(pem::Error::NoItemsFound))
    } else {
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_that_holds_nothing_of_use_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let empty = directory.path().join("empty.pem");
        fs::write(&empty, "").unwrap();
        let absent = directory.path().join("absent.pem");
        for (file, certificate_file, key_file) in
            [(&empty, &empty, &empty), (&absent, &absent, &empty)]
        {
            let config = TlsConfig {
                certificate_file: certificate_file.clone(),
                key_file: key_file.clone(),
                client_ca_file: None,
            };
            let error = Tls::load(&config, Protocol::Http2).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("{} can not be read as certificates in PEM", file.display())
            );
        }
    }
}
