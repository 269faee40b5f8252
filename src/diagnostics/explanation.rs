//! The explanation of a signature mismatch.

use std::ops::Range;

use crate::oauth::diagnosis::{Diagnosis, MismatchCause};

/// The result of the search for the cause of a signature mismatch.
#[derive(Clone, Debug, Default)]
pub enum Explanation {
    /// No search: the reason of the denial is sufficient, or explanations are disabled.
    #[default]
    NotSought,
    /// The search is not finished.
    Pending,
    /// No search: a rate was exceeded, the queue was full, or the request is too large.
    Skipped,
    /// No known cause: the secret differs, or the request was changed in several ways.
    NotFound {
        /// The base string of the received request, masked.
        base_string: Box<str>,
    },
    /// A known cause.
    Found(Box<Diagnosis>),
}

impl Explanation {
    /// Returns the explanation of a diagnosis, truncated for storage.
    pub(super) fn found(diagnosis: Diagnosis) -> Self {
        Self::Found(Box::new(truncated(diagnosis)))
    }

    /// Returns the explanation without a known cause, truncated for storage.
    pub(super) fn not_found(base_string: &str) -> Self {
        Self::NotFound {
            base_string: slice(base_string, 0..MAX_BASE_STRING_LEN).into(),
        }
    }

    /// Returns the causes; empty unless one was found.
    pub fn causes(&self) -> &[MismatchCause] {
        if let Self::Found(diagnosis) = self {
            &diagnosis.causes
        } else {
            &[]
        }
    }

    /// Returns the words for filters and counts: the causes, [`NONE`](Self::NONE) or
    /// [`SKIPPED`](Self::SKIPPED). Empty if no cause is sought.
    pub fn words(&self) -> impl Iterator<Item = &'static str> {
        let without_cause = match self {
            Self::NotSought | Self::Pending | Self::Found(_) => None,
            Self::Skipped => Some(Self::SKIPPED),
            Self::NotFound { .. } => Some(Self::NONE),
        };
        self.causes()
            .iter()
            .map(|cause| cause.name())
            .chain(without_cause)
    }

    /// Returns whether [`words`](Self::words) can contain `word`.
    pub fn is_word(word: &str) -> bool {
        [Self::NONE, Self::SKIPPED].contains(&word) || MismatchCause::from_name(word).is_some()
    }

    /// Returns the remedy; empty if no cause is sought or the search is not finished.
    pub fn remedy(&self) -> &str {
        match self {
            Self::NotSought | Self::Pending => "",
            Self::Skipped => SKIPPED_REMEDY,
            Self::NotFound { .. } => NOT_FOUND_REMEDY,
            Self::Found(diagnosis) => &diagnosis.remedy,
        }
    }

    /// The word for a search without a result.
    pub const NONE: &str = "none";

    /// The word for a skipped search.
    pub const SKIPPED: &str = "skipped";

    /// Returns the number of heap bytes.
    pub(super) fn heap_size(&self) -> usize {
        match self {
            Self::NotSought | Self::Pending | Self::Skipped => 0,
            Self::NotFound { base_string } => base_string.len(),
            Self::Found(diagnosis) => diagnosis_size(diagnosis),
        }
    }
}

fn diagnosis_size(diagnosis: &Diagnosis) -> usize {
    let Diagnosis {
        causes: _,
        base_string,
        client_base_string,
        first_difference: _,
        remedy,
    } = diagnosis;
    size_of::<Diagnosis>() + base_string.len() + client_base_string.len() + remedy.len()
}

/// Truncates the base strings around their first difference, and the remedy, which quotes the
/// request, at its end.
fn truncated(mut diagnosis: Diagnosis) -> Diagnosis {
    let Diagnosis {
        causes: _,
        base_string,
        client_base_string,
        first_difference,
        remedy,
    } = &mut diagnosis;
    let start = first_difference
        .unwrap_or_default()
        .saturating_sub(MAX_BASE_STRING_LEN / 2);
    if base_string.len().max(client_base_string.len()) > MAX_BASE_STRING_LEN {
        let ellipsis = if start > 0 { ELLIPSIS.len() } else { 0 };
        *first_difference = first_difference.map(|at| at - start + ellipsis);
        let part = start..start + MAX_BASE_STRING_LEN;
        *base_string = slice(base_string, part.clone());
        *client_base_string = slice(client_base_string, part);
    }
    *remedy = slice(remedy, 0..MAX_REMEDY_LEN);
    diagnosis
}

/// Returns a part of a text, limited to the text, with an ellipsis at each end that is cut off.
fn slice(text: &str, part: Range<usize>) -> String {
    let (start, end) = (
        text.floor_char_boundary(part.start),
        text.floor_char_boundary(part.end),
    );
    let before = if start > 0 { ELLIPSIS } else { "" };
    let after = if end < text.len() { ELLIPSIS } else { "" };
    format!("{before}{}{after}", &text[start..end])
}

/// The longest stored base string, in bytes. One hundred such denials fit in a response, and one
/// denial does not take the room of many.
const MAX_BASE_STRING_LEN: usize = 8192;

/// The longest stored remedy, in bytes.
const MAX_REMEDY_LEN: usize = 2048;

const ELLIPSIS: &str = "...";

const SKIPPED_REMEDY: &str = "not explained: diagnostics.explain_rate or \
    diagnostics.explain_total_rate was exceeded, or the request is larger than 64 KiB; wait a \
    second, then send a similar request";

const NOT_FOUND_REMEDY: &str = "no known cause: compare the base string with the one that the \
    client signed; if they are equal, a secret differs; otherwise several parts of the request \
    may have changed, or a proxy changed the host or path without a trace";

#[cfg(test)]
mod tests {
    use super::*;

    fn found(ours: &str, theirs: &str, at: Option<usize>) -> Diagnosis {
        let diagnosis = Diagnosis {
            causes: vec![MismatchCause::Scheme],
            base_string: ours.to_owned(),
            client_base_string: theirs.to_owned(),
            first_difference: at,
            remedy: "y".repeat(5000),
        };
        let Explanation::Found(diagnosis) = Explanation::found(diagnosis) else {
            panic!("not found")
        };
        *diagnosis
    }

    #[test]
    fn a_long_base_string_is_truncated_around_its_first_difference_from_the_clients() {
        let same = "x".repeat(20_000);
        for before in ["", "GET&", &same] {
            let (ours, theirs) = (format!("{before}a{same}"), format!("{before}b"));
            let diagnosis = found(&ours, &theirs, Some(before.len()));
            let at = diagnosis.first_difference.unwrap();
            assert_eq!(diagnosis.base_string.as_bytes()[at], b'a');
            assert_eq!(diagnosis.client_base_string.as_bytes()[at], b'b');
            assert_eq!(
                diagnosis.base_string[..at],
                diagnosis.client_base_string[..at]
            );
            assert!(diagnosis.base_string.len() <= MAX_BASE_STRING_LEN + 2 * ELLIPSIS.len());
            assert!(
                diagnosis.base_string.ends_with(ELLIPSIS)
                    && !diagnosis.client_base_string.ends_with(ELLIPSIS)
            );
        }
        let diagnosis = found(&same, &same, None);
        assert_eq!(
            (diagnosis.first_difference, diagnosis.base_string.len()),
            (None, MAX_BASE_STRING_LEN + ELLIPSIS.len())
        );
        assert_eq!(diagnosis.remedy.len(), MAX_REMEDY_LEN + ELLIPSIS.len());
    }

    #[test]
    fn a_short_base_string_is_stored_whole() {
        let diagnosis = found("GET&http", "GET&https", Some(8));
        assert_eq!(
            (&*diagnosis.base_string, &*diagnosis.client_base_string),
            ("GET&http", "GET&https")
        );
        assert_eq!(diagnosis.first_difference, Some(8));
        let Explanation::NotFound { base_string } = Explanation::not_found("GET&") else {
            panic!("found")
        };
        assert_eq!(&*base_string, "GET&");
    }
}
