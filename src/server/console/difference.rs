//! Two base strings beside each other: where they part, and where they go on as one.

use crate::oauth::diagnosis::Diagnosis;

/// A base string in three pieces.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parts<'a> {
    /// What the other begins with too.
    pub(super) before: &'a str,
    /// What the other has not.
    pub(super) differs: &'a str,
    /// What the other ends with too.
    pub(super) after: &'a str,
}

/// Takes that of the request and that of the client apart, if they differ.
pub(super) fn parts(diagnosis: &Diagnosis) -> Option<(Parts<'_>, Parts<'_>)> {
    let Diagnosis {
        base_string,
        client_base_string,
        first_difference,
        ..
    } = diagnosis;
    first_difference.map(|at| parted(base_string, client_base_string, at))
}

/// Takes both apart; `at` is where they part, in bytes.
fn parted<'a>(ours: &'a str, theirs: &'a str, at: usize) -> (Parts<'a>, Parts<'a>) {
    let split = |text: &'a str| text.split_at(text.floor_char_boundary(at));
    let ((before_ours, ours), (before_theirs, theirs)) = (split(ours), split(theirs));
    let pairs = ours.chars().rev().zip(theirs.chars().rev());
    let alike: usize = pairs
        .take_while(|(a, b)| a == b)
        .map(|(a, _)| a.len_utf8())
        .sum();
    let cut = |before, rest: &'a str| {
        let (differs, after) = rest.split_at(rest.len() - alike);
        Parts {
            before,
            differs,
            after,
        }
    };
    (cut(before_ours, ours), cut(before_theirs, theirs))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn of<'a>(before: &'a str, differs: &'a str, after: &'a str) -> Parts<'a> {
        Parts {
            before,
            differs,
            after,
        }
    }

    #[test]
    fn what_both_have_before_and_after_is_not_marked() {
        let (ours, theirs) = parted("GET&http%3A%2F%2Fa", "GET&https%3A%2F%2Fa", 8);
        assert_eq!(
            (ours, theirs),
            (
                of("GET&http", "", "%3A%2F%2Fa"),
                of("GET&http", "s", "%3A%2F%2Fa")
            )
        );
        assert_eq!(
            parted("GET&a", "GET&b", 4),
            (of("GET&", "a", ""), of("GET&", "b", ""))
        );
        assert_eq!(
            parted("a=***&b", "a=***&b", 2),
            (of("a=", "", "***&b"), of("a=", "", "***&b"))
        );
    }

    #[test]
    fn a_place_that_is_not_there_is_no_panic() {
        assert_eq!(parted("a", "b", 9), (of("a", "", ""), of("b", "", "")));
        assert_eq!(
            parted("\u{e9}", "\u{e8}", 1),
            (of("", "\u{e9}", ""), of("", "\u{e8}", ""))
        );
        assert_eq!(parted("", "aaa", 0), (of("", "", ""), of("", "aaa", "")));
    }
}
