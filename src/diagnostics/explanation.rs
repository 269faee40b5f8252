//! Why the signature of a refused request did not match, as far as that was found out.

use crate::oauth::diagnosis::{Cause, Diagnosis};

/// What is known of why a signature did not match.
#[derive(Clone, Debug, Default)]
pub enum Explanation {
    /// The request was refused for another reason, which says it all.
    #[default]
    NotSought,
    /// It is being looked for.
    Pending,
    /// It was not looked for: there were too many, or the request is too large.
    Skipped,
    /// It was looked for, and it is no known one: another secret, or a request that was changed.
    NotFound {
        /// The base string that the signature was held against, masked.
        base_string: Box<str>,
    },
    /// It was found.
    Found(Box<Diagnosis>),
}

impl Explanation {
    /// The causes; none unless it was found.
    pub fn causes(&self) -> &[Cause] {
        if let Self::Found(diagnosis) = self { &diagnosis.causes } else { &[] }
    }

    /// The words by which it is filtered and counted: the causes, or why there is none. Empty where none is sought.
    pub fn words(&self) -> impl Iterator<Item = &'static str> {
        let without = match self {
            Self::NotSought | Self::Pending | Self::Found(_) => None,
            Self::Skipped => Some(Self::SKIPPED),
            Self::NotFound { .. } => Some(Self::NONE),
        };
        self.causes().iter().map(|cause| cause.name()).chain(without)
    }

    /// Whether that is a word of [`words`](Self::words).
    pub fn is_word(word: &str) -> bool {
        [Self::NONE, Self::SKIPPED].contains(&word) || Cause::from_name(word).is_some()
    }

    /// The word for what was looked for and not found.
    pub const NONE: &str = "none";

    /// The word for what was not looked for.
    pub const SKIPPED: &str = "skipped";

    /// How many bytes of memory it takes beside itself.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::NotSought | Self::Pending | Self::Skipped => 0,
            Self::NotFound { base_string } => base_string.len(),
            Self::Found(diagnosis) => {
                let Diagnosis { causes: _, base_string, client_base_string, first_difference: _, remedy } =
                    &**diagnosis;
                size_of::<Diagnosis>() + base_string.len() + client_base_string.len() + remedy.len()
            }
        }
    }
}
