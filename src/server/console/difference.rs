//! The difference of two base strings.

use crate::oauth::diagnosis::Diagnosis;

/// A base string, split at its difference from another.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SplitString<'a> {
    /// The common beginning.
    pub(super) before: &'a str,
    /// The part that differs.
    pub(super) differs: &'a str,
    /// The common end.
    pub(super) after: &'a str,
}

/// Splits the base strings of the server and the client, if they differ.
pub(super) fn split(diagnosis: &Diagnosis) -> Option<(SplitString<'_>, SplitString<'_>)> {
    let Diagnosis {
        base_string,
        client_base_string,
        first_difference,
        ..
    } = diagnosis;
    first_difference.map(|at| split_at(base_string, client_base_string, at))
}

/// Splits two texts at their first difference, the byte index `at`.
fn split_at<'a>(ours: &'a str, theirs: &'a str, at: usize) -> (SplitString<'a>, SplitString<'a>) {
    let halves = |text: &'a str| text.split_at(text.floor_char_boundary(at));
    let ((before_ours, ours), (before_theirs, theirs)) = (halves(ours), halves(theirs));
    let pairs = ours.chars().rev().zip(theirs.chars().rev());
    let alike: usize = pairs
        .take_while(|(a, b)| a == b)
        .map(|(a, _)| a.len_utf8())
        .sum();
    let split = |before, rest: &'a str| {
        let (differs, after) = rest.split_at(rest.len() - alike);
        SplitString {
            before,
            differs,
            after,
        }
    };
    (split(before_ours, ours), split(before_theirs, theirs))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn of<'a>(before: &'a str, differs: &'a str, after: &'a str) -> SplitString<'a> {
        SplitString {
            before,
            differs,
            after,
        }
    }

    #[test]
    fn the_common_beginning_and_end_are_not_marked() {
        let (ours, theirs) = split_at("GET&http%3A%2F%2Fa", "GET&https%3A%2F%2Fa", 8);
        assert_eq!(
            (ours, theirs),
            (
                of("GET&http", "", "%3A%2F%2Fa"),
                of("GET&http", "s", "%3A%2F%2Fa")
            )
        );
        assert_eq!(
            split_at("GET&a", "GET&b", 4),
            (of("GET&", "a", ""), of("GET&", "b", ""))
        );
        assert_eq!(
            split_at("a=***&b", "a=***&b", 2),
            (of("a=", "", "***&b"), of("a=", "", "***&b"))
        );
    }

    #[test]
    fn an_index_out_of_range_does_not_panic() {
        assert_eq!(split_at("a", "b", 9), (of("a", "", ""), of("b", "", "")));
        assert_eq!(
            split_at("\u{e9}", "\u{e8}", 1),
            (of("", "\u{e9}", ""), of("", "\u{e8}", ""))
        );
        assert_eq!(split_at("", "aaa", 0), (of("", "", ""), of("", "aaa", "")));
    }
}
