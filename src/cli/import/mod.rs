//! `countersign import`: consumers and tokens of another system, or a sealed export ([`restore`]).
//!
//! A thread reads rows ([`source`]), each row is sent to the server ([`send`]), and the outcomes
//! are reported ([`report`]). Only a few rows are in memory at once. A token is sent after the
//! consumers above it are done. Existing rows are left unchanged, so an import can be repeated.

mod csv;
mod json_lines;
mod latest;
mod lines;
mod provider_2013;
mod report;
mod restore;
mod row;
mod sealed;
mod send;
mod source;

use std::collections::{HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::ArgGroup;
use countersign::store::ProviderConsumers;
use tokio::task::JoinHandle;

use self::lines::{Row, RowMark};
use self::report::ImportReport;
use self::row::{Item, Kind, Unsent};
use self::sealed::SealedExport;
use self::send::{Outcome, RowSender, SendOptions, SendResult};
use self::source::{FileFormat, Source};
use super::client::AdminArgs;
use super::exit::Usage;

/// The arguments of `countersign import`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_STATUS, group(ArgGroup::new("source").required(true)))]
pub(crate) struct Args {
    #[command(flatten)]
    admin: AdminArgs,
    /// Sealed export, or a file with consumers and tokens (- for standard input)
    #[arg(value_name = "FILE", group = "source")]
    file: Option<PathBuf>,
    /// Format of the file [default: by its name, .csv, .jsonl or .ndjson]
    #[arg(long, value_enum, value_name = "FORMAT", conflicts_with = "redis")]
    format: Option<FileFormat>,
    /// Redis of the 2013 provider, redis://HOST:PORT/DB, instead of a file
    #[arg(
        long,
        value_name = "URL",
        group = "source",
        env = "COUNTERSIGN_IMPORT_REDIS",
        hide_env_values = true
    )]
    redis: Option<String>,
    /// Prefix of the provider's keys in Redis
    #[arg(long, value_name = "NAME", default_value = ProviderConsumers::DEFAULT_NAMESPACE, requires = "redis")]
    namespace: String,
    /// Validate every row or record, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Leave records that differ from a sealed export unchanged, and restore the others
    #[arg(long, requires = "file")]
    skip_existing: bool,
    /// Restore a sealed export that lacks consumers or users, although tokens of a user who was
    /// disabled or deleted become valid
    #[arg(long, requires = "file")]
    accept_missing: bool,
    /// Replace an invalid name with the key, and omit an invalid description, platform or URL
    #[arg(long)]
    repair: bool,
    /// File to write refused rows and rows with a note to, as JSON Lines [default: none]
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Number of rows to send at once, 1 to 256
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=256))]
    concurrency: u16,
}

/// A row that was sent and is not answered yet.
struct PendingRow {
    mark: RowMark,
    note: Option<String>,
    consumer_key: String,
    kind: Kind,
    /// The key or token that the row creates; empty if the server chooses it.
    name: String,
    answer: JoinHandle<anyhow::Result<SendResult>>,
}

/// The state of an import.
struct Import {
    sender: RowSender,
    report: ImportReport,
    pending: VecDeque<PendingRow>,
    concurrency: usize,
    /// In a dry run, the consumers that an import would have created so far.
    would_exist: Option<HashSet<String>>,
}

/// Runs the command.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    if let Some(export) = args.sealed_export()? {
        return restore::run(&args, &export).await;
    }
    let options = SendOptions {
        validate_only: args.dry_run,
        repair: args.repair,
    };
    let mut source = args.source().await?;
    let mut import = Import {
        sender: RowSender::new(args.admin.connect().await?, options),
        report: ImportReport::new(args.report.as_deref(), source.length, args.dry_run)?,
        pending: VecDeque::new(),
        concurrency: args.concurrency.into(),
        would_exist: args.dry_run.then(HashSet::new),
    };
    if let Err(error) = import.send_all(&mut source).await {
        import.report.abandon()?;
        return Err(error);
    }
    let summary = import.report.end(args.admin.output)?;
    Ok(if summary.refused == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

// === impl Args ===

impl Args {
    /// Reads the file, if it is a sealed export.
    fn sealed_export(&self) -> anyhow::Result<Option<SealedExport>> {
        // Standard input cannot be read twice.
        let path = self.file.as_deref().filter(|path| *path != Path::new("-"));
        if let Some(path) = path
            && let Some(file) = sealed::open_sealed_export(path)?
        {
            if self.repair {
                return Err(Usage(
                    "--repair: a sealed export cannot be repaired; leave out the option".to_owned(),
                )
                .into());
            }
            return SealedExport::read(file, path).map(Some);
        }
        if self.skip_existing {
            let problem = "--skip-existing: the file is not a sealed export, and other imports leave \
                           existing rows unchanged";
            return Err(Usage(problem.to_owned()).into());
        }
        if self.accept_missing {
            let problem = "--accept-missing: the file is not a sealed export; leave out the option";
            return Err(Usage(problem.to_owned()).into());
        }
        Ok(None)
    }

    async fn source(&self) -> anyhow::Result<Source> {
        match &self.redis {
            Some(url) => {
                is_redis(url)?;
                Source::provider_2013(url, &self.namespace).await
            }
            None => {
                let path = self.file.as_deref().unwrap_or_else(|| Path::new("-"));
                Ok(Source::file(path, self.format_of(path)?)?)
            }
        }
    }

    fn format_of(&self, path: &Path) -> Result<FileFormat, Usage> {
        let by_name = match path.extension().and_then(|extension| extension.to_str()) {
            Some("csv") => Some(FileFormat::Csv),
            Some("jsonl" | "ndjson") => Some(FileFormat::Jsonl),
            _ => None,
        };
        self.format.or(by_name).ok_or_else(|| {
            Usage(format!(
                "the name {} does not tell the format: add --format csv or --format jsonl",
                path.display()
            ))
        })
    }
}

/// Checks the scheme of a URL. The URL may hold a password, so the error does not repeat it.
fn is_redis(url: &str) -> Result<(), Usage> {
    let scheme = url.split_once("://").map(|(scheme, _)| scheme);
    if matches!(scheme, Some("redis" | "rediss" | "unix" | "redis+unix")) {
        Ok(())
    } else {
        let expected = "--redis: the URL must begin with redis:// or rediss://";
        Err(Usage(expected.to_owned()))
    }
}

// === impl Import ===

impl Import {
    async fn send_all(&mut self, source: &mut Source) -> anyhow::Result<()> {
        while let Some(row) = source.rows.recv().await {
            match row {
                Ok(row) => self.send(row).await?,
                Err(error) => {
                    self.wait_until_pending(0).await?;
                    return Err(error);
                }
            }
        }
        self.wait_until_pending(0).await
    }

    async fn send(&mut self, row: Row) -> anyhow::Result<()> {
        let item = match row.item {
            Ok(item) => item,
            Err(unsent) => {
                self.wait_until_pending(0).await?;
                let outcome = match unsent {
                    Unsent::Refused(problems) => Outcome::Refused(problems),
                    Unsent::Skipped(problem) => Outcome::Skipped(problem),
                };
                return self.report.add(&row.mark, &outcome, None);
            }
        };
        let room = if self.must_follow(&item) {
            0
        } else {
            self.concurrency - 1
        };
        self.wait_until_pending(room).await?;
        let (kind, name) = (item.kind(), name(&item).to_owned());
        let (consumer_key, sender) = (consumer_key(&item).to_owned(), self.sender.clone());
        self.pending.push_back(PendingRow {
            mark: row.mark,
            note: row.note,
            consumer_key,
            kind,
            name,
            answer: tokio::spawn(async move { sender.send(item).await }),
        });
        Ok(())
    }

    /// Returns `true` if the outcome of a row depends on a pending one: the consumer of a token, or
    /// a row of the same name.
    fn must_follow(&self, item: &Item) -> bool {
        let name = name(item);
        self.pending
            .iter()
            .any(|before| before.kind != item.kind() || !name.is_empty() && before.name == name)
    }

    /// Waits until at most `most` rows are pending.
    async fn wait_until_pending(&mut self, most: usize) -> anyhow::Result<()> {
        while self.pending.len() > most
            && let Some(row) = self.pending.pop_front()
        {
            self.finish(row).await?;
        }
        Ok(())
    }

    async fn finish(&mut self, row: PendingRow) -> anyhow::Result<()> {
        let SendResult { outcome, note } = row.answer.await.context("sending a row panicked")??;
        let outcome = self.in_dry_run(outcome, row.kind, &row.consumer_key);
        let notes: Vec<_> = [row.note, note].into_iter().flatten().collect();
        let note = Some(notes.join("; ")).filter(|note| !note.is_empty());
        self.report.add(&row.mark, &outcome, note.as_deref())
    }

    /// Adjusts an outcome in a dry run: a token's consumer exists if an import would have created
    /// it.
    fn in_dry_run(&mut self, outcome: Outcome, kind: Kind, consumer_key: &str) -> Outcome {
        let Some(would_exist) = &mut self.would_exist else {
            return outcome;
        };
        match (outcome, kind) {
            (Outcome::Created, Kind::Consumer) => {
                would_exist.insert(consumer_key.to_owned());
                Outcome::Created
            }
            (Outcome::NoConsumer(_), Kind::Token) if would_exist.contains(consumer_key) => {
                Outcome::Created
            }
            (outcome, _) => outcome,
        }
    }
}

fn consumer_key(item: &Item) -> &str {
    match item {
        Item::Consumer(request) => request
            .consumer
            .as_ref()
            .map_or("", |consumer| &consumer.consumer_key),
        Item::Token(request) => request
            .token
            .as_ref()
            .map_or("", |token| &token.consumer_key),
    }
}

fn name(item: &Item) -> &str {
    match item {
        Item::Consumer(_) => consumer_key(item),
        Item::Token(request) => request.token.as_ref().map_or("", |token| &token.token),
    }
}

const EXIT_STATUS: &str = "\
Exit status:
  0   every row was created, existed or was skipped
  1   a row was refused, or the import stopped
  64  wrong usage, or an unreadable file";
