//! What is demanded of a request: `[check]`, the first `[[route]]` that matches, and `context_extensions`, each
//! stronger than the one before it, key by key.

use super::attributes::Attributes;
use super::failure::Failure;
use crate::config::{CheckConfig, Config, Mode, Origin, Requirement, Route, RoutePolicy, route};
use crate::model::Scopes;
use crate::oauth::{BodyHashRule, Rejection};
use crate::verify::Reason;

/// Keys of `context_extensions` that are ours.
const PREFIX: &str = "countersign.";

/// The layers that apply to one request, the strongest first.
pub(super) struct Policy<'a> {
    layers: [Option<&'a RoutePolicy>; 3],
    check: &'a CheckConfig,
    /// Whether the backend may take the request for one of another route, which may be enforced.
    may_be_of_another: bool,
}

impl<'a> Policy<'a> {
    /// Finds the route rule; `extensions` is what [`from_extensions`] read.
    pub(super) fn of(
        config: &'a Config,
        attributes: &Attributes<'_>,
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
            may_be_of_another: false,
        };
        if policy.is_shadow() && !everything_is_in_shadow(config) {
            policy.may_be_of_another =
                is_ambiguous(attributes.path()) || unambiguous_host(config, attributes).is_err();
        }
        policy
    }

    fn first<T>(&self, key: impl Fn(&'a RoutePolicy) -> Option<T>) -> Option<T> {
        self.layers.iter().flatten().find_map(|layer| key(layer))
    }

    /// Whether a signature, and whether a user, is needed.
    pub(super) fn require(&self) -> Requirement {
        self.first(|layer| layer.require).unwrap_or_default()
    }

    /// The scopes that are all needed, if any.
    pub(super) fn scopes(&self) -> Option<&'a Scopes> {
        self.first(|layer| layer.scopes.as_ref())
    }

    /// The realm of the challenge.
    pub(super) fn realm(&self) -> &'a str {
        self.first(|layer| layer.realm.as_deref())
            .unwrap_or(&self.check.realm)
    }

    /// What clients sign, if it is not what Envoy sees.
    pub(super) fn origin(&self) -> Option<&'a Origin> {
        self.first(|layer| layer.origin.as_ref())
    }

    /// What is demanded of `oauth_body_hash`.
    pub(super) fn body_hash(&self) -> BodyHashRule {
        self.first(|layer| layer.body_hash).unwrap_or_default()
    }

    /// Whether denials are let through and reported.
    ///
    /// # Security
    /// Not of a request that may be of another route for the backend: whoever writes `/shadow/../enforced` would get there.
    pub(super) fn is_shadow(&self) -> bool {
        !self.may_be_of_another
            && self.first(|layer| layer.mode).unwrap_or_default() == Mode::Shadow
    }
}

/// Whether no request is denied, as far as is configured here.
fn everything_is_in_shadow(config: &Config) -> bool {
    let is_enforced = |route: &Route| route.set.mode == Some(Mode::Enforce);
    config.check.policy.mode == Some(Mode::Shadow) && !config.routes.iter().any(is_enforced)
}

/// Reads our keys of `context_extensions`; `None` when there are none.
///
/// # Errors
/// An unknown key or value of ours is a mistake in Envoy's configuration, and so our failure and not the caller's.
pub(super) fn from_extensions(extensions: &[(&str, &str)]) -> Result<Option<RoutePolicy>, Failure> {
    let mut policy = None;
    for (name, value) in extensions {
        let Some(key) = name.strip_prefix(PREFIX) else {
            continue;
        };
        let layer = policy.get_or_insert_with(RoutePolicy::default);
        layer
            .set(key, value)
            .map_err(|problem| Failure::ContextExtension(format!("`{name}` {problem}")))?;
    }
    Ok(policy)
}

/// Refuses paths that the backend might route elsewhere than a path rule here matched them.
///
/// # Errors
/// [`Reason::AmbiguousPath`] where a path rule exists and the path has dot segments, `//`, `\`, `%2F`, `%5C`,
/// `%2E`, `%3B` or `%00`.
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

/// Refuses hosts that the backend might read as another than a host rule here compared.
///
/// # Errors
/// [`Rejection::AuthorityMalformed`] where a host rule exists and the host is not one name or address with at most a
/// port. Of a signed request that is refused anyway; an unsigned one would pass by the rule.
pub(super) fn unambiguous_host(config: &Config, attributes: &Attributes<'_>) -> Result<(), Reason> {
    let matters = config.routes.iter().any(|route| route.host.is_some());
    if matters && !route::is_host(&attributes.host_name()) {
        Err(Reason::Rejected(Rejection::AuthorityMalformed))
    } else {
        Ok(())
    }
}

fn is_ambiguous(path: &[u8]) -> bool {
    let escaped = path.windows(3).any(|three| {
        three[0] == b'%'
            && [*b"2F", *b"5C", *b"2E", *b"3B", *b"00"]
                .iter()
                .any(|code| three[1..].eq_ignore_ascii_case(code))
    });
    let dots = path.split(|&byte| byte == b'/').any(|segment| {
        // A segment's parameters (`;…`) do not keep some servers from treating it as a dot or an empty segment.
        let name = segment
            .split(|&byte| byte == b';')
            .next()
            .unwrap_or_default();
        name == b"." || name == b".." || segment.starts_with(b";")
    });
    escaped || dots || path.contains(&b'\\') || path.windows(2).any(|two| two == b"//")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_may_be_routed_elsewhere_is_ambiguous() {
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
            "/a;v=1/b",
            "",
        ] {
            assert!(!is_ambiguous(path.as_bytes()), "{path}");
        }
    }

    #[test]
    fn an_unknown_key_of_ours_is_our_failure_and_others_are_not_ours() {
        for mistake in [
            ("countersign.requires", "user"),
            ("countersign.require", "root"),
        ] {
            assert!(matches!(
                from_extensions(&[mistake]),
                Err(Failure::ContextExtension(_))
            ));
        }
        assert!(matches!(from_extensions(&[("tenant", "a")]), Ok(None)));
        let read = from_extensions(&[("countersign.require", "user")])
            .unwrap()
            .unwrap();
        assert_eq!(read.require, Some(Requirement::User));
    }
}
