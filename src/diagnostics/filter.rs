//! Which denials somebody wants to see.

use super::DenialRecord;
use crate::clock::UnixTime;

/// What a denial must have; what is `None` may be anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DenialFilter {
    /// The consumer key that it names.
    pub consumer_key: Option<String>,
    /// Why it was refused.
    pub reason: Option<String>,
    /// A word of its [`Explanation`](super::Explanation).
    pub cause: Option<String>,
    /// The earliest time.
    pub since: Option<UnixTime>,
}

impl DenialFilter {
    /// Whether it has all of that.
    pub fn admits(&self, denial: &DenialRecord) -> bool {
        let Self {
            consumer_key,
            reason,
            cause,
            since,
        } = self;
        let is = |wanted: &Option<String>, value: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted == value)
        };
        is(consumer_key, &denial.consumer_key)
            && is(reason, denial.reason)
            && cause
                .as_deref()
                .is_none_or(|cause| denial.explanation.words().any(|word| word == cause))
            && since.is_none_or(|since| denial.time >= since)
    }
}
