//! What is wrong with a draft, field by field.

use std::fmt;

/// A field that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The field as `proto/` names it, for example `callbacks[1]`.
    pub field: String,
    /// What is wrong with it, as the end of a sentence that begins with the field; never a secret.
    pub problem: String,
}

/// Every rule that a draft breaks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Violations(Vec<Violation>);

// === impl Violations ===

impl Violations {
    /// One violation.
    pub fn of(field: impl Into<String>, problem: impl ToString) -> Self {
        let mut one = Self::default();
        one.add(field, problem);
        one
    }

    /// Adds a violation.
    pub fn add(&mut self, field: impl Into<String>, problem: impl ToString) {
        self.0.push(Violation {
            field: field.into(),
            problem: problem.to_string(),
        });
    }

    /// The violations, in the order in which they were found.
    pub fn iter(&self) -> impl Iterator<Item = &Violation> {
        self.0.iter()
    }

    /// The same violations with other names for their fields.
    #[must_use]
    pub fn rename(self, name: impl Fn(&str) -> String) -> Self {
        let renamed = |Violation { field, problem }| Violation {
            field: name(&field),
            problem,
        };
        Self(self.0.into_iter().map(renamed).collect())
    }

    /// Takes the value, or notes what is wrong with it.
    pub(super) fn check<T, E: ToString>(&mut self, field: &str, value: Result<T, E>) -> Option<T> {
        value.map_err(|problem| self.add(field, problem)).ok()
    }

    /// Takes the value, or every violation.
    pub(super) fn merge<T>(&mut self, value: Result<T, Self>) -> Option<T> {
        value.map_err(|Self(more)| self.0.extend(more)).ok()
    }

    /// Checks a list: at most `limit` values, each by `parse`. Gives those that are right.
    pub(super) fn check_each<T, E: ToString>(
        &mut self,
        field: &str,
        values: &[String],
        limit: usize,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Vec<T> {
        if values.len() > limit {
            self.add(
                field,
                format_args!("has {} values, the limit is {limit}", values.len()),
            );
            return Vec::new();
        }
        let check =
            |(at, value): (usize, &String)| self.check(&format!("{field}[{at}]"), parse(value));
        values.iter().enumerate().filter_map(check).collect()
    }

    /// The value that was checked, unless anything is wrong.
    pub(super) fn or<T>(self, value: Option<T>) -> Result<T, Self> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => Err(self),
        }
    }
}

impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, Violation { field, problem }) in self.iter().enumerate() {
            let separator = if at > 0 { "; " } else { "" };
            write!(f, "{separator}{field} {problem}")?;
        }
        Ok(())
    }
}
