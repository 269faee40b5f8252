//! Base strings as people are shown them: masked, and with the place where two of them part.

use super::super::mask::MASK;
use super::super::variant::VariantString;

/// A base string in pieces, some of which are hidden.
#[derive(Default)]
pub(super) struct Marked {
    pieces: Vec<Piece>,
}

struct Piece {
    bytes: Vec<u8>,
    hidden: bool,
}

impl Piece {
    fn shown(&self) -> &[u8] {
        if self.hidden { MASK } else { &self.bytes }
    }
}

impl Marked {
    /// Takes a base string apart; with `reveal` nothing is hidden.
    pub(super) fn of(made: &VariantString<'_>, reveal: bool) -> Self {
        let mut pieces: Vec<Piece> = Vec::new();
        made.write(&mut |bytes, hidden| {
            let hidden = hidden && !reveal;
            match pieces.last_mut() {
                Some(last) if last.hidden == hidden => last.bytes.extend_from_slice(bytes),
                _ => pieces.push(Piece {
                    bytes: bytes.to_vec(),
                    hidden,
                }),
            }
        });
        Self { pieces }
    }

    /// The text that people are shown.
    pub(super) fn shown(&self) -> String {
        text(
            &self
                .pieces
                .iter()
                .flat_map(Piece::shown)
                .copied()
                .collect::<Vec<_>>(),
        )
    }

    /// Where two of them part, in what is shown of both.
    pub(super) fn first_difference(&self, other: &Self) -> Option<usize> {
        let bytes = |marked: &Self| {
            marked
                .pieces
                .iter()
                .flat_map(|piece| piece.bytes.clone())
                .collect::<Vec<_>>()
        };
        let (ours, theirs) = (bytes(self), bytes(other));
        let common = ours.iter().zip(&theirs).take_while(|(a, b)| a == b).count();
        let differ = common < ours.len() || common < theirs.len();
        // Until there both have the same pieces, but for the last one.
        differ.then(|| self.shown_at(common).min(other.shown_at(common)))
    }

    /// Where in the shown text a byte stands; within what is hidden, where that begins.
    fn shown_at(&self, at: usize) -> usize {
        let (mut from, mut shown) = (0, 0);
        for piece in &self.pieces {
            if at < from + piece.bytes.len() {
                return if piece.hidden {
                    shown
                } else {
                    shown + at - from
                };
            }
            from += piece.bytes.len();
            shown += piece.shown().len();
        }
        shown
    }
}

/// A base string is ASCII: everything else is escaped in it.
pub(super) fn text(base_string: &[u8]) -> String {
    String::from_utf8_lossy(base_string).into_owned()
}
