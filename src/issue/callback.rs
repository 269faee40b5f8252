//! Callbacks, and the redirects of users after the decision (RFC 5849 sections 2.1 and 2.2, OAuth
//! Core 1.0a section 6.1.1).
//!
//! A requested callback must match a registered one by the components of RFC 3986 section 6.2:
//! scheme and host in any case, the port or its default, and the exact path. The query starts with
//! the complete registered query; more parameters may follow. A consumer without callbacks can only
//! request `oob`.
//!
//! The port of a loopback callback may differ: an application of the user's own machine gets a free
//! port from its system only when it starts to listen (RFC 8252 section 7.3). That holds for `http`
//! and the literal addresses `127.0.0.1` and `[::1]`. The name `localhost` may stand for another
//! address (section 8.3), so its port must match.
//!
//! `oob` says that the consumer cannot receive a callback, or that the callback is established by
//! other means (RFC 5849 section 2.1). If a consumer registered exactly one URI and not `oob`, then
//! `oob` stands for that URI; with several URIs it is ambiguous, and refused. So no consumer can
//! use `oob` to bypass a registered callback. Otherwise, an attacker who has only the consumer's
//! key material could make a user read out a PIN.

use http::Uri;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::uri;
use crate::model::{Callback, Consumer};

/// Returns the callback that a consumer requests by `sent`.
///
/// # Errors
/// The problem of the callback, as the end of a sentence.
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

/// Returns true if the callback is still registered.
pub(super) fn is_registered(callback: &Callback, consumer: &Consumer) -> bool {
    match callback {
        Callback::OutOfBand => out_of_band(&consumer.callbacks) == Ok(Callback::OutOfBand),
        Callback::Uri(sent) => consumer
            .callbacks
            .iter()
            .any(|registered| matches(sent, registered)),
    }
}

/// Returns the redirect of a user who consented.
pub(super) fn allowed(callback: &Callback, token: &str, verifier: &str) -> Option<String> {
    redirect(
        callback,
        &[("oauth_token", token), ("oauth_verifier", verifier)],
    )
}

/// Returns the redirect of a user who refused (OAuth Problem Reporting).
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
        _ => Err(AMBIGUOUS.to_owned()),
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
    let (Some(sent), Some(registered)) = (CallbackParts::of(sent), CallbackParts::of(registered))
    else {
        return false;
    };
    (sent.place == registered.place || sent.place.is_loopback_of(&registered.place))
        && begins_with(sent.query.as_deref(), registered.query.as_deref())
}

fn begins_with(sent: Option<&str>, registered: Option<&str>) -> bool {
    let Some(registered) = registered.filter(|query| !query.is_empty()) else {
        return true;
    };
    let rest = sent.and_then(|sent| sent.strip_prefix(registered));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('&') || registered.ends_with('&'))
}

/// The components of a checked callback (RFC 3986 section 3).
struct CallbackParts {
    place: CallbackPlace,
    query: Option<String>,
}

/// The components that must be equal, normalized.
#[derive(PartialEq, Eq)]
struct CallbackPlace {
    scheme: String,
    /// In lower case; `None` if the URI has no authority.
    host: Option<String>,
    port: String,
    path: String,
}

// === impl CallbackPlace ===

impl CallbackPlace {
    /// Returns true if both are the same loopback callback, with any port.
    fn is_loopback_of(&self, other: &Self) -> bool {
        let Self {
            scheme,
            host,
            port: _,
            path,
        } = self;
        let is_loopback = |host: &str| LOOPBACK.contains(&host);
        scheme == "http"
            && host.as_deref().is_some_and(is_loopback)
            && (scheme, host, path) == (&other.scheme, &other.host, &other.path)
    }
}

// === impl CallbackParts ===

impl CallbackParts {
    fn of(uri: &str) -> Option<Self> {
        let (scheme, rest) = uri.split_once(':')?;
        let scheme = scheme.to_ascii_lowercase();
        match scheme.as_str() {
            "http" => Self::of_web_url(uri, scheme, "80"),
            "https" => Self::of_web_url(uri, scheme, "443"),
            _ => Some(Self::of_own_scheme(scheme, rest)),
        }
    }

    fn of_web_url(uri: &str, scheme: String, default_port: &str) -> Option<Self> {
        let uri: Uri = uri.parse().ok()?;
        let authority = uri.authority()?;
        let port = authority.port();
        let port = port.as_ref().map_or(default_port, |port| port.as_str());
        let place = CallbackPlace {
            scheme,
            host: Some(authority.host().to_ascii_lowercase()),
            port: port.to_owned(),
            path: uri.path().to_owned(),
        };
        let query = uri.query().map(str::to_owned);
        Some(Self { place, query })
    }

    /// Reads a URI with the application's own scheme. The `http` crate reads no URI without an
    /// authority, and gives every other URI a path.
    fn of_own_scheme(scheme: String, rest: &str) -> Self {
        let (rest, query) = match rest.split_once('?') {
            Some((rest, query)) => (rest, Some(query.to_owned())),
            None => (rest, None),
        };
        let (authority, path) = match rest.strip_prefix("//") {
            Some(rest) => {
                let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
                (Some(authority.to_ascii_lowercase()), path)
            }
            None => (None, rest),
        };
        let place = CallbackPlace {
            scheme,
            host: authority,
            port: String::new(),
            path: path.to_owned(),
        };
        Self { place, query }
    }
}

/// The callback of a client that cannot receive one.
const OUT_OF_BAND: &str = "oob";

/// The addresses of the user's own machine (RFC 8252 section 7.3), as URIs write them.
const LOOPBACK: [&str; 2] = ["127.0.0.1", "[::1]"];

const AMBIGUOUS: &str =
    "must be one of the registered callbacks: `oob` is not registered, and there are several";

const UNREGISTERED: &str = "is not a registered callback of the consumer: scheme, host, port and path must match a \
                            registered one, except for the port on 127.0.0.1 and [::1], and the query must start \
                            with its query";

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
    fn equal_callbacks_may_differ_in_case_default_port_and_added_query() {
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
            ("myapp://cb", "MyApp://CB?x=1"),
            ("http://[::1]/cb", "HTTP://[::1]:80/cb"),
            ("https://example.com./cb", "https://EXAMPLE.COM./cb"),
            ("https://example.com?a=1", "https://example.com/?a=1&b=2"),
            ("http://127.0.0.1/cb", "http://127.0.0.1:49152/cb"),
            ("http://127.0.0.1:8080/cb", "http://127.0.0.1/cb"),
            ("http://127.0.0.1:8080/cb", "HTTP://127.0.0.1:8081/cb?x=1"),
            ("http://127.0.0.1/cb?a=1", "http://127.0.0.1:1/cb?a=1&b=2"),
            ("http://[::1]/cb", "http://[::1]:8080/cb"),
        ] {
            assert!(matches(sent, registered), "{sent} is {registered}");
        }
    }

    #[test]
    fn another_callback_than_a_registered_one_is_different() {
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
            ("printer://callback", "printer://callback/"),
            ("printer://callback:80", "printer://callback:81"),
            ("https://example.com/cb", "https://example.com./cb"),
            (
                "https://example.com/cb",
                "https://example.com@evil.example/cb",
            ),
            ("https://example.com/cb", "https://user@example.com/cb2"),
            ("http://[::1]/cb", "http://127.0.0.1/cb"),
            ("http://127.0.0.1/cb", "http://127.0.0.1:49152/other"),
            ("http://127.0.0.1/cb?a=1", "http://127.0.0.1:49152/cb"),
            ("http://127.0.0.1/cb", "http://127.0.0.2:49152/cb"),
            ("http://127.0.0.1/cb", "http://localhost:49152/cb"),
            ("http://127.0.0.1/cb", "http://127.0.0.1.example.com:1/cb"),
            ("http://127.0.0.1/cb", "https://127.0.0.1/cb"),
            ("https://127.0.0.1/cb", "https://127.0.0.1:8443/cb"),
            ("http://127.1/cb", "http://127.1:8080/cb"),
            ("http://localhost/cb", "http://localhost:49152/cb"),
            ("http://localhost/cb", "http://127.0.0.1:49152/cb"),
            ("http://192.0.2.1/cb", "http://192.0.2.1:8080/cb"),
            ("printer://127.0.0.1/cb", "printer://127.0.0.1:1/cb"),
            ("http://[::1]/cb", "https://[::1]/cb"),
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
    fn out_of_band_follows_the_registered_callbacks() {
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
