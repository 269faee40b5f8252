//! The verdict on a row, and the table.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::admin::ReadBack;
use crate::judge::{Judgement, Tally};
use crate::row::{Recovery, Row, Since};
use crate::run::Evidence;

/// The result of a row.
pub(crate) struct Result {
    /// The line of the table.
    pub(crate) line: String,
    /// The reasons why the row failed.
    pub(crate) failures: Vec<String>,
    /// True if the row did nothing wrong, and was only late.
    pub(crate) is_only_late: bool,
}

impl Result {
    /// Judges the evidence of a row.
    pub(crate) fn of(row: &Row, evidence: &Evidence) -> Self {
        let judgement = evidence.judge(&row.allowance);
        let mut failures = evidence.broken.clone();
        if let Some(judgement) = &judgement {
            failures.extend(broken_promises(row, judgement));
        }
        if let Some(read_back) = &evidence.read_back {
            failures.extend(lost_writes(row, read_back));
        }
        let late = judgement.as_ref().map(|judgement| delays(row, judgement));
        let late = late.unwrap_or_default();
        let is_only_late = failures.is_empty() && !late.is_empty();
        failures.extend(late);
        Self {
            line: line(row, evidence, judgement.as_ref(), &failures),
            failures,
            is_only_late,
        }
    }

    /// Returns the result of a row that ended early.
    pub(crate) fn broken(row: &Row, reason: &str) -> Self {
        let evidence = Evidence::without_traffic();
        let failures = vec![reason.to_owned()];
        Self {
            line: line(row, &evidence, None, &failures),
            failures,
            is_only_late: false,
        }
    }
}

fn broken_promises(row: &Row, judgement: &Judgement) -> Vec<String> {
    let allowance = &row.allowance;
    let mut failures = Vec::new();
    let mut must = |holds: bool, failure: String| {
        if !holds {
            failures.push(failure);
        }
    };
    let Judgement {
        tampered,
        replays,
        revoked,
        ..
    } = judgement;
    must(
        tampered.wrong == 0,
        format!("{} tampered requests were allowed", tampered.wrong),
    );
    must(
        replays.wrong == 0 || allowance.replays,
        format!("{} replays were allowed", replays.wrong),
    );
    must(
        revoked.wrong == 0 || allowance.revoked,
        format!(
            "{} requests with revoked credentials were allowed",
            revoked.wrong
        ),
    );
    let refused = judgement.wrongly_refused();
    must(
        refused == 0 || allowance.refused,
        format!("{refused} valid requests were refused"),
    );
    failures
}

/// Returns the ways in which the row was slow.
fn delays(row: &Row, judgement: &Judgement) -> Vec<String> {
    let mut delays = Vec::new();
    let before = judgement.before * 100.0;
    if before <= 60.0 {
        delays.push(format!("only {before:.0} % passed before the fault"));
    }
    if let Some(bound) = row.allowance.recovery {
        let took = judgement.recovery_since(bound.since);
        if took.is_none_or(|took| took > bound.within) {
            delays.push(late(took, bound.within));
        }
    }
    let Tally { sent, wrong, .. } = judgement.later;
    if wrong * 100 > sent {
        delays.push(format!(
            "{wrong} of {sent} valid requests failed after the time to recover, more than 1 %"
        ));
    }
    let (slowest, most) = (judgement.slowest, row.allowance.slowest);
    if slowest > most {
        delays.push(format!(
            "an answer took {} ms, longer than {} ms",
            slowest.as_millis(),
            most.as_millis()
        ));
    }
    delays
}

fn late(took: Option<Duration>, bound: Duration) -> String {
    let bound = time(Some(bound));
    match took {
        Some(_) => format!("recovered after {}, later than {bound}", time(took)),
        None => "did not recover".to_owned(),
    }
}

fn lost_writes(row: &Row, read_back: &ReadBack) -> Option<String> {
    let lost = read_back.creations + read_back.revocations + read_back.unread;
    (lost > 0 && !row.allowance.lost)
        .then(|| format!("acknowledged writes lost: {}", losses(read_back)))
}

fn line(
    row: &Row,
    evidence: &Evidence,
    judgement: Option<&Judgement>,
    failures: &[String],
) -> String {
    let mut seen = evidence.notes.clone();
    seen.extend(judgement.map(interruption).filter(|text| !text.is_empty()));
    if !failures.is_empty() {
        seen.push(format!("**{}**", failures.join("; ")));
    } else if seen.is_empty() {
        seen.push("ok".to_owned());
    }
    let mut line = format!(
        "| `{}` {} | {} | {} ",
        row.name,
        row.fault,
        row.expected,
        seen.join("; ")
    );
    let cells = judgement.map_or_else(
        || ["–"; 3].map(str::to_owned),
        |judgement| {
            [
                grouped(judgement.requests),
                wrongly_allowed(judgement),
                grouped(judgement.wrongly_refused()),
            ]
        },
    );
    let lost = evidence
        .read_back
        .as_ref()
        .map_or_else(|| "–".to_owned(), losses);
    let recovery = judgement.map_or_else(|| "–".to_owned(), |judgement| recovery(row, judgement));
    for cell in cells.iter().chain([&lost, &recovery]) {
        let _ = write!(line, "| {cell} ");
    }
    line.push('|');
    line
}

/// Describes the valid requests that did not pass.
fn interruption(judgement: &Judgement) -> String {
    let mut parts = Vec::new();
    if judgement.failed > 0 {
        let slowest = judgement.slowest_failure.as_millis();
        let failed = judgement.failed;
        parts.push(format!(
            "503 for {failed} of {}, each within {slowest} ms",
            judgement.valid
        ));
    }
    if judgement.fenced > 0 {
        parts.push(format!("{} `timestamp_refused`", judgement.fenced));
    }
    let refused = judgement.refused.iter();
    parts.extend(refused.map(|(problem, count)| format!("{count} `{problem}`")));
    let Tally { sent, wrong, .. } = judgement.retries;
    if wrong > 0 {
        parts.push(format!("{wrong} of {sent} retries after a 503 refused"));
    }
    parts.join(", ")
}

fn wrongly_allowed(judgement: &Judgement) -> String {
    let counts = [
        (judgement.replays, "P"),
        (judgement.revoked, "L"),
        (judgement.tampered, "tampered"),
    ];
    let mut text: Vec<_> = counts
        .iter()
        .filter(|(tally, _)| tally.wrong > 0)
        .map(|(Tally { wrong, sent, .. }, kind)| format!("{wrong} {kind} of {sent}"))
        .collect();
    let excused = counts.iter().filter(|(tally, _)| tally.excused > 0);
    text.extend(
        excused.map(|(tally, kind)| format!("{} {kind} in the documented time", tally.excused)),
    );
    if text.is_empty() {
        "0".to_owned()
    } else {
        text.join(", ")
    }
}

fn losses(read_back: &ReadBack) -> String {
    let ReadBack {
        acknowledged,
        creations,
        revocations,
        unread,
    } = read_back;
    match creations + revocations + unread {
        0 => format!("0 of {acknowledged}"),
        _ if *unread > 0 => format!(
            "{creations} + {revocations} revocations, {unread} unreadable of {acknowledged}"
        ),
        _ => format!("{creations} + {revocations} revocations of {acknowledged}"),
    }
}

fn recovery(row: &Row, judgement: &Judgement) -> String {
    let Some(Recovery { since, within }) = row.allowance.recovery else {
        return time(judgement.recovery_since(Since::Cleared));
    };
    let mark = if since == Since::Began { "†" } else { "" };
    let took = time(judgement.recovery_since(since));
    format!("{took}{mark} ≤ {}", time(Some(within)))
}

fn time(took: Option<Duration>) -> String {
    took.map_or_else(
        || "never".to_owned(),
        |took| format!("{:.1} s", took.as_secs_f64()),
    )
}

/// Writes a number with separators.
pub(crate) fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Returns the table.
pub(crate) fn table(results: &[Result]) -> String {
    let lines: Vec<_> = results.iter().map(|result| result.line.as_str()).collect();
    format!("{HEAD}\n{}\n", lines.join("\n"))
}

/// Replaces the table of the documentation.
pub(crate) fn write(table: &str) {
    replace_between(BEGIN, END, table);
}

/// Replaces the text between two marks of the documentation.
pub(crate) fn replace_between(begin: &str, end: &str, new: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reliability.md");
    let text = fs::read_to_string(&file).unwrap();
    let (before, rest) = text.split_once(begin).unwrap();
    let (_, after) = rest.split_once(end).unwrap();
    fs::write(&file, format!("{before}{begin}\n{new}{end}{after}")).unwrap();
}

const HEAD: &str = "| fault | expected | seen | requests | wrongly allowed | wrongly refused | acknowledged writes lost | time to recover |\n|---|---|---|---|---|---|---|---|";

const BEGIN: &str = "<!-- scripts/chaos: begin -->";

const END: &str = "<!-- scripts/chaos: end -->";
