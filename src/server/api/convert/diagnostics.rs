//! Messages of denials and reports.

use super::{count, timestamp};
use crate::config::Mode;
use crate::diagnostics::{ConsumerReport, DenialRecord, Explanation, WordTally};
use crate::oauth::SignatureMethod;
use crate::v1;

/// Returns the message of a denial.
pub(in super::super) fn denial_message(denial: DenialRecord) -> v1::Denial {
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
    } = denial;
    let causes = explanation.words().map(str::to_owned).collect();
    let remedy = explanation.remedy().to_owned();
    let (base_string, diagnosis) = match explanation {
        Explanation::NotSought | Explanation::Pending | Explanation::Skipped => {
            (String::new(), None)
        }
        Explanation::NotFound { base_string } => (base_string.into_string(), None),
        Explanation::Found(mut diagnosis) => {
            (std::mem::take(&mut diagnosis.base_string), Some(diagnosis))
        }
    };
    let first_difference = diagnosis
        .as_ref()
        .and_then(|diagnosis| diagnosis.first_difference);
    let client_base_string = diagnosis
        .map(|diagnosis| diagnosis.client_base_string)
        .unwrap_or_default();
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
        base_string,
        client_base_string,
        first_difference: first_difference.map(count),
        remedy,
        compat_profiles: profiles
            .iter()
            .map(|profile| profile.name().to_owned())
            .collect(),
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
