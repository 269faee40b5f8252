//! The keys that every listener has (`listen`, `insecure_plaintext` and `[….tls]`), and the age of
//! connections to the listeners of gRPC.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::reader::Reader;
use super::value::{self, DAY, SECOND, ValueProblem};
use super::web_url::is_loopback;

/// One listener.
#[derive(Clone, Debug)]
pub struct ListenerConfig {
    /// The address to listen on.
    pub address: ListenAddress,
    /// TLS; `None` is plaintext.
    pub tls: Option<TlsConfig>,
    /// The operator's permission to use plaintext beyond loopback.
    pub insecure_plaintext: bool,
    /// The age at which connections end; `None` is unlimited.
    pub age: Option<ConnectionAge>,
}

/// The age at which connections end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionAge {
    /// The age, up to a tenth of which is added or subtracted at random.
    pub limit: Duration,
    /// The time that requests in flight then have to finish.
    pub grace: Duration,
}

/// The address of a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// A TCP address.
    Tcp(SocketAddr),
    /// A Unix socket, `unix:PATH`.
    Unix(PathBuf),
}

/// TLS of one listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsConfig {
    /// The certificate chain, PEM.
    pub certificate_file: PathBuf,
    /// Its private key, PEM.
    pub key_file: PathBuf,
    /// The CA certificates that client certificates are verified with, PEM; `None` asks for none.
    pub client_ca_file: Option<PathBuf>,
}

// === impl ListenerConfig ===

impl ListenerConfig {
    pub(super) fn read(reader: &mut Reader, section: &str) -> Self {
        Self {
            address: reader.text(&format!("{section}.listen"), address),
            tls: TlsConfig::read(reader, section),
            insecure_plaintext: reader.boolean(&format!("{section}.insecure_plaintext")),
            age: None,
        }
    }

    /// Reads a listener of gRPC.
    pub(super) fn read_with_age(reader: &mut Reader, section: &str) -> Self {
        Self {
            age: ConnectionAge::read(reader, section),
            ..Self::read(reader, section)
        }
    }

    /// Returns `true` if others on the network could read what this listener receives.
    pub fn is_exposed_plaintext(&self) -> bool {
        self.tls.is_none()
            && matches!(self.address, ListenAddress::Tcp(address) if !is_loopback(address.ip()))
    }
}

// === impl ConnectionAge ===

impl ConnectionAge {
    fn read(reader: &mut Reader, section: &str) -> Option<Self> {
        let limit = reader.text(&format!("{section}.max_connection_age"), max_connection_age);
        let grace = format!("{section}.max_connection_age_grace");
        let grace = reader.duration(&grace, Duration::ZERO..=DAY);
        limit.map(|limit| Self { limit, grace })
    }
}

fn max_connection_age(text: &str) -> Result<Option<Duration>, ValueProblem> {
    let expected = "a duration from 1s to 1day, or \"0s\" for no limit";
    match humantime::parse_duration(text) {
        Ok(Duration::ZERO) => Ok(None),
        Ok(limit) if (SECOND..=DAY).contains(&limit) => Ok(Some(limit)),
        Ok(_) | Err(_) => Err(ValueProblem::shape(expected, text)),
    }
}

// === impl ListenAddress ===

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

fn address(text: &str) -> Result<ListenAddress, ValueProblem> {
    let parsed = match text.strip_prefix("unix:") {
        Some("") => None,
        Some(path) => Some(ListenAddress::Unix(path.into())),
        None => text.parse().ok().map(ListenAddress::Tcp),
    };
    let expected = "an IP address and port such as \"127.0.0.1:50051\", or \"unix:PATH\"";
    parsed.ok_or_else(|| ValueProblem::shape(expected, text))
}

// === impl TlsConfig ===

impl TlsConfig {
    fn read(reader: &mut Reader, section: &str) -> Option<Self> {
        let [certificate, key, client_ca] = ["certificate_file", "key_file", "client_ca_file"]
            .map(|name| format!("{section}.tls.{name}"));
        let certificate_file = reader.text(&certificate, value::optional_path);
        let key_file = reader.text(&key, value::optional_path);
        let client_ca_file = reader.text(&client_ca, value::optional_path);
        match (certificate_file, key_file) {
            (Some(certificate_file), Some(key_file)) => {
                return Some(Self {
                    certificate_file,
                    key_file,
                    client_ca_file,
                });
            }
            (None, Some(_)) => reader.reject(&key, &format!("needs `{certificate}` too")),
            (Some(_), None) => reader.reject(&certificate, &format!("needs `{key}` too")),
            (None, None) if client_ca_file.is_some() => {
                reader.reject(
                    &client_ca,
                    &format!("needs `{certificate}` and `{key}` too"),
                );
            }
            (None, None) => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_an_ip_and_port_or_a_socket_path() {
        assert_eq!(
            address("[::1]:1"),
            Ok(ListenAddress::Tcp("[::1]:1".parse().unwrap()))
        );
        assert_eq!(
            address("unix:/run/c.sock"),
            Ok(ListenAddress::Unix("/run/c.sock".into()))
        );
        for wrong in [
            "",
            "50051",
            ":50051",
            "localhost:50051",
            "127.0.0.1",
            "127.0.0.1:65536",
            "unix:",
        ] {
            let problem = address(wrong).unwrap_err();
            assert_eq!(
                problem.to_string(),
                format!(
                    "must be an IP address and port such as \"127.0.0.1:50051\", or \"unix:PATH\", not {wrong:?}"
                )
            );
        }
    }

    #[test]
    fn a_connection_age_is_at_least_a_second_or_unlimited() {
        assert_eq!(max_connection_age("0s"), Ok(None));
        let minutes = |minutes| Ok(Some(Duration::from_mins(minutes)));
        assert_eq!(max_connection_age("10m"), minutes(10));
        assert_eq!(max_connection_age("1day"), minutes(24 * 60));
        for wrong in ["999ms", "25h", "-1s", "10", ""] {
            let problem = max_connection_age(wrong).unwrap_err();
            assert_eq!(
                problem.to_string(),
                format!(
                    "must be a duration from 1s to 1day, or \"0s\" for no limit, not {wrong:?}"
                )
            );
        }
    }

    #[test]
    fn loopback_is_not_exposed_however_it_is_written() {
        for (text, exposed) in [
            ("127.0.0.1:1", false),
            ("127.9.9.9:1", false),
            ("[::1]:1", false),
            ("[::ffff:127.0.0.1]:1", false),
            ("unix:/run/c.sock", false),
            ("0.0.0.0:1", true),
            ("[::]:1", true),
            ("10.0.0.1:1", true),
            ("[::ffff:10.0.0.1]:1", true),
        ] {
            let listener = ListenerConfig {
                address: address(text).unwrap(),
                tls: None,
                insecure_plaintext: false,
                age: None,
            };
            assert_eq!(listener.is_exposed_plaintext(), exposed, "{text}");
        }
    }
}
