//! What is wrong with a configuration: every mistake, each with its place and its remedy.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::ValueProblem;

/// Every mistake in a configuration; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    mistakes: Vec<Mistake>,
}

impl ConfigError {
    /// The mistakes, in the order of their places; `None` when there are none.
    pub(super) fn of(mut mistakes: Vec<Mistake>) -> Option<Self> {
        mistakes.sort_by(|a, b| a.place.cmp(&b.place));
        (!mistakes.is_empty()).then_some(Self { mistakes })
    }

    /// The mistakes: those of the file by line, then those of the environment, then those of the flags.
    pub fn mistakes(&self) -> &[Mistake] {
        &self.mistakes
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.mistakes.len() == 1 { "" } else { "s" };
        write!(
            f,
            "{} mistake{plural} in the configuration",
            self.mistakes.len()
        )?;
        self.mistakes
            .iter()
            .try_for_each(|mistake| write!(f, "\n  {mistake}"))
    }
}

impl std::error::Error for ConfigError {}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    pub(super) place: Place,
    /// What is wrong there and what to write instead.
    pub(super) problem: String,
}

impl Mistake {
    pub(super) fn new(place: &Place, problem: impl Into<String>) -> Self {
        Self {
            place: place.clone(),
            problem: problem.into(),
        }
    }

    /// The value of `key` has the wrong shape.
    pub(super) fn value(place: &Place, key: &str, problem: &ValueProblem) -> Self {
        Self::new(place, format!("`{key}` {problem}"))
    }

    /// There is no `name`; `known` are those that there are.
    pub(super) fn unknown<'k>(
        place: &Place,
        name: &str,
        known: impl Iterator<Item = &'k str>,
    ) -> Self {
        let suggestion = match nearest(name, known) {
            Some(nearest) => format!("did you mean `{nearest}`?"),
            None => "`countersign config default` prints every key".to_owned(),
        };
        Self::new(place, format!("`{name}` is unknown; {suggestion}"))
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.problem)
    }
}

/// Where a value stands, the weakest source first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// The compiled-in file.
    Default,
    /// A line of the operator's file; 0 is the file as a whole.
    File { path: Arc<Path>, line: usize },
    /// An environment variable.
    Variable(String),
    /// A flag.
    Flag(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line: 0 } => write!(f, "{}", path.display()),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Variable(name) | Self::Flag(name) => f.write_str(name),
        }
    }
}

/// The known name that was most likely meant: one that looks alike, or begins like it, maybe in another section.
fn nearest<'k>(name: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    let far = |candidate: &str| {
        if last(candidate).starts_with(&last(name)) {
            1
        } else {
            distance(name.as_bytes(), candidate.as_bytes())
        }
    };
    known
        .map(|key| (far(key), key))
        .min()
        .filter(|(far, _)| *far <= ALIKE)
        .map(|(_, key)| key)
}

/// How many characters must be put in, taken out or changed (Levenshtein).
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let changed = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

/// Names further apart than this are not mistyped.
const ALIKE: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_name_is_recognised() {
        let known = || ["check.realm", "check.listen", "api.listen", "store.url"].into_iter();
        assert_eq!(nearest("check.reelm", known()), Some("check.realm"));
        assert_eq!(nearest("realm", known()), Some("check.realm"));
        assert_eq!(nearest("stor.url", known()), Some("store.url"));
        assert_eq!(nearest("list", known()), Some("api.listen"));
        assert_eq!(nearest("something.else", known()), None);
    }

    #[test]
    fn distance_counts_single_changes() {
        for (a, b, far) in [
            ("", "", 0),
            ("a", "", 1),
            ("realm", "reelm", 1),
            ("listen", "listne", 2),
            ("ab", "ba", 2),
        ] {
            assert_eq!(distance(a.as_bytes(), b.as_bytes()), far, "{a} {b}");
        }
    }
}
