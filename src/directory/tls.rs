//! Who vouches for a user directory.

use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::OpenError;

/// The certificates in `ca_file`, else those that the system trusts.
pub(super) fn roots(ca_file: Option<&Path>) -> Result<RootCertStore, OpenError> {
    match ca_file {
        Some(path) => of_file(path),
        None => of_system(),
    }
}

/// Each has to be right: one that is left out would be missed only when it is needed.
fn of_file(path: &Path) -> Result<RootCertStore, OpenError> {
    let key = "users.ca_file";
    let pem = std::fs::read(path).map_err(|source| OpenError::File {
        key,
        path: path.to_owned(),
        source,
    })?;
    let unusable = || OpenError::Content {
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

/// Systems carry some that no library reads; the others are good.
fn of_system() -> Result<RootCertStore, OpenError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        Err(OpenError::NoSystemRoots)
    } else {
        Ok(roots)
    }
}
