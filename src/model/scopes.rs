//! What a token or a consumer may do.

use std::collections::BTreeSet;
use std::fmt;

use super::text::{ValueError, visible_ascii};

/// A set of scopes: space-separated, each of visible ASCII characters without `"` and `\`, in alphabetical order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scopes(BTreeSet<Box<str>>);

impl Scopes {
    /// Reads a space-separated list.
    ///
    /// # Errors
    /// When a scope is too long or has a character that may not stand in one.
    pub fn parse(list: &str) -> Result<Self, ValueError> {
        list.split_ascii_whitespace().map(scope).collect::<Result<_, _>>().map(Self)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether every scope of `needed` is here.
    pub fn contains_all(&self, needed: &Self) -> bool {
        needed.0.is_subset(&self.0)
    }

    /// The scopes that are in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        Self(self.0.intersection(&other.0).cloned().collect())
    }

    /// The scopes in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(AsRef::as_ref)
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, scope) in self.iter().enumerate() {
            if at > 0 {
                f.write_str(" ")?;
            }
            f.write_str(scope)?;
        }
        Ok(())
    }
}

fn scope(text: &str) -> Result<Box<str>, ValueError> {
    visible_ascii(text, false)?;
    match text.char_indices().find(|(_, c)| matches!(c, '"' | '\\')) {
        Some((at, found)) => Err(ValueError::Character { found, at, allowed: "visible ASCII without \" and \\" }),
        None => Ok(text.into()),
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
        assert_eq!(scopes.intersection(&Scopes::parse("admin write").unwrap()).to_string(), "write");
    }
}
