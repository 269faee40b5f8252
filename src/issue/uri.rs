//! The destinations of users: callbacks and pages of applications (RFC 3986, RFC 5849 section 2.1).
//!
//! [`callback`](super::callback) compares callbacks later. The rules here make sure that there is
//! only one way to read a URI: they refuse everything that parsers disagree on, such as user names,
//! backslashes, stray characters, encoded hosts, and fragments in a callback.

use std::net::Ipv6Addr;

use http::Uri;
use http::uri::Authority;

/// The reason why a text is not an accepted URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum UriProblem {
    #[error("must not be empty")]
    Empty,
    #[error("is {len} bytes long, the limit is {MAX_URI_LEN}")]
    TooLong { len: usize },
    #[error("has a character at byte {at} that a URI cannot have: percent-encode it")]
    Character { at: usize },
    #[error("is not an absolute URI: start it with a scheme such as https:")]
    NoScheme,
    #[error("has a scheme that is not http or https")]
    NotHttp,
    #[error("has a scheme that browsers execute or open locally")]
    ActiveScheme,
    #[error("has no valid host and port after ://")]
    Authority,
    #[error("has no / after its scheme")]
    NoPath,
    #[error("has a user name or password before the host")]
    UserInfo,
    #[error("has a fragment")]
    Fragment,
}

/// Checks a callback: `oob`, or an absolute URI without fragment.
pub(super) fn callback(text: &str) -> Result<String, UriProblem> {
    if text == OUT_OF_BAND {
        return Ok(text.to_owned());
    }
    let scheme = scheme_of_checked(text)?;
    if ACTIVE_SCHEMES
        .iter()
        .any(|active| scheme.eq_ignore_ascii_case(active))
    {
        return Err(UriProblem::ActiveScheme);
    }
    if !text[scheme.len()..].starts_with(":/") {
        return Err(UriProblem::NoPath);
    }
    if text.contains('#') {
        return Err(UriProblem::Fragment);
    }
    Ok(text.to_owned())
}

/// Checks the URL of a page: absolute, with the scheme `http` or `https`.
pub(super) fn web_page(text: &str) -> Result<String, UriProblem> {
    if is_http(scheme_of_checked(text)?) {
        Ok(text.to_owned())
    } else {
        Err(UriProblem::NotHttp)
    }
}

/// Checks the characters and the authority of an absolute URI, and returns its scheme.
fn scheme_of_checked(text: &str) -> Result<&str, UriProblem> {
    if text.is_empty() {
        return Err(UriProblem::Empty);
    }
    if text.len() > MAX_URI_LEN {
        return Err(UriProblem::TooLong { len: text.len() });
    }
    check_characters(text.as_bytes())?;
    let (scheme, rest) = text
        .split_once(':')
        .filter(|(scheme, _)| is_scheme(scheme))
        .ok_or(UriProblem::NoScheme)?;
    if is_http(scheme) {
        check_web_url(text)?;
    } else if let Some(rest) = rest.strip_prefix("//") {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        check_own_authority(authority)?;
    }
    Ok(scheme)
}

/// Checks the characters (RFC 3986 section 2): unreserved, reserved, or `%` and two hexadecimal
/// digits.
fn check_characters(text: &[u8]) -> Result<(), UriProblem> {
    let encoded = |at: usize| {
        text.get(at + 1..at + 3)
            .is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    let wrong = |&at: &usize| match text[at] {
        b'%' => !encoded(at),
        byte => !(byte.is_ascii_alphanumeric() || PUNCTUATION.contains(&byte)),
    };
    match (0..text.len()).find(wrong) {
        Some(at) => Err(UriProblem::Character { at }),
        None => Ok(()),
    }
}

/// Checks an `http` or `https` URL as the `http` crate reads it.
fn check_web_url(text: &str) -> Result<(), UriProblem> {
    let uri: Uri = text.parse().map_err(|_| UriProblem::Authority)?;
    match (uri.scheme(), uri.authority()) {
        (Some(_), Some(authority)) if authority.as_str().contains('@') => Err(UriProblem::UserInfo),
        (Some(_), Some(authority)) => check_host_and_port(authority),
        _ => Err(UriProblem::Authority),
    }
}

/// Checks the authority of an application's own scheme, which may be empty.
fn check_own_authority(text: &str) -> Result<(), UriProblem> {
    if text.contains('@') {
        return Err(UriProblem::UserInfo);
    }
    if text.is_empty() {
        return Ok(());
    }
    let authority = text.parse().map_err(|_| UriProblem::Authority)?;
    check_host_and_port(&authority)
}

/// Checks host and port (RFC 3986 section 3.2), and refuses user information.
fn check_host_and_port(authority: &Authority) -> Result<(), UriProblem> {
    let host = authority.host();
    let rest = authority.as_str().strip_prefix(host);
    let is_port = |rest: &str| rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port);
    if is_host(host) && rest.is_some_and(is_port) {
        Ok(())
    } else {
        Err(UriProblem::Authority)
    }
}

fn is_host(text: &str) -> bool {
    match text.strip_prefix('[') {
        Some(rest) => rest
            .strip_suffix(']')
            .is_some_and(|address| address.parse::<Ipv6Addr>().is_ok()),
        None => !text.is_empty() && !text.contains(['[', ']']),
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

fn is_http(scheme: &str) -> bool {
    scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")
}

/// The callback of a client that cannot receive one (RFC 5849 section 2.1).
const OUT_OF_BAND: &str = "oob";

/// Enough for a callback with a query, and eight of them fit in a record.
const MAX_URI_LEN: usize = 1024;

/// RFC 3986 section 2.2 and 2.3, without letters and digits.
const PUNCTUATION: &[u8] = b"-._~:/?#[]@!$&'()*+,;=";

/// Schemes with which a browser runs code, shows forged pages or reads files.
const ACTIVE_SCHEMES: [&str; 11] = [
    "about",
    "blob",
    "data",
    "file",
    "filesystem",
    "ftp",
    "javascript",
    "jar",
    "mailto",
    "vbscript",
    "view-source",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callback_is_an_absolute_uri_or_oob() {
        for right in [
            "oob",
            "https://printer.example.com/ready",
            "http://localhost:8080/cb?state=1",
            "https://[2001:db8::1]:8443/cb",
            "HTTPS://PRINTER.example.com:443/ready",
            "https://printer.example.com./ready",
            "http://[::1]/cb",
            "com.example.app:/done",
            "myapp://cb",
            "MyApp://cb",
            "printer://callback",
            "printer://callback:80/x",
            "printer://[::1]:80",
            "printer:///callback",
            "https://example.com/a%20b?q='(x)'",
        ] {
            assert_eq!(callback(right).as_deref(), Ok(right));
        }
    }

    #[test]
    fn an_ambiguous_callback_is_refused() {
        use UriProblem::*;
        for (wrong, problem) in [
            ("", Empty),
            ("OOB", NoScheme),
            ("/relative", NoScheme),
            ("1printer:/cb", NoScheme),
            ("print_er:/cb", NoScheme),
            ("//example.com/cb", NoScheme),
            ("https:example.com", Authority),
            ("https://", Authority),
            ("https:///cb", Authority),
            ("https://example.com:port/", Authority),
            ("https://example.com:99999/", Authority),
            ("https://example.com:+80/", Authority),
            ("localhost:8080/cb", NoPath),
            ("https://[::1/", Authority),
            ("https://[example.com]/", Authority),
            ("HTTPS://[::1/", Authority),
            ("https://[::1]evil/", Authority),
            ("https://[::1]evil:80/", Authority),
            ("https://[v1.x]/", Authority),
            ("https://::1/", Authority),
            ("https://:80/", Authority),
            ("https://example.com:/", Authority),
            ("https://ex%61mple.com/", Authority),
            ("https://a]b/", Authority),
            ("https://a[b]c/", Authority),
            ("https://a[b]:80/", Authority),
            ("printer://[::1", Authority),
            ("printer://[::1]evil", Authority),
            ("printer://a[b]", Authority),
            ("printer://callback:x", Authority),
            ("HTTP://user@example.com/", UserInfo),
            ("https://user:p%40ss@example.com/", UserInfo),
            ("https://example.com@evil.example/", UserInfo),
            ("printer://user:pass@host", UserInfo),
            ("https://example.com/#top", Fragment),
            ("javascript:alert(1)", ActiveScheme),
            ("JavaScript://example.com/%0aalert(1)", ActiveScheme),
            ("data:text/html,x", ActiveScheme),
            ("https://example.com\\@evil.example/", Character { at: 19 }),
            ("https://example.com/a b", Character { at: 21 }),
            ("https://example.com/\r\nx: y", Character { at: 20 }),
            ("https://example.com/%2", Character { at: 20 }),
            ("https://exämple.com/", Character { at: 10 }),
        ] {
            assert_eq!(callback(wrong), Err(problem), "{wrong:?}");
        }
        let long = |path: usize| format!("https://example.com/{}", "a".repeat(path));
        assert!(callback(&long(1004)).is_ok());
        assert_eq!(callback(&long(1005)), Err(TooLong { len: 1025 }));
    }

    #[test]
    fn a_page_is_on_the_web_and_may_have_a_fragment() {
        assert!(web_page("https://example.com/#about").is_ok());
        assert!(web_page("HTTP://[::1]:8080/about").is_ok());
        assert_eq!(web_page("com.example.app:/about"), Err(UriProblem::NotHttp));
        assert_eq!(web_page("javascript:alert(1)"), Err(UriProblem::NotHttp));
    }
}
