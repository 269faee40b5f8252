//! Output of the commands: a table for people, JSON for programs.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Write};

use countersign::model::is_deceptive;
use prost_types::Timestamp;
use serde::Serialize;
use unicode_width::UnicodeWidthStr as _;

/// `--output`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// A table for people; its layout may change between versions
    #[default]
    Table,
    /// JSON for programs: an object, or an array for a list; field names are those of the API
    Json,
}

/// A name and its value, a line of a table.
pub(crate) type Field = (&'static str, String);

/// Standard output, whose reader may close it.
pub(crate) struct Stdout(io::Stdout);

/// The reader of standard output closed it, as `head` does after ten lines.
#[derive(Debug)]
struct OutputClosed;

// === impl Stdout ===

/// Returns standard output.
pub(crate) fn stdout() -> Stdout {
    Stdout(io::stdout())
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).map_err(marked)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush().map_err(marked)
    }
}

/// Marks the error, to distinguish it from that of a broken connection.
fn marked(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::BrokenPipe {
        io::Error::new(io::ErrorKind::BrokenPipe, OutputClosed)
    } else {
        error
    }
}

/// Returns `true` for the error of a write to standard output whose reader closed it.
pub(crate) fn is_output_closed(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .filter_map(io::Error::get_ref)
        .any(|cause| cause.is::<OutputClosed>())
}

impl fmt::Display for OutputClosed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the reader closed standard output")
    }
}

impl std::error::Error for OutputClosed {}

/// Prints a line.
pub(crate) fn line(text: &str) -> anyhow::Result<()> {
    Ok(writeln!(stdout(), "{text}")?)
}

/// Prints lines for people to standard error, without characters that control a terminal. A failure
/// is ignored, because there is no other place to report it.
pub(crate) fn note(text: &str) {
    let lines: Vec<_> = text.split('\n').map(printable).collect();
    let _: io::Result<()> = writeln!(io::stderr(), "{}", lines.join("\n"));
}

/// Returns a text from elsewhere as a part of a line for people: characters that control a terminal,
/// are invisible or change the direction of the text are escaped.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(is_deceptive) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_deceptive(c) {
            escaped.extend(c.escape_default());
        } else {
            escaped.push(c);
        }
    }
    Cow::Owned(escaped)
}

/// Prints one record.
pub(crate) fn record<T: Serialize, N: AsRef<str>>(
    format: Format,
    record: &T,
    fields: &[(N, String)],
) -> anyhow::Result<()> {
    match format {
        Format::Json => line(&serde_json::to_string_pretty(record)?),
        Format::Table => table(fields),
    }
}

fn table<N: AsRef<str>>(fields: &[(N, String)]) -> anyhow::Result<()> {
    let names = fields.iter().map(|(name, _)| name.as_ref().len());
    let width = names.max().unwrap_or_default();
    for (name, value) in fields.iter().filter(|(_, value)| !value.is_empty()) {
        let value = printable(value);
        line(&format!("{:width$}  {value}", name.as_ref()))?;
    }
    Ok(())
}

/// Prints that an action without a result succeeded.
pub(crate) fn done(format: Format, text: &str) -> anyhow::Result<()> {
    line(if format == Format::Json { "{}" } else { text })
}

/// Returns a time for people; a missing one is empty.
pub(crate) fn time(time: Option<Timestamp>) -> String {
    time.map(|time| time.to_string()).unwrap_or_default()
}

/// Prints a list as it arrives: a JSON array with one object a line, or columns as wide as the
/// first page needs.
pub(crate) struct List<W: Write> {
    format: Format,
    columns: &'static [&'static str],
    widths: Vec<usize>,
    begun: bool,
    out: W,
}

impl<W: Write> List<W> {
    /// Creates a list with these columns; prints nothing yet.
    pub(crate) fn new(format: Format, columns: &'static [&'static str], out: W) -> Self {
        Self {
            format,
            columns,
            widths: Vec::new(),
            begun: false,
            out,
        }
    }

    /// Prints a page of it.
    pub(crate) fn page<T: Serialize>(
        &mut self,
        page: &[T],
        row: impl Fn(&T) -> Vec<String>,
    ) -> anyhow::Result<()> {
        match self.format {
            Format::Json => page.iter().try_for_each(|item| self.object(item)),
            Format::Table => self.rows(page.iter().map(row).collect()),
        }
    }

    /// Prints the end of it.
    pub(crate) fn end(mut self) -> anyhow::Result<()> {
        match (self.format, self.begun) {
            (Format::Json, true) => writeln!(self.out, "\n]")?,
            (Format::Json, false) => writeln!(self.out, "[]")?,
            (Format::Table, _) => {}
        }
        Ok(self.out.flush()?)
    }

    fn object<T: Serialize>(&mut self, item: &T) -> anyhow::Result<()> {
        let before = if self.begun { ",\n" } else { "[\n" };
        self.begun = true;
        let item = serde_json::to_string(item)?;
        Ok(write!(self.out, "{before}{item}")?)
    }

    fn rows(&mut self, mut rows: Vec<Vec<String>>) -> anyhow::Result<()> {
        for cell in rows.iter_mut().flatten() {
            if let Cow::Owned(escaped) = printable(cell) {
                *cell = escaped;
            }
        }
        if !self.begun {
            self.begun = true;
            self.widths = widths(self.columns, &rows);
            self.row(self.columns)?;
        }
        rows.iter().try_for_each(|row| self.row(row))
    }

    fn row<C: AsRef<str>>(&mut self, cells: &[C]) -> anyhow::Result<()> {
        let row = padded(cells, &self.widths);
        Ok(writeln!(self.out, "{row}")?)
    }
}

fn widths(columns: &[&str], rows: &[Vec<String>]) -> Vec<usize> {
    let width = |(at, column): (usize, &&str)| {
        let cells = rows.iter().map(|row| row[at].width());
        cells.fold(column.width(), usize::max)
    };
    columns.iter().enumerate().map(width).collect()
}

/// Returns the cells of a row, padded to the widths of the columns.
pub(crate) fn padded<C: AsRef<str>>(cells: &[C], widths: &[usize]) -> String {
    let cells = cells.iter().zip(widths);
    let cells = cells.map(|(cell, width)| {
        let cell = printable(cell.as_ref());
        let missing = width.saturating_sub(cell.width());
        format!("{cell}{:missing$}", "")
    });
    let row = cells.collect::<Vec<_>>().join("  ");
    row.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_one_json_array_however_many_pages_it_came_in() {
        assert_eq!(
            printed(Format::Json, &[&["a", "b"], &["c"]]),
            "[\n\"a\",\n\"b\",\n\"c\"\n]\n"
        );
        assert_eq!(printed(Format::Json, &[&[]]), "[]\n");
    }

    #[test]
    fn a_table_has_its_head_once() {
        assert_eq!(
            printed(Format::Table, &[&["a", "bcdef"], &["c"]]),
            "KEY    LEN\na      1\nbcdef  5\nc      1\n"
        );
        assert_eq!(printed(Format::Table, &[&[]]), "KEY  LEN\n");
    }

    #[test]
    fn a_column_is_as_wide_as_its_texts_are_on_a_terminal() {
        assert_eq!(
            printed(Format::Table, &[&["caffè", "caffe\u{300}", "日本", "ab"]]),
            "KEY    LEN\ncaffè  6\ncaffe\u{300}  7\n日本   6\nab     2\n"
        );
    }

    #[test]
    fn nothing_from_elsewhere_controls_the_terminal() {
        for (text, shown) in [
            ("Prínter #1", "Prínter #1"),
            ("\u{1b}[2Jx\r\n\t", "\\u{1b}[2Jx\\r\\n\\t"),
            ("\u{9b}31m\u{202e}", "\\u{9b}31m\\u{202e}"),
        ] {
            assert_eq!(printable(text), shown);
        }
        assert_eq!(
            printed(Format::Table, &[&["\u{1b}[2J"]]),
            "KEY        LEN\n\\u{1b}[2J  4\n"
        );
    }

    #[test]
    fn a_broken_connection_is_not_a_closed_output() {
        let broken = || io::Error::from(io::ErrorKind::BrokenPipe);
        assert!(!is_output_closed(&broken().into()));
        assert!(is_output_closed(&marked(broken()).into()));
        let context = anyhow::Error::from(marked(broken())).context("printing");
        assert!(is_output_closed(&context));
    }

    fn printed(format: Format, pages: &[&[&str]]) -> String {
        let mut out = Vec::new();
        let mut list = List::new(format, &["KEY", "LEN"], &mut out);
        for page in pages {
            list.page(page, |item| {
                vec![(*item).to_owned(), item.len().to_string()]
            })
            .unwrap();
        }
        list.end().unwrap();
        String::from_utf8(out).unwrap()
    }
}
