//! The peer of a connection: its address for the log, and the names in its client certificate.

use std::net::SocketAddr;
use std::sync::Arc;

use http::Extensions;
use rustls::pki_types::CertificateDer;
use tonic::transport::server::{TcpConnectInfo, TlsConnectInfo, UdsConnectInfo};
use webpki::EndEntityCert;

/// Returns the address of the caller; a Unix socket has none.
pub(in crate::server) fn address(extensions: &Extensions) -> Option<SocketAddr> {
    let encrypted = || {
        extensions
            .get::<TlsConnectInfo<TcpConnectInfo>>()
            .map(TlsConnectInfo::get_ref)
    };
    extensions
        .get::<TcpConnectInfo>()
        .or_else(encrypted)?
        .remote_addr()
}

/// Returns the client certificate of a connection and the CA certificates that came with it; empty
/// without one.
///
/// The handshake verified it against the `client_ca_file` of that time.
pub(super) fn certificate_chain(extensions: &Extensions) -> Arc<Vec<CertificateDer<'static>>> {
    let tcp = || {
        extensions
            .get::<TlsConnectInfo<TcpConnectInfo>>()
            .and_then(TlsConnectInfo::peer_certs)
    };
    let unix = || {
        extensions
            .get::<TlsConnectInfo<UdsConnectInfo>>()
            .and_then(TlsConnectInfo::peer_certs)
    };
    tcp().or_else(unix).unwrap_or_default()
}

/// Returns the DNS names and URIs in the subjectAltName of the certificate that a chain begins with.
/// The subject does not count, because not every CA checks it.
pub(super) fn names(chain: &[CertificateDer<'_>]) -> Vec<CertificateName> {
    let certificate = chain.first().map(EndEntityCert::try_from);
    let Some(Ok(certificate)) = certificate else {
        return Vec::new();
    };
    let dns = certificate
        .valid_dns_names()
        .map(|name| CertificateName::Dns(name.into()));
    let uris = certificate
        .valid_uri_names()
        .map(|name| CertificateName::Uri(name.into()));
    dns.chain(uris).collect()
}

/// A name in a client certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CertificateName {
    /// A DNS name, compared in any case.
    Dns(Box<str>),
    /// A URI, for example a SPIFFE id.
    Uri(Box<str>),
}

impl CertificateName {
    /// Returns true if the name equals the configured one.
    ///
    /// A configured name with a colon is a URI, because no DNS name has one. So a URI cannot pass
    /// for a DNS name.
    pub(super) fn is(&self, configured: &str) -> bool {
        match self {
            Self::Dns(name) => !configured.contains(':') && name.eq_ignore_ascii_case(configured),
            Self::Uri(name) => configured.contains(':') && **name == *configured,
        }
    }

    /// Returns the name as text.
    pub(super) fn into_text(self) -> Box<str> {
        let (Self::Dns(text) | Self::Uri(text)) = self;
        text
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    #[test]
    fn a_certificate_has_the_names_of_its_subject_alt_name() {
        let mut params =
            CertificateParams::new(vec!["ops.example.com".to_owned(), "192.0.2.1".to_owned()])
                .unwrap();
        params
            .distinguished_name
            .push(DnType::CommonName, "admin.example.com");
        params
            .subject_alt_names
            .push(SanType::URI(SPIFFE.try_into().unwrap()));
        params
            .subject_alt_names
            .push(SanType::Rfc822Name("admin@example.com".try_into().unwrap()));
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let expected = [
            CertificateName::Dns("ops.example.com".into()),
            CertificateName::Uri(SPIFFE.into()),
        ];
        assert_eq!(
            names(&[certificate.der().clone()]),
            expected,
            "and not those of its subject, addresses or mail boxes"
        );
        assert_eq!(names(&[CertificateDer::from_slice(b"none")]), []);
        assert_eq!(names(&[]), []);
    }

    #[test]
    fn a_name_is_the_one_that_was_written_down() {
        let (dns, uri) = (
            |name: &str| CertificateName::Dns(name.into()),
            |name: &str| CertificateName::Uri(name.into()),
        );
        assert!(dns("Ops.Example.com").is("ops.example.com"));
        assert!(uri(SPIFFE).is(SPIFFE));
        for (name, written) in [
            (dns("ops.example.com.evil.test"), "ops.example.com"),
            (dns("ops.example.com"), "*.example.com"),
            (dns("*.example.com"), "ops.example.com"),
            (uri("ops.example.com"), "ops.example.com"),
            (uri("spiffe://cluster.local/ns/ops/sa/ADMIN"), SPIFFE),
            (uri("spiffe://cluster.local/ns/ops/sa/admin/x"), SPIFFE),
        ] {
            assert!(!name.is(written), "{name:?} {written}");
        }
    }

    const SPIFFE: &str = "spiffe://cluster.local/ns/ops/sa/admin";
}
