//! Where users may be sent: callbacks and the application's page (RFC 3986, RFC 5849 section 2.1).
//!
//! A callback is compared with a registered one later; here it is made sure that there is only one way to read it. What
//! readers of URIs disagree on is refused: user names, backslashes, stray characters, fragments in a callback.

/// Why a text may not stand for a place to send users to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum UriProblem {
    #[error("must not be empty")]
    Empty,
    #[error("is {len} bytes long, the limit is {MAX_URI_LEN}")]
    TooLong { len: usize },
    #[error("has a character at byte {at} that a URI can not have; percent-encode it")]
    Character { at: usize },
    #[error("is not an absolute URI: it has no scheme such as https:")]
    NoScheme,
    #[error("has a scheme that is not http or https")]
    NotHttp,
    #[error("has a scheme that browsers act on by themselves")]
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

/// Checks the address of a page: an absolute `http` or `https` URL.
pub(super) fn web_page(text: &str) -> Result<String, UriProblem> {
    if is_http(scheme_of_checked(text)?) {
        Ok(text.to_owned())
    } else {
        Err(UriProblem::NotHttp)
    }
}

/// The scheme of an absolute URI whose characters and authority are in order.
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
    match rest.strip_prefix("//") {
        Some(rest) => check_authority(
            rest.split(['/', '?', '#']).next().unwrap_or_default(),
            scheme,
        )?,
        None if is_http(scheme) => return Err(UriProblem::Authority),
        None => {}
    }
    Ok(scheme)
}

/// RFC 3986 section 2: unreserved, reserved, or `%` and two hexadecimal digits.
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

/// RFC 3986 section 3.2, without user information. The authority of an application's own scheme may be empty.
fn check_authority(authority: &str, scheme: &str) -> Result<(), UriProblem> {
    if authority.contains('@') {
        return Err(UriProblem::UserInfo);
    }
    let (host, port) = match authority
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
    {
        Some((address, port)) if address.parse::<std::net::Ipv6Addr>().is_ok() => (address, port),
        Some(_) => return Err(UriProblem::Authority),
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let bracketed = authority.starts_with('[');
    let host_is_right =
        bracketed || !host.contains(['[', ']']) && (!host.is_empty() || !is_http(scheme));
    let port_is_right = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
    if host_is_right && port_is_right {
        Ok(())
    } else {
        Err(UriProblem::Authority)
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

/// The callback of a client that can not receive one (RFC 5849 section 2.1).
const OUT_OF_BAND: &str = "oob";

/// Ample for a callback with a query, and eight of them fit in a record.
const MAX_URI_LEN: usize = 1024;

/// RFC 3986 section 2.2 and 2.3, without letters and digits.
const PUNCTUATION: &[u8] = b"-._~:/?#[]@!$&'()*+,;=";

/// Schemes that run code, show made-up pages or read files when a browser is sent to them.
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
            "com.example.app:/done",
            "printer://callback",
            "printer:///callback",
            "https://example.com/a%20b?q='(x)'",
        ] {
            assert_eq!(callback(right).as_deref(), Ok(right));
        }
    }

    #[test]
    fn a_callback_that_can_be_read_in_two_ways_is_refused() {
        use UriProblem::*;
        for (wrong, problem) in [
            ("", Empty),
            ("OOB", NoScheme),
            ("/relative", NoScheme),
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
            ("https://a]b/", Authority),
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
        let long = format!("https://example.com/{}", "a".repeat(1005));
        assert_eq!(callback(&long), Err(TooLong { len: 1025 }));
    }

    #[test]
    fn a_page_is_on_the_web_and_may_have_a_fragment() {
        assert!(web_page("https://example.com/#about").is_ok());
        assert_eq!(web_page("com.example.app:/about"), Err(UriProblem::NotHttp));
        assert_eq!(web_page("javascript:alert(1)"), Err(UriProblem::NotHttp));
    }
}
