//! What a connection says about who calls: an address for the log, and the names in a client certificate.

use std::net::SocketAddr;

use http::Extensions;
use rustls::pki_types::CertificateDer;
use tonic::transport::server::{TcpConnectInfo, TlsConnectInfo, UdsConnectInfo};
use webpki::EndEntityCert;

/// Where a call comes from, if it is an address: a Unix socket has none.
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

/// The names in the client certificate of a connection: those in its subjectAltName that are DNS names or URIs.
///
/// That the certificate is valid, and of the CA that the operator trusts, was found out in the handshake, without which
/// there is no connection (`client_ca_file`). Its subject says nothing here: not every CA checks what stands in it.
pub(super) fn certificate_names(extensions: &Extensions) -> Vec<Name> {
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
    let chain = tcp().or_else(unix);
    chain
        .as_deref()
        .and_then(|chain| chain.first())
        .map(names)
        .unwrap_or_default()
}

fn names(certificate: &CertificateDer<'_>) -> Vec<Name> {
    let Ok(certificate) = EndEntityCert::try_from(certificate) else {
        return Vec::new();
    };
    let dns = certificate
        .valid_dns_names()
        .map(|name| Name::Dns(name.into()));
    let uris = certificate
        .valid_uri_names()
        .map(|name| Name::Uri(name.into()));
    dns.chain(uris).collect()
}

/// A name in a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Name {
    /// A DNS name: without regard to case.
    Dns(Box<str>),
    /// A URI, for example a SPIFFE id.
    Uri(Box<str>),
}

impl Name {
    /// Whether it is the one that the operator wrote down. What has a colon there is a URI, since no DNS name has one; so
    /// a URI can not pass for a DNS name.
    pub(super) fn is(&self, written: &str) -> bool {
        match self {
            Self::Dns(name) => !written.contains(':') && name.eq_ignore_ascii_case(written),
            Self::Uri(name) => written.contains(':') && **name == *written,
        }
    }

    /// The name itself.
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
            Name::Dns("ops.example.com".into()),
            Name::Uri(SPIFFE.into()),
        ];
        assert_eq!(
            names(certificate.der()),
            expected,
            "and not those of its subject, addresses or mail boxes"
        );
        assert_eq!(names(&CertificateDer::from_slice(b"none")), []);
    }

    #[test]
    fn a_name_is_the_one_that_was_written_down() {
        let (dns, uri) = (
            |name: &str| Name::Dns(name.into()),
            |name: &str| Name::Uri(name.into()),
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
