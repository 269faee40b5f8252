//! Two base strings below each other, with the place where they part marked.

/// Two base strings and where they part.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Difference<'a> {
    /// What the signature was held against.
    pub(crate) ours: &'a str,
    /// What the client signed.
    pub(crate) theirs: &'a str,
    /// The first byte in which they differ.
    pub(crate) at: usize,
}

impl Difference<'_> {
    /// A part of ours, of theirs, and a line that marks the place in both; cut so that it fits a terminal.
    pub(crate) fn lines(self) -> [String; 3] {
        let from = self.at.saturating_sub(BEFORE);
        // What is left out takes the place of one character.
        let before = self.at - from + usize::from(from > 0);
        [part(self.ours, from), part(self.theirs, from), format!("{}^", " ".repeat(before))]
    }
}

/// At most [`SHOWN`] bytes from there on, with a mark where something is left out.
fn part(text: &str, from: usize) -> String {
    let (from, to) = (text.floor_char_boundary(from), text.floor_char_boundary(from + SHOWN));
    let (begin, end) = (if from > 0 { "…" } else { "" }, if to < text.len() { "…" } else { "" });
    format!("{begin}{}{end}", &text[from..to])
}

/// How much of what both have in common is shown before the mark.
const BEFORE: usize = 30;

/// How much is shown of each.
const SHOWN: usize = 90;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_short_is_shown_whole() {
        let lines = Difference { ours: "GET&https%3A", theirs: "GET&http%3A", at: 8 }.lines();
        assert_eq!(lines, ["GET&https%3A", "GET&http%3A", "        ^"]);
        let lines = Difference { ours: "GET&a", theirs: "GET&ab", at: 5 }.lines();
        assert_eq!(lines, ["GET&a", "GET&ab", "     ^"]);
    }

    #[test]
    fn what_is_long_is_cut_around_the_mark() {
        let same = "0123456789".repeat(10);
        let (ours, theirs) = (format!("{same}ours{same}"), format!("{same}theirs{same}"));
        let [ours, theirs, mark] = Difference { ours: &ours, theirs: &theirs, at: 100 }.lines();
        assert!(ours.starts_with("…0123456789") && ours.ends_with('…'), "{ours}");
        let at = mark.chars().count() - 1;
        assert_eq!((ours.chars().nth(at), theirs.chars().nth(at)), (Some('o'), Some('t')));
        assert_eq!(ours.chars().nth(at - 1), theirs.chars().nth(at - 1));
        assert!(theirs.chars().count() <= SHOWN + 2, "{theirs}");
    }

    #[test]
    fn a_place_behind_the_end_of_one_is_marked_there() {
        let long = "x".repeat(200);
        let [ours, _, mark] = Difference { ours: &long[..100], theirs: &long, at: 100 }.lines();
        assert_eq!(mark.chars().count(), ours.chars().count() + 1);
    }
}
