//! Known deviations from RFC 5849 that a consumer's client library makes, and that are tolerated for it alone.
//!
//! A profile only adds: what is signed as RFC 5849 says stays proven, and what is signed as the profile says is proven too.
//! Whose requests are read under which profiles is left to the caller.

use std::borrow::Cow;
use std::fmt;

use super::variant::{Port, Values, Variant};
use super::wire::Wire;
use super::{ParameterPlace, Request};

/// A known deviation from RFC 5849 that a consumer's client library makes and that is tolerated for it alone.
///
/// They are kept with a consumer; whether one may be set is left to the administration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CompatProfile {
    /// `oauth_version` may be written `1.0a`, `1.0A` or `1`; it is signed as it is sent.
    VersionLenient,
    /// The base string URI has no `/` when the path is the root.
    NoRootSlash,
    /// A `+` in the query is a plus, not a space.
    PlusLiteral,
    /// Names and values of header and query are signed as they are sent, without decoding and encoding them again.
    RawValues,
    /// A form body is not in the base string; `oauth_body_hash` has to cover it.
    BodyUnsignedForm,
    /// The query of a POST is not in the base string.
    ///
    /// # Security
    /// Nothing protects that query then: whoever sees the request can change it while it is on its way.
    IgnoreQueryOnPost,
    /// Brackets in names are encoded once.
    BracketsOnce,
    /// Signed for `http` or `https`, whichever the request came by.
    SchemeAny,
    /// The ports 80 and 443 are left out, also where they are not the scheme's default.
    DefaultPortAny,
}

impl CompatProfile {
    /// Every profile, in the order in which they are listed to people.
    pub const ALL: [Self; 9] = [
        Self::VersionLenient,
        Self::NoRootSlash,
        Self::PlusLiteral,
        Self::RawValues,
        Self::BodyUnsignedForm,
        Self::IgnoreQueryOnPost,
        Self::BracketsOnce,
        Self::SchemeAny,
        Self::DefaultPortAny,
    ];

    /// The name in configuration, records and the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::VersionLenient => "version-lenient",
            Self::NoRootSlash => "no-root-slash",
            Self::PlusLiteral => "plus-literal",
            Self::RawValues => "raw-values",
            Self::BodyUnsignedForm => "body-unsigned-form",
            Self::IgnoreQueryOnPost => "ignore-query-on-post",
            Self::BracketsOnce => "brackets-once",
            Self::SchemeAny => "scheme-any",
            Self::DefaultPortAny => "default-port-any",
        }
    }

    /// The profile of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.name() == name)
    }

    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

impl fmt::Display for CompatProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of compat profiles: what one consumer needs.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct CompatSet(u16);

impl CompatSet {
    /// RFC 5849 alone.
    pub const NONE: Self = Self(0);

    /// The set of one.
    pub const fn only(profile: CompatProfile) -> Self {
        Self(profile.bit())
    }

    /// This set and one more.
    #[must_use]
    pub const fn with(self, profile: CompatProfile) -> Self {
        Self(self.0 | profile.bit())
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether it is in the set.
    pub const fn contains(self, profile: CompatProfile) -> bool {
        self.0 & profile.bit() != 0
    }

    /// This set without a profile.
    #[must_use]
    pub const fn without(self, profile: CompatProfile) -> Self {
        Self(self.0 & !profile.bit())
    }

    /// Its members, in the order of [`CompatProfile::ALL`].
    pub fn iter(self) -> impl Iterator<Item = CompatProfile> {
        CompatProfile::ALL
            .into_iter()
            .filter(move |&profile| self.contains(profile))
    }

    /// Why its members can not be used together, in words that follow "must"; `None` when they can.
    pub fn conflict(self) -> Option<&'static str> {
        CONFLICTS
            .iter()
            .find(|(one, other, _)| self.contains(*one) && self.contains(*other))
            .map(|(.., why)| *why)
    }
}

impl FromIterator<CompatProfile> for CompatSet {
    fn from_iter<I: IntoIterator<Item = CompatProfile>>(profiles: I) -> Self {
        profiles.into_iter().fold(Self::NONE, Self::with)
    }
}

impl fmt::Debug for CompatSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// How else a request may be signed by a consumer that has these profiles; RFC 5849 itself is not among them.
///
/// # Security
/// What a variant leaves out is not signed. Protocol parameters are never left out, or a request could be replayed with
/// another nonce; who leaves out the form has to hold the body against `oauth_body_hash`.
pub(super) fn compat_variants<'v>(
    compat: CompatSet,
    request: &Request<'v>,
    wire: &Wire<'_>,
) -> Vec<Variant<'v>> {
    let rfc = Variant::rfc(request);
    let profiled = under(compat, &rfc, wire);
    let mut variants = vec![profiled.clone()];
    if compat.contains(CompatProfile::SchemeAny) {
        let scheme = rfc.scheme.other();
        variants.extend([Variant { scheme, ..rfc }, Variant { scheme, ..profiled }]);
    }
    variants
}

/// RFC 5849 but for what the profiles change together.
fn under<'v>(compat: CompatSet, rfc: &Variant<'v>, wire: &Wire<'_>) -> Variant<'v> {
    let has = |profile| compat.contains(profile);
    let mut variant = rfc.clone();
    if has(CompatProfile::NoRootSlash) && *variant.path == *b"/" {
        variant.path = Cow::Borrowed(b"");
    }
    // Nonce and token are read by RFC 5849, so what is signed of them has to be what is read: a plus in the query is a space.
    let reads_alike = !wire.has_protocol_plus(ParameterPlace::Query);
    if has(CompatProfile::PlusLiteral) && reads_alike {
        variant.values[ParameterPlace::Query as usize] = Values::PlusLiteral;
    }
    if has(CompatProfile::RawValues) && reads_alike && wire.can_be_joined() {
        variant.values[ParameterPlace::Header as usize] = Values::AsSent;
        variant.values[ParameterPlace::Query as usize] = Values::AsSent;
    }
    if has(CompatProfile::BodyUnsignedForm) && !wire.signed_in(ParameterPlace::Body) {
        variant.form = false;
    }
    let is_post = variant.method.eq_ignore_ascii_case(b"POST");
    if has(CompatProfile::IgnoreQueryOnPost) && is_post && !wire.signed_in(ParameterPlace::Query) {
        variant.query = false;
    }
    variant.brackets_once = has(CompatProfile::BracketsOnce);
    if has(CompatProfile::DefaultPortAny) {
        variant.port = Port::EitherDefault;
    }
    variant
}

/// Two profiles, and why not both.
const CONFLICTS: [(CompatProfile, CompatProfile, &str); 3] = [
    (
        CompatProfile::IgnoreQueryOnPost,
        CompatProfile::BodyUnsignedForm,
        "not hold both ignore-query-on-post and body-unsigned-form: no parameter that a POST sends would be in the base string",
    ),
    (
        CompatProfile::RawValues,
        CompatProfile::PlusLiteral,
        "not hold both raw-values and plus-literal: what is signed as it is sent has its plus as it is sent",
    ),
    (
        CompatProfile::RawValues,
        CompatProfile::BracketsOnce,
        "not hold both raw-values and brackets-once: what is signed as it is sent has its brackets as they are sent",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_lists_its_members_in_order() {
        let set = CompatSet::only(CompatProfile::SchemeAny).with(CompatProfile::PlusLiteral);
        assert_eq!(
            set.iter().collect::<Vec<_>>(),
            [CompatProfile::PlusLiteral, CompatProfile::SchemeAny]
        );
        assert_eq!(set, set.iter().collect());
        assert!(
            CompatSet::NONE.is_empty()
                && CompatSet::NONE.iter().next().is_none()
                && !set.is_empty()
        );
    }

    #[test]
    fn every_profile_can_be_used_alone_and_is_found_by_its_name() {
        for profile in CompatProfile::ALL {
            assert_eq!(CompatSet::only(profile).conflict(), None);
            assert_eq!(CompatProfile::from_name(profile.name()), Some(profile));
        }
    }

    #[test]
    fn profiles_that_leave_a_post_unsigned_or_contradict_each_other_conflict() {
        for (one, other, why) in CONFLICTS {
            assert_eq!(CompatSet::only(other).with(one).conflict(), Some(why));
            assert!(
                why.contains(one.name()) && why.contains(other.name()),
                "{why}"
            );
        }
        assert_eq!(CompatSet(u16::MAX).conflict(), Some(CONFLICTS[0].2));
    }
}
