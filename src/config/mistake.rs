//! The mistakes in a configuration, each with its place and its remedy.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::value::ValueProblem;

/// Every mistake in a configuration; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    mistakes: Vec<Mistake>,
}

impl ConfigError {
    /// Sorts the mistakes by place; returns `None` if the list is empty.
    pub(super) fn of(mut mistakes: Vec<Mistake>) -> Option<Self> {
        mistakes.sort_by(|a, b| a.place.cmp(&b.place));
        (!mistakes.is_empty()).then_some(Self { mistakes })
    }

    /// Returns the mistakes in the file by line, then in the environment, then in the flags.
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
    pub(super) place: SettingPlace,
    /// The problem and its remedy.
    pub(super) problem: String,
}

impl Mistake {
    pub(super) fn new(place: &SettingPlace, problem: impl Into<String>) -> Self {
        Self {
            place: place.clone(),
            problem: problem.into(),
        }
    }

    /// Creates the mistake of a wrong value of `key`.
    pub(super) fn value(place: &SettingPlace, key: &str, problem: &ValueProblem) -> Self {
        Self::new(place, format!("`{key}` {problem}"))
    }

    /// Creates the mistake of an unknown `name`, and suggests the most similar of the `known`
    /// names.
    pub(super) fn unknown<'k>(
        place: &SettingPlace,
        name: &str,
        known: impl Iterator<Item = &'k str>,
    ) -> Self {
        let suggestion = match nearest(name, known) {
            Some(nearest) => format!("did you mean `{nearest}`?"),
            None => "`countersign config default` lists every key".to_owned(),
        };
        Self::new(place, format!("`{name}` is unknown; {suggestion}"))
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.problem)
    }
}

/// The place of a setting, the weakest source first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SettingPlace {
    /// The compiled-in file.
    Default,
    /// A line of the operator's file; 0 is the whole file.
    File { path: Arc<Path>, line: usize },
    /// An environment variable.
    Variable(String),
    /// A flag.
    Flag(String),
}

impl fmt::Display for SettingPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line: 0 } => write!(f, "{}", path.display()),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Variable(name) | Self::Flag(name) => f.write_str(name),
        }
    }
}

/// Returns the known name that was most likely meant: a similar one, or one that begins the same,
/// maybe in another section.
fn nearest<'k>(name: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    known
        .map(|key| (dissimilarity(name, key), key))
        .min()
        .filter(|(dissimilarity, _)| *dissimilarity <= MAX_DISSIMILARITY)
        .map(|(_, key)| key)
}

fn dissimilarity(name: &str, known: &str) -> usize {
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    if last(known).starts_with(&last(name)) {
        1
    } else {
        distance(name.as_bytes(), known.as_bytes())
    }
}

/// Returns the number of insertions, deletions and substitutions between two texts (Levenshtein).
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

/// Names that differ more are not typing mistakes of each other.
const MAX_DISSIMILARITY: usize = 3;

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
