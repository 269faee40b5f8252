//! The source of rows: a file of CSV or JSON Lines, or the Redis of the 2013 provider.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::thread;

use countersign::store::ProviderConsumers;
use tokio::sync::mpsc::{self, Receiver, Sender};

use super::csv::Csv;
use super::json_lines::JsonLines;
use super::lines::{Lines, Row};
use super::provider_2013;
use crate::cli::exit::Usage;
use crate::cli::input;

/// Rows in the order of the source.
pub(super) struct Source {
    pub(super) rows: Receiver<anyhow::Result<Row>>,
    /// The length of the source in bytes or consumers, if it is known.
    pub(super) length: Option<u64>,
}

/// The format of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum FileFormat {
    /// Comma-separated values (RFC 4180) with a header row
    Csv,
    /// One JSON object a line
    Jsonl,
}

// === impl Source ===

impl Source {
    /// Opens a file; `-` is standard input.
    pub(super) fn file(path: &Path, format: FileFormat) -> Result<Self, Usage> {
        let file = input::open(path)?;
        let is_file = path != Path::new("-");
        let length = is_file.then(|| fs::metadata(path).ok()).flatten();
        Ok(Self {
            rows: read(format, file),
            length: length.map(|metadata| metadata.len()),
        })
    }

    /// Connects to the provider's Redis.
    pub(super) async fn provider_2013(url: &str, namespace: &str) -> anyhow::Result<Self> {
        let mut consumers = ProviderConsumers::open(url, namespace).await?;
        let length = consumers.count().await?;
        let (to, rows) = mpsc::channel(READ_AHEAD);
        tokio::spawn(async move {
            if let Err(error) = send_consumers(&mut consumers, &to).await {
                // After another error the receiver is gone.
                let _ = to.send(Err(error)).await;
            }
        });
        Ok(Self {
            rows,
            length: Some(length),
        })
    }
}

async fn send_consumers(
    consumers: &mut ProviderConsumers,
    to: &Sender<anyhow::Result<Row>>,
) -> anyhow::Result<()> {
    let mut position = 0;
    while let Some(page) = consumers.next_page().await? {
        for consumer in page {
            position += 1;
            let row = provider_2013::row(&consumer, position);
            if to.send(Ok(row)).await.is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Reads on a thread of its own, because reading a file or standard input blocks.
fn read(format: FileFormat, from: impl Read + Send + 'static) -> Receiver<anyhow::Result<Row>> {
    let (to, rows) = mpsc::channel(READ_AHEAD);
    thread::spawn(move || {
        let lines = Lines::new(BufReader::new(from));
        let read = match format {
            FileFormat::Csv => csv(lines, &to),
            FileFormat::Jsonl => json_lines(lines, &to),
        };
        if let Err(error) = read {
            // After another error the receiver is gone.
            let _ = to.blocking_send(Err(error));
        }
    });
    rows
}

fn csv<R: BufRead>(lines: Lines<R>, to: &Sender<anyhow::Result<Row>>) -> anyhow::Result<()> {
    let mut csv = Csv::open(lines)?;
    send(to, || csv.next_row())
}

fn json_lines<R: BufRead>(lines: Lines<R>, to: &Sender<anyhow::Result<Row>>) -> anyhow::Result<()> {
    let mut json = JsonLines::new(lines);
    send(to, || json.next_row())
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

/// The number of rows that may wait to be sent.
const READ_AHEAD: usize = 64;
