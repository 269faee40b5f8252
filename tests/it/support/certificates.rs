//! A certificate authority for one test, with a server certificate and any number of client
//! certificates.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use countersign::config::TlsConfig;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use tempfile::TempDir;
use tonic::transport::{Certificate, ClientTlsConfig, Identity};

/// The authority, with the files `ca.pem`, `server.pem` and `server.key`.
pub(crate) struct Certificates {
    directory: TempDir,
    authority: CertifiedIssuer<'static, KeyPair>,
}

impl Certificates {
    pub(crate) fn create() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // OpenSSL takes the first of two authorities with the same name.
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("authority {}", COUNT.fetch_add(1, Ordering::Relaxed));
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let files = Self {
            directory: tempfile::tempdir().unwrap(),
            authority,
        };
        let (certificate, key) = files.issue(&["dns:localhost"]);
        files.file("ca.pem", &files.authority.pem());
        files.file("server.pem", &certificate);
        files.file("server.key", &key);
        files
    }

    /// Returns the TLS configuration of a listener, which may require client certificates.
    pub(crate) fn server(&self, demanding: bool) -> TlsConfig {
        TlsConfig {
            certificate_file: self.path("server.pem"),
            key_file: self.path("server.key"),
            client_ca_file: demanding.then(|| self.path("ca.pem")),
        }
    }

    /// Returns the identity of a server other than a listener of the service.
    pub(crate) fn identity(&self) -> Identity {
        Identity::from_pem(self.text("server.pem"), self.text("server.key"))
    }

    pub(crate) fn trusting(&self) -> ClientTlsConfig {
        ClientTlsConfig::new().ca_certificate(Certificate::from_pem(self.authority.pem()))
    }

    /// Returns a client's certificate for names such as `dns:example.com` or `ip:127.0.0.1`.
    pub(crate) fn client(&self, names: &[&str]) -> Identity {
        let (certificate, key) = self.issue(names);
        Identity::from_pem(certificate, key)
    }

    /// Writes a file beside the certificates.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        fs::write(self.path(name), text).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o600)).unwrap();
        self.path(name)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Returns the certificate of the authority in PEM.
    pub(crate) fn authority(&self) -> String {
        self.authority.pem()
    }

    pub(crate) fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Returns a certificate and its key in PEM.
    pub(crate) fn issue(&self, names: &[&str]) -> (String, String) {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.subject_alt_names = names.iter().map(|name| alt_name(name)).collect();
        let key = KeyPair::generate().unwrap();
        (
            params.signed_by(&key, &self.authority).unwrap().pem(),
            key.serialize_pem(),
        )
    }
}

fn alt_name(name: &str) -> SanType {
    match name.split_once(':').unwrap() {
        ("dns", name) => SanType::DnsName(name.try_into().unwrap()),
        ("ip", address) => SanType::IpAddress(address.parse().unwrap()),
        ("uri", name) => SanType::URI(name.try_into().unwrap()),
        _ => panic!("{name}"),
    }
}
