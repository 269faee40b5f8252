//! The origin of a form, as the browser states it.
//!
//! If the browser states where a form comes from (`Sec-Fetch-Site`, `Origin`), it must be our site.
//! With our `Referrer-Policy`, browsers send the origin of our own forms. `Origin: null` comes from a
//! sandboxed frame, a local file or a redirect, so it counts only beside a `Sec-Fetch-Site:
//! same-origin`, which extensions that hide origins leave in place.

use axum::http::{HeaderMap, HeaderValue, header};

use crate::config::Origin;
use crate::oauth::Scheme;

/// Returns whether a form comes from our site, or from a browser that does not state it. `public`
/// is the configured origin of the site.
pub(in crate::server) fn is_same_origin(headers: &HeaderMap, public: Option<&Origin>) -> bool {
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    if !matches!(site, None | Some(b"same-origin" | b"none")) {
        return false;
    }
    let Some(origin) = headers.get(header::ORIGIN) else {
        return true;
    };
    if origin == "null" {
        return site == Some(b"same-origin");
    }
    origin
        .to_str()
        .is_ok_and(|origin| is_ours(origin, headers, public))
}

fn is_ours(origin: &str, headers: &HeaderMap, public: Option<&Origin>) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else {
        return false;
    };
    match public {
        Some(public) => is_public(scheme, authority, public),
        None => headers
            .get(header::HOST)
            .is_some_and(|host| host.as_bytes().eq_ignore_ascii_case(authority.as_bytes())),
    }
}

fn is_public(scheme: &str, authority: &str, public: &Origin) -> bool {
    let (name, default_port) = match public.scheme {
        Scheme::Http => ("http", ":80"),
        Scheme::Https => ("https", ":443"),
    };
    let without_default_port = |authority: &str| {
        authority
            .strip_suffix(default_port)
            .unwrap_or(authority)
            .to_ascii_lowercase()
    };
    scheme == name && without_default_port(authority) == without_default_port(&public.authority)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_same_origin_or_from_who_does_not_say() {
        let public = Origin::parse("https://Login.example.com:443/x").unwrap();
        let site = |value: &'static str| ("sec-fetch-site", value);
        let origin = |value: &'static str| ("origin", value);
        for ours in [
            &[][..],
            &[site("same-origin"), origin("https://login.example.com")],
            &[site("same-origin"), origin("null")],
            &[site("none")],
            &[origin("https://login.example.com:443")],
        ] {
            assert!(is_same_origin(&headers(ours), Some(&public)), "{ours:?}");
        }
        for elsewhere in [
            &[site("cross-site")][..],
            &[origin("null")],
            &[site("none"), origin("null")],
            &[site("same-site"), origin("https://login.example.com")],
            &[site("")],
            &[site("same-origin"), origin("https://evil.example")],
            &[origin("http://login.example.com")],
            &[origin("https://login.example.com.evil.example")],
            &[origin("https://login.example.com:444")],
            &[origin("")],
        ] {
            assert!(
                !is_same_origin(&headers(elsewhere), Some(&public)),
                "{elsewhere:?}"
            );
        }
    }

    #[test]
    fn without_a_public_url_a_form_must_come_from_the_requested_host() {
        let host = ("host", "127.0.0.1:8080");
        assert!(is_same_origin(
            &headers(&[host, ("origin", "http://127.0.0.1:8080")]),
            None
        ));
        assert!(!is_same_origin(
            &headers(&[host, ("origin", "http://127.0.0.1:8081")]),
            None
        ));
        assert!(!is_same_origin(
            &headers(&[("origin", "http://127.0.0.1:8081")]),
            None
        ));
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect()
    }
}
