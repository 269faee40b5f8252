//! `countersign rekey`: the rotation of master keys.

use std::process::ExitCode;

use anyhow::anyhow;
use countersign::v1;
use countersign::v1::store_service_client::StoreServiceClient;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tonic::{Status, Streaming};

use super::client::{AdminArgs, refused};
use super::output::{self, Format, List};

/// The arguments of `countersign rekey`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_STATUS)]
pub(crate) struct Args {
    #[command(flatten)]
    admin: AdminArgs,
    /// Count the records by master key, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// The progress bar, and the number of records that were sealed.
struct Progress {
    bar: ProgressBar,
    resealed: u64,
}

/// Runs the command.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let mut client = StoreServiceClient::new(args.admin.connect().await?);
    let request = v1::RekeyRequest {
        dry_run: args.dry_run,
    };
    let messages = client.rekey(request).await.map_err(refused)?.into_inner();
    let mut progress = Progress::new()?;
    let ended = progress.follow(messages).await;
    progress.bar.finish_and_clear();
    let summary = ended.map_err(|status| progress.stopped(status, args.dry_run))?;
    print(args.admin.output, &summary)?;
    Ok(if summary.unreadable == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

// === impl Progress ===

impl Progress {
    fn new() -> anyhow::Result<Self> {
        let bar = ProgressBar::no_length();
        // The bar is drawn only on a terminal.
        bar.set_draw_target(ProgressDrawTarget::stderr());
        bar.set_style(ProgressStyle::with_template(COUNTING)?);
        Ok(Self { bar, resealed: 0 })
    }

    /// Shows the progress until the summary arrives.
    async fn follow(
        &mut self,
        mut messages: Streaming<v1::RekeyResponse>,
    ) -> Result<v1::RekeySummary, Status> {
        while let Some(message) = messages.message().await? {
            self.show(&message);
            if let Some(summary) = message.summary {
                return Ok(summary);
            }
        }
        Err(Status::unavailable(NO_SUMMARY))
    }

    fn show(&mut self, message: &v1::RekeyResponse) {
        self.resealed = message.resealed;
        if message.total > 0 && self.bar.length() != Some(message.total) {
            self.bar.set_length(message.total);
            if let Ok(style) = ProgressStyle::with_template(SEALING) {
                self.bar.set_style(style);
            }
        }
        if message.total > 0 {
            self.bar.set_position(message.resealed);
        }
        self.bar
            .set_message(format!("{} records read", message.scanned));
    }

    /// Returns the error of a rotation that stopped, with the number of sealed records.
    fn stopped(&self, status: Status, dry_run: bool) -> anyhow::Error {
        if dry_run {
            return refused(status);
        }
        anyhow!(
            "the rotation stopped after sealing {} records: {}; run it again to seal the rest",
            self.resealed,
            refused(status)
        )
    }
}

fn print(format: Format, summary: &v1::RekeySummary) -> anyhow::Result<()> {
    if format == Format::Json {
        return output::line(&serde_json::to_string_pretty(summary)?);
    }
    let mut keys = List::new(format, &COLUMNS, output::stdout());
    keys.page(&summary.keys, |key| row(key, &summary.first_key))?;
    keys.end()?;
    output::line(&result(summary))?;
    for record in summary.unreadable_records.iter().take(MOST_SHOWN) {
        let v1::UnreadableRecord {
            kind,
            name,
            problem,
        } = record;
        output::note(&format!("unreadable: {kind} {name}: {problem}"));
    }
    let more = summary.unreadable.saturating_sub(MOST_SHOWN as u64);
    if more > 0 {
        output::note(&format!(
            "… and {more} more unreadable records; --output json lists the first 1,000"
        ));
    }
    Ok(())
}

fn row(key: &v1::MasterKeyCount, first: &str) -> Vec<String> {
    let mark = if key.key_id == first { " (first)" } else { "" };
    vec![
        format!("{}{mark}", key.key_id),
        key.before.to_string(),
        key.after.to_string(),
    ]
}

/// Returns the result in one line, and the next step.
fn result(summary: &v1::RekeySummary) -> String {
    let first = &summary.first_key;
    let old: u64 = summary.keys.iter().skip(1).map(|key| key.after).sum();
    match (summary.dry_run, old, summary.resealed) {
        (true, 1.., _) => format!("{old} records to seal with the first key of the file, {first}"),
        (_, _, 0) => format!(
            "nothing to do: the first key of the file is {first}, and no record is under another of its keys"
        ),
        (_, _, resealed) => {
            format!("{resealed} records sealed with the first key of the file, {first}")
        }
    }
}

const COLUMNS: [&str; 3] = ["KEY", "BEFORE", "AFTER"];

const COUNTING: &str = "{spinner} counting, {msg}";

const SEALING: &str = "{wide_bar} {percent:>3} %  {pos}/{len} sealed, {msg}  {eta}";

const NO_SUMMARY: &str = "the connection ended before the summary arrived";

/// The most unreadable records that are shown on standard error.
const MOST_SHOWN: usize = 20;

const EXIT_STATUS: &str = "\
Before: put the new key first in the master key file of every replica; they reload it.
After: \"Rotate the master key\" in docs/operations.md says when to remove the old key.

Exit status:
  0   every record is sealed with the first key; with --dry-run: every record can be read
  1   a record cannot be read, or the rotation stopped
  64  wrong usage";
