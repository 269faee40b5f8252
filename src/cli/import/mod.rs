//! `countersign import`: consumers and tokens that are somewhere else already.
//!
//! A thread reads rows ([`source`]), each is sent to the server as a creation that may have been made before ([`send`]), and
//! what became of it is told ([`report`]). However long the source is, only a few rows are in memory at once. A token is
//! not sent before the consumers in front of it are done.

mod csv;
mod provider_2013;
mod report;
mod row;
mod send;
mod source;

use std::collections::{HashSet, VecDeque};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::ArgGroup;
use countersign::store::ProviderConsumers;
use tokio::task::JoinHandle;

use self::report::Report;
use self::row::{Item, Kind};
use self::send::{Options, Outcome, Sender};
use self::source::{FileFormat, Place, Row, Source};
use super::Usage;
use super::client::AdminArgs;

/// The arguments of `countersign import`.
#[derive(Debug, clap::Args)]
#[command(group(ArgGroup::new("source").required(true)))]
pub(crate) struct Args {
    #[command(flatten)]
    admin: AdminArgs,
    /// A file with consumers or tokens, named .csv or .jsonl unless --format says what it is; - is standard input
    #[arg(value_name = "FILE", group = "source")]
    file: Option<PathBuf>,
    /// How the file is written
    #[arg(long, value_enum, value_name = "FORMAT", conflicts_with = "redis")]
    format: Option<FileFormat>,
    /// The Redis of the 2013 provider instead of a file: redis://HOST:PORT/DB
    #[arg(
        long,
        value_name = "URL",
        group = "source",
        env = "COUNTERSIGN_IMPORT_REDIS",
        hide_env_values = true
    )]
    redis: Option<String>,
    /// What the names of its hashes begin with
    #[arg(long, value_name = "NAME", default_value = ProviderConsumers::DEFAULT_NAMESPACE, requires = "redis")]
    namespace: String,
    /// Checks every row, and changes nothing
    #[arg(long)]
    dry_run: bool,
    /// Where a consumer's name can not be used, takes its key; leaves out a description, platform or URL that can not
    #[arg(long)]
    repair: bool,
    /// Writes down every row that was refused or has a note, as JSON Lines
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// How many rows are sent at once
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=256))]
    concurrency: u16,
}

/// A row on its way.
struct Sent {
    place: Place,
    position: u64,
    note: Option<String>,
    /// For a dry run, whose consumers are nowhere: the one that the row is about.
    consumer_key: String,
    kind: Kind,
    /// What it creates; empty where the server chooses.
    name: String,
    answer: JoinHandle<anyhow::Result<(Outcome, Option<String>)>>,
}

/// Rows on their way, in their order, and what became of those before.
struct Import {
    sender: Sender,
    report: Report,
    on_the_way: VecDeque<Sent>,
    concurrency: usize,
    /// In a dry run, the consumers that would be there.
    would_be: Option<HashSet<String>>,
}

/// Runs the command: exit code 1 if a row was refused.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let options = Options {
        validate_only: args.dry_run,
        repair: args.repair,
    };
    let format = args.admin.output;
    let mut source = args.source().await?;
    let mut import = Import {
        sender: Sender::new(args.admin.connect().await?, options),
        report: Report::new(args.report.as_deref(), source.length, args.dry_run)?,
        on_the_way: VecDeque::new(),
        concurrency: args.concurrency.into(),
        would_be: args.dry_run.then(HashSet::new),
    };
    let mut last = None;
    if let Err(error) = import.all(&mut source, &mut last).await {
        import.report.abandon(last.as_ref())?;
        return Err(error);
    }
    let summary = import.report.end(format)?;
    Ok(if summary.refused == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

// === impl Args ===

impl Args {
    async fn source(&self) -> anyhow::Result<Source> {
        match (&self.redis, &self.file) {
            (Some(url), _) => Source::provider_2013(url, &self.namespace).await,
            (None, Some(path)) => Source::file(path, self.format_of(path)?),
            (None, None) => Err(Usage("name a FILE or --redis URL".to_owned()).into()),
        }
    }

    fn format_of(&self, path: &std::path::Path) -> anyhow::Result<FileFormat> {
        let by_name = match path.extension().and_then(|extension| extension.to_str()) {
            Some("csv") => Some(FileFormat::Csv),
            Some("jsonl" | "ndjson") => Some(FileFormat::Jsonl),
            _ => None,
        };
        let remedy = || {
            Usage(format!(
                "{}: say what it is with --format csv or --format jsonl",
                path.display()
            ))
        };
        Ok(self.format.or(by_name).ok_or_else(remedy)?)
    }
}

// === impl Import ===

impl Import {
    /// Sends every row; `last` is the last one that was done.
    async fn all(&mut self, source: &mut Source, last: &mut Option<Place>) -> anyhow::Result<()> {
        while let Some(row) = source.rows.recv().await {
            let Row {
                place,
                position,
                item,
                note,
            } = match row {
                Ok(row) => row,
                Err(error) => {
                    self.drain(0, last).await?;
                    return Err(error);
                }
            };
            match item {
                Err(problems) => {
                    self.drain(0, last).await?;
                    self.report
                        .add(&place, position, &Outcome::Refused(problems), None)?;
                }
                Ok(item) => {
                    let room = if self.must_follow(&item) {
                        0
                    } else {
                        self.concurrency - 1
                    };
                    self.drain(room, last).await?;
                    self.on_the_way
                        .push_back(self.sent(item, (place, position), note));
                }
            }
        }
        self.drain(0, last).await
    }

    /// Whether what comes of a row depends on one that is on its way: a token's consumer, or the same name before.
    fn must_follow(&self, item: &Item) -> bool {
        let name = name(item);
        self.on_the_way
            .iter()
            .any(|before| before.kind != item.kind() || !name.is_empty() && before.name == name)
    }

    fn sent(&self, item: Item, (place, position): (Place, u64), note: Option<String>) -> Sent {
        let (kind, consumer_key, sender) = (item.kind(), consumer_key(&item), self.sender.clone());
        let name = name(&item).to_owned();
        let answer = tokio::spawn(async move { sender.send(item).await });
        Sent {
            place,
            position,
            note,
            consumer_key,
            kind,
            name,
            answer,
        }
    }

    /// Waits until at most so many are on their way.
    async fn drain(&mut self, room: usize, last: &mut Option<Place>) -> anyhow::Result<()> {
        while self.on_the_way.len() > room {
            let Some(sent) = self.on_the_way.pop_front() else {
                break;
            };
            let (outcome, note) = sent.answer.await.context("a row could not be sent")??;
            let outcome = self.as_if_done(outcome, sent.kind, &sent.consumer_key);
            let notes: Vec<_> = [sent.note, note].into_iter().flatten().collect();
            let note = (!notes.is_empty()).then(|| notes.join("; "));
            self.report
                .add(&sent.place, sent.position, &outcome, note.as_deref())?;
            *last = Some(sent.place);
        }
        Ok(())
    }

    /// In a dry run, a token's consumer is there if it would be.
    fn as_if_done(&mut self, outcome: Outcome, kind: Kind, consumer_key: &str) -> Outcome {
        let Some(would_be) = &mut self.would_be else {
            return outcome;
        };
        match (outcome, kind) {
            (Outcome::Created, Kind::Consumer) => {
                would_be.insert(consumer_key.to_owned());
                Outcome::Created
            }
            (Outcome::NoConsumer(_), Kind::Token) if would_be.contains(consumer_key) => {
                Outcome::Created
            }
            (outcome, _) => outcome,
        }
    }
}

fn consumer_key(item: &Item) -> String {
    match item {
        Item::Consumer(request) => request
            .consumer
            .as_ref()
            .map(|consumer| consumer.consumer_key.clone()),
        Item::Token(request) => request
            .token
            .as_ref()
            .map(|token| token.consumer_key.clone()),
    }
    .unwrap_or_default()
}

fn name(item: &Item) -> &str {
    match item {
        Item::Consumer(request) => request
            .consumer
            .as_ref()
            .map_or("", |consumer| &consumer.consumer_key),
        Item::Token(request) => request.token.as_ref().map_or("", |token| &token.token),
    }
}
