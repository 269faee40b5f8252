//! `countersign export`: a backup of every consumer, user and token, sealed or in plaintext, or the YAML
//! of `countersign apply`.
//!
//! The server streams the records, and each becomes a line of the file; only a page of them is in
//! memory. The file gets its name when it is complete.

mod line;
mod plaintext;
mod sealed;
mod yaml;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use countersign::v1::backup_service_client::BackupServiceClient;
use indicatif::{ProgressBar, ProgressDrawTarget};
use serde::Serialize;

use super::client::AdminArgs;
use super::confirm::Confirmation;
use super::input;
use super::output;
use super::private_file::PrivateFile;
use super::stop_signal::stop_signal;

pub(super) use self::line::{END_KIND, EndLine, HEADER_START, HeaderLine, RecordLine};

/// The arguments of `countersign export`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_STATUS)]
pub(crate) struct Args {
    #[command(flatten)]
    admin: AdminArgs,
    /// File to write, - for standard output
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Replace an existing file
    #[arg(long)]
    force: bool,
    /// Format of the file
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    format: FileFormat,
    /// Write every secret in plaintext: instead of a sealed backup, or into the YAML
    #[arg(long)]
    plaintext: bool,
    #[command(flatten)]
    confirmation: Confirmation,
}

/// The format of an export.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum FileFormat {
    /// JSON Lines: a sealed backup of every record, or with --plaintext rows
    #[default]
    Jsonl,
    /// YAML for `countersign apply`: consumers and active tokens, without secrets
    Yaml,
}

/// The number of exported records.
#[derive(Debug, Default, Serialize)]
struct ExportCounts {
    consumers: u64,
    users: u64,
    tokens: u64,
    /// The number of records that the export lacks because they cannot be read.
    unreadable: u64,
}

/// The destination of the lines, and the progress.
struct ExportWriter {
    file: PrivateFile,
    counts: ExportCounts,
    bar: ProgressBar,
}

/// Runs the command.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    if args.plaintext {
        output::note(EXPOSURE);
        args.confirmation.ask("--plaintext", "Write the file?")?;
    }
    let channel = args.admin.connect().await?;
    let client = BackupServiceClient::new(channel.clone());
    let stopped = stop_signal().context("cannot receive signals")?;
    let mut writer = ExportWriter::new(PrivateFile::create(&args.file, args.force)?);
    let export = async {
        match (args.format, args.plaintext) {
            (FileFormat::Jsonl, false) => sealed::export(client, &mut writer).await,
            (FileFormat::Jsonl, true) => plaintext::export(client, &mut writer).await,
            (FileFormat::Yaml, false) => yaml::export(channel, &mut writer).await,
            (FileFormat::Yaml, true) => yaml::export_secrets(client, &mut writer).await,
        }
    };
    tokio::select! {
        exported = export => exported?,
        // The unfinished file is removed.
        () = stopped => bail!("interrupted; {}", args.after_interruption()),
    }
    let counts = writer.finish()?;
    args.show(&counts)?;
    if counts.unreadable == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    output::note(&format!(
        "warning: the export lacks {} records that cannot be read; the log of the server names them",
        counts.unreadable
    ));
    Ok(ExitCode::FAILURE)
}

// === impl Args ===

impl Args {
    fn writes_to_stdout(&self) -> bool {
        self.file.as_os_str() == "-"
    }

    /// Returns a note about the output of an interrupted export.
    fn after_interruption(&self) -> &'static str {
        if self.writes_to_stdout() {
            "the output is incomplete"
        } else {
            "nothing was written"
        }
    }

    /// Prints the counts, unless standard output has the export.
    fn show(&self, counts: &ExportCounts) -> anyhow::Result<()> {
        if self.writes_to_stdout() {
            return Ok(());
        }
        let fields = [
            ("file", input::name(&self.file)),
            ("consumers", counts.consumers.to_string()),
            ("users", counts.users.to_string()),
            ("tokens", counts.tokens.to_string()),
            ("unreadable", counts.unreadable.to_string()),
        ];
        output::record(self.admin.output, counts, &fields)
    }
}

// === impl ExportWriter ===

impl ExportWriter {
    fn new(file: PrivateFile) -> Self {
        let bar = ProgressBar::no_length();
        // It is drawn only on a terminal.
        bar.set_draw_target(ProgressDrawTarget::stderr());
        Self {
            file,
            counts: ExportCounts::default(),
            bar,
        }
    }

    /// Writes text.
    fn text(&mut self, text: &str) -> anyhow::Result<()> {
        self.file.line(text)
    }

    /// Writes the text of a record that is already counted.
    fn record_text(&mut self, text: &str) -> anyhow::Result<()> {
        self.bar.inc(1);
        self.text(text)
    }

    /// Writes a line.
    fn line(&mut self, line: &impl Serialize) -> anyhow::Result<()> {
        self.file.line(&serde_json::to_string(line)?)
    }

    /// Writes the line of a record that is already counted.
    fn record(&mut self, line: &impl Serialize) -> anyhow::Result<()> {
        self.bar.inc(1);
        self.line(line)
    }

    fn finish(self) -> anyhow::Result<ExportCounts> {
        self.bar.finish_and_clear();
        self.file.finish()?;
        Ok(self.counts)
    }
}

const EXPOSURE: &str = "warning: --plaintext writes every secret and password hash in plaintext: anyone who reads \
                        the file can sign as every consumer";

const EXIT_STATUS: &str = "\
Exit status:
  0   the export is complete
  1   the export failed, or lacks records that cannot be read
  64  wrong usage, an existing file without --force, or --plaintext without confirmation";
