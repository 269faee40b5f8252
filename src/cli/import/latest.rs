//! The last line of each record in a sealed export.
//!
//! An export may list a record twice, since Redis repeats keys of a scan. The later line was read
//! later: it knows that a token was revoked in between, so only that line is restored.

use std::collections::HashMap;

use countersign::store::SealedRecord;
use sha2::{Digest as _, Sha256};

/// The last lines, by the fingerprint of the name of each record.
///
/// A record takes 41 bytes, and the table doubles when it is seven eighths full: a million records
/// take 43 or 86 MB, and twice that for the moment of a doubling.
#[derive(Default)]
pub(super) struct LatestLines(HashMap<Fingerprint, LatestLine>);

/// A line of a file.
#[derive(Clone, Copy)]
pub(super) struct NumberedLine<'a> {
    /// The number, from 1.
    pub(super) number: u64,
    pub(super) text: &'a [u8],
}

/// The state of a line when the file is read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LineState {
    /// The last line of its record, unchanged.
    Latest,
    /// An earlier line of a record that a later line repeats.
    Superseded,
    /// Another line than before.
    Changed,
}

struct LatestLine {
    number: u64,
    text: Fingerprint,
}

/// The first half of a SHA-256.
type Fingerprint = [u8; 16];

impl LatestLines {
    /// Adds the line of a record, after all lines above it.
    pub(super) fn add(&mut self, record: &SealedRecord, line: NumberedLine<'_>) {
        let latest = LatestLine {
            number: line.number,
            text: fingerprint(&[line.text]),
        };
        self.0.insert(name(record), latest);
    }

    /// Returns the state of the line of a record.
    pub(super) fn state(&self, record: &SealedRecord, line: NumberedLine<'_>) -> LineState {
        match self.0.get(&name(record)) {
            Some(latest) if line.number < latest.number => LineState::Superseded,
            Some(latest)
                if line.number == latest.number && fingerprint(&[line.text]) == latest.text =>
            {
                LineState::Latest
            }
            _ => LineState::Changed,
        }
    }

    /// Returns the number of different records.
    pub(super) fn len(&self) -> u64 {
        self.0.len() as u64
    }
}

fn name(record: &SealedRecord) -> Fingerprint {
    fingerprint(&[record.kind.label().as_bytes(), b"\0", &record.name])
}

fn fingerprint(parts: &[&[u8]]) -> Fingerprint {
    let mut hash = Sha256::new();
    parts.iter().for_each(|part| hash.update(part));
    let hash: [u8; 32] = hash.finalize().into();
    let mut half = Fingerprint::default();
    half.copy_from_slice(&hash[..16]);
    half
}

#[cfg(test)]
mod tests {
    use countersign::store::RecordKind;

    use super::*;

    #[test]
    fn only_the_last_line_of_a_record_counts_and_only_unchanged() {
        let [user, token] = [RecordKind::User, RecordKind::Token]
            .map(|kind| SealedRecord::exported(kind, b"a".to_vec(), Vec::new()));
        let line = |number, text| NumberedLine { number, text };
        let mut lines = LatestLines::default();
        lines.add(&token, line(2, b"active"));
        lines.add(&user, line(3, b"user"));
        lines.add(&token, line(4, b"revoked"));
        assert_eq!(lines.len(), 2);
        for (record, line, state) in [
            (&token, line(2, b"active"), LineState::Superseded),
            (&user, line(3, b"user"), LineState::Latest),
            (&token, line(4, b"revoked"), LineState::Latest),
            (&token, line(4, b"active"), LineState::Changed),
            (&token, line(5, b"revoked"), LineState::Changed),
        ] {
            assert_eq!(lines.state(record, line), state, "{}", line.number);
        }
        let unknown = SealedRecord::exported(RecordKind::Token, b"b".to_vec(), Vec::new());
        assert_eq!(lines.state(&unknown, line(2, b"b")), LineState::Changed);
    }
}
