//! Rows of an import, and the lines of the file that they are read from.

use std::fmt;
use std::io::{BufRead, Read as _};

use anyhow::{Context as _, bail};

use super::row::{Item, Problem, Unsent};

/// A row of the source.
pub(super) struct Row {
    pub(super) mark: RowMark,
    pub(super) item: Result<Item, Unsent>,
    /// A remark for the report.
    pub(super) note: Option<String>,
}

/// The place of a row in the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RowMark {
    pub(super) place: RowPlace,
    /// The part of the source up to and including the row, in the unit of its length.
    pub(super) position: u64,
}

/// The place of a row, for messages.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum RowPlace {
    /// The first line of the row in the file, from 1.
    Line(u64),
    /// The key of the consumer.
    ConsumerKey(String),
}

/// Reads a file line by line; limits the length of a line.
pub(super) struct Lines<R> {
    from: R,
    /// The number of the last line, from 1.
    pub(super) line: u64,
    /// The number of bytes read.
    position: u64,
}

// === impl RowPlace ===

impl fmt::Display for RowPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(f, "line {line}"),
            // The key is unchecked, and could control a terminal.
            Self::ConsumerKey(key) => write!(f, "consumer {}", key.escape_debug()),
        }
    }
}

// === impl Lines ===

impl<R: BufRead> Lines<R> {
    /// Creates a reader at the beginning of a file.
    pub(super) const fn new(from: R) -> Self {
        Self {
            from,
            line: 0,
            position: 0,
        }
    }

    /// Returns the next line with its end; `None` at the end of the file.
    ///
    /// # Errors
    /// When the line is longer than any row, so that it does not fill the memory.
    pub(super) fn next_line(&mut self) -> anyhow::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        let mut limited = (&mut self.from).take(MAX_ROW_LEN + 1);
        let read = limited.read_until(b'\n', &mut line);
        let read = read.with_context(|| format!("cannot read after line {}", self.line))? as u64;
        if read == 0 {
            return Ok(None);
        }
        self.line += 1;
        self.position += read;
        if read > MAX_ROW_LEN {
            bail!(
                "line {} is longer than {MAX_ROW_LEN} bytes, so this is not a file of rows",
                self.line
            );
        }
        Ok(Some(line))
    }

    /// Returns the mark of a row that began at the line `first` and ends at the last line.
    pub(super) const fn mark(&self, first: u64) -> RowMark {
        RowMark {
            place: RowPlace::Line(first),
            position: self.position,
        }
    }
}

/// Returns the problem of a text in another encoding.
pub(super) fn not_utf8(byte: usize) -> Problem {
    let problem =
        format!("is not UTF-8 at byte {byte}: convert the file with `iconv -f ENCODING -t UTF-8`");
    Problem::new("", problem)
}

/// The longest row, many times longer than the largest valid one.
pub(super) const MAX_ROW_LEN: u64 = 4 * 1024 * 1024;

/// Some editors begin a UTF-8 file with it.
pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
