//! What the administration commands print: a table for people, JSON for programs.

use std::io::{self, Write};

use prost_types::Timestamp;
use serde::Serialize;

/// `--output`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people; may change from version to version
    #[default]
    Table,
    /// For programs: one object, or an array of them for a list; fields are named as in the API's definition
    Json,
}

/// A value under its name, for people.
pub(crate) type Field = (&'static str, String);

/// Prints one record.
pub(crate) fn record<T: Serialize>(
    format: Format,
    record: &T,
    fields: &[Field],
) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match format {
        Format::Json => writeln!(out, "{}", serde_json::to_string_pretty(record)?)?,
        Format::Table => {
            let width = fields
                .iter()
                .map(|(name, _)| name.len())
                .max()
                .unwrap_or_default();
            for (name, value) in fields.iter().filter(|(_, value)| !value.is_empty()) {
                writeln!(out, "{name:width$}  {value}")?;
            }
        }
    }
    Ok(())
}

/// Prints that something was done which leaves nothing to show.
pub(crate) fn done(format: Format, what: &str) -> anyhow::Result<()> {
    let text = if format == Format::Json { "{}" } else { what };
    Ok(writeln!(io::stdout(), "{text}")?)
}

/// A time for people; empty when there is none.
pub(crate) fn time(time: Option<Timestamp>) -> String {
    time.map(|time| time.to_string()).unwrap_or_default()
}

/// Prints a list as it arrives: a JSON array with one object a line, or columns as wide as the first page needs.
pub(crate) struct List<W: Write> {
    format: Format,
    columns: &'static [&'static str],
    widths: Vec<usize>,
    begun: bool,
    out: W,
}

impl<W: Write> List<W> {
    /// A list with those columns; nothing is printed yet.
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

    /// Ends it.
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
        Ok(write!(
            self.out,
            "{before}{}",
            serde_json::to_string(item)?
        )?)
    }

    fn rows(&mut self, rows: Vec<Vec<String>>) -> anyhow::Result<()> {
        if !self.begun {
            self.begun = true;
            let width = |at: usize| {
                rows.iter()
                    .map(|row| row[at].len())
                    .max()
                    .max(Some(self.columns[at].len()))
            };
            self.widths = (0..self.columns.len()).filter_map(width).collect();
            self.row(self.columns)?;
        }
        rows.iter().try_for_each(|row| self.row(row))
    }

    fn row<C: AsRef<str>>(&mut self, cells: &[C]) -> anyhow::Result<()> {
        let padded = cells
            .iter()
            .zip(&self.widths)
            .map(|(cell, width)| format!("{:width$}", cell.as_ref()));
        Ok(writeln!(
            self.out,
            "{}",
            padded.collect::<Vec<_>>().join("  ").trim_end()
        )?)
    }
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
