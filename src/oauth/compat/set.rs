//! Sets of profiles, and the rules for combining them.

use std::fmt;

use super::profile::CompatProfile;

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

    /// The profiles that do not apply at the token endpoints: they change how the query is signed,
    /// which may carry the parameters of a request for credentials.
    ///
    /// `repeated-once` does apply: it drops only a repetition with the same value, and no `oauth_*`
    /// parameter, so that no parameter gets a value that nobody signed.
    pub const OF_QUERY: Self =
        Self::only(CompatProfile::IgnoreQueryOnPost).with(CompatProfile::PlusLiteral);

    /// Returns whether the set is empty.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns whether the set has the profile.
    pub const fn contains(self, profile: CompatProfile) -> bool {
        self.0 & profile.bit() != 0
    }

    /// Returns the profiles of either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns this set without the members of another.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
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

impl fmt::Display for CompatSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, profile) in self.iter().enumerate() {
            let separator = if at == 0 { "" } else { "+" };
            write!(f, "{separator}{profile}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for CompatSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// Two profiles, and why a consumer must not have both.
const CONFLICTS: [(CompatProfile, CompatProfile, &str); 7] = [
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
    (
        CompatProfile::RawValues,
        CompatProfile::SlashPlain,
        "not hold both raw-values and slash-plain: raw-values signs a slash as it is sent",
    ),
    (
        CompatProfile::RawValues,
        CompatProfile::CharactersPlain,
        "not hold both raw-values and characters-plain: raw-values signs every character as it is \
         sent",
    ),
    (
        CompatProfile::RawValues,
        CompatProfile::FormEncoding,
        "not hold both raw-values and form-encoding: raw-values signs every character as it is sent",
    ),
    (
        CompatProfile::CharactersPlain,
        CompatProfile::FormEncoding,
        "not hold both characters-plain and form-encoding: they encode the same characters in \
         different ways",
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
