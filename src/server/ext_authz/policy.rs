//! The rules for one request: `[check]`, the first `[[route]]` that matches, and
//! `context_extensions`. Each overrides the one before it, key by key.

use std::ptr;

use memchr::memchr_iter;

use super::attributes::RequestAttributes;
use super::failure::CheckFailure;
use crate::config::{
    CheckConfig, Config, Mode, Origin, Requirement, Route, RoutePolicy, UntypedBody, route,
};
use crate::model::Scopes;
use crate::oauth::{BodyHashRule, ParseLimits, Rejection};
use crate::verify::Reason;

/// The prefix of our keys in `context_extensions`.
const PREFIX: &str = "countersign.";

/// The rules for one request in layers, the strongest first.
pub(super) struct EffectivePolicy<'a> {
    layers: [Option<&'a RoutePolicy>; 3],
    check: &'a CheckConfig,
    /// The backend may route the request differently than the rules here matched it.
    may_be_routed_elsewhere: bool,
}

impl<'a> EffectivePolicy<'a> {
    /// Finds the route rule; `extensions` comes from [`from_extensions`].
    pub(super) fn of(
        config: &'a Config,
        attributes: &RequestAttributes<'_>,
        extensions: Option<&'a RoutePolicy>,
    ) -> Self {
        let route = (!config.routes.is_empty()).then(|| {
            let (host, path) = (attributes.host_name(), attributes.path());
            config
                .routes
                .iter()
                .find(|route| route.matches(&host, path, attributes.method))
        });
        let route = route.flatten().map(|route| &route.set);
        let mut policy = Self {
            layers: [extensions, route, Some(&config.check.policy)],
            check: &config.check,
            may_be_routed_elsewhere: false,
        };
        if policy.is_shadow() && !enforces_nothing(config) {
            policy.may_be_routed_elsewhere =
                is_ambiguous(attributes.path()) || unambiguous_host(config, attributes).is_err();
        }
        policy
    }

    fn first<T>(&self, key: impl Fn(&'a RoutePolicy) -> Option<T>) -> Option<T> {
        self.layers.iter().flatten().find_map(|layer| key(layer))
    }

    /// Returns the required kind of caller.
    pub(super) fn require(&self) -> Requirement {
        self.first(|layer| layer.require).unwrap_or_default()
    }

    /// Returns the scopes that are all required, if any.
    pub(super) fn scopes(&self) -> Option<&'a Scopes> {
        self.first(|layer| layer.scopes.as_ref())
    }

    /// Returns the realm of the challenge.
    pub(super) fn realm(&self) -> &'a str {
        self.first(|layer| layer.realm.as_deref())
            .unwrap_or(&self.check.realm)
    }

    /// Returns the origin that clients sign, if it differs from the one that Envoy sees.
    pub(super) fn origin(&self) -> Option<&'a Origin> {
        self.first(|layer| layer.origin.as_ref())
    }

    /// Returns the rule for `oauth_body_hash`.
    pub(super) fn body_hash(&self) -> BodyHashRule {
        self.first(|layer| layer.body_hash).unwrap_or_default()
    }

    /// Returns the rule for a body that some backends read as a form.
    pub(super) fn untyped_body(&self) -> UntypedBody {
        self.first(|layer| layer.untyped_body).unwrap_or_default()
    }

    /// Returns the longest header, query and form body, each in bytes.
    pub(super) fn max_form_bytes(&self) -> usize {
        self.first(|layer| layer.max_form_bytes)
            .unwrap_or_else(|| ParseLimits::default().form_bytes)
    }

    /// Returns the rule that decided about a denial for this reason, or that applied to a request,
    /// as operators read it: its key, if the reason depends on one, and the layer that sets it.
    pub(super) fn rule(&self, config: &Config, reason: Option<Reason>) -> String {
        match reason.and_then(rule_key) {
            Some((key, sets)) => {
                let layer = self.first(|layer| sets(layer).then_some(layer));
                format!("{key} of {}", self.layer_name(config, layer))
            }
            None => {
                let layer = self.layers[..2].iter().flatten().next();
                self.layer_name(config, layer.copied())
            }
        }
    }

    /// Returns the name of a layer; `None` is the default of every key.
    fn layer_name(&self, config: &Config, layer: Option<&RoutePolicy>) -> String {
        let [extensions, ..] = self.layers;
        let Some(layer) = layer else {
            return "[check]".to_owned();
        };
        if extensions.is_some_and(|own| ptr::eq(own, layer)) {
            return "context_extensions".to_owned();
        }
        let mut routes = config.routes.iter().enumerate();
        let route = routes.find(|(_, route)| ptr::eq(&route.set, layer));
        route.map_or_else(
            || "[check]".to_owned(),
            |(at, route)| format!("[[route]] {} ({route})", at + 1),
        )
    }

    /// Returns true if the `Authorization` header that carried the verified parameters is removed.
    /// In shadow mode it stays, because the backend still verifies.
    pub(super) fn hides_credentials(&self) -> bool {
        !self.is_shadow() && self.first(|layer| layer.hide_credentials).unwrap_or(true)
    }

    /// Returns true if denied requests pass and are only reported.
    ///
    /// # Security
    /// A request that the backend may route elsewhere is never in shadow mode:
    /// `/shadow/../enforced` would reach an enforced route.
    pub(super) fn is_shadow(&self) -> bool {
        !self.may_be_routed_elsewhere
            && self.first(|layer| layer.mode).unwrap_or_default() == Mode::Shadow
    }
}

/// A function that tells whether a layer sets a key.
type SetsKey = fn(&RoutePolicy) -> bool;

/// Returns the key that a denial for this reason depends on.
fn rule_key(reason: Reason) -> Option<(&'static str, SetsKey)> {
    if let Reason::Rejected(rejection) = reason {
        return rejection_key(rejection);
    }
    if let Reason::Unsigned | Reason::UserRequired = reason {
        return Some(("require", |layer| layer.require.is_some()));
    }
    if reason == Reason::ScopeMissing {
        return Some(("scopes", |layer| layer.scopes.is_some()));
    }
    if reason == Reason::RealmMismatch {
        return Some(("realm", |layer| layer.realm.is_some()));
    }
    if let Reason::PlaintextWithoutHttps | Reason::UnknownScheme = reason {
        return Some(("origin", |layer| layer.origin.is_some()));
    }
    None
}

fn rejection_key(rejection: Rejection) -> Option<(&'static str, SetsKey)> {
    if let Rejection::BodyHashAbsent = rejection {
        return Some(("body_hash", |layer| layer.body_hash.is_some()));
    }
    if let Rejection::BodyUntyped | Rejection::BodyTypeUnclear = rejection {
        return Some(("untyped_body", |layer| layer.untyped_body.is_some()));
    }
    if let Rejection::ParametersTooLarge { .. } = rejection {
        return Some(("max_form_bytes", |layer| layer.max_form_bytes.is_some()));
    }
    None
}

/// Returns true if the configuration enforces no route.
fn enforces_nothing(config: &Config) -> bool {
    let is_enforced = |route: &Route| route.set.mode == Some(Mode::Enforce);
    config.check.policy.mode == Some(Mode::Shadow) && !config.routes.iter().any(is_enforced)
}

/// Reads our keys of `context_extensions`; `None` if there are none.
///
/// # Errors
/// An unknown key or value of ours is a mistake in Envoy's configuration, and not the caller's.
pub(super) fn from_extensions(
    extensions: &[(&str, &str)],
) -> Result<Option<RoutePolicy>, CheckFailure> {
    let mut policy = None;
    for (name, value) in extensions {
        let Some(key) = name.strip_prefix(PREFIX) else {
            continue;
        };
        let layer = policy.get_or_insert_with(RoutePolicy::default);
        layer
            .set(key, value)
            .map_err(|problem| CheckFailure::ContextExtension(format!("`{name}` {problem}")))?;
    }
    Ok(policy)
}

/// Refuses a path that the backend might route differently than a path rule here matched it.
///
/// # Errors
/// [`Reason::AmbiguousPath`] if a path rule exists and the path has dot segments, `//`, `\`, `%2F`,
/// `%5C`, `%2E`, `%3B` or `%00`, even if their `%` is escaped once more.
pub(super) fn unambiguous_path(config: &Config, path: &[u8]) -> Result<(), Reason> {
    let matters = config
        .routes
        .iter()
        .any(|route| route.path_prefix.is_some());
    if matters && is_ambiguous(path) {
        Err(Reason::AmbiguousPath)
    } else {
        Ok(())
    }
}

/// Refuses a host that the backend might read differently than a host rule here compared it.
///
/// # Errors
/// [`Rejection::AuthorityMalformed`] if a host rule exists and the host is not one name or address
/// with at most a port. A signed request with such a host is denied anyway; an unsigned one would
/// bypass the rule.
pub(super) fn unambiguous_host(
    config: &Config,
    attributes: &RequestAttributes<'_>,
) -> Result<(), Reason> {
    let matters = config.routes.iter().any(|route| route.host.is_some());
    if matters && !route::is_host(&attributes.host_name()) {
        Err(Reason::Rejected(Rejection::AuthorityMalformed))
    } else {
        Ok(())
    }
}

fn is_ambiguous(path: &[u8]) -> bool {
    let escaped = memchr_iter(b'%', path).any(|at| has_ambiguous_escape(&path[at + 1..]));
    let dots = path.split(|&byte| byte == b'/').any(|segment| {
        // Some servers treat a segment with parameters (`;…`) as a dot or an empty segment too.
        let name = segment
            .split(|&byte| byte == b';')
            .next()
            .unwrap_or_default();
        name == b"." || name == b".." || segment.starts_with(b";")
    });
    escaped || dots || path.contains(&b'\\') || path.windows(2).any(|two| two == b"//")
}

/// Returns true if a backend may decode the text after a `%` to a byte that changes the route. Some
/// decode twice, so that `%252E` is a dot too.
fn has_ambiguous_escape(after: &[u8]) -> bool {
    let mut code = after;
    while let Some(rest) = code.strip_prefix(b"25") {
        code = rest;
    }
    code.get(..2).is_some_and(|code| {
        [b"2F", b"5C", b"2E", b"3B", b"00"]
            .iter()
            .any(|ambiguous| code.eq_ignore_ascii_case(*ambiguous))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_may_be_routed_differently_is_ambiguous() {
        for path in [
            "/a/../b",
            "/a/./b",
            "/a//b",
            "/a\\b",
            "/a%2fb",
            "/a%5Cb",
            "/a/%2e%2E/b",
            "/..",
            "/a/..;x/b",
            "/;x/b",
            "/a/..%3Bx/b",
            "/a%00/b",
            "/a/%252e%252E/b",
            "/a%25252Fb",
            "/a%255cb",
            "//",
        ] {
            assert!(is_ambiguous(path.as_bytes()), "{path}");
        }
    }

    #[test]
    fn an_ordinary_path_is_not_ambiguous() {
        for path in [
            "/",
            "/a/b",
            "/a.b/..c/d..",
            "/a%20b",
            "/%7Euser",
            "/50%25",
            "/50%2520/2E",
            "/%25",
            "/a;v=1/b",
            "",
        ] {
            assert!(!is_ambiguous(path.as_bytes()), "{path}");
        }
    }

    #[test]
    fn an_unknown_key_of_ours_is_a_failure_and_other_keys_are_ignored() {
        for mistake in [
            ("countersign.requires", "user"),
            ("countersign.require", "root"),
        ] {
            assert!(matches!(
                from_extensions(&[mistake]),
                Err(CheckFailure::ContextExtension(_))
            ));
        }
        assert!(matches!(from_extensions(&[("tenant", "a")]), Ok(None)));
        let read = from_extensions(&[("countersign.require", "user")])
            .unwrap()
            .unwrap();
        assert_eq!(read.require, Some(Requirement::User));
    }
}
