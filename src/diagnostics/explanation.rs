//! Why the signature of a refused request did not match, as far as that was found out.

use std::ops::Range;

use crate::oauth::diagnosis::{Diagnosis, MismatchCause};

/// What is known of why a signature did not match.
#[derive(Clone, Debug, Default)]
pub enum Explanation {
    /// The request was refused for another reason, which says it all; or no causes are looked for.
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
    /// What was found, cut to what is kept.
    pub(super) fn found(mut diagnosis: Diagnosis) -> Self {
        let Diagnosis {
            causes: _,
            base_string,
            client_base_string,
            first_difference,
            remedy,
        } = &mut diagnosis;
        // Around the place where they part.
        let from = first_difference
            .unwrap_or_default()
            .saturating_sub(LONGEST / 2);
        if base_string.len().max(client_base_string.len()) > LONGEST {
            *first_difference =
                first_difference.map(|at| at - from + if from > 0 { CUT.len() } else { 0 });
            *base_string = cut(base_string, from..from + LONGEST);
            *client_base_string = cut(client_base_string, from..from + LONGEST);
        }
        // It names what the client signed, for example a path.
        *remedy = cut(remedy, 0..LONGEST_REMEDY);
        Self::Found(Box::new(diagnosis))
    }

    /// That nothing was found, with the base string, cut to what is kept.
    pub(super) fn not_found(base_string: &str) -> Self {
        Self::NotFound {
            base_string: cut(base_string, 0..LONGEST).into(),
        }
    }

    /// The causes; none unless it was found.
    pub fn causes(&self) -> &[MismatchCause] {
        if let Self::Found(diagnosis) = self {
            &diagnosis.causes
        } else {
            &[]
        }
    }

    /// The words by which it is filtered and counted: the causes, or why there is none. Empty where none is sought.
    pub fn words(&self) -> impl Iterator<Item = &'static str> {
        let without = match self {
            Self::NotSought | Self::Pending | Self::Found(_) => None,
            Self::Skipped => Some(Self::SKIPPED),
            Self::NotFound { .. } => Some(Self::NONE),
        };
        self.causes()
            .iter()
            .map(|cause| cause.name())
            .chain(without)
    }

    /// Whether that is a word of [`words`](Self::words).
    pub fn is_word(word: &str) -> bool {
        [Self::NONE, Self::SKIPPED].contains(&word) || MismatchCause::from_name(word).is_some()
    }

    /// What to do; empty where nothing was sought, or is not known yet.
    pub fn remedy(&self) -> &str {
        match self {
            Self::NotSought | Self::Pending => "",
            Self::Skipped => SEND_AGAIN,
            Self::NotFound { .. } => COMPARE,
            Self::Found(diagnosis) => &diagnosis.remedy,
        }
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
                let Diagnosis {
                    causes: _,
                    base_string,
                    client_base_string,
                    first_difference: _,
                    remedy,
                } = &**diagnosis;
                size_of::<Diagnosis>() + base_string.len() + client_base_string.len() + remedy.len()
            }
        }
    }
}

/// That part of a text, as far as there is one, with a mark where something is left out.
fn cut(text: &str, part: Range<usize>) -> String {
    let (from, to) = (
        text.floor_char_boundary(part.start),
        text.floor_char_boundary(part.end),
    );
    let (begin, end) = (
        if from > 0 { CUT } else { "" },
        if to < text.len() { CUT } else { "" },
    );
    format!("{begin}{}{end}", &text[from..to])
}

/// The most bytes of a base string that are kept: so that a hundred denials fit in an answer, and none takes the room of many.
const LONGEST: usize = 8192;

const SEND_AGAIN: &str = "it was not looked for: there were more than diagnostics.explain_rate or explain_total_rate allow, or it is \
                          larger than 64 KiB; have one like it sent after a second";

const COMPARE: &str = "no known one: compare the base string with the one that the client signed; if they are the same, a secret is \
                       another one; if not, several things may have been changed, or a proxy changed host or path without a \
                       trace";

/// The most bytes of a remedy.
const LONGEST_REMEDY: usize = 2048;

const CUT: &str = "...";

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
            panic!("it was found")
        };
        *diagnosis
    }

    #[test]
    fn a_long_base_string_is_cut_around_the_place_where_it_parts_from_the_clients() {
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
            assert!(diagnosis.base_string.len() <= LONGEST + 2 * CUT.len());
            assert!(
                diagnosis.base_string.ends_with(CUT)
                    && !diagnosis.client_base_string.ends_with(CUT)
            );
        }
        let diagnosis = found(&same, &same, None);
        assert_eq!(
            (diagnosis.first_difference, diagnosis.base_string.len()),
            (None, LONGEST + CUT.len())
        );
        assert_eq!(diagnosis.remedy.len(), LONGEST_REMEDY + CUT.len());
    }

    #[test]
    fn a_short_base_string_is_kept_whole() {
        let diagnosis = found("GET&http", "GET&https", Some(8));
        assert_eq!(
            (&*diagnosis.base_string, &*diagnosis.client_base_string),
            ("GET&http", "GET&https")
        );
        assert_eq!(diagnosis.first_difference, Some(8));
        let Explanation::NotFound { base_string } = Explanation::not_found("GET&") else {
            panic!("nothing was found")
        };
        assert_eq!(&*base_string, "GET&");
    }
}
