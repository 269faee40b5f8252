//! Base strings for people: masked, and with the offset of the first difference.

use super::super::mask::MASK;
use super::super::variant::VariantString;

/// A base string in pieces, visible and hidden.
#[derive(Default)]
pub(super) struct DisplayString {
    pieces: Vec<DisplayPiece>,
}

struct DisplayPiece {
    bytes: Vec<u8>,
    is_hidden: bool,
}

impl DisplayPiece {
    fn displayed(&self) -> &[u8] {
        if self.is_hidden { MASK } else { &self.bytes }
    }
}

impl DisplayString {
    /// Splits a base string into its pieces; with `reveal` all are visible.
    pub(super) fn of(text: &VariantString<'_>, reveal: bool) -> Self {
        let mut pieces: Vec<DisplayPiece> = Vec::new();
        text.write(&mut |bytes, is_hidden| {
            let is_hidden = is_hidden && !reveal;
            match pieces.last_mut() {
                Some(last) if last.is_hidden == is_hidden => last.bytes.extend_from_slice(bytes),
                _ => pieces.push(DisplayPiece {
                    bytes: bytes.to_vec(),
                    is_hidden,
                }),
            }
        });
        Self { pieces }
    }

    /// Returns the masked text.
    pub(super) fn text(&self) -> String {
        let pieces: Vec<_> = self.pieces.iter().map(DisplayPiece::displayed).collect();
        display_text(&pieces.concat())
    }

    /// Returns the offset of the first difference in both masked texts.
    pub(super) fn first_difference(&self, other: &Self) -> Option<usize> {
        let (ours, theirs) = (self.bytes(), other.bytes());
        let common = common_len(&ours, &theirs);
        if common == ours.len() && common == theirs.len() {
            return None;
        }
        // Up to there, all pieces except the last are the same.
        Some(self.displayed_at(common).min(other.displayed_at(common)))
    }

    fn bytes(&self) -> Vec<u8> {
        let pieces: Vec<_> = self.pieces.iter().map(|piece| &piece.bytes[..]).collect();
        pieces.concat()
    }

    /// Returns the offset of a byte in the masked text; that of its mask if the byte is hidden.
    fn displayed_at(&self, at: usize) -> usize {
        let (mut start, mut displayed) = (0, 0);
        for piece in &self.pieces {
            let end = start + piece.bytes.len();
            if at < end {
                return displayed + if piece.is_hidden { 0 } else { at - start };
            }
            start = end;
            displayed += piece.displayed().len();
        }
        displayed
    }
}

fn common_len(one: &[u8], other: &[u8]) -> usize {
    one.iter().zip(other).take_while(|(a, b)| a == b).count()
}

/// Returns a base string as text: it is ASCII, since everything else is escaped in it.
pub(super) fn display_text(base_string: &[u8]) -> String {
    String::from_utf8_lossy(base_string).into_owned()
}
