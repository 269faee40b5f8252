//! The part of two base strings around their first difference.

use super::output::Field;

/// Returns three fields: the expected text, the text that the client signed, and a mark below the
/// first byte that differs.
pub(super) fn fields(expected: &str, signed: &str, first_difference: usize) -> [Field; 3] {
    let (expected, mark) = cut(expected, first_difference);
    let (signed, _) = cut(signed, first_difference);
    [
        ("expected", expected),
        ("client signed", signed),
        ("", format!("{:mark$}^", "")),
    ]
}

/// Returns the text around a byte, and the column of the byte in it. Base strings are ASCII.
fn cut(base_string: &str, at: usize) -> (String, usize) {
    let characters: Vec<_> = base_string.chars().collect();
    let from = if at > BEFORE + 1 { at - BEFORE } else { 0 };
    let to = characters.len().min(at + AFTER);
    let before = if from > 0 { "…" } else { "" };
    let after = if to < characters.len() { "…" } else { "" };
    let shown: String = characters
        .get(from..to)
        .unwrap_or_default()
        .iter()
        .collect();
    (
        format!("{before}{shown}{after}"),
        at - from + before.chars().count(),
    )
}

/// The number of characters shown before the difference.
const BEFORE: usize = 30;

/// The number of characters shown from the difference on.
const AFTER: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_stands_below_the_first_byte_that_differs() {
        let common = "x".repeat(100);
        for before in ["", "GET&http", &common] {
            let [(_, expected), (_, signed), (_, mark)] = fields(
                &format!("{before}a{common}"),
                &format!("{before}b"),
                before.len(),
            );
            let column = mark.chars().count() - 1;
            assert_eq!(
                (expected.chars().nth(column), signed.chars().nth(column)),
                (Some('a'), Some('b')),
                "{before}"
            );
            assert_eq!(expected.starts_with('…'), before.len() == 100);
            assert!(expected.ends_with("x…") && signed.ends_with('b'));
        }
    }

    #[test]
    fn a_text_that_ends_where_the_other_goes_on_is_marked_behind_its_end() {
        let [_, (_, signed), (_, mark)] = fields("abc", "ab", 2);
        assert_eq!((signed.as_str(), mark.as_str()), ("ab", "  ^"));
    }
}
