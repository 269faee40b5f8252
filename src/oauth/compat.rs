//! Known deviations from RFC 5849 in client libraries, each tolerated for single consumers.
//!
//! A profile only adds a way to verify: a signature that is valid under RFC 5849 stays valid, and a
//! signature that is valid under the profile is accepted too. The caller decides which consumer has
//! which profiles.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr as _;

use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use super::variant::{BaseStringVariant, Encoding, PortRule, Reading, TextForm};
use super::wire::WireParameters;
use super::{ParameterPlace, Request};

/// A known deviation from RFC 5849 in a client library, tolerated for one consumer.
///
/// Profiles are stored with a consumer. The rules of its administration limit them.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Display,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[strum(serialize_all = "kebab-case")]
pub enum CompatProfile {
    /// `oauth_version` may also be `1.0a`, `1.0A` or `1`; the client signs the text that it sends.
    VersionLenient,
    /// The base string URI has no `/` if the path is the root.
    NoRootSlash,
    /// A `+` in the query is a plus, not a space.
    PlusLiteral,
    /// Names and values of header and query are signed as sent, without decoding and encoding.
    RawValues,
    /// A form body is not in the base string; `oauth_body_hash` must cover it.
    BodyUnsignedForm,
    /// The query of a POST is not in the base string.
    ///
    /// # Security
    /// Nothing protects that query: any intermediary can change it.
    IgnoreQueryOnPost,
    /// Brackets in names are encoded once.
    BracketsOnce,
    /// The signature may be for `http` or `https`, whichever scheme the request came by.
    SchemeAny,
    /// The ports 80 and 443 are left out, even if they are not the default of the scheme.
    DefaultPortAny,
}

impl CompatProfile {
    /// Every profile, in the order of lists for people.
    pub const ALL: [Self; Self::VARIANTS.len()] =
        *Self::VARIANTS.first_chunk().expect("the same length");

    /// Returns the name in configuration, records and the API.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Returns the profile of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::from_str(name).ok()
    }

    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// The compat profiles of a consumer.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct CompatSet(u16);

impl CompatSet {
    /// RFC 5849 alone.
    pub const NONE: Self = Self(0);

    /// Returns the set of one profile.
    pub const fn only(profile: CompatProfile) -> Self {
        Self(profile.bit())
    }

    /// Returns this set with one more profile.
    #[must_use]
    pub const fn with(self, profile: CompatProfile) -> Self {
        Self(self.0 | profile.bit())
    }

    /// Returns whether the set is empty.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns whether the set has the profile.
    pub const fn contains(self, profile: CompatProfile) -> bool {
        self.0 & profile.bit() != 0
    }

    /// Returns this set without a profile.
    #[must_use]
    pub const fn without(self, profile: CompatProfile) -> Self {
        Self(self.0 & !profile.bit())
    }

    /// Returns the members, in the order of [`CompatProfile::ALL`].
    pub fn iter(self) -> impl Iterator<Item = CompatProfile> {
        CompatProfile::ALL
            .into_iter()
            .filter(move |&profile| self.contains(profile))
    }

    /// Returns why two members exclude each other, as a text that continues "must"; `None` if none
    /// do.
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

/// Returns the other base strings that a consumer with these profiles may sign; that of RFC 5849 is
/// not among them.
///
/// # Security
/// A variant does not sign the parts that it leaves out. It never leaves out a protocol parameter:
/// a request could be replayed with another nonce. If it leaves out the form, the caller must
/// compare the body with `oauth_body_hash`.
pub(super) fn compat_variants<'v>(
    compat: CompatSet,
    request: &Request<'v>,
    wire: &WireParameters<'_>,
) -> Vec<BaseStringVariant<'v>> {
    let rfc = BaseStringVariant::rfc(request);
    let profiled = under_all(compat, &rfc, wire);
    let mut variants = vec![profiled.clone()];
    if compat.contains(CompatProfile::SchemeAny) {
        let scheme = rfc.scheme.other();
        variants.push(BaseStringVariant { scheme, ..rfc });
        variants.push(BaseStringVariant { scheme, ..profiled });
    }
    variants
}

/// Returns RFC 5849 as changed by all of the profiles together.
fn under_all<'v>(
    compat: CompatSet,
    rfc: &BaseStringVariant<'v>,
    wire: &WireParameters<'_>,
) -> BaseStringVariant<'v> {
    let mut variant = rfc.clone();
    change_uri(compat, &mut variant);
    change_values(compat, wire, &mut variant);
    change_scope(compat, wire, &mut variant);
    variant
}

fn change_uri(compat: CompatSet, variant: &mut BaseStringVariant<'_>) {
    if compat.contains(CompatProfile::NoRootSlash) && *variant.path == *b"/" {
        variant.path = Cow::Borrowed(b"");
    }
    if compat.contains(CompatProfile::DefaultPortAny) {
        variant.port = PortRule::EitherDefault;
    }
}

/// Changes how names and values are encoded.
///
/// Nonce and token are always read as RFC 5849 says. If one of them has a `+` in the query, the
/// profiles that would sign it as a plus are ignored: the verifier reads a space.
fn change_values(
    compat: CompatSet,
    wire: &WireParameters<'_>,
    variant: &mut BaseStringVariant<'_>,
) {
    if compat.contains(CompatProfile::BracketsOnce) {
        variant.names = [TextForm::encoded_as(Encoding::RFC.leaving(b"[]")); 3];
    }
    if wire.has_protocol_plus(ParameterPlace::Query) {
        return;
    }
    if compat.contains(CompatProfile::PlusLiteral) {
        read_as(Reading::PlusLiteral, ParameterPlace::Query, variant);
    }
    if compat.contains(CompatProfile::RawValues) && wire.can_be_joined() {
        read_as(Reading::AsSent, ParameterPlace::Header, variant);
        read_as(Reading::AsSent, ParameterPlace::Query, variant);
    }
}

fn read_as(reading: Reading, place: ParameterPlace, variant: &mut BaseStringVariant<'_>) {
    variant.names[place as usize].reading = reading;
    variant.values[place as usize].reading = reading;
}

/// Leaves out a form or a query, unless it has the protocol parameters.
fn change_scope(compat: CompatSet, wire: &WireParameters<'_>, variant: &mut BaseStringVariant<'_>) {
    if compat.contains(CompatProfile::BodyUnsignedForm) && !wire.has_protocol(ParameterPlace::Body)
    {
        variant.with_form = false;
    }
    if compat.contains(CompatProfile::IgnoreQueryOnPost)
        && variant.method.eq_ignore_ascii_case(b"POST")
        && !wire.has_protocol(ParameterPlace::Query)
    {
        variant.with_query = false;
    }
}

/// Two profiles, and why a consumer must not have both.
const CONFLICTS: [(CompatProfile, CompatProfile, &str); 3] = [
    (
        CompatProfile::IgnoreQueryOnPost,
        CompatProfile::BodyUnsignedForm,
        "not hold both ignore-query-on-post and body-unsigned-form: the base string of a POST \
         would have no parameter of the application",
    ),
    (
        CompatProfile::RawValues,
        CompatProfile::PlusLiteral,
        "not hold both raw-values and plus-literal: raw-values signs a plus as it is sent",
    ),
    (
        CompatProfile::RawValues,
        CompatProfile::BracketsOnce,
        "not hold both raw-values and brackets-once: raw-values signs brackets as they are sent",
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
