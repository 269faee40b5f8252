//! Where users are sent after deciding (RFC 5849 sections 2.1 and 2.2, OAuth Core 1.0a section 6.1.1).
//!
//! A callback that is sent must be one that the consumer registered, compared by components as RFC 3986 section 6.2 has
//! them: scheme and host without regard to case, the port (or the scheme's own), the path as it is. A registered query must
//! begin the one that is sent, whole; anything may follow it. Who registered none can only send `oob`.
//!
//! `oob` says that the consumer can not be sent a callback here, or that it is established by other means (RFC 5849
//! section 2.1). So for a consumer that did not register `oob` and did register exactly one URI, that URI is meant; with
//! more of them nobody could tell which, and it is refused. What no consumer can do by `oob` is to leave out the page of a
//! registered callback: an attacker who has only the consumer's key material could have a user read out a PIN otherwise.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::uri;
use crate::model::{Callback, Consumer};

/// The callback that a consumer means by `sent`.
///
/// # Errors
/// What is wrong with it, as the end of a sentence.
pub(super) fn resolve(sent: &str, consumer: &Consumer) -> Result<Callback, String> {
    let sent = uri::callback(sent).map_err(|problem| problem.to_string())?;
    if sent == OUT_OF_BAND {
        return out_of_band(&consumer.callbacks);
    }
    let callback = Callback::Uri(sent);
    if is_registered(&callback, consumer) {
        Ok(callback)
    } else {
        Err(UNREGISTERED.to_owned())
    }
}

/// Whether users may still be sent there.
pub(super) fn is_registered(callback: &Callback, consumer: &Consumer) -> bool {
    match callback {
        Callback::OutOfBand => out_of_band(&consumer.callbacks) == Ok(Callback::OutOfBand),
        Callback::Uri(sent) => consumer
            .callbacks
            .iter()
            .any(|registered| matches(sent, registered)),
    }
}

/// Where to send a user who allowed it.
pub(super) fn allowed(callback: &Callback, token: &str, verifier: &str) -> Option<String> {
    redirect(
        callback,
        &[("oauth_token", token), ("oauth_verifier", verifier)],
    )
}

/// Where to send a user who refused (OAuth Problem Reporting).
pub(super) fn refused(callback: &Callback, token: &str) -> Option<String> {
    redirect(
        callback,
        &[("oauth_token", token), ("oauth_problem", "user_refused")],
    )
}

fn out_of_band(registered: &[String]) -> Result<Callback, String> {
    match registered {
        [] => Ok(Callback::OutOfBand),
        all if all.iter().any(|one| one == OUT_OF_BAND) => Ok(Callback::OutOfBand),
        [only] => Ok(Callback::Uri(only.clone())),
        _ => Err(
            "must say which of the registered callbacks is meant: `oob` is not one of them"
                .to_owned(),
        ),
    }
}

fn redirect(callback: &Callback, parameters: &[(&str, &str)]) -> Option<String> {
    match callback {
        Callback::OutOfBand => None,
        Callback::Uri(uri) => Some(append(uri, parameters)),
    }
}

/// Adds parameters at the end of the query, before a fragment.
fn append(uri: &str, parameters: &[(&str, &str)]) -> String {
    let (front, fragment) = uri.split_at(uri.find('#').unwrap_or(uri.len()));
    let mut out = front.to_owned();
    for (name, value) in parameters {
        out.push_str(match out.split_once('?') {
            None => "?",
            Some((_, "")) => "",
            Some((_, query)) if query.ends_with('&') => "",
            Some(_) => "&",
        });
        out.push_str(name);
        out.push('=');
        out.extend(utf8_percent_encode(value, RESERVED));
    }
    out + fragment
}

fn matches(sent: &str, registered: &str) -> bool {
    let (Some(sent), Some(registered)) = (Parts::of(sent), Parts::of(registered)) else {
        return false;
    };
    sent.place() == registered.place() && begins_with(sent.query, registered.query)
}

fn begins_with(sent: Option<&str>, registered: Option<&str>) -> bool {
    let Some(registered) = registered.filter(|query| !query.is_empty()) else {
        return true;
    };
    let rest = sent.and_then(|sent| sent.strip_prefix(registered));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('&') || registered.ends_with('&'))
}

/// The components of a checked callback (RFC 3986 section 3).
struct Parts<'a> {
    scheme: String,
    authority: Option<&'a str>,
    path: &'a str,
    query: Option<&'a str>,
}

impl<'a> Parts<'a> {
    fn of(uri: &'a str) -> Option<Self> {
        let (scheme, rest) = uri.split_once(':')?;
        let (rest, query) = match rest.split_once('?') {
            Some((rest, query)) => (rest, Some(query)),
            None => (rest, None),
        };
        let (authority, path) = match rest.strip_prefix("//") {
            Some(rest) => {
                let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
                (Some(authority), path)
            }
            None => (None, rest),
        };
        Some(Self {
            scheme: scheme.to_ascii_lowercase(),
            authority,
            path,
            query,
        })
    }

    /// Everything but the query, in the one form that equal places have.
    fn place(&self) -> (&str, Option<(String, &str)>, &str) {
        let default_port = match self.scheme.as_str() {
            "http" => "80",
            "https" => "443",
            _ => "",
        };
        let authority = self.authority.map(|authority| {
            let end_of_host = authority.rfind(']').map_or(0, |at| at + 1);
            let colon = authority[end_of_host..]
                .find(':')
                .map_or(authority.len(), |at| end_of_host + at);
            let port = authority[colon..].trim_start_matches(':');
            (
                authority[..colon].to_ascii_lowercase(),
                if port.is_empty() { default_port } else { port },
            )
        });
        let path = if self.path.is_empty() && !default_port.is_empty() {
            "/"
        } else {
            self.path
        };
        (&self.scheme, authority, path)
    }
}

/// The callback of a client that can not receive one.
const OUT_OF_BAND: &str = "oob";

const UNREGISTERED: &str = "is none of the consumer's callbacks: scheme, host, port and path must be those of one, and \
                            its query must begin the query";

/// RFC 5849 section 3.6.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callback_is_compared_by_components() {
        for (registered, sent) in [
            ("https://example.com/cb", "https://example.com/cb"),
            ("https://example.com/cb", "HTTPS://EXAMPLE.com:443/cb"),
            ("https://example.com:443/cb", "https://example.com/cb"),
            ("https://example.com", "https://example.com/"),
            ("https://example.com/cb", "https://example.com/cb?state=1"),
            ("https://example.com/cb?", "https://example.com/cb"),
            ("https://example.com/cb?a=1", "https://example.com/cb?a=1"),
            (
                "https://example.com/cb?a=1",
                "https://example.com/cb?a=1&b=2",
            ),
            (
                "http://[2001:DB8::1]:8080/cb",
                "http://[2001:db8::1]:8080/cb",
            ),
            ("com.example.app:/done", "com.example.app:/done?x"),
            ("printer://callback", "printer://callback"),
        ] {
            assert!(matches(sent, registered), "{sent} is {registered}");
        }
        for (registered, sent) in [
            ("https://example.com/cb", "http://example.com/cb"),
            ("https://example.com/cb", "https://example.com:8443/cb"),
            (
                "https://example.com/cb",
                "https://example.com.evil.example/cb",
            ),
            (
                "https://example.com/cb",
                "https://evil.example/cb?https://example.com/cb",
            ),
            ("https://example.com/cb", "https://example.com/cb/"),
            ("https://example.com/cb", "https://example.com/cb/more"),
            ("https://example.com/cb", "https://example.com/CB"),
            ("https://example.com/cb", "https://example.com/x/../cb"),
            ("https://example.com/cb", "https://example.com/c%62"),
            ("https://example.com/", "https://example.com/cb"),
            ("https://example.com/cb?a=1", "https://example.com/cb"),
            ("https://example.com/cb?a=1", "https://example.com/cb?a=12"),
            (
                "https://example.com/cb?a=1",
                "https://example.com/cb?b=2&a=1",
            ),
            ("http://[2001:db8::1]/cb", "http://[2001:db8::2]/cb"),
            ("com.example.app:/done", "com.example.app://done"),
            ("com.example.app:/done", "com.example.other:/done"),
            ("printer://callback", "printer://callback:80"),
            ("oob", "https://example.com/cb"),
        ] {
            assert!(!matches(sent, registered), "{sent} is not {registered}");
        }
    }

    #[test]
    fn parameters_are_added_at_the_end_of_the_query() {
        for (uri, sent_to) in [
            (
                "https://example.com/cb",
                "https://example.com/cb?oauth_token=t%26%2B&oauth_verifier=v",
            ),
            (
                "https://example.com/cb?",
                "https://example.com/cb?oauth_token=t%26%2B&oauth_verifier=v",
            ),
            (
                "https://example.com/cb?a=1",
                "https://example.com/cb?a=1&oauth_token=t%26%2B&oauth_verifier=v",
            ),
            (
                "https://example.com/cb?a=1&",
                "https://example.com/cb?a=1&oauth_token=t%26%2B&oauth_verifier=v",
            ),
            (
                "https://example.com/cb?a=?",
                "https://example.com/cb?a=?&oauth_token=t%26%2B&oauth_verifier=v",
            ),
            (
                "https://example.com/cb#top",
                "https://example.com/cb?oauth_token=t%26%2B&oauth_verifier=v#top",
            ),
            (
                "com.example.app:/done",
                "com.example.app:/done?oauth_token=t%26%2B&oauth_verifier=v",
            ),
        ] {
            assert_eq!(
                allowed(&Callback::Uri(uri.to_owned()), "t&+", "v").as_deref(),
                Some(sent_to)
            );
        }
        assert_eq!(
            refused(&Callback::Uri("https://example.com/cb?a=1".to_owned()), "t").as_deref(),
            Some("https://example.com/cb?a=1&oauth_token=t&oauth_problem=user_refused")
        );
        assert_eq!(allowed(&Callback::OutOfBand, "t", "v"), None);
        assert_eq!(refused(&Callback::OutOfBand, "t"), None);
    }

    #[test]
    fn out_of_band_is_what_the_consumer_registered() {
        let meant = |registered: &[&str]| {
            let registered: Vec<String> = registered.iter().copied().map(str::to_owned).collect();
            out_of_band(&registered)
        };
        let (one, two) = ("https://example.com/1", "https://example.com/2");
        assert_eq!(meant(&[]), Ok(Callback::OutOfBand));
        assert_eq!(meant(&["oob"]), Ok(Callback::OutOfBand));
        assert_eq!(meant(&[one, "oob"]), Ok(Callback::OutOfBand));
        assert_eq!(meant(&[one]), Ok(Callback::Uri(one.to_owned())));
        assert!(meant(&[one, two]).is_err());
    }
}
