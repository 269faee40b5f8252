//! What is told of an import: a progress bar, the rows that were refused, and a summary.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use super::row::Problem;
use super::send::Outcome;
use super::source::Place;
use crate::cli::output::{self, Format};

/// Counts, shows and writes down.
pub(super) struct Report {
    bar: ProgressBar,
    file: Option<BufWriter<File>>,
    summary: Summary,
    /// How many refused rows were shown to people.
    shown: usize,
}

/// How it went.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Summary {
    /// Nothing was changed; what is counted as created would have been.
    pub(super) dry_run: bool,
    created: u64,
    existed: u64,
    /// Of those, how many lack something that the source had.
    noted: u64,
    pub(super) refused: u64,
}

/// A line of the report file.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    place: &'a Place,
    outcome: &'static str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    problems: &'a [Problem],
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'a str>,
}

// === impl Report ===

impl Report {
    /// A report that is also written to `file`, of a source of that length.
    pub(super) fn new(
        file: Option<&Path>,
        length: Option<u64>,
        dry_run: bool,
    ) -> anyhow::Result<Self> {
        let file = file.map(|path| {
            File::create(path)
                .map(BufWriter::new)
                .with_context(|| path.display().to_string())
        });
        let bar = match length {
            Some(length) => ProgressBar::new(length),
            None => ProgressBar::no_length(),
        };
        // It draws on a terminal alone.
        bar.set_draw_target(ProgressDrawTarget::stderr());
        bar.set_style(ProgressStyle::with_template(TEMPLATE)?);
        Ok(Self {
            bar,
            file: file.transpose()?,
            summary: Summary {
                dry_run,
                ..Summary::default()
            },
            shown: 0,
        })
    }

    /// Takes what became of a row.
    pub(super) fn add(
        &mut self,
        place: &Place,
        position: u64,
        outcome: &Outcome,
        note: Option<&str>,
    ) -> anyhow::Result<()> {
        let none: &[Problem] = &[];
        let (word, problems) = match outcome {
            Outcome::Created => ("created", none),
            Outcome::Existed => ("existed", none),
            Outcome::Refused(problems) | Outcome::NoConsumer(problems) => {
                ("refused", problems.as_slice())
            }
        };
        match outcome {
            Outcome::Created => self.summary.created += 1,
            Outcome::Existed => self.summary.existed += 1,
            Outcome::Refused(_) | Outcome::NoConsumer(_) => self.summary.refused += 1,
        }
        if problems.is_empty() && note.is_some() {
            self.summary.noted += 1;
        }
        self.bar.set_position(position);
        self.bar.set_message(format!(
            "{} rows",
            self.summary.created + self.summary.existed + self.summary.refused
        ));
        if problems.is_empty() && note.is_none() {
            return Ok(());
        }
        if let Some(file) = &mut self.file {
            let line = serde_json::to_string(&Line {
                place,
                outcome: word,
                problems,
                note,
            })?;
            writeln!(file, "{line}").context("the report")?;
        }
        self.show(place, problems, note)
    }

    /// The first are shown to people; a file has room for all.
    fn show(
        &mut self,
        place: &Place,
        problems: &[Problem],
        note: Option<&str>,
    ) -> anyhow::Result<()> {
        self.shown += 1;
        if self.shown > SHOWN {
            return Ok(());
        }
        let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
        let text = if problems.is_empty() {
            note.unwrap_or_default().to_owned()
        } else {
            problems.join("; ")
        };
        Ok(self
            .bar
            .suspend(|| writeln!(io::stderr(), "{place}: {text}"))?)
    }

    /// Ends it, prints the summary and gives it.
    pub(super) fn end(mut self, format: Format) -> anyhow::Result<Summary> {
        self.close()?;
        let Summary {
            dry_run,
            created,
            existed,
            noted,
            refused,
        } = &self.summary;
        let fields = [
            (
                if *dry_run {
                    "would be created"
                } else {
                    "created"
                },
                created.to_string(),
            ),
            ("existed", existed.to_string()),
            ("with a note", noted.to_string()),
            ("refused", refused.to_string()),
        ];
        output::record(format, &self.summary, &fields)?;
        Ok(self.summary)
    }

    /// Ends it early, and says how far it came.
    pub(super) fn abandon(mut self, place: Option<&Place>) -> anyhow::Result<()> {
        self.close()?;
        let Summary {
            created,
            existed,
            refused,
            ..
        } = self.summary;
        let place = place
            .map(|place| format!(", the last at {place}"))
            .unwrap_or_default();
        let remedy = "import it again: what is there already is left as it is";
        Ok(writeln!(
            io::stderr(),
            "ended early: {created} created, {existed} existed, {refused} refused{place}; {remedy}"
        )?)
    }

    fn close(&mut self) -> anyhow::Result<()> {
        self.bar.finish_and_clear();
        if let Some(file) = &mut self.file {
            file.flush().context("the report")?;
        }
        if self.shown > SHOWN {
            let more = self.shown - SHOWN;
            let where_all_are = if self.file.is_some() {
                "the report has all"
            } else {
                "--report FILE has all"
            };
            writeln!(io::stderr(), "… and {more} more rows: {where_all_are}")?;
        }
        Ok(())
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

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Line(line) => write!(f, "line {line}"),
            // It was not checked, and could do things to a terminal.
            Self::ConsumerKey(key) => write!(f, "consumer {}", key.escape_debug()),
        }
    }
}

/// How many rows people are shown one by one.
const SHOWN: usize = 20;

const TEMPLATE: &str = "{wide_bar} {percent:>3} %  {msg}  {eta}";
