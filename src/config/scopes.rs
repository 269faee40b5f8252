//! `[scopes]`: descriptions of scopes for the user who is asked to grant them.

use std::collections::BTreeMap;

use super::mistake::Mistake;
use super::reader::{Reader, string};
use super::value::{self, ValueProblem};
use crate::model::Scopes;

/// Descriptions of scopes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScopeWords(BTreeMap<String, String>);

impl ScopeWords {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let mut words = Self::default();
        for (scope, setting) in reader.scopes() {
            if let Err(problem) = string(&setting.value, |text| words.set(&scope, text)) {
                let key = format!("scopes.{scope}");
                reader.add(Mistake::value(&setting.place, &key, &problem));
            }
        }
        words
    }

    /// Returns the operator's description of a scope.
    pub fn of(&self, scope: &str) -> Option<&str> {
        self.0.get(scope).map(String::as_str)
    }

    fn set(&mut self, scope: &str, words: &str) -> Result<(), ValueProblem> {
        if !Scopes::parse(scope).is_ok_and(|scopes| scopes.iter().eq([scope])) {
            let expected = "about one scope, of visible ASCII characters without \" and \\";
            return Err(ValueProblem::shape(expected, scope));
        }
        self.0
            .insert(scope.to_owned(), value::caption(words, MAX_LEN)?);
        Ok(())
    }
}

/// A line or two on a phone.
const MAX_LEN: usize = 200;
