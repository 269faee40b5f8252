//! `[scopes]`: what a scope means, in words for the user who is asked for it.

use std::collections::BTreeMap;

use super::ValueProblem;
use crate::model::Scopes;

/// Words for scopes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScopeWords(BTreeMap<String, String>);

impl ScopeWords {
    /// What the operator says that a scope means, if anything.
    pub fn of(&self, scope: &str) -> Option<&str> {
        self.0.get(scope).map(String::as_str)
    }

    /// Sets the words of one scope.
    ///
    /// # Errors
    /// When that can be no scope, or the words are none; nothing is set then.
    pub(super) fn set(&mut self, scope: &str, words: &str) -> Result<(), ValueProblem> {
        let is_one = Scopes::parse(scope).is_ok_and(|scopes| scopes.iter().eq([scope]));
        if !is_one {
            return Err(ValueProblem::shape(
                "about one scope, of visible ASCII characters without \" and \\",
                scope,
            ));
        }
        let are_words = !words.trim().is_empty()
            && words.len() <= MAX_LEN
            && !words.chars().any(char::is_control);
        if !are_words {
            return Err(ValueProblem::shape(
                format!("a text of one line, at most {MAX_LEN} bytes"),
                words,
            ));
        }
        self.0.insert(scope.to_owned(), words.to_owned());
        Ok(())
    }
}

/// A line or two on a phone.
const MAX_LEN: usize = 200;
