//! Messages of denials and reports.

use super::{count, timestamp};
use crate::config::Mode;
use crate::diagnostics::{ConsumerReport, DenialRecord, Explanation, WordTally};
use crate::oauth::SignatureMethod;
use crate::v1;

/// Returns the message of a denial.
pub(in super::super) fn denial_message(denial: DenialRecord) -> v1::Denial {
    let remedy = denial.remedy().to_owned();
    let details = denial.details.iter().map(detail_message).collect();
    let causes = denial.explanation.words().map(str::to_owned).collect();
    let DenialRecord {
        sequence: _,
        decision_id,
        time,
        consumer_key,
        proven,
        reason,
        signature_method,
        method,
        host,
        path,
        mode,
        explanation,
        profiles,
        consumer_name,
        client_address,
        request_id,
        rule,
        status,
        problem,
        advice,
        ..
    } = denial;
    let explained = ExplainedStrings::of(explanation);
    v1::Denial {
        decision_id,
        decision_time: Some(timestamp(time)),
        consumer_key,
        proven,
        reason: reason.to_owned(),
        signature_method: signature_method
            .map(SignatureMethod::name)
            .unwrap_or_default()
            .to_owned(),
        http_method: method,
        host,
        path,
        mode: route_mode(mode).into(),
        causes,
        base_string: explained.base_string,
        client_base_string: explained.client_base_string,
        first_difference: explained.first_difference.map(count),
        remedy,
        compat_profiles: profiles
            .iter()
            .map(|profile| profile.name().to_owned())
            .collect(),
        consumer_name,
        client_address,
        request_id,
        rule,
        http_status: status.into(),
        problem: problem.to_owned(),
        advice,
        details,
    }
}

/// The base strings of an explanation.
#[derive(Default)]
struct ExplainedStrings {
    base_string: String,
    client_base_string: String,
    first_difference: Option<usize>,
}

impl ExplainedStrings {
    fn of(explanation: Explanation) -> Self {
        match explanation {
            Explanation::NotSought | Explanation::Pending | Explanation::Skipped => Self::default(),
            Explanation::NotFound { base_string } => Self {
                base_string: base_string.into_string(),
                ..Self::default()
            },
            Explanation::Found(diagnosis) => Self {
                base_string: diagnosis.base_string,
                client_base_string: diagnosis.client_base_string,
                first_difference: diagnosis.first_difference,
            },
        }
    }
}

fn detail_message((name, value): (&'static str, &str)) -> v1::DenialDetail {
    v1::DenialDetail {
        name: name.to_owned(),
        value: value.to_owned(),
    }
}

const fn route_mode(mode: Mode) -> v1::RouteMode {
    match mode {
        Mode::Enforce => v1::RouteMode::Enforce,
        Mode::Shadow => v1::RouteMode::Shadow,
    }
}

/// Returns the message of a consumer report.
pub(in super::super) fn report_message(report: &ConsumerReport) -> v1::ConsumerReport {
    let ConsumerReport {
        consumer_key,
        consumer_name: _,
        allowed,
        reasons,
        causes,
        methods,
        last_seen,
    } = report;
    let methods = methods.iter();
    v1::ConsumerReport {
        consumer_key: consumer_key.clone(),
        seen: report.seen(),
        allowed: *allowed,
        denied: report.denied(),
        would_deny: report.would_deny(),
        reasons: counts(reasons),
        causes: counts(causes),
        signature_methods: methods
            .map(|(method, seen)| v1::SignatureMethodCount {
                signature_method: method.name().to_owned(),
                seen: *seen,
            })
            .collect(),
        last_seen_time: (report.seen() > 0).then(|| timestamp(*last_seen)),
    }
}

fn counts(tallies: &[WordTally]) -> Vec<v1::DenialCount> {
    let count = |&WordTally {
                     name,
                     denied,
                     would_deny,
                 }: &WordTally| v1::DenialCount {
        name: name.to_owned(),
        denied,
        would_deny,
    };
    tallies.iter().map(count).collect()
}
