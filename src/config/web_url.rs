//! Web addresses in configuration and on the command line: `http://` or `https://`, a host, and
//! maybe a port, path and query.
//!
//! All guards against passwords and tokens in plaintext use this type to decide whether a URL is
//! encrypted and whether its host is this machine, so that no spelling of a URL bypasses one of
//! them.

use std::fmt;
use std::net::IpAddr;

use http::Uri;
use http::uri::{self, Authority};

use crate::oauth::Scheme;

/// A URL with the scheme `http` or `https`, without user name, password and fragment.
///
/// ```
/// use countersign::config::WebUrl;
///
/// assert!(WebUrl::parse("HTTP://users.example.com/login").unwrap().is_exposed());
/// assert!(!WebUrl::parse("http://[::1]:8080/login").unwrap().is_exposed());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebUrl {
    scheme: Scheme,
    authority: Authority,
    uri: Uri,
}

// === impl WebUrl ===

impl WebUrl {
    /// Parses a URL. Scheme and host may be in any case, the port may be missing.
    pub fn parse(text: &str) -> Option<Self> {
        let uri: Uri = text.parse().ok()?;
        let scheme = match uri.scheme() {
            Some(scheme) if *scheme == uri::Scheme::HTTP => Scheme::Http,
            Some(scheme) if *scheme == uri::Scheme::HTTPS => Scheme::Https,
            Some(_) | None => return None,
        };
        let authority = uri.authority().cloned()?;
        // The parser drops a fragment silently.
        (is_host_and_port(&authority) && !text.contains('#')).then_some(Self {
            scheme,
            authority,
            uri,
        })
    }

    /// Returns the scheme.
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Returns host and port as written.
    pub fn authority(&self) -> &str {
        self.authority.as_str()
    }

    /// Returns the URI for a client.
    pub const fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Returns `true` if others on the network could read a request to this URL: it is not
    /// encrypted, and its host is not this machine.
    pub fn is_exposed(&self) -> bool {
        self.scheme == Scheme::Http && !is_loopback_host(self.authority.host())
    }
}

/// Writes scheme, host and port.
impl fmt::Display for WebUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        write!(f, "{scheme}://{}", self.authority)
    }
}

/// Returns `true` for an address of this machine alone: 127.0.0.0/8, `::1`, and 127.0.0.0/8
/// mapped into IPv6.
pub(super) fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// Returns `true` for a host on this machine. A name other than `localhost` may resolve to any
/// address, so it is not loopback. `localhost.` is such a name: resolvers look it up in the DNS
/// instead of the hosts file.
fn is_loopback_host(host: &str) -> bool {
    let address = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    host.eq_ignore_ascii_case("localhost") || address.parse().is_ok_and(is_loopback)
}

/// The parser accepts text between a bracketed host and the port, and ignores it.
fn is_host_and_port(authority: &Authority) -> bool {
    let (host, text) = (authority.host(), authority.as_str());
    let is_port =
        |rest: &str| rest.starts_with(':') && authority.port_u16().is_some_and(|port| port > 0);
    let is_end_valid = text
        .strip_prefix(host)
        .is_some_and(|rest| rest.is_empty() || is_port(rest));
    !host.is_empty() && is_end_valid && !text.contains('@')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plaintext_to_another_machine_is_exposed_however_it_is_spelled() {
        for exposed in [
            "http://users.example.com/a",
            "HTTP://users.example.com/a",
            "hTtP://USERS.EXAMPLE.COM:80",
            "http://10.0.0.1",
            "http://0.0.0.0:8080/",
            "http://[::ffff:10.0.0.1]/",
            "http://[::]/",
            "http://localhost.example.com/",
            "http://127.0.0.1.example.com/",
            "http://localhost./",
            "http://localhost.:8080/",
            "http://localhost../",
            "http://127.1/",
        ] {
            assert!(WebUrl::parse(exposed).unwrap().is_exposed(), "{exposed}");
        }
    }

    #[test]
    fn loopback_and_https_are_not_exposed() {
        for safe in [
            "http://[::1]/a",
            "http://[::1]:8080",
            "http://[::ffff:127.0.0.1]/",
            "http://127.0.0.1",
            "http://127.255.0.9:1/",
            "http://localhost",
            "HTTP://LocalHost:8080/a?b",
            "HTTPS://users.example.com/a",
            "https://10.0.0.1",
        ] {
            assert!(!WebUrl::parse(safe).unwrap().is_exposed(), "{safe}");
        }
    }

    #[test]
    fn a_url_has_a_web_scheme_a_host_and_no_user() {
        for wrong in [
            "",
            "localhost",
            "localhost:8080",
            "/path",
            "ftp://a",
            "http:a",
            "http://",
            "http:///a",
            "http://u@a",
            "http://u:p@a",
            "http://127.0.0.1@a/",
            "http://a:",
            "http://a:0",
            "http://a:70000",
            "http://a:b",
            "http://::1/",
            "http://[::1]evil/",
            "http://[::1]evil:80/",
            "http://a:@a:80/",
            "http://a b",
            "http://a/#b",
        ] {
            assert_eq!(WebUrl::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_url_is_shown_as_its_origin() {
        let url = WebUrl::parse("HTTPS://Auth.example.com:8443/a?b").unwrap();
        assert_eq!(url.to_string(), "https://Auth.example.com:8443");
    }
}
