//! Reads the files with the credentials and certificates of connections to Redis, and checks them.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::config::{ClientCertificateFiles, ConnectionFiles, LoginFiles};
use crate::trusted_file::{self, FileKind, TrustError};

/// The content of the files at one time; wiped when it is dropped.
#[derive(Default, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub(super) struct CredentialContent {
    /// The user and password at Redis.
    pub(super) redis: Login,
    /// The user and password at the Sentinels.
    pub(super) sentinel: Login,
    /// The CA certificates, PEM; `None` without TLS.
    pub(super) ca: Option<Vec<u8>>,
    /// The client certificate.
    pub(super) client: Option<ClientPem>,
}

/// A user and its password, as far as files hold them.
#[derive(Default, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub(super) struct Login {
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
}

/// A client certificate chain and its key, PEM.
#[derive(PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub(super) struct ClientPem {
    pub(super) certificate: Vec<u8>,
    pub(super) key: Vec<u8>,
}

/// The reason why a file cannot be used; never repeats its content.
#[derive(Debug, thiserror::Error)]
pub(super) enum CredentialFileError {
    #[error("{key}: {problem}")]
    File {
        key: &'static str,
        problem: TrustError,
    },
    #[error(
        "{CA}: is required, because this system has no trusted certificates; name a file with the CA certificates of Redis"
    )]
    NoSystemRoots,
    #[error("{key}: {} does not hold {expected}; replace its content", path.display())]
    Content {
        key: &'static str,
        path: PathBuf,
        expected: &'static str,
    },
    #[error(
        "{KEY}: {} is not the key of the certificate in {} ({CERTIFICATE}); replace one of them",
        key_file.display(),
        certificate_file.display()
    )]
    OtherKey {
        certificate_file: PathBuf,
        key_file: PathBuf,
    },
}

// === impl CredentialContent ===

impl CredentialContent {
    /// Reads all files.
    pub(super) fn read(files: &ConnectionFiles) -> Result<Self, CredentialFileError> {
        let ca = files.ca_file.as_deref().map(read_ca).transpose()?;
        let client = files.client.as_ref().map(ClientPem::read).transpose()?;
        Ok(Self {
            redis: Login::read(&files.redis, [USERNAME, PASSWORD])?,
            sentinel: Login::read(&files.sentinel, [SENTINEL_USERNAME, SENTINEL_PASSWORD])?,
            ca,
            client,
        })
    }
}

/// Returns the CA certificates of the system, in PEM, except those that the library cannot parse.
pub(super) fn system_roots() -> Result<Vec<u8>, CredentialFileError> {
    let mut pem = Vec::new();
    for certificate in rustls_native_certs::load_native_certs().certs {
        if RootCertStore::empty().add(certificate.clone()).is_ok() {
            let text = STANDARD.encode(&certificate);
            pem.extend_from_slice(
                format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
                    .as_bytes(),
            );
        }
    }
    if pem.is_empty() {
        Err(CredentialFileError::NoSystemRoots)
    } else {
        Ok(pem)
    }
}

fn read_ca(path: &Path) -> Result<Vec<u8>, CredentialFileError> {
    let mut pem = read(CA, path, FileKind::Certificate, MAX_PEM_LEN)?;
    let mut roots = RootCertStore::empty();
    let are_good = certificates(&pem).is_some_and(|certificates| {
        let mut added = certificates.into_iter().map(|one| roots.add(one));
        added.all(|added| added.is_ok())
    });
    if are_good {
        Ok(std::mem::take(&mut *pem))
    } else {
        Err(content(CA, path, "CA certificates in PEM"))
    }
}

/// Returns the certificates in a file, if there are any and all can be parsed.
fn certificates(pem: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .ok()?;
    (!found.is_empty()).then_some(found)
}

// === impl ClientPem ===

impl ClientPem {
    fn read(files: &ClientCertificateFiles) -> Result<Self, CredentialFileError> {
        let (certificate_file, key_file) = (&files.certificate_file, &files.key_file);
        let kind = FileKind::Certificate;
        let mut certificate = read(CERTIFICATE, certificate_file, kind, MAX_PEM_LEN)?;
        let mut key = read(KEY, key_file, FileKind::Secret, MAX_PEM_LEN)?;
        let chain = certificates(&certificate)
            .ok_or_else(|| content(CERTIFICATE, certificate_file, "certificates in PEM"))?;
        let parsed = PrivateKeyDer::from_pem_slice(&key)
            .map_err(|_| content(KEY, key_file, "a private key in PEM"))?;
        CertifiedKey::from_der(chain, parsed, &aws_lc_rs::default_provider()).map_err(|_| {
            CredentialFileError::OtherKey {
                certificate_file: certificate_file.clone(),
                key_file: key_file.clone(),
            }
        })?;
        Ok(Self {
            certificate: std::mem::take(&mut *certificate),
            key: std::mem::take(&mut *key),
        })
    }
}

// === impl Login ===

impl Login {
    fn read(
        files: &LoginFiles,
        [username, password]: [&'static str; 2],
    ) -> Result<Self, CredentialFileError> {
        let line = |key, path: &Option<PathBuf>| {
            let path = path.as_deref();
            path.map(|path| read_line(key, path)).transpose()
        };
        Ok(Self {
            username: line(username, &files.username_file)?,
            password: line(password, &files.password_file)?,
        })
    }
}

/// Reads a file with one line of text, whose end may be missing.
fn read_line(key: &'static str, path: &Path) -> Result<String, CredentialFileError> {
    let bytes = read(key, path, FileKind::Secret, MAX_LINE_LEN)?;
    let text = std::str::from_utf8(&bytes).unwrap_or_default();
    let line = text.strip_suffix('\n').unwrap_or(text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.is_empty() || line.chars().any(char::is_control) {
        return Err(content(key, path, "one line of text"));
    }
    Ok(line.to_owned())
}

fn read(
    key: &'static str,
    path: &Path,
    kind: FileKind,
    limit: u64,
) -> Result<zeroize::Zeroizing<Vec<u8>>, CredentialFileError> {
    trusted_file::read(path, kind, limit)
        .map_err(|problem| CredentialFileError::File { key, problem })
}

fn content(key: &'static str, path: &Path, expected: &'static str) -> CredentialFileError {
    CredentialFileError::Content {
        key,
        path: path.to_owned(),
        expected,
    }
}

const USERNAME: &str = "store.username_file";
const PASSWORD: &str = "store.password_file";
const SENTINEL_USERNAME: &str = "store.sentinel_username_file";
const SENTINEL_PASSWORD: &str = "store.sentinel_password_file";
const CA: &str = "store.tls.ca_file";
const CERTIFICATE: &str = "store.tls.certificate_file";
const KEY: &str = "store.tls.key_file";

/// More than the certificates of a system take.
const MAX_PEM_LEN: u64 = 4 * 1024 * 1024;

/// Much more than a user name or password needs.
const MAX_LINE_LEN: u64 = 16 * 1024;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use rcgen::{CertifiedKey as Made, KeyPair, generate_simple_self_signed};
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn good_files_are_read_without_the_end_of_their_line() {
        let home = Home::new();
        let files = home.files();
        for (text, password) in [("pass word\n", "pass word"), ("p\r\n", "p"), ("ü", "ü")] {
            home.write("password", text);
            let content = CredentialContent::read(&files).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(content.redis.password.as_deref(), Some(password));
            assert_eq!(content.redis.username.as_deref(), Some("app"));
            assert_eq!(content.sentinel.password, None);
            assert!(content.ca.is_some() && content.client.is_some());
        }
        let none = CredentialContent::read(&ConnectionFiles::default());
        assert!(none.is_ok_and(|none| none == CredentialContent::default()));
    }

    #[test]
    fn the_certificates_of_the_system_are_read_as_pem() {
        let pem = system_roots().unwrap_or_else(|error| panic!("{error}"));
        let systems = rustls_native_certs::load_native_certs().certs;
        let read = certificates(&pem).unwrap_or_default();
        assert!(!read.is_empty() && read.iter().all(|one| systems.contains(one)));
    }

    #[test]
    fn a_bad_file_is_named_with_its_key_and_its_content_is_not_repeated() {
        for (name, text, expected) in [
            (
                "password",
                "",
                "store.password_file: {} does not hold one line of text",
            ),
            ("password", "s3cr3t\nx\n", "does not hold one line of text"),
            ("password", "s3cr3t\0", "does not hold one line of text"),
            ("username", "\n", "store.username_file: {} does not hold"),
            (
                "ca",
                "s3cr3t",
                "store.tls.ca_file: {} does not hold CA certificates in PEM",
            ),
            (
                "certificate",
                "",
                "store.tls.certificate_file: {} does not hold certificates in PEM",
            ),
            (
                "key",
                "s3cr3t",
                "store.tls.key_file: {} does not hold a private key in PEM",
            ),
            (
                "key",
                &KeyPair::generate().unwrap().serialize_pem(),
                "store.tls.key_file: {} is not the key of the certificate in",
            ),
        ] {
            let home = Home::new();
            home.write(name, text);
            let expected = expected.replace("{}", &home.path(name).display().to_string());
            home.assert_refused(&expected);
        }
    }

    #[test]
    fn a_file_that_others_can_read_or_that_is_missing_is_refused() {
        let home = Home::new();
        let mode = |mode| {
            fs::set_permissions(home.path("password"), fs::Permissions::from_mode(mode)).unwrap();
        };
        mode(0o644);
        home.assert_refused("chmod 640");
        mode(0o640);
        fs::remove_file(home.path("ca")).unwrap();
        home.assert_refused("store.tls.ca_file: cannot read");
    }

    /// A directory with good files.
    struct Home(TempDir);

    impl Home {
        fn new() -> Self {
            let home = Self(tempfile::tempdir().unwrap());
            let Made { cert, signing_key } =
                generate_simple_self_signed(["redis.test".to_owned()]).unwrap();
            home.write("ca", &cert.pem());
            home.write("certificate", &cert.pem());
            home.write("key", &signing_key.serialize_pem());
            home.write("username", "app\n");
            home.write("password", "s3cr3t\n");
            home
        }

        fn files(&self) -> ConnectionFiles {
            ConnectionFiles {
                redis: LoginFiles {
                    username_file: Some(self.path("username")),
                    password_file: Some(self.path("password")),
                },
                sentinel: LoginFiles::default(),
                ca_file: Some(self.path("ca")),
                client: Some(ClientCertificateFiles {
                    certificate_file: self.path("certificate"),
                    key_file: self.path("key"),
                }),
            }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn write(&self, name: &str, text: &str) {
            fs::write(self.path(name), text).unwrap();
            fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o600)).unwrap();
        }

        fn assert_refused(&self, expected: &str) {
            let Err(error) = CredentialContent::read(&self.files()) else {
                panic!("accepted instead of: {expected}")
            };
            let said = format!("{error} {error:?}");
            assert!(said.contains(expected), "{said} instead of {expected}");
            assert!(!said.contains("s3cr3t"), "{said}");
        }
    }
}
