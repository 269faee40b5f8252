//! The report of an import: a progress bar, the refused rows, and a summary.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use super::lines::{RowMark, RowPlace};
use super::row::Problem;
use super::send::Outcome;
use crate::cli::exit::Usage;
use crate::cli::output::{self, Format};

/// Counts the outcomes of rows, and shows and records those that need attention.
pub(super) struct ImportReport {
    bar: ProgressBar,
    file: Option<BufWriter<File>>,
    summary: Summary,
    /// The last row that the server answered.
    last: Option<RowPlace>,
    /// The number of rows that were shown or omitted.
    shown: usize,
}

/// The counts of an import.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Summary {
    /// In a dry run, `created` counts the rows that an import would create.
    dry_run: bool,
    created: u64,
    existed: u64,
    /// The number of created or existing rows that lack something from the source.
    noted: u64,
    /// The number of rows that were left out on purpose.
    skipped: u64,
    pub(super) refused: u64,
}

/// A line of the report file.
#[derive(Serialize)]
struct ReportLine<'a> {
    #[serde(flatten)]
    place: &'a RowPlace,
    outcome: &'static str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    problems: &'a [Problem],
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'a str>,
}

// === impl ImportReport ===

impl ImportReport {
    /// Creates a report for a source of this length, and the report file, if one is named.
    pub(super) fn new(
        file: Option<&Path>,
        length: Option<u64>,
        dry_run: bool,
    ) -> anyhow::Result<Self> {
        let bar = length.map_or_else(ProgressBar::no_length, ProgressBar::new);
        // It is drawn only on a terminal.
        bar.set_draw_target(ProgressDrawTarget::stderr());
        bar.set_style(ProgressStyle::with_template(TEMPLATE)?);
        Ok(Self {
            bar,
            file: file.map(create).transpose()?,
            summary: Summary {
                dry_run,
                ..Summary::default()
            },
            last: None,
            shown: 0,
        })
    }

    /// Adds the outcome of a row that was sent.
    pub(super) fn add(
        &mut self,
        mark: &RowMark,
        outcome: &Outcome,
        note: Option<&str>,
    ) -> anyhow::Result<()> {
        self.last = Some(mark.place.clone());
        match outcome {
            Outcome::Created => self.summary.created += 1,
            Outcome::Existed => self.summary.existed += 1,
            Outcome::Refused(_) | Outcome::NoConsumer(_) => self.summary.refused += 1,
            Outcome::Skipped(_) => self.summary.skipped += 1,
        }
        let problems = outcome.problems();
        if problems.is_empty() && note.is_some() {
            self.summary.noted += 1;
        }
        self.bar.set_position(mark.position);
        self.bar
            .set_message(format!("{} rows", self.summary.rows()));
        if problems.is_empty() && note.is_none() {
            return Ok(());
        }
        self.record(&ReportLine {
            place: &mark.place,
            outcome: outcome.word(),
            problems,
            note,
        })
    }

    fn record(&mut self, line: &ReportLine<'_>) -> anyhow::Result<()> {
        if let Some(file) = &mut self.file {
            let line = serde_json::to_string(line)?;
            writeln!(file, "{line}").context(CANNOT_WRITE)?;
        }
        self.shown += 1;
        if self.shown <= MOST_SHOWN {
            let text = format!("{}: {}", line.place, line.text());
            self.bar.suspend(|| output::note(&text));
        }
        Ok(())
    }

    /// Returns the counts so far.
    pub(super) const fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Removes the progress of a check that found nothing to report.
    pub(super) fn discard(self) {
        self.bar.finish_and_clear();
    }

    /// Completes the report, prints the summary, and returns it.
    pub(super) fn end(mut self, format: Format) -> anyhow::Result<Summary> {
        self.close()?;
        let Summary {
            dry_run,
            created,
            existed,
            noted,
            skipped,
            refused,
        } = &self.summary;
        let created_name = if *dry_run {
            "would be created"
        } else {
            "created"
        };
        let fields = [
            (created_name, created.to_string()),
            ("existed", existed.to_string()),
            ("with a note", noted.to_string()),
            ("skipped", skipped.to_string()),
            ("refused", refused.to_string()),
        ];
        output::record(format, &self.summary, &fields)?;
        Ok(self.summary)
    }

    /// Completes the report of an import that failed, and prints how far it came.
    pub(super) fn abandon(mut self) -> anyhow::Result<()> {
        self.close()?;
        let Summary {
            created,
            existed,
            refused,
            ..
        } = self.summary;
        let last = self.last.map(|place| format!(", the last at {place}"));
        output::note(&format!(
            "the import stopped: {created} created, {existed} existed, {refused} refused{}; run it \
             again to continue, since existing rows are left unchanged",
            last.unwrap_or_default()
        ));
        Ok(())
    }

    fn close(&mut self) -> anyhow::Result<()> {
        self.bar.finish_and_clear();
        if let Some(file) = &mut self.file {
            file.flush().context(CANNOT_WRITE)?;
        }
        if self.shown > MOST_SHOWN {
            let more = self.shown - MOST_SHOWN;
            let place = if self.file.is_some() {
                "the report lists all"
            } else {
                "--report FILE lists all"
            };
            output::note(&format!("… and {more} more rows: {place}"));
        }
        Ok(())
    }
}

fn create(path: &Path) -> Result<BufWriter<File>, Usage> {
    match File::create(path) {
        Ok(file) => Ok(BufWriter::new(file)),
        Err(error) => Err(Usage(format!(
            "--report: cannot write {}: {error}",
            path.display()
        ))),
    }
}

// === impl Summary ===

impl Summary {
    const fn rows(&self) -> u64 {
        self.created + self.existed + self.skipped + self.refused
    }
}

// === impl ReportLine ===

impl ReportLine<'_> {
    /// Returns the problems, or else the note.
    fn text(&self) -> String {
        if self.problems.is_empty() {
            return self.note.unwrap_or_default().to_owned();
        }
        let problems: Vec<_> = self.problems.iter().map(ToString::to_string).collect();
        problems.join("; ")
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { field, problem } = self;
        if field.is_empty() {
            f.write_str(problem)
        } else {
            write!(f, "{field} {problem}")
        }
    }
}

/// The most rows that are shown on standard error.
const MOST_SHOWN: usize = 20;

const CANNOT_WRITE: &str = "cannot write the file of --report";

const TEMPLATE: &str = "{wide_bar} {percent:>3} %  {msg}  {eta}";
