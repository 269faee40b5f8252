//! The address of a client, by which wrong passwords are limited.
//!
//! A client cannot choose it. Without trusted proxies it is the peer address of the connection,
//! regardless of headers. With `http.trusted_hops = N` it is the N-th entry from the end of
//! `X-Forwarded-For`: each of N proxies adds one entry, and the client wrote those before. If that
//! entry is missing or not an address, the request bypassed a proxy, and the peer address is used
//! again: such requests share one limit, and none escapes it. A connection over a Unix socket has
//! no address.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap};
use axum::middleware::Next;
use axum::response::Response;
use tonic::transport::server::{TcpConnectInfo, TlsConnectInfo};

/// The address of a client; `None` if it is unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ClientAddress(pub(super) Option<IpAddr>);

impl<S: Sync> FromRequestParts<S> for ClientAddress {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::noted(&parts.extensions))
    }
}

impl ClientAddress {
    /// Returns the address that [`note`] added.
    pub(super) fn noted(extensions: &Extensions) -> Self {
        extensions.get().copied().unwrap_or_default()
    }
}

/// Adds the [`ClientAddress`] to the extensions of a request.
pub(super) async fn note(
    State(trusted_hops): State<usize>,
    mut request: Request,
    next: Next,
) -> Response {
    let forwarded = forwarded(request.headers(), trusted_hops);
    let address = forwarded.or_else(|| peer_address(request.extensions()));
    request
        .extensions_mut()
        .insert(ClientAddress(address.map(|address| address.to_canonical())));
    next.run(request).await
}

/// Returns the peer address of the connection.
fn peer_address(extensions: &Extensions) -> Option<IpAddr> {
    let plain = extensions
        .get::<TcpConnectInfo>()
        .and_then(TcpConnectInfo::remote_addr);
    let secure = || {
        extensions
            .get::<TlsConnectInfo<TcpConnectInfo>>()?
            .get_ref()
            .remote_addr()
    };
    plain.or_else(secure).map(|address| address.ip())
}

/// Returns the entry of `X-Forwarded-For` that the outermost trusted proxy added.
fn forwarded(headers: &HeaderMap, trusted_hops: usize) -> Option<IpAddr> {
    let skipped = trusted_hops.checked_sub(1)?;
    let lines: Vec<_> = headers
        .get_all("x-forwarded-for")
        .iter()
        .map(|value| value.as_bytes())
        .collect();
    let joined = lines.join(&b","[..]);
    let entry = joined.rsplit(|&byte| byte == b',').nth(skipped)?;
    address(std::str::from_utf8(entry).ok()?.trim_ascii())
}

/// Parses an address. Some proxies add a port or brackets.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    bare.unwrap_or(text).parse().ok().or_else(with_port)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[&str]) -> HeaderMap {
        lines
            .iter()
            .map(|line| ("x-forwarded-for".parse().unwrap(), line.parse().unwrap()))
            .collect()
    }

    fn found(lines: &[&str], trusted_hops: usize) -> Option<String> {
        forwarded(&headers(lines), trusted_hops).map(|address| address.to_string())
    }

    #[test]
    fn without_trusted_proxies_the_header_is_ignored() {
        assert_eq!(found(&["203.0.113.7"], 0), None);
    }

    #[test]
    fn the_outermost_trusted_proxy_names_the_client() {
        let lines = ["198.51.100.1, 203.0.113.7", "10.0.0.2"];
        assert_eq!(found(&lines, 1).as_deref(), Some("10.0.0.2"));
        assert_eq!(found(&lines, 2).as_deref(), Some("203.0.113.7"));
        assert_eq!(
            found(&["made up, 2001:db8::7"], 1).as_deref(),
            Some("2001:db8::7")
        );
        assert_eq!(
            found(&["[2001:db8::7]:4711"], 1).as_deref(),
            Some("2001:db8::7")
        );
        assert_eq!(found(&["[2001:db8::7]"], 1).as_deref(), Some("2001:db8::7"));
        assert_eq!(
            found(&["203.0.113.7:4711"], 1).as_deref(),
            Some("203.0.113.7")
        );
    }

    #[test]
    fn a_missing_or_invalid_entry_is_not_replaced_by_another() {
        assert_eq!(found(&[], 1), None);
        assert_eq!(found(&["203.0.113.7"], 2), None);
        for wrong in [
            "203.0.113.7, unknown",
            "203.0.113.7,",
            "203.0.113.7, 10.0.0.1 10.0.0.2",
            "203.0.113.7, [::1",
        ] {
            assert_eq!(found(&[wrong], 1), None, "{wrong}");
        }
    }
}
