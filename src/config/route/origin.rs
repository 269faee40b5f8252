//! The URL that clients sign, if it is not the one that Envoy receives.

use crate::config::value::ValueProblem;
use crate::config::web_url::WebUrl;
use crate::oauth::Scheme;

/// The scheme, host, port and path prefix of the URL that clients sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The scheme.
    pub scheme: Scheme,
    /// Host and port as written in the URL.
    pub authority: String,
    /// The prefix of the path: empty, or with a `/` at its beginning and none at its end.
    pub path_prefix: String,
}

// === impl Origin ===

impl Origin {
    /// Parses `https://host[:port][/prefix]`; a `/` at the end is ignored.
    ///
    /// # Errors
    /// When the text has another scheme, a user name, a query or a fragment.
    pub fn parse(text: &str) -> Result<Self, ValueProblem> {
        let expected = "an origin such as \"https://api.example.com\" or \
                        \"https://example.com:8443/api\"";
        let url = WebUrl::parse(text).filter(|url| url.uri().query().is_none());
        let url = url.filter(|_| text.bytes().all(|byte| byte.is_ascii_graphic()));
        let url = url.ok_or_else(|| ValueProblem::address(expected, text))?;
        let path = url.uri().path();
        Ok(Self {
            scheme: url.scheme(),
            authority: url.authority().to_owned(),
            path_prefix: path.strip_suffix('/').unwrap_or(path).to_owned(),
        })
    }
}

/// Parses an origin; the empty text is `None`.
pub(in crate::config) fn optional_origin(text: &str) -> Result<Option<Origin>, ValueProblem> {
    if text.is_empty() {
        Ok(None)
    } else {
        Origin::parse(text).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_scheme_host_port_and_prefix() {
        let origin = |scheme, authority: &str, path_prefix: &str| {
            Ok(Origin {
                scheme,
                authority: authority.to_owned(),
                path_prefix: path_prefix.to_owned(),
            })
        };
        assert_eq!(
            Origin::parse("https://api.example.com"),
            origin(Scheme::Https, "api.example.com", "")
        );
        assert_eq!(
            Origin::parse("https://api.example.com/"),
            origin(Scheme::Https, "api.example.com", "")
        );
        assert_eq!(
            Origin::parse("http://[::1]:8080/a/b/"),
            origin(Scheme::Http, "[::1]:8080", "/a/b")
        );
        assert_eq!(
            Origin::parse("HTTPS://Api.Example.com:8443/a"),
            origin(Scheme::Https, "Api.Example.com:8443", "/a")
        );
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        for wrong in [
            "",
            "api.example.com",
            "ftp://a",
            "https://",
            "https:///a",
            "https://u@a",
            "https://u:p@a",
            "https://a?x",
            "https://a/b?x",
            "https://a/b#x",
            "https://a:0",
            "https://a:70000",
            "https://a:",
            "https://a b",
            "https://a/ b",
        ] {
            let problem = Origin::parse(wrong).unwrap_err().to_string();
            assert!(
                problem.starts_with("must be an origin such as \"https://api.example.com\""),
                "{wrong}: {problem}"
            );
        }
    }
}
