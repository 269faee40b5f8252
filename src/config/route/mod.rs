//! What is demanded of a request, by where it goes.
//!
//! Three layers, each stronger than the one before it, key by key: `[check]`, the first `[[route]]` that matches, and
//! Envoy's `context_extensions` of the route.
//!
//! Finding the layers of a request, and refusing paths that a backend may read otherwise, is left to
//! `server::ext_authz`.

use http::uri::Authority;
use percent_encoding::{percent_decode, percent_decode_str};

use super::ValueProblem;
use super::value::one_of;
use crate::model::Scopes;
use crate::oauth::{BodyHashRule, Scheme};

/// `[[route]]`: a match and what it sets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Route {
    /// The `Host` without port, in lower case; `None` matches every one.
    pub host: Option<String>,
    /// The beginning of the path, ending at a `/` or at its end; `None` matches every one.
    pub path_prefix: Option<String>,
    /// HTTP methods; empty matches every one.
    pub methods: Vec<String>,
    /// What it sets.
    pub set: RoutePolicy,
}

/// What one layer sets; `None` leaves it to the layer below.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RoutePolicy {
    /// `require`.
    pub require: Option<Requirement>,
    /// `scopes`: all of them are needed.
    pub scopes: Option<Scopes>,
    /// `realm`.
    pub realm: Option<String>,
    /// `origin`.
    pub origin: Option<Origin>,
    /// `body_hash`.
    pub body_hash: Option<BodyHashRule>,
    /// `mode`.
    pub mode: Option<Mode>,
}

/// `countersign.require`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Requirement {
    /// Signed with a token that acts for a user.
    User,
    /// Signed; a token is optional.
    #[default]
    Consumer,
    /// Not signed at all, or signed truly.
    Optional,
}

/// `countersign.mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// What is refused is denied.
    #[default]
    Enforce,
    /// What is refused is let through and reported.
    Shadow,
}

/// What clients sign when it is not what Envoy sees: scheme, host, port, and a path prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The scheme.
    pub scheme: Scheme,
    /// Host and port, as they stand in the URL.
    pub authority: String,
    /// Put in front of the path; empty or beginning with `/` and not ending with one.
    pub path_prefix: String,
}

// === impl Route ===

impl Route {
    /// Whether it is about this request: `host` without port and in lower case, `path` without query, both as they
    /// arrived otherwise.
    ///
    /// Percent-encoded bytes equal the bytes they stand for, since a backend decodes them before it routes. A segment's
    /// parameters (`/admin;v=1`) are not part of it, since some backends route without them. Methods match in any case:
    /// the base string has them in upper case (RFC 5849 section 3.4.1.1), so `post` is verified as `POST`, and some
    /// backends read it as that.
    pub fn matches(&self, host: &str, path: &[u8], method: &str) -> bool {
        self.host.as_deref().is_none_or(|own| own == host)
            && self
                .path_prefix
                .as_deref()
                .is_none_or(|prefix| is_below(path, prefix))
            && (self.methods.is_empty()
                || self
                    .methods
                    .iter()
                    .any(|own| own.eq_ignore_ascii_case(method)))
    }

    /// Whether it matches everything that `other` matches.
    pub(super) fn covers(&self, other: &Self) -> bool {
        let host = self.host.is_none() || self.host == other.host;
        let path = match (&self.path_prefix, &other.path_prefix) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(own), Some(theirs)) => is_below(theirs.as_bytes(), own),
        };
        let within = |method| self.methods.contains(method);
        let methods = self.methods.is_empty()
            || (!other.methods.is_empty() && other.methods.iter().all(within));
        host && path && methods
    }
}

/// Whether `path` is `prefix`, or goes on from it at the boundary of a segment. Reads no further than it must: anybody
/// can send a long path, and every rule is held against it.
fn is_below(path: &[u8], prefix: &str) -> bool {
    let mut path = routed(path);
    let begins = percent_decode_str(prefix).all(|byte| path.next() == Some(byte));
    begins && (prefix.ends_with('/') || matches!(path.next(), None | Some(b'/')))
}

/// The path decoded, without what follows a `;` in each of its segments (RFC 3986 section 3.3).
fn routed(path: &[u8]) -> impl Iterator<Item = u8> {
    path.split(|&byte| byte == b'/')
        .enumerate()
        .flat_map(|(at, segment)| {
            let name = segment
                .split(|&byte| byte == b';')
                .next()
                .unwrap_or_default();
            (at > 0)
                .then_some(b'/')
                .into_iter()
                .chain(percent_decode(name))
        })
}

// === impl RoutePolicy ===

impl RoutePolicy {
    /// The keys that [`Self::set`] knows: those of `[check]` and `[[route]]`, and after `countersign.` those of Envoy's
    /// `context_extensions`.
    pub const KEYS: [&str; 6] = ["require", "scopes", "realm", "origin", "body_hash", "mode"];

    /// Sets one key from its text.
    ///
    /// # Errors
    /// When there is no such key, or the value is none of its values; nothing is set then.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), ValueProblem> {
        match key {
            "require" => self.require = Some(requirement(value)?),
            "scopes" => self.scopes = Some(scopes(value)?),
            "realm" => self.realm = Some(realm(value)?),
            "origin" => self.origin = Some(Origin::parse(value)?),
            "body_hash" => self.body_hash = Some(body_hash(value)?),
            "mode" => self.mode = Some(mode(value)?),
            _ => return Err(ValueProblem::UnknownKey),
        }
        Ok(())
    }
}

pub(super) fn requirement(text: &str) -> Result<Requirement, ValueProblem> {
    let choices = [
        ("user", Requirement::User),
        ("consumer", Requirement::Consumer),
        ("optional", Requirement::Optional),
    ];
    one_of(text, &choices)
}

pub(super) fn scopes(text: &str) -> Result<Scopes, ValueProblem> {
    Scopes::parse(text)
        .map_err(|_| ValueProblem::shape("scopes separated by spaces, without \" and \\", text))
}

/// A realm stands in a quoted string of `WWW-Authenticate`, so it has nothing that would need escaping there.
pub(super) fn realm(text: &str) -> Result<String, ValueProblem> {
    let fits = |c: char| (c.is_ascii_graphic() || c == ' ') && !matches!(c, '"' | '\\');
    if text.len() <= MAX_REALM_LEN && text.chars().all(fits) {
        return Ok(text.to_owned());
    }
    Err(ValueProblem::shape(
        "at most 255 visible ASCII characters and spaces, without \" and \\",
        text,
    ))
}

pub(super) fn body_hash(text: &str) -> Result<BodyHashRule, ValueProblem> {
    let choices = [
        ("off", BodyHashRule::Off),
        ("accept", BodyHashRule::Accept),
        ("require", BodyHashRule::Require),
    ];
    one_of(text, &choices)
}

pub(super) fn mode(text: &str) -> Result<Mode, ValueProblem> {
    one_of(
        text,
        &[("enforce", Mode::Enforce), ("shadow", Mode::Shadow)],
    )
}

// === impl Origin ===

impl Origin {
    /// Reads `https://host[:port][/prefix]`; a `/` at the end counts for nothing.
    ///
    /// # Errors
    /// When it is anything else: another scheme, a user name, a query, a fragment.
    pub fn parse(text: &str) -> Result<Self, ValueProblem> {
        Self::read(text).ok_or_else(|| {
            ValueProblem::shape(
                "an origin such as \"https://api.example.com\" or \"https://example.com:8443/api\"",
                text,
            )
        })
    }

    fn read(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let scheme = match scheme {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return None,
        };
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let plain = path
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#'));
        let path_prefix = path.strip_suffix('/').unwrap_or(path);
        (plain && is_authority(authority)).then(|| Self {
            scheme,
            authority: authority.to_owned(),
            path_prefix: path_prefix.to_owned(),
        })
    }
}

/// Whether `text` is `host` or `host:port`.
fn is_authority(text: &str) -> bool {
    let Ok(authority) = text.parse::<Authority>() else {
        return false;
    };
    let without_port = authority.host() == text;
    !authority.host().is_empty()
        && (without_port || authority.port_u16().is_some_and(|port| port > 0))
        && !text.contains('@')
}

// === readers of what a route matches ===

/// A host, as it is compared: in lower case, without the dot of a fully qualified name.
pub(super) fn host(text: &str) -> Result<String, ValueProblem> {
    let host = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    if is_host(&host) {
        Ok(host)
    } else {
        Err(ValueProblem::shape(
            "a host name without port and wildcard, such as \"api.example.com\"",
            text,
        ))
    }
}

/// Whether `text` is a host name or address without port, which every reader takes for the same.
pub(crate) fn is_host(text: &str) -> bool {
    let known =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '[' | ']' | ':');
    text.parse::<Authority>()
        .is_ok_and(|authority| authority.host() == text)
        && text.chars().all(known)
}

/// A path prefix that a request's path can begin with: those with dot segments and the like are refused.
pub(super) fn path_prefix(text: &str) -> Result<String, ValueProblem> {
    let plain = text
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#' | b';' | b'\\'));
    let upper = text.to_ascii_uppercase();
    let ambiguous = text.contains("//")
        || text.split('/').any(|segment| matches!(segment, "." | ".."))
        || ["%2F", "%5C", "%2E"]
            .iter()
            .any(|code| upper.contains(code));
    if text.starts_with('/') && plain && !ambiguous {
        Ok(text.to_owned())
    } else {
        Err(ValueProblem::shape(
            "a path that begins with / and has no //, dot segment, ;, query or escaped / \\ .",
            text,
        ))
    }
}

/// An HTTP method, as it stands in the base string: in upper case.
pub(super) fn method(text: &str) -> Result<String, ValueProblem> {
    let plain = !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || matches!(byte, b'-' | b'_'));
    if plain {
        Ok(text.to_owned())
    } else {
        Err(ValueProblem::shape("an HTTP method in upper case", text))
    }
}

const MAX_REALM_LEN: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_prefix_ends_at_a_segment() {
        let route = Route {
            path_prefix: Some("/public".to_owned()),
            ..Route::default()
        };
        for path in [
            "/public",
            "/public/",
            "/public/a",
            "/%70ublic/a",
            "/public;v=1",
            "/public;v=1/a",
            "/public;/%61;;/",
        ] {
            assert!(route.matches("any", path.as_bytes(), "GET"), "{path}");
        }
        for path in ["/", "/publi", "/publication", "/Public", "/a/public", ""] {
            assert!(!route.matches("any", path.as_bytes(), "GET"), "{path}");
        }
    }

    #[test]
    fn a_prefix_with_a_slash_at_its_end_needs_it() {
        let route = Route {
            path_prefix: Some("/a/".to_owned()),
            ..Route::default()
        };
        assert!(route.matches("any", b"/a/", "GET"));
        assert!(route.matches("any", b"/a/b", "GET"));
        assert!(!route.matches("any", b"/a", "GET"));
        let root = Route {
            path_prefix: Some("/".to_owned()),
            ..Route::default()
        };
        assert!(root.matches("any", b"/anything", "GET"));
    }

    #[test]
    fn a_route_matches_its_host_and_methods_only() {
        let methods = vec!["GET".to_owned(), "HEAD".to_owned()];
        let route = Route {
            host: Some("api.example.com".to_owned()),
            methods,
            ..Route::default()
        };
        assert!(route.matches("api.example.com", b"/", "HEAD"));
        assert!(!route.matches("example.com", b"/", "HEAD"));
        assert!(!route.matches("api.example.com", b"/", "POST"));
    }

    #[test]
    fn a_method_in_lower_case_is_the_one_that_is_signed() {
        let route = Route {
            methods: vec!["POST".to_owned()],
            ..Route::default()
        };
        for method in ["POST", "post", "Post"] {
            assert!(route.matches("any", b"/", method), "{method}");
        }
    }

    #[test]
    fn a_route_covers_what_it_leaves_nothing_of() {
        let route = |host: Option<&str>, prefix: Option<&str>, methods: &[&str]| Route {
            host: host.map(str::to_owned),
            path_prefix: prefix.map(str::to_owned),
            methods: methods.iter().map(|&method| method.to_owned()).collect(),
            set: RoutePolicy::default(),
        };
        let all = route(None, None, &[]);
        let narrow = route(Some("a"), Some("/v1/x"), &["GET"]);
        assert!(all.covers(&narrow) && !narrow.covers(&all));
        assert!(route(Some("a"), Some("/v1"), &["GET", "PUT"]).covers(&narrow));
        assert!(!route(Some("b"), Some("/v1"), &[]).covers(&narrow));
        assert!(!route(None, Some("/v"), &[]).covers(&narrow));
        assert!(!route(None, None, &["PUT"]).covers(&narrow));
        assert!(!route(None, None, &["GET"]).covers(&route(None, None, &[])));
    }

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

    #[test]
    fn a_policy_is_set_key_by_key() {
        let mut policy = RoutePolicy::default();
        let values = ["user", "b a", "Photos", "https://a", "require", "shadow"];
        for (key, value) in RoutePolicy::KEYS.into_iter().zip(values) {
            policy.set(key, value).unwrap();
        }
        assert_eq!(policy.require, Some(Requirement::User));
        assert_eq!(policy.scopes, Some(Scopes::parse("a b").unwrap()));
        assert_eq!(policy.realm.as_deref(), Some("Photos"));
        assert_eq!(policy.origin, Some(Origin::parse("https://a").unwrap()));
        assert_eq!(policy.body_hash, Some(BodyHashRule::Require));
        assert_eq!(policy.mode, Some(Mode::Shadow));
    }

    #[test]
    fn a_wrong_key_or_value_sets_nothing_and_says_what_is_right() {
        let mut policy = RoutePolicy::default();
        let mut problem = |key, value| policy.set(key, value).unwrap_err().to_string();
        let known = "is unknown; the keys are require, scopes, realm, origin, body_hash, mode";
        assert_eq!(problem("requires", "user"), known);
        assert_eq!(
            problem("require", "root"),
            r#"must be "user" or "consumer" or "optional", not "root""#
        );
        assert_eq!(
            problem("scopes", "a\"b"),
            r#"must be scopes separated by spaces, without " and \, not "a\"b""#
        );
        assert_eq!(
            problem("mode", ""),
            r#"must be "enforce" or "shadow", not """#
        );
        for (key, value) in [
            ("realm", "a\"b"),
            ("realm", "a\r\nb"),
            ("origin", ""),
            ("body_hash", "Off"),
        ] {
            problem(key, value);
        }
        assert_eq!(policy, RoutePolicy::default());
    }

    #[test]
    fn what_a_route_matches_is_checked() {
        assert_eq!(host("API.example.com"), Ok("api.example.com".to_owned()));
        assert_eq!(host("[::1]"), Ok("[::1]".to_owned()));
        for wrong in ["", "a:80", "*.a", "a/b", "u@a", "[::1]:80"] {
            assert!(host(wrong).is_err(), "{wrong}");
        }
        assert_eq!(path_prefix("/v1/a.b"), Ok("/v1/a.b".to_owned()));
        for wrong in [
            "", "v1", "/a//b", "/a/../b", "/./a", "/a?b", "/a b", "/a%2fb", "/%2e",
        ] {
            assert!(path_prefix(wrong).is_err(), "{wrong}");
        }
        assert!(method("M-SEARCH").is_ok() && method("get").is_err() && method("").is_err());
    }
}
