//! The filter of denial queries.

use super::explanation::Explanation;
use super::record::DenialRecord;
use crate::clock::UnixTime;

/// A filter of denials. A criterion that is `None` matches every denial.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DenialFilter {
    /// The consumer key that the request names.
    pub consumer_key: Option<String>,
    /// The reason of the denial.
    pub reason: Option<String>,
    /// A word of the [`Explanation`].
    pub cause: Option<String>,
    /// The earliest time.
    pub since: Option<UnixTime>,
    /// The time after the latest one.
    pub until: Option<UnixTime>,
}

impl DenialFilter {
    /// Returns whether a denial meets all criteria.
    pub fn matches(&self, denial: &DenialRecord) -> bool {
        let Self {
            consumer_key,
            reason,
            cause,
            since,
            until,
        } = self;
        equals(consumer_key, &denial.consumer_key)
            && equals(reason, denial.reason)
            && has_cause(cause, &denial.explanation)
            && since.is_none_or(|since| denial.time >= since)
            && until.is_none_or(|until| denial.time < until)
    }
}

fn equals(wanted: &Option<String>, value: &str) -> bool {
    wanted.as_deref().is_none_or(|wanted| wanted == value)
}

fn has_cause(wanted: &Option<String>, explanation: &Explanation) -> bool {
    wanted
        .as_deref()
        .is_none_or(|wanted| explanation.words().any(|word| word == wanted))
}
