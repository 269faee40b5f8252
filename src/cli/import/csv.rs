//! Rows out of CSV (RFC 4180) with a header row.

use std::io::BufRead;

use anyhow::{Context as _, bail};
use serde_json::{Map, Value};

use super::row::{Field, Item, Kind, Problem, Shape};
use super::source::{BYTE_ORDER_MARK, Lines, MAX_ROW_LEN, Place, Row, not_utf8};

/// A file of CSV, read a row at a time.
pub(super) struct Csv<R> {
    lines: Lines<R>,
    columns: Vec<&'static Field>,
    /// What rows are that do not say it.
    kind: Kind,
}

/// The text of a row, and the line that it begins at.
struct Record {
    line: u64,
    bytes: Vec<u8>,
}

// === impl Csv ===

impl<R: BufRead> Csv<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// When it names a column that is unknown or there already, or lacks one that every row needs.
    pub(super) fn open(mut lines: Lines<R>) -> anyhow::Result<Self> {
        let Some(header) = record(&mut lines)? else {
            bail!("line 1: the file is empty; it begins with a header row")
        };
        let text = header
            .bytes
            .strip_prefix(BYTE_ORDER_MARK)
            .unwrap_or(&header.bytes);
        let text = str::from_utf8(text)
            .with_context(|| format!("line {}: the header is not UTF-8", header.line))?;
        let mut columns: Vec<&Field> = Vec::new();
        for name in &fields(text)? {
            let Some(field) = Field::named(name.trim()) else {
                bail!(
                    "line {}: the column {:?} is unknown; docs/issuing.md lists all",
                    header.line,
                    shortened(name)
                );
            };
            if columns.iter().any(|column| column.name == field.name) {
                bail!(
                    "line {}: the column {:?} is there twice",
                    header.line,
                    field.name
                );
            }
            columns.push(field);
        }
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
        if let Some(missing) = needed.iter().find(|name| !has(name)) {
            bail!("line {}: the column {missing:?} is missing", header.line);
        }
        Ok(Self {
            lines,
            columns,
            kind,
        })
    }

    /// The next row; `None` at the end.
    ///
    /// # Errors
    /// When a quote is not closed: nothing after it can be told apart.
    pub(super) fn next_row(&mut self) -> anyhow::Result<Option<Row>> {
        while let Some(Record { line, bytes }) = record(&mut self.lines)? {
            if !bytes.trim_ascii().is_empty() {
                let (place, position) = (Place::Line(line), self.lines.position);
                return Ok(Some(Row {
                    place,
                    position,
                    item: self.item(&bytes)?,
                    note: None,
                }));
            }
        }
        Ok(None)
    }

    fn item(&self, bytes: &[u8]) -> anyhow::Result<Result<Item, Vec<Problem>>> {
        let text = match str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => return Ok(Err(vec![not_utf8(error.valid_up_to())])),
        };
        let fields = fields(text)?;
        if fields.len() != self.columns.len() {
            let problem = format!(
                "has {} fields, and the header {}",
                fields.len(),
                self.columns.len()
            );
            return Ok(Err(vec![Problem::new("", problem)]));
        }
        let mut map = Map::new();
        for (column, text) in self
            .columns
            .iter()
            .zip(&fields)
            .filter(|(_, text)| !text.is_empty())
        {
            map.insert(column.name.to_owned(), value(column.shape, text));
        }
        map.entry("kind").or_insert_with(|| self.kind.name().into());
        Ok(Item::of(map))
    }
}

/// The next record: lines up to where every quote is closed.
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
        let Some(next) = next else {
            bail!("line {line}: a quote is opened here and not closed")
        };
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
    let first = reader
        .records()
        .next()
        .transpose()
        .context("the row is no CSV")?;
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

/// Each from its own beginning on; what comes before the first is a key that the server refuses.
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

fn shortened(name: &str) -> String {
    name.chars().take(64).collect()
}

/// How PEM begins.
const BEGIN: &str = "-----BEGIN ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_what_its_columns_say() {
        let file = "\u{feff}consumer_key,consumer_secret,name,scopes,verified\r\nK,S,\"A \"\"b\"\",\nc\",read write,true\r\n\r\nL,S,M,,\r\n";
        let mut csv = open(file).unwrap();
        let row = csv.next_row().unwrap().unwrap();
        assert_eq!(row.place, Place::Line(2));
        let Ok(Item::Consumer(request)) = row.item else {
            panic!("no consumer")
        };
        let consumer = request.consumer.unwrap();
        assert_eq!(
            (consumer.name.as_str(), consumer.verified),
            ("A \"b\",\nc", true)
        );
        assert_eq!(consumer.scopes, ["read", "write"]);
        assert_eq!(csv.next_row().unwrap().unwrap().place, Place::Line(5));
        assert!(csv.next_row().unwrap().is_none());
    }

    #[test]
    fn a_header_that_can_not_be_right_is_refused_at_once() {
        for (header, problem) in [
            ("", "line 1: the file is empty; it begins with a header row"),
            (
                "consumer_key,nmae\n",
                "line 1: the column \"nmae\" is unknown; docs/issuing.md lists all",
            ),
            (
                "consumer_key,name,name\n",
                "line 1: the column \"name\" is there twice",
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
                "line 1: a quote is opened here and not closed",
            ),
        ] {
            assert_eq!(open(header).err().unwrap().to_string(), problem);
        }
    }

    #[test]
    fn a_quote_that_is_not_closed_is_found_where_it_is_opened() {
        let mut csv = open("consumer_key,name\nK,\"N\nL,M\n").unwrap();
        assert_eq!(
            csv.next_row().err().unwrap().to_string(),
            "line 2: a quote is opened here and not closed"
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
                .map(|problems| problems[0].problem.clone())
        };
        assert_eq!(problem().unwrap(), "has 2 fields, and the header 3");
        assert!(
            problem()
                .unwrap()
                .starts_with("is not UTF-8 at its byte 5;")
        );
        assert_eq!(problem(), None);
    }

    fn open(file: &str) -> anyhow::Result<Csv<&[u8]>> {
        Csv::open(Lines::new(file.as_bytes()))
    }
}
