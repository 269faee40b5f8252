//! The remedy of a TLS handshake that failed.

use std::error::Error as _;
use std::io;
use std::sync::Arc;

use redis::RedisError;
use rustls::{AlertDescription, CertificateError, Error};

/// Returns what to do about an error of a connection, if TLS is its cause.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "for other errors there is no advice"
)]
pub(super) fn remedy(error: &RedisError) -> Option<&'static str> {
    match tls_error(error)? {
        Error::InvalidCertificate(problem) => of_server_certificate(problem),
        Error::AlertReceived(alert) => of_alert(*alert),
        Error::InvalidMessage(_) => Some("name a port with TLS in store.url"),
        _ => None,
    }
}

/// Returns the error of TLS below an error of the client.
fn tls_error(error: &RedisError) -> Option<&Error> {
    let source: &Arc<dyn std::error::Error + Send + Sync> = error.source()?.downcast_ref()?;
    let error: &io::Error = source.downcast_ref()?;
    error.get_ref()?.downcast_ref()
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "for other problems there is no advice"
)]
fn of_server_certificate(problem: &CertificateError) -> Option<&'static str> {
    match problem {
        CertificateError::UnknownIssuer => {
            Some("set store.tls.ca_file to the CA certificates of Redis")
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            Some(
                "write a name of the certificate in store.url, or add this name to the certificate",
            )
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            Some("renew the certificate of Redis")
        }
        _ => None,
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "for other alerts there is no advice"
)]
fn of_alert(alert: AlertDescription) -> Option<&'static str> {
    match alert {
        AlertDescription::CertificateRequired => Some(
            "Redis requires a client certificate: set store.tls.certificate_file and store.tls.key_file",
        ),
        AlertDescription::UnknownCA
        | AlertDescription::BadCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateRevoked => Some(
            "Redis refuses the client certificate: correct store.tls.certificate_file, or tls-ca-cert-file of Redis",
        ),
        _ => None,
    }
}
