//! Scopes: the permissions of a token or a consumer.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use super::text::{ValueError, visible_ascii};

/// A set of scopes in alphabetical order, each of visible ASCII characters except `"` and `\`.
///
/// The set is one space-separated text, the value of a header, which its clones share.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scopes(Arc<str>);

impl Scopes {
    /// Reads a space-separated list.
    ///
    /// # Errors
    /// If a scope is too long or has a forbidden character.
    pub fn parse(list: &str) -> Result<Self, ValueError> {
        let scopes = list
            .split_ascii_whitespace()
            .map(scope)
            .collect::<Result<BTreeSet<_>, _>>()?;
        Ok(Self::of_ordered(scopes))
    }

    /// Returns true if the set has no scope.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns true if the set has every scope of `needed`.
    pub fn contains_all(&self, needed: &Self) -> bool {
        let mut own = self.iter();
        // Both sets are in order, so a scope that was passed cannot match later.
        needed.iter().all(|scope| own.any(|other| other == scope))
    }

    /// Returns the common scopes; if `other` has every scope of this set, without a copy.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        if other.contains_all(self) {
            return self.clone();
        }
        let others: BTreeSet<_> = other.iter().collect();
        Self::of_ordered(self.iter().filter(|scope| others.contains(scope)))
    }

    /// Returns the scopes in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.split(' ').filter(|scope| !scope.is_empty())
    }

    /// Returns the scopes in alphabetical order, separated by spaces.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn of_ordered<'s>(scopes: impl IntoIterator<Item = &'s str>) -> Self {
        let scopes: Vec<_> = scopes.into_iter().collect();
        Self(scopes.join(" ").into())
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn scope(text: &str) -> Result<&str, ValueError> {
    visible_ascii(text, false)?;
    match text.char_indices().find(|(_, c)| matches!(c, '"' | '\\')) {
        Some((at, found)) => Err(ValueError::Character {
            found,
            at,
            allowed: "visible ASCII without \" and \\",
        }),
        None => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_an_ordered_set() {
        let scopes = Scopes::parse("write read  read").unwrap();
        assert_eq!(scopes.to_string(), "read write");
        assert!(scopes.contains_all(&Scopes::parse("read").unwrap()));
        assert!(!scopes.contains_all(&Scopes::parse("read admin").unwrap()));
        assert_eq!(
            scopes
                .intersection(&Scopes::parse("admin write").unwrap())
                .to_string(),
            "write"
        );
    }

    #[test]
    fn sets_of_scopes_are_compared_scope_by_scope() {
        let sets = ["", "a", "b", "a b", "aa", "a aa b", "ab", "b c d", "a d"];
        for (one, other) in sets
            .iter()
            .flat_map(|one| sets.iter().map(move |other| (*one, *other)))
        {
            let set = |list: &str| {
                list.split_whitespace()
                    .map(str::to_owned)
                    .collect::<BTreeSet<_>>()
            };
            let (ones, others) = (set(one), set(other));
            let (one, other) = (Scopes::parse(one).unwrap(), Scopes::parse(other).unwrap());
            assert_eq!(
                one.contains_all(&other),
                ones.is_superset(&others),
                "{one:?} {other:?}"
            );
            assert_eq!(
                set(one.intersection(&other).as_str()),
                &ones & &others,
                "{one:?} {other:?}"
            );
            assert_eq!(
                one.iter().collect::<Vec<_>>(),
                ones.iter().collect::<Vec<_>>()
            );
        }
    }
}
