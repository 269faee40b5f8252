//! The parts of a URL with a list of hosts, and what can be wrong with it.
//!
//! The list is split by hand, since `http::Uri` refuses an authority with several ports.

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _};

/// The reason why a URL is not an address of Redis; never repeats a part of the URL.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum AddressError {
    #[error(
        "the URL has an unknown scheme; use redis://, rediss://, unix://, redis+sentinel://, rediss+sentinel://, redis+cluster:// or rediss+cluster://"
    )]
    Scheme,
    #[error("the URL is not an address of Redis: {0}")]
    Redis(String),
    #[error(
        "the URL does not name a primary; write redis+sentinel://host:26379,host:26379/primary"
    )]
    NoPrimary,
    #[error(
        "the URL has an unknown option; only sentinel_password= is allowed after the question mark"
    )]
    Option,
    #[error(
        "the URL ends in #insecure, and Countersign verifies every certificate; remove it, and name the CA certificates in store.tls.ca_file"
    )]
    Insecure,
}

/// Parses the URL of one server.
pub(super) fn parse_server(url: &str) -> Result<ConnectionInfo, AddressError> {
    let server = url.into_connection_info().map_err(unreadable)?;
    if matches!(server.addr(), ConnectionAddr::TcpTls { insecure: true, .. }) {
        return Err(AddressError::Insecure);
    }
    Ok(server)
}

/// The parts of a URL with a list of hosts.
pub(super) struct HostList<'u> {
    pub(super) user: &'u str,
    pub(super) hosts: Vec<&'u str>,
    pub(super) path: &'u str,
    pub(super) query: Option<&'u str>,
}

// === impl HostList ===

impl<'u> HostList<'u> {
    /// Splits the part after `://`.
    pub(super) fn parse(rest: &'u str) -> Self {
        let (rest, query) = rest
            .split_once('?')
            .map_or((rest, None), |(rest, query)| (rest, Some(query)));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        // The user info keeps its @, so that it can precede each host.
        let (user, hosts) = authority.split_at(authority.rfind('@').map_or(0, |at| at + 1));
        Self {
            user,
            hosts: hosts.split(',').collect(),
            path,
            query,
        }
    }
}

/// Returns the host with its port, or else with `port`.
pub(super) fn with_port(host: &str, port: u16) -> String {
    let after_address = host.rfind(']').map_or(host, |end| &host[end..]);
    if after_address.contains(':') {
        host.to_owned()
    } else {
        format!("{host}:{port}")
    }
}

/// Returns the problem without its detail, which may repeat a part of the URL.
fn unreadable(error: redis::RedisError) -> AddressError {
    let text = error.to_string();
    let problem = error
        .detail()
        .and_then(|detail| text.strip_suffix(detail))
        .unwrap_or(&text);
    AddressError::Redis(problem.trim_end_matches(": ").to_owned())
}
