//! `[[route]]`: the policy of a request by its host, path and method.
//!
//! The policy has three layers, each stronger than the one before it, key by key: `[check]`, the
//! first `[[route]]` that matches, and Envoy's `context_extensions`.
//!
//! `server::ext_authz` finds the layers of a request and refuses paths that a backend may read
//! differently.

mod origin;
mod policy;

use std::fmt;

use http::uri::Authority;
use percent_encoding::{percent_decode, percent_decode_str};

pub use self::origin::Origin;
pub(super) use self::origin::optional_origin;
pub(super) use self::policy::{BODY_HASH_RULES, FORM_BYTES, realm, scopes};
pub use self::policy::{Mode, Requirement, RoutePolicy, UntypedBody};
use super::mistake::Mistake;
use super::reader::{Reader, string, written};
use super::setting::{RawValue, Setting};
use super::value::ValueProblem;

/// `[[route]]`: the requests that it matches, and the policy that it sets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Route {
    /// The `Host` without port, in lower case; `None` matches every host.
    pub host: Option<String>,
    /// The beginning of the path up to the end of a segment; `None` matches every path.
    pub path_prefix: Option<String>,
    /// The HTTP methods; an empty list matches every method.
    pub methods: Vec<String>,
    /// The policy of matching requests.
    pub set: RoutePolicy,
}

// === impl Route ===

impl Route {
    /// Returns `true` if the rule applies to a request with this host (lower case, without port),
    /// path (without query) and method.
    ///
    /// Percent-encoded bytes equal the bytes they encode, because a backend decodes them before it
    /// routes. Parameters of a segment (`/admin;v=1`) are ignored, because some backends route
    /// without them. Methods match in any case: the base string has them in upper case (RFC 5849
    /// section 3.4.1.1), so `post` is verified as `POST`, and some backends accept it.
    pub fn matches(&self, host: &str, path: &[u8], method: &str) -> bool {
        let is_method = |own: &String| own.eq_ignore_ascii_case(method);
        self.host.as_deref().is_none_or(|own| own == host)
            && self
                .path_prefix
                .as_deref()
                .is_none_or(|prefix| is_below(path, prefix))
            && (self.methods.is_empty() || self.methods.iter().any(is_method))
    }

    /// Returns `true` if it matches every request that `other` matches.
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

/// Writes the keys that select requests, for example `host api.example.com, path_prefix /v1`.
impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.host.as_ref().map(|host| format!("host {host}"));
        let path = self.path_prefix.as_ref();
        let path = path.map(|prefix| format!("path_prefix {prefix}"));
        let methods = (!self.methods.is_empty()).then(|| self.methods.join(" "));
        let methods = methods.map(|methods| format!("methods {methods}"));
        let keys: Vec<_> = [host, path, methods].into_iter().flatten().collect();
        f.write_str(if keys.is_empty() { "every request" } else { "" })?;
        f.write_str(&keys.join(", "))
    }
}

/// Returns `true` if `path` is `prefix` or continues it after the end of a segment. Reads only as
/// much of the path as necessary, because clients choose its length and every rule is compared.
fn is_below(path: &[u8], prefix: &str) -> bool {
    let mut path = routed(path);
    let begins = percent_decode_str(prefix).all(|byte| path.next() == Some(byte));
    begins && (prefix.ends_with('/') || matches!(path.next(), None | Some(b'/')))
}

/// Returns the decoded path without the parameters of its segments (RFC 3986 section 3.3).
fn routed(path: &[u8]) -> impl Iterator<Item = u8> {
    let segments = path.split(|&byte| byte == b'/').enumerate();
    segments.flat_map(|(at, segment)| {
        let mut parts = segment.split(|&byte| byte == b';');
        let slash = (at > 0).then_some(b'/');
        let name = parts.next().unwrap_or_default();
        slash.into_iter().chain(percent_decode(name))
    })
}

// === reading ===

/// Reads `[[route]]`.
pub(super) fn read(reader: &mut Reader) -> Vec<Route> {
    let settings = reader.routes();
    let numbered = settings.iter().enumerate();
    numbered
        .map(|(at, setting)| read_one(reader, at + 1, setting))
        .collect()
}

fn read_one(reader: &mut Reader, number: usize, setting: &Setting) -> Route {
    let mut route = Route::default();
    let RawValue::Table(table) = &setting.value else {
        let problem = "`route` must be written as [[route]]";
        reader.add(Mistake::new(&setting.place, problem));
        return route;
    };
    for (key, setting) in table {
        if let Err(problem) = route.set_key(key, &setting.value) {
            reader.add(mistake(number, key, setting, &problem));
        }
    }
    route
}

impl Route {
    fn set_key(&mut self, key: &str, value: &RawValue) -> Result<(), ValueProblem> {
        match key {
            "host" => self.host = Some(string(value, host)?),
            "path_prefix" => self.path_prefix = Some(string(value, path_prefix)?),
            "methods" => self.methods = methods(value)?,
            // [check] has them without quotes, and `context_extensions` in quotes; here both work.
            "max_form_bytes" | "hide_credentials" => self.set.set(key, &written(value))?,
            _ => string(value, |text| self.set.set(key, text))?,
        }
        Ok(())
    }
}

fn mistake(number: usize, key: &str, setting: &Setting, problem: &ValueProblem) -> Mistake {
    match problem {
        ValueProblem::UnknownKey { known } => {
            let known = MATCH_KEYS.iter().chain(known.iter()).copied();
            Mistake::unknown(&setting.place, key, known)
        }
        ValueProblem::Shape { .. } | ValueProblem::SecretShape { .. } => {
            Mistake::value(&setting.place, &format!("route[{number}].{key}"), problem)
        }
    }
}

/// Parses a host; returns it in lower case, without the dot of a fully qualified name.
fn host(text: &str) -> Result<String, ValueProblem> {
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

/// Returns `true` for a host name or address without port that every reader parses alike.
pub(crate) fn is_host(text: &str) -> bool {
    let known =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '[' | ']' | ':');
    text.parse::<Authority>()
        .is_ok_and(|authority| authority.host() == text)
        && text.chars().all(known)
}

/// Parses a path prefix. Prefixes that no path can begin with, because paths with dot segments and
/// the like are refused, are a mistake.
fn path_prefix(text: &str) -> Result<String, ValueProblem> {
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

fn methods(value: &RawValue) -> Result<Vec<String>, ValueProblem> {
    if let RawValue::Array(items) = value
        && !items.is_empty()
    {
        let methods = items.iter().map(|item| string(&item.value, method));
        return methods.collect();
    }
    let expected = "a list such as [\"GET\", \"HEAD\"]";
    Err(ValueProblem::shape(expected, &written(value)))
}

/// Parses an HTTP method in upper case, the form of the base string.
fn method(text: &str) -> Result<String, ValueProblem> {
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

/// The keys of `[[route]]` that are not policy.
pub(super) const MATCH_KEYS: [&str; 3] = ["host", "path_prefix", "methods"];

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
    fn a_route_is_shown_by_the_keys_that_select_requests() {
        let route = Route {
            host: Some("api.example.com".to_owned()),
            path_prefix: Some("/v1".to_owned()),
            methods: vec!["GET".to_owned(), "HEAD".to_owned()],
            ..Route::default()
        };
        assert_eq!(
            route.to_string(),
            "host api.example.com, path_prefix /v1, methods GET HEAD"
        );
        assert_eq!(Route::default().to_string(), "every request");
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
