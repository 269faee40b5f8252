//! The mistakes of a file, all of them before anything is changed.

use std::fmt::Write as _;

use crate::cli::exit::Usage;
use crate::cli::output::printable;

/// A mistake and its place.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mistake {
    /// The line; 0 if it is unknown.
    pub(super) line: u64,
    /// The record, for example `consumer printer`; empty for the file itself.
    pub(super) record: String,
    /// The field and its problem, without its value, which could be a secret.
    pub(super) problem: String,
}

// === impl Mistake ===

impl Mistake {
    pub(super) fn new(line: u64, record: &str, problem: impl Into<String>) -> Self {
        Self {
            line,
            record: printable(record).into_owned(),
            problem: printable(&problem.into()).into_owned(),
        }
    }
}

/// Returns an error with every mistake, if there are any.
///
/// # Errors
/// If there are mistakes.
pub(super) fn none_of(mut mistakes: Vec<Mistake>, file: &str) -> Result<(), Usage> {
    if mistakes.is_empty() {
        return Ok(());
    }
    mistakes.sort_by_key(|mistake| mistake.line);
    let count = match mistakes.len() {
        1 => "1 mistake".to_owned(),
        count => format!("{count} mistakes"),
    };
    let mut text = format!("{count} in {file}; nothing was changed");
    for mistake in mistakes.iter().take(MOST_SHOWN) {
        let separator = if mistake.record.is_empty() { "" } else { ": " };
        let Mistake {
            line,
            record,
            problem,
        } = mistake;
        let _ = write!(text, "\n  {file}:{line}: {record}{separator}{problem}");
    }
    if mistakes.len() > MOST_SHOWN {
        let _ = write!(text, "\n  and {} more", mistakes.len() - MOST_SHOWN);
    }
    Err(Usage(text))
}

/// More lines would hide the first ones.
const MOST_SHOWN: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_listed_by_their_lines() {
        let mistakes = vec![
            Mistake::new(7, "consumer K", "name must not be empty"),
            Mistake::new(2, "", "colour is unknown"),
        ];
        assert_eq!(
            none_of(mistakes, "c.yaml").unwrap_err().0,
            "2 mistakes in c.yaml; nothing was changed\n  \
             c.yaml:2: colour is unknown\n  \
             c.yaml:7: consumer K: name must not be empty"
        );
        let forged = vec![Mistake::new(1, "consumer K\n\u{1b}[2J", "is wrong")];
        assert_eq!(
            none_of(forged, "c.yaml").unwrap_err().0,
            "1 mistake in c.yaml; nothing was changed\n  \
             c.yaml:1: consumer K\\n\\u{1b}[2J: is wrong"
        );
        assert!(none_of(Vec::new(), "c.yaml").is_ok());
        let many = (0..150).map(|line| Mistake::new(line, "", "x")).collect();
        assert!(
            none_of(many, "c")
                .unwrap_err()
                .0
                .ends_with("\n  and 50 more")
        );
    }
}
