//! Rows of JSON Lines: one object on each line.

use std::io::BufRead;

use super::lines::{BYTE_ORDER_MARK, Lines, Row, not_utf8};
use super::row::{Item, Problem};

/// A file of JSON Lines, read row by row.
pub(super) struct JsonLines<R> {
    lines: Lines<R>,
}

// === impl JsonLines ===

impl<R: BufRead> JsonLines<R> {
    /// Creates a reader of these lines.
    pub(super) const fn new(lines: Lines<R>) -> Self {
        Self { lines }
    }

    /// Returns the next row; `None` at the end.
    ///
    /// # Errors
    /// When the file cannot be read, or a line is longer than any row.
    pub(super) fn next_row(&mut self) -> anyhow::Result<Option<Row>> {
        while let Some(line) = self.lines.next_line()? {
            let text = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&line);
            let text = text.trim_ascii();
            if !text.is_empty() {
                return Ok(Some(Row {
                    mark: self.lines.mark(self.lines.line),
                    item: object(text),
                    note: None,
                }));
            }
        }
        Ok(None)
    }
}

/// Parses a row. The parser's message can repeat a value, so the problem names only its place.
fn object(text: &[u8]) -> Result<Item, Vec<Problem>> {
    if let Err(error) = str::from_utf8(text) {
        return Err(vec![not_utf8(error.valid_up_to())]);
    }
    match serde_json::from_slice(text) {
        Ok(map) => Item::of(map),
        Err(error) => {
            let problem = format!("is not a JSON object, see column {}", error.column());
            Err(vec![Problem::new("", problem)])
        }
    }
}
