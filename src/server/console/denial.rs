//! The facts about an opened denial, as rows of a label and its values.

use std::borrow::Cow;

use super::query::ConsoleQuery;
use super::{display, facts};
use crate::clock::UnixTime;
use crate::config::Mode;
use crate::diagnostics::{DenialRecord, Explanation};

/// A label and its values.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct DenialRow {
    /// The label.
    pub(super) label: Cow<'static, str>,
    /// The values; the page separates them by commas.
    pub(super) values: Vec<RowValue>,
}

/// A value in a row.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RowValue {
    /// The text.
    pub(super) text: String,
    /// The address to which the text links, if it does.
    pub(super) link: Option<String>,
    /// The class of the text; empty if it has none.
    pub(super) class: &'static str,
}

// === impl RowValue ===

impl RowValue {
    fn plain(text: impl Into<String>) -> Self {
        Self::styled("", text)
    }

    fn styled(class: &'static str, text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            link: None,
            class,
        }
    }

    fn link(text: &str, to: &ConsoleQuery) -> Self {
        Self {
            link: Some(to.address()),
            ..Self::plain(text)
        }
    }
}

/// Returns the rows about a denial.
pub(super) fn rows(denial: &DenialRecord, query: &ConsoleQuery, now: UnixTime) -> Vec<DenialRow> {
    let mut rows = Rows::default();
    let time = [display::utc(&denial.time), display::ago(&now, &denial.time)];
    rows.add("Time", time.map(RowValue::plain));
    rows.add("Result", [result(denial.mode)]);
    let reason = RowValue::link(denial.reason, &query.with_reason(denial.reason));
    rows.add("Reason", [reason]);
    rows.add("Consumer key", consumer(denial, query));
    let method = denial.signature_method.map(|method| method.name());
    rows.add("Signature method", method.map(RowValue::plain));
    let DenialRecord {
        method, host, path, ..
    } = denial;
    let request = RowValue::styled("request", format!("{method} {host}{path}"));
    rows.add("Request", [request]);
    for (label, value) in facts::rows(denial) {
        rows.add(label, [RowValue::plain(value)]);
    }
    rows.add("Cause", causes(&denial.explanation, query));
    let remedy = Some(denial.remedy()).filter(|remedy| !remedy.is_empty());
    rows.add("Remedy", remedy.map(RowValue::plain));
    rows.0
}

/// The rows so far.
#[derive(Default)]
struct Rows(Vec<DenialRow>);

impl Rows {
    /// Adds a row, unless it has no values.
    fn add(
        &mut self,
        label: impl Into<Cow<'static, str>>,
        values: impl IntoIterator<Item = RowValue>,
    ) {
        let values: Vec<_> = values.into_iter().collect();
        if !values.is_empty() {
            let label = label.into();
            self.0.push(DenialRow { label, values });
        }
    }
}

fn result(mode: Mode) -> RowValue {
    match mode {
        Mode::Enforce => RowValue::styled("denied", display::result(&mode)),
        Mode::Shadow => {
            let text = format!("{}: the route is in shadow mode", display::result(&mode));
            RowValue::styled("would", text)
        }
    }
}

fn consumer(denial: &DenialRecord, query: &ConsoleQuery) -> Vec<RowValue> {
    let key = denial.consumer_key.as_str();
    if key.is_empty() {
        return vec![RowValue::styled("soft", "none")];
    }
    let proof = if denial.proven {
        RowValue::styled("good", "proven")
    } else {
        RowValue::plain("not proven")
    };
    vec![RowValue::link(key, &query.with_consumer(key)), proof]
}

fn causes(explanation: &Explanation, query: &ConsoleQuery) -> Vec<RowValue> {
    if let Explanation::Pending = explanation {
        return vec![RowValue::styled("soft", "is being determined")];
    }
    let words = explanation.words();
    let linked = words.map(|cause| RowValue::link(cause, &query.with_cause(cause)));
    linked.collect()
}
