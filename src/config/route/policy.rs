//! The policy of a request: the required proof, and the effect of a denial.

use std::ops::RangeInclusive;

use super::origin::Origin;
use crate::config::value::{ValueProblem, boolean, integer, one_of, word};
use crate::model::Scopes;
use crate::oauth::BodyHashRule;

/// The policy of one layer; `None` leaves a key to the layer below.
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
    /// `untyped_body`.
    pub untyped_body: Option<UntypedBody>,
    /// `max_form_bytes`.
    pub max_form_bytes: Option<usize>,
    /// `hide_credentials`: removes the `Authorization` header that carried the verified parameters.
    pub hide_credentials: Option<bool>,
    /// `mode`.
    pub mode: Option<Mode>,
}

/// `countersign.require`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, strum::EnumString, strum::VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum Requirement {
    /// A signature with a token that acts for a user.
    User,
    /// A signature; a token is optional.
    #[default]
    Consumer,
    /// No signature, or a valid one.
    Optional,
}

/// `countersign.untyped_body`: the rule for a signed request whose body has no `Content-Type`, or
/// one that some backends take for that of a form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, strum::EnumString, strum::VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum UntypedBody {
    /// The request is refused, unless `oauth_body_hash` covers the body.
    #[default]
    Refuse,
    /// The request is accepted: the backend reads such a body as bytes.
    Allow,
}

/// `countersign.mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, strum::EnumString, strum::VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum Mode {
    /// Denials are enforced.
    #[default]
    Enforce,
    /// Denials are reported, and the requests pass.
    Shadow,
}

// === impl RoutePolicy ===

impl RoutePolicy {
    /// The keys of [`Self::set`]: they are in `[check]` and `[[route]]`, and after `countersign.`
    /// in Envoy's `context_extensions`.
    pub const KEYS: [&str; 9] = [
        "require",
        "scopes",
        "realm",
        "origin",
        "body_hash",
        "untyped_body",
        "max_form_bytes",
        "hide_credentials",
        "mode",
    ];

    /// Sets one key from its text.
    ///
    /// # Errors
    /// When the key is unknown or the value is not valid for it; then nothing is set.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), ValueProblem> {
        match key {
            "require" => self.require = Some(word(value)?),
            "scopes" => self.scopes = Some(scopes(value)?),
            "realm" => self.realm = Some(realm(value)?),
            "origin" => self.origin = Some(Origin::parse(value)?),
            "body_hash" => self.body_hash = Some(one_of(value, &BODY_HASH_RULES)?),
            "untyped_body" => self.untyped_body = Some(word(value)?),
            "max_form_bytes" => self.max_form_bytes = Some(integer(value, &FORM_BYTES)?),
            "hide_credentials" => self.hide_credentials = Some(boolean(value)?),
            "mode" => self.mode = Some(word(value)?),
            _ => return Err(ValueProblem::UnknownKey { known: &Self::KEYS }),
        }
        Ok(())
    }
}

/// Parses scopes separated by spaces.
pub(in crate::config) fn scopes(text: &str) -> Result<Scopes, ValueProblem> {
    let expected = "scopes separated by spaces, without \" and \\";
    Scopes::parse(text).map_err(|_| ValueProblem::shape(expected, text))
}

/// Parses a realm. It stands in a quoted string of `WWW-Authenticate`, so it has no character that
/// needs escaping there.
pub(in crate::config) fn realm(text: &str) -> Result<String, ValueProblem> {
    let fits = |c: char| (c.is_ascii_graphic() || c == ' ') && !matches!(c, '"' | '\\');
    if text.len() <= MAX_REALM_LEN && text.chars().all(fits) {
        return Ok(text.to_owned());
    }
    let expected = "at most 255 visible ASCII characters and spaces, without \" and \\";
    Err(ValueProblem::shape(expected, text))
}

/// The values of `body_hash`.
pub(in crate::config) const BODY_HASH_RULES: [(&str, BodyHashRule); 3] = [
    ("off", BodyHashRule::Off),
    ("accept", BodyHashRule::Accept),
    ("require", BodyHashRule::Require),
];

/// The values of `max_form_bytes`. A longer form would hold its thread for more than two
/// milliseconds.
pub(in crate::config) const FORM_BYTES: RangeInclusive<usize> = 0..=256 * 1024;

const MAX_REALM_LEN: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_set_key_by_key() {
        let mut policy = RoutePolicy::default();
        let values = [
            "user",
            "b a",
            "Photos",
            "https://a",
            "require",
            "allow",
            "4096",
            "false",
            "shadow",
        ];
        for (key, value) in RoutePolicy::KEYS.into_iter().zip(values) {
            policy.set(key, value).unwrap();
        }
        assert_eq!(policy.require, Some(Requirement::User));
        assert_eq!(policy.scopes, Some(Scopes::parse("a b").unwrap()));
        assert_eq!(policy.realm.as_deref(), Some("Photos"));
        assert_eq!(policy.origin, Some(Origin::parse("https://a").unwrap()));
        assert_eq!(policy.body_hash, Some(BodyHashRule::Require));
        assert_eq!(policy.untyped_body, Some(UntypedBody::Allow));
        assert_eq!(policy.max_form_bytes, Some(4096));
        assert_eq!(policy.hide_credentials, Some(false));
        assert_eq!(policy.mode, Some(Mode::Shadow));
    }

    #[test]
    fn a_wrong_key_or_value_sets_nothing_and_says_what_is_right() {
        let mut policy = RoutePolicy::default();
        let mut problem = |key, value| policy.set(key, value).unwrap_err().to_string();
        let known = "is unknown; the keys are require, scopes, realm, origin, body_hash, \
                     untyped_body, max_form_bytes, hide_credentials, mode";
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
            ("hide_credentials", "no"),
        ] {
            problem(key, value);
        }
        assert_eq!(policy, RoutePolicy::default());
    }
}
