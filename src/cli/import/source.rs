//! Where rows come from: a file of CSV or JSON Lines, read a row at a time, or the Redis of the 2013 provider.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::thread;

use anyhow::{Context as _, bail};
use tokio::sync::mpsc::{self, Receiver, Sender};

use super::csv::Csv;
use super::provider_2013;
use super::row::{Item, Problem};

/// A row, wherever it is from.
pub(super) struct Row {
    pub(super) place: Place,
    /// How much of the whole was read up to it, for the progress.
    pub(super) position: u64,
    pub(super) item: Result<Item, Vec<Problem>>,
    /// What is worth telling of it.
    pub(super) note: Option<String>,
}

/// Where a row stands.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Place {
    /// The first line of it in the file, from 1.
    Line(u64),
    /// The consumer of that key.
    ConsumerKey(String),
}

/// Rows as they are read, and how far that will go, where it is known.
pub(super) struct Source {
    pub(super) rows: Receiver<anyhow::Result<Row>>,
    pub(super) length: Option<u64>,
}

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum FileFormat {
    /// Comma-separated values (RFC 4180) under a header row
    Csv,
    /// One JSON object a line
    Jsonl,
}

/// Reads a file line by line, and no line longer than what can be a row.
pub(super) struct Lines<R> {
    from: R,
    /// The number of the line that was read last.
    pub(super) line: u64,
    /// How many bytes were read.
    pub(super) position: u64,
}

// === impl Source ===

impl Source {
    /// Opens a file; `-` is standard input.
    pub(super) fn file(path: &Path, format: FileFormat) -> anyhow::Result<Self> {
        if path == Path::new("-") {
            return Ok(Self {
                rows: read(format, io::stdin()),
                length: None,
            });
        }
        let file = File::open(path).with_context(|| path.display().to_string())?;
        let length = file.metadata().ok().map(|metadata| metadata.len());
        Ok(Self {
            rows: read(format, file),
            length,
        })
    }

    /// Opens the provider's Redis.
    pub(super) async fn provider_2013(url: &str, namespace: &str) -> anyhow::Result<Self> {
        let (mut consumers, length) = provider_2013::open(url, namespace).await?;
        let (to, rows) = mpsc::channel(READ_AHEAD);
        tokio::spawn(async move {
            if let Err(error) = provider_2013::send(&mut consumers, &to).await {
                // Nobody reads any more after another error.
                let _ = to.send(Err(error)).await;
            }
        });
        Ok(Self {
            rows,
            length: Some(length),
        })
    }
}

/// In a thread of its own, since files and standard input are waited for.
fn read(format: FileFormat, from: impl Read + Send + 'static) -> Receiver<anyhow::Result<Row>> {
    let (to, rows) = mpsc::channel(READ_AHEAD);
    thread::spawn(move || {
        let lines = Lines::new(BufReader::new(from));
        let read = match format {
            FileFormat::Csv => Csv::open(lines).and_then(|mut csv| send(&to, || csv.next_row())),
            FileFormat::Jsonl => json_lines(lines, &to),
        };
        if let Err(error) = read {
            // Nobody reads any more after another error.
            let _ = to.blocking_send(Err(error));
        }
    });
    rows
}

fn send(
    to: &Sender<anyhow::Result<Row>>,
    mut next: impl FnMut() -> anyhow::Result<Option<Row>>,
) -> anyhow::Result<()> {
    while let Some(row) = next()? {
        if to.blocking_send(Ok(row)).is_err() {
            break;
        }
    }
    Ok(())
}

fn json_lines<R: BufRead>(
    mut lines: Lines<R>,
    to: &Sender<anyhow::Result<Row>>,
) -> anyhow::Result<()> {
    send(to, || {
        while let Some(line) = lines.next_line()? {
            let text = line
                .strip_prefix(BYTE_ORDER_MARK)
                .unwrap_or(&line)
                .trim_ascii();
            if !text.is_empty() {
                return Ok(Some(lines.row(object(text))));
            }
        }
        Ok(None)
    })
}

/// What the library says of a mistake can repeat a value, so only its place is told.
fn object(text: &[u8]) -> Result<Item, Vec<Problem>> {
    if let Err(error) = str::from_utf8(text) {
        return Err(vec![not_utf8(error.valid_up_to())]);
    }
    let parsed = serde_json::from_slice(text);
    parsed
        .map_err(|error| {
            vec![Problem::new(
                "",
                format!("is no JSON object (see column {})", error.column()),
            )]
        })
        .and_then(Item::of)
}

/// What to do about text in an older encoding.
pub(super) fn not_utf8(byte: usize) -> Problem {
    let problem =
        format!("is not UTF-8 at its byte {byte}; `iconv -f ENCODING -t UTF-8` makes it so");
    Problem::new("", problem)
}

// === impl Lines ===

impl<R: BufRead> Lines<R> {
    pub(super) const fn new(from: R) -> Self {
        Self {
            from,
            line: 0,
            position: 0,
        }
    }

    /// The next line with its end; `None` after the last.
    ///
    /// # Errors
    /// When it is longer than any row can be, which would fill the memory.
    pub(super) fn next_line(&mut self) -> anyhow::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        let read = (&mut self.from)
            .take(MAX_ROW_LEN + 1)
            .read_until(b'\n', &mut line);
        let read = read.with_context(|| format!("after line {}", self.line))? as u64;
        if read == 0 {
            return Ok(None);
        }
        self.line += 1;
        self.position += read;
        if read > MAX_ROW_LEN {
            bail!(
                "line {} is longer than {MAX_ROW_LEN} bytes: this is no file of rows",
                self.line
            );
        }
        Ok(Some(line))
    }

    /// A row of the line that was read last.
    fn row(&self, item: Result<Item, Vec<Problem>>) -> Row {
        Row {
            place: Place::Line(self.line),
            position: self.position,
            item,
            note: None,
        }
    }
}

/// How many rows may wait to be sent.
const READ_AHEAD: usize = 64;

/// The longest that a row may be, many times what the largest needs.
pub(super) const MAX_ROW_LEN: u64 = 4 * 1024 * 1024;

/// What some editors begin UTF-8 with.
pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
