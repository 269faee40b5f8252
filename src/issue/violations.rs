//! The rules that a draft breaks, field by field.

use std::fmt;

/// A rule that a field breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The field by its name in `proto/`, for example `callbacks[1]`.
    pub field: String,
    /// The problem, as the end of a sentence that starts with the field; never contains a secret.
    pub problem: String,
}

/// All rules that a draft breaks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Violations(Vec<Violation>);

// === impl Violations ===

impl Violations {
    /// Creates a list of one violation.
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

    /// Returns the violations in the order of the fields.
    pub fn iter(&self) -> impl Iterator<Item = &Violation> {
        self.0.iter()
    }

    /// Returns the violations with other field names.
    #[must_use]
    pub fn rename(self, name: impl Fn(&str) -> String) -> Self {
        let renamed = |Violation { field, problem }| Violation {
            field: name(&field),
            problem,
        };
        Self(self.0.into_iter().map(renamed).collect())
    }

    /// Returns the value, or adds its problem.
    pub(crate) fn check<T, E: ToString>(&mut self, field: &str, value: Result<T, E>) -> Option<T> {
        value.map_err(|problem| self.add(field, problem)).ok()
    }

    /// Returns the value, or adds its violations.
    pub(crate) fn merge<T>(&mut self, value: Result<T, Self>) -> Option<T> {
        value.map_err(|Self(more)| self.0.extend(more)).ok()
    }

    /// Checks a list of at most `limit` values with `parse`, and returns the valid ones.
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

    /// Returns the checked value, unless any rule is broken.
    pub(crate) fn or<T>(self, value: Option<T>) -> Result<T, Self> {
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
