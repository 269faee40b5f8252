//! A request as a capture shows it.

use countersign::oauth::{RequestBody, Scheme};
use percent_encoding::percent_decode;

use super::form::FORM;
use crate::cli::exit::Usage;

/// A request as a capture shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CapturedRequest {
    /// The HTTP method.
    pub(crate) method: Vec<u8>,
    /// The scheme, if the capture shows it.
    pub(crate) scheme: Option<Scheme>,
    /// Path and query.
    pub(crate) target: Vec<u8>,
    /// The headers, in order.
    pub(crate) headers: Vec<Header>,
    /// The body; `None` if the request has one and the capture lacks it, or may lack it.
    pub(crate) body: Option<Vec<u8>>,
    /// The Unix time of the request, if the capture shows it.
    pub(crate) time: Option<u64>,
    /// The status of the response, if the capture shows it.
    pub(crate) status: Option<u16>,
    /// A sentence about each part that the capture lacks.
    pub(crate) unknown: Vec<String>,
}

/// A header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// The name, in any case.
    pub(crate) name: Vec<u8>,
    /// The value; folded lines are joined with a space.
    pub(crate) value: Vec<u8>,
}

// === impl CapturedRequest ===

impl CapturedRequest {
    /// Returns the values of the headers of this name.
    pub(crate) fn values(&self, name: &str) -> Vec<&[u8]> {
        let of_name = self
            .headers
            .iter()
            .filter(|header| header.name.eq_ignore_ascii_case(name.as_bytes()));
        of_name.map(|header| header.value.as_slice()).collect()
    }

    /// Returns the body for a verification.
    pub(crate) fn body(&self) -> RequestBody<'_> {
        match &self.body {
            Some(body) => RequestBody::Whole(body),
            None => RequestBody::Unseen,
        }
    }

    /// Returns the decoded value of a protocol parameter as it was sent, in whatever place.
    pub(crate) fn protocol_value(&self, name: &str) -> Option<String> {
        let mut places = self.values("authorization");
        places.push(&self.target);
        places.extend(self.body.as_deref());
        places
            .into_iter()
            .find_map(|place| protocol_value(place, name.as_bytes()))
    }

    /// Returns true if the request has a sign of OAuth 1.0a.
    pub(super) fn has_oauth(&self) -> bool {
        let is_oauth = |value: &[u8]| {
            value
                .get(..6)
                .is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"OAuth "))
        };
        self.values("authorization").into_iter().any(is_oauth)
            || self.protocol_value("oauth_consumer_key").is_some()
    }

    /// Returns true if the body is a form.
    pub(super) fn is_form(&self) -> bool {
        self.values("content-type").into_iter().any(|value| {
            value
                .get(..FORM.len())
                .is_some_and(|media_type| media_type.eq_ignore_ascii_case(FORM.as_bytes()))
        })
    }

    /// Adds a header.
    pub(super) fn push(&mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        self.headers.push(Header {
            name: name.as_ref().to_vec(),
            value: value.as_ref().to_vec(),
        });
    }

    /// Adds a header unless there is one of its name.
    pub(super) fn push_default(&mut self, name: &str, value: impl AsRef<[u8]>) {
        if self.values(name).is_empty() {
            self.push(name, value);
        }
    }

    pub(super) fn replace_host(&mut self, host: &str) {
        self.headers
            .retain(|header| !header.name.eq_ignore_ascii_case(b"host"));
        self.push("Host", host);
    }

    /// Sets scheme, target and, unless a header names another, the host.
    ///
    /// # Errors
    /// When the URL is not an absolute one of HTTP.
    pub(super) fn set_url(&mut self, url: &[u8]) -> Result<(), Usage> {
        let (scheme, rest) = split_scheme(url).ok_or_else(|| {
            let url = shown(url);
            Usage(format!(
                "the URL {url} is not complete: expected http:// or https:// and a host"
            ))
        })?;
        let rest = rest.split(|&byte| byte == b'#').next().unwrap_or_default();
        let end = rest.iter().position(|&byte| matches!(byte, b'/' | b'?'));
        let (authority, target) = rest.split_at(end.unwrap_or(rest.len()));
        let host = authority.rsplit(|&byte| byte == b'@').next();
        self.scheme = Some(scheme);
        self.target = rooted(target);
        self.push_default("Host", host.unwrap_or_default());
        Ok(())
    }

    /// Returns method, URL and status, on one line.
    pub(super) fn summary(&self) -> String {
        let scheme = match self.scheme {
            Some(Scheme::Http) => "http://",
            Some(Scheme::Https) => "https://",
            None => "",
        };
        let host = self.values("host").join(&b',');
        let status = self.status.map(|status| format!(" ({status})"));
        format!(
            "{} {scheme}{}{}{}",
            shown(&self.method),
            shown(&host),
            shown(&self.target),
            status.unwrap_or_default()
        )
    }
}

/// Splits the scheme of an absolute URL off.
pub(super) fn split_scheme(url: &[u8]) -> Option<(Scheme, &[u8])> {
    let after = |scheme: &[u8]| {
        let begin = url.get(..scheme.len())?;
        let rest = &url[scheme.len()..];
        let is_complete = !matches!(rest.first(), None | Some(b'/' | b'?' | b'#'));
        (begin.eq_ignore_ascii_case(scheme) && is_complete).then_some(rest)
    };
    let https = after(b"https://").map(|rest| (Scheme::Https, rest));
    https.or_else(|| after(b"http://").map(|rest| (Scheme::Http, rest)))
}

/// Returns the target of a request for a URL that ends with `target`.
fn rooted(target: &[u8]) -> Vec<u8> {
    if target.starts_with(b"/") {
        target.to_vec()
    } else {
        [b"/", target].concat()
    }
}

/// Finds `NAME=VALUE` or `NAME="VALUE"` in a header, a query or a form.
fn protocol_value(place: &[u8], name: &[u8]) -> Option<String> {
    let starts = place
        .windows(name.len())
        .enumerate()
        .filter(|(_, window)| *window == name);
    for (at, _) in starts {
        let rest = place[at + name.len()..].trim_ascii_start();
        if let Some(value) = rest.strip_prefix(b"=") {
            let value = value.trim_ascii_start();
            let value = value.strip_prefix(b"\"").unwrap_or(value);
            let is_end = |byte: &u8| matches!(byte, b'"' | b',' | b'&' | b' ' | b'#');
            let value = value.split(is_end).next().unwrap_or_default();
            return Some(percent_decode(value).decode_utf8_lossy().into_owned());
        }
    }
    None
}

/// Returns bytes of a capture for a message: at most a line, without control characters.
pub(super) fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut shown: String = text
        .chars()
        .take(MAX_SHOWN)
        .map(|c| if c.is_control() { '\u{FFFD}' } else { c })
        .collect();
    if text.chars().nth(MAX_SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

/// The number of characters of a capture that a message repeats.
const MAX_SHOWN: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_split_without_a_change() {
        for (url, scheme, host, target) in [
            ("https://h", Scheme::Https, "h", "/"),
            (
                "HTTP://U:p@H:80/a%2fb?c=d?e#f",
                Scheme::Http,
                "H:80",
                "/a%2fb?c=d?e",
            ),
            ("https://h?a=b", Scheme::Https, "h", "/?a=b"),
            ("https://[::1]:8443/", Scheme::Https, "[::1]:8443", "/"),
        ] {
            let mut request = CapturedRequest::default();
            request.set_url(url.as_bytes()).unwrap();
            assert_eq!(request.scheme, Some(scheme), "{url}");
            assert_eq!(request.values("host"), [host.as_bytes()], "{url}");
            assert_eq!(request.target, target.as_bytes(), "{url}");
        }
        for url in [
            "",
            "/photos",
            "h/photos",
            "ftp://h/",
            "https://",
            "https:///a",
        ] {
            let refused = CapturedRequest::default().set_url(url.as_bytes());
            assert!(refused.is_err(), "{url}");
        }
    }

    #[test]
    fn a_host_header_is_stronger_than_the_url() {
        let mut request = CapturedRequest::default();
        request.push("host", "a");
        request.set_url(b"https://b/").unwrap();
        assert_eq!(request.values("Host"), [b"a"]);
    }

    #[test]
    fn a_protocol_parameter_is_found_in_every_place() {
        let mut header = CapturedRequest::default();
        header.push(
            "Authorization",
            "OAuth oauth_token=\"\", oauth_nonce = \"a%2Fb\"",
        );
        assert_eq!(header.protocol_value("oauth_nonce").unwrap(), "a/b");
        assert_eq!(header.protocol_value("oauth_token").unwrap(), "");
        assert_eq!(header.protocol_value("oauth_version"), None);
        let query = CapturedRequest {
            target: b"/?x=oauth_nonce&oauth_nonce=c&d=e".to_vec(),
            ..CapturedRequest::default()
        };
        assert_eq!(query.protocol_value("oauth_nonce").unwrap(), "c");
        assert!(!query.has_oauth());
        let form = CapturedRequest {
            body: Some(b"a=b&oauth_consumer_key=k".to_vec()),
            ..CapturedRequest::default()
        };
        assert!(form.has_oauth());
    }

    #[test]
    fn a_message_repeats_no_control_characters() {
        assert_eq!(shown(b"a\x1b[1m\n"), "a\u{FFFD}[1m\u{FFFD}");
        assert_eq!(shown("é".repeat(81).as_bytes()).chars().count(), 81);
    }
}
