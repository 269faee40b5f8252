//! The certificates that a user directory is verified with.

use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::DirectoryConfigError;
use crate::trusted_file::{self, FileKind};

/// Returns the certificates in `ca_file`, or else those that the system trusts.
pub(super) fn roots(ca_file: Option<&Path>) -> Result<RootCertStore, DirectoryConfigError> {
    match ca_file {
        Some(path) => of_file(path),
        None => of_system(),
    }
}

/// Reads the certificates in a file. Every one must be valid: a skipped one would be missed later.
fn of_file(path: &Path) -> Result<RootCertStore, DirectoryConfigError> {
    let key = "users.ca_file";
    let pem = trusted_file::read(path, FileKind::Certificate, MAX_FILE_LEN)
        .map_err(|problem| DirectoryConfigError::File { key, problem })?;
    let unusable = || DirectoryConfigError::Content {
        key,
        path: path.to_owned(),
        what: "CA certificates in PEM",
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        roots
            .add(certificate.map_err(|_| unusable())?)
            .map_err(|_| unusable())?;
    }
    if roots.is_empty() {
        Err(unusable())
    } else {
        Ok(roots)
    }
}

/// Reads the certificates of the system, except those that the library cannot parse.
fn of_system() -> Result<RootCertStore, DirectoryConfigError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        Err(DirectoryConfigError::NoSystemRoots)
    } else {
        Ok(roots)
    }
}

/// More than the certificates of a system take.
const MAX_FILE_LEN: u64 = 4 * 1024 * 1024;
