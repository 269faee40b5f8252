//! Rows of CSV (RFC 4180) with a header row.

use std::io::BufRead;

use anyhow::{Context as _, bail, ensure};
use serde_json::{Map, Value};

use super::lines::{BYTE_ORDER_MARK, Lines, MAX_ROW_LEN, Row, not_utf8};
use super::row::{Field, Item, Kind, Problem, Shape, Unsent, shortened};

/// A CSV file, read row by row.
pub(super) struct Csv<R> {
    lines: Lines<R>,
    columns: Vec<&'static Field>,
    /// The kind of rows without a field `kind`.
    kind: Kind,
}

/// The text of a row, and the number of its first line.
struct Record {
    line: u64,
    bytes: Vec<u8>,
}

// === impl Csv ===

impl<R: BufRead> Csv<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// When a column is unknown, appears twice, or is missing though every row needs it.
    pub(super) fn open(mut lines: Lines<R>) -> anyhow::Result<Self> {
        let Some(header) = record(&mut lines)? else {
            bail!("line 1: the file is empty: it must begin with a header row")
        };
        let place = || format!("line {}", header.line);
        let columns = columns(&header.bytes).with_context(place)?;
        let kind = kind_of(&columns).with_context(place)?;
        Ok(Self {
            lines,
            columns,
            kind,
        })
    }

    /// Returns the next row; `None` at the end.
    ///
    /// # Errors
    /// When a quote is never closed, so that the end of the row is unknown.
    pub(super) fn next_row(&mut self) -> anyhow::Result<Option<Row>> {
        while let Some(Record { line, bytes }) = record(&mut self.lines)? {
            if !bytes.trim_ascii().is_empty() {
                return Ok(Some(Row {
                    mark: self.lines.mark(line),
                    item: self.item(&bytes)?,
                    note: None,
                }));
            }
        }
        Ok(None)
    }

    fn item(&self, bytes: &[u8]) -> anyhow::Result<Result<Item, Unsent>> {
        let text = match str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => return Ok(Err(vec![not_utf8(error.valid_up_to())].into())),
        };
        let fields = fields(text)?;
        let (found, expected) = (fields.len(), self.columns.len());
        if found != expected {
            let problem = format!("has {found} fields, but the header has {expected}");
            return Ok(Err(vec![Problem::new("", problem)].into()));
        }
        let filled = self.columns.iter().zip(&fields);
        let mut map: Map<_, _> = filled
            .filter(|(_, text)| !text.is_empty())
            .map(|(column, text)| (column.name.to_owned(), value(column.shape, text)))
            .collect();
        map.entry("kind").or_insert_with(|| self.kind.name().into());
        Ok(Item::of(map))
    }
}

fn columns(header: &[u8]) -> anyhow::Result<Vec<&'static Field>> {
    let header = header.strip_prefix(BYTE_ORDER_MARK).unwrap_or(header);
    let header = str::from_utf8(header).context("the header is not UTF-8")?;
    let mut columns: Vec<&Field> = Vec::new();
    for name in &fields(header)? {
        let Some(field) = Field::named(name.trim()) else {
            let name = shortened(name);
            bail!("the column {name:?} is unknown: docs/issuing.md lists all columns")
        };
        let is_repeated = columns.iter().any(|column| column.name == field.name);
        ensure!(!is_repeated, "the column {:?} appears twice", field.name);
        columns.push(field);
    }
    Ok(columns)
}

/// Returns the kind of rows without a field `kind`.
fn kind_of(columns: &[&Field]) -> anyhow::Result<Kind> {
    let has = |name: &str| columns.iter().any(|column| column.name == name);
    let kind = if has("token") && !has("kind") {
        Kind::Token
    } else {
        Kind::Consumer
    };
    let needed: &[&str] = match (has("kind"), kind) {
        (true, _) => &["consumer_key"],
        (false, Kind::Consumer) => &["consumer_key", "name"],
        (false, Kind::Token) => &["consumer_key", "token", "token_secret"],
    };
    match needed.iter().find(|name| !has(name)) {
        Some(missing) => bail!("the column {missing:?} is missing"),
        None => Ok(kind),
    }
}

/// Reads the next record: lines until every quote is closed.
fn record<R: BufRead>(lines: &mut Lines<R>) -> anyhow::Result<Option<Record>> {
    let Some(mut bytes) = lines.next_line()? else {
        return Ok(None);
    };
    let line = lines.line;
    let mut quotes = quotes_in(&bytes);
    while quotes % 2 == 1 {
        let next = lines
            .next_line()?
            .filter(|next| (bytes.len() + next.len()) as u64 <= MAX_ROW_LEN);
        let next =
            next.with_context(|| format!("line {line}: a quote opens here and is never closed"))?;
        quotes += quotes_in(&next);
        bytes.extend_from_slice(&next);
    }
    Ok(Some(Record { line, bytes }))
}

fn quotes_in(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte == b'"').count()
}

fn fields(record: &str) -> anyhow::Result<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(record.as_bytes());
    let first = reader.records().next().transpose();
    let first = first.context("the row is not CSV")?;
    Ok(first.iter().flatten().map(str::to_owned).collect())
}

fn value(shape: Shape, text: &str) -> Value {
    match shape {
        Shape::List => text.split_whitespace().collect(),
        Shape::Flag => text.parse().map_or_else(|_| Value::from(text), Value::Bool),
        Shape::Keys => keys(text),
        Shape::Text | Shape::Ignored => text.into(),
    }
}

/// Splits PEM keys at their beginnings. Text before the first one becomes a key that the server
/// refuses.
fn keys(text: &str) -> Value {
    let begins = text
        .match_indices(BEGIN)
        .map(|(at, _)| at)
        .filter(|at| *at > 0);
    let bounds: Vec<_> = std::iter::once(0)
        .chain(begins)
        .chain([text.len()])
        .collect();
    bounds
        .windows(2)
        .map(|bound| &text[bound[0]..bound[1]])
        .collect()
}

/// The beginning of PEM.
const BEGIN: &str = "-----BEGIN ";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::import::lines::RowPlace;

    #[test]
    fn a_row_is_what_its_columns_say() {
        let file = "\u{feff}consumer_key,consumer_secret,name,scopes,verified\r\nK,S,\"A \"\"b\"\",\nc\",read write,true\r\n\r\nL,S,M,,\r\n";
        let mut csv = open(file).unwrap();
        let row = csv.next_row().unwrap().unwrap();
        assert_eq!(row.mark.place, RowPlace::Line(2));
        let Ok(Item::Consumer(request)) = row.item else {
            panic!("no consumer")
        };
        let consumer = request.consumer.unwrap();
        assert_eq!(
            (consumer.name.as_str(), consumer.verified),
            ("A \"b\",\nc", true)
        );
        assert_eq!(consumer.scopes, ["read", "write"]);
        assert_eq!(
            csv.next_row().unwrap().unwrap().mark.place,
            RowPlace::Line(5)
        );
        assert!(csv.next_row().unwrap().is_none());
    }

    #[test]
    fn a_wrong_header_is_refused_at_once() {
        for (header, problem) in [
            (
                "",
                "line 1: the file is empty: it must begin with a header row",
            ),
            (
                "consumer_key,nmae\n",
                "line 1: the column \"nmae\" is unknown: docs/issuing.md lists all columns",
            ),
            (
                "consumer_key,name,name\n",
                "line 1: the column \"name\" appears twice",
            ),
            (
                "consumer_key,consumer_secret\n",
                "line 1: the column \"name\" is missing",
            ),
            (
                "consumer_key,token\n",
                "line 1: the column \"token_secret\" is missing",
            ),
            (
                "kind,name\n",
                "line 1: the column \"consumer_key\" is missing",
            ),
            (
                "consumer_key,\"name\n",
                "line 1: a quote opens here and is never closed",
            ),
        ] {
            assert_eq!(format!("{:#}", open(header).err().unwrap()), problem);
        }
    }

    #[test]
    fn a_quote_that_is_not_closed_is_found_where_it_is_opened() {
        let mut csv = open("consumer_key,name\nK,\"N\nL,M\n").unwrap();
        assert_eq!(
            csv.next_row().err().unwrap().to_string(),
            "line 2: a quote opens here and is never closed"
        );
    }

    #[test]
    fn a_row_of_another_width_or_encoding_is_refused_alone() {
        let file = b"consumer_key,consumer_secret,name\nK,S\nL,S,M\xfc\nM,S,O\n".as_slice();
        let mut csv = Csv::open(Lines::new(file)).unwrap();
        let mut problem = || {
            csv.next_row()
                .unwrap()
                .unwrap()
                .item
                .err()
                .map(|unsent| match unsent {
                    Unsent::Refused(problems) => problems[0].problem.clone(),
                    Unsent::Skipped(problem) => panic!("{problem:?}"),
                })
        };
        assert_eq!(problem().unwrap(), "has 2 fields, but the header has 3");
        assert!(problem().unwrap().starts_with("is not UTF-8 at byte 5:"));
        assert_eq!(problem(), None);
    }

    fn open(file: &str) -> anyhow::Result<Csv<&[u8]>> {
        Csv::open(Lines::new(file.as_bytes()))
    }
}
