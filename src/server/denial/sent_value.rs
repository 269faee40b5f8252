//! The value of a protocol parameter as a client sent it, even in a malformed request.

use crate::oauth::{Request, RequestBody};

/// Returns the first value of a parameter in header, query or body, without decoding it.
///
/// # Security
/// Only for parameters that are no secret.
pub(super) fn sent_value<'a>(request: &Request<'a>, name: &str) -> Option<&'a [u8]> {
    let headers = request.authorization.iter();
    let in_header = headers
        .flat_map(|value| value.split(|&byte| byte == b','))
        .find_map(|pair| value_of(without_scheme(pair.trim_ascii()), name));
    let query = request.target.splitn(2, |&byte| byte == b'?').nth(1);
    let body = match request.body {
        RequestBody::Whole(body) => Some(body),
        RequestBody::NotWhole | RequestBody::Unseen => None,
    };
    in_header
        .or_else(|| in_form(query?, name))
        .or_else(|| in_form(body?, name))
}

fn in_form<'a>(form: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let mut pairs = form.split(|&byte| byte == b'&');
    pairs.find_map(|pair| value_of(pair, name))
}

/// Returns the first pair of a header without `OAuth`.
fn without_scheme(pair: &[u8]) -> &[u8] {
    match pair.split_at_checked(SCHEME.len()) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case(SCHEME) => rest.trim_ascii(),
        Some(_) | None => pair,
    }
}

/// Returns the value of a pair of this name, without quotes.
fn value_of<'a>(pair: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let value = pair.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
    let unquoted = |value: &'a [u8]| value.strip_prefix(b"\"")?.strip_suffix(b"\"");
    Some(unquoted(value).unwrap_or(value))
}

const SCHEME: &[u8] = b"OAuth ";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::Scheme;

    #[test]
    fn a_value_is_found_in_header_query_and_body() {
        for (authorization, target, body) in [
            ("oauth oauth_version=\"2.0\", a=\"b\"", "/", ""),
            (
                "OAuth a=\"b\",  oauth_version=\"2.0\"",
                "/?oauth_version=3",
                "",
            ),
            ("", "/?a=b&oauth_version=2.0", ""),
            ("", "/", "oauth_versions=1&oauth_version=2.0"),
            ("OAuth oauth_version=2.0", "/", ""),
        ] {
            assert_eq!(found(authorization, target, body).as_deref(), Some("2.0"));
        }
        assert_eq!(found("Basic oauth_version", "/oauth_version=1", "a"), None);
    }

    fn found(authorization: &str, target: &str, body: &str) -> Option<String> {
        let request = Request {
            method: b"GET",
            scheme: Scheme::Http,
            authority: b"api.example.com",
            path_prefix: b"",
            target: target.as_bytes(),
            authorization: &[authorization.as_bytes()],
            content_type: &[],
            body: RequestBody::Whole(body.as_bytes()),
        };
        let value = sent_value(&request, "oauth_version")?;
        Some(String::from_utf8(value.to_vec()).unwrap())
    }
}
