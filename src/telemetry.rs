//! Logs and metrics; the only file that names an instrument.

use std::time::Duration;

/// Every instrument of the service.
#[derive(Debug, Default)]
pub struct Metrics {}

impl Metrics {
    /// Counts a decision and how long it took. `result` is `allow`, `anonymous`, `deny`, `would_deny` or `error`;
    /// `reason` is from a closed set.
    pub fn decision(&self, _result: &'static str, _reason: &'static str, _took: Duration) {}

    /// Counts a call to the store that failed; `kind` is from a closed set.
    pub fn store_error(&self, _kind: &'static str) {}
}
