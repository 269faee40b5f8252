//! Whether a form was posted by a page of ours, as far as the browser says.
//!
//! Where the browser says where a form comes from (`Sec-Fetch-Site`, `Origin`), it must come from here. `Origin: null` says
//! nothing: with our `Referrer-Policy`, browsers send it with our own forms.

use axum::http::{HeaderMap, HeaderValue, header};

use crate::config::Origin;
use crate::oauth::Scheme;

/// Whether a form comes from this site, as far as the browser says. `public` is what the operator says that browsers see.
pub(in crate::server) fn comes_from_here(headers: &HeaderMap, public: Option<&Origin>) -> bool {
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    if !matches!(site, None | Some(b"same-origin" | b"none")) {
        return false;
    }
    let Some(origin) = headers.get(header::ORIGIN) else {
        return true;
    };
    origin == "null"
        || origin
            .to_str()
            .is_ok_and(|origin| is_ours(origin, headers, public))
}

fn is_ours(origin: &str, headers: &HeaderMap, public: Option<&Origin>) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else {
        return false;
    };
    match public {
        Some(public) => {
            let own = match public.scheme {
                Scheme::Http => "http",
                Scheme::Https => "https",
            };
            let bare = |authority: &str| {
                let default = if own == "https" { ":443" } else { ":80" };
                authority
                    .strip_suffix(default)
                    .unwrap_or(authority)
                    .to_ascii_lowercase()
            };
            scheme == own && bare(authority) == bare(&public.authority)
        }
        None => headers
            .get(header::HOST)
            .is_some_and(|host| host.as_bytes().eq_ignore_ascii_case(authority.as_bytes())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_comes_from_here_or_from_who_does_not_say() {
        let public = Origin::parse("https://Login.example.com:443/x").unwrap();
        let site = |value: &'static str| ("sec-fetch-site", value);
        let origin = |value: &'static str| ("origin", value);
        for here in [
            &[][..],
            &[site("same-origin"), origin("https://login.example.com")],
            &[site("same-origin"), origin("null")],
            &[site("none")],
            &[origin("null")],
            &[origin("https://login.example.com:443")],
        ] {
            assert!(comes_from_here(&headers(here), Some(&public)), "{here:?}");
        }
        for elsewhere in [
            &[site("cross-site")][..],
            &[site("same-site"), origin("https://login.example.com")],
            &[site("")],
            &[site("same-origin"), origin("https://evil.example")],
            &[origin("http://login.example.com")],
            &[origin("https://login.example.com.evil.example")],
            &[origin("https://login.example.com:444")],
            &[origin("")],
        ] {
            assert!(
                !comes_from_here(&headers(elsewhere), Some(&public)),
                "{elsewhere:?}"
            );
        }
    }

    #[test]
    fn without_a_public_url_here_is_the_host_that_was_asked() {
        let host = ("host", "127.0.0.1:8080");
        assert!(comes_from_here(
            &headers(&[host, ("origin", "http://127.0.0.1:8080")]),
            None
        ));
        assert!(!comes_from_here(
            &headers(&[host, ("origin", "http://127.0.0.1:8081")]),
            None
        ));
        assert!(!comes_from_here(
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
