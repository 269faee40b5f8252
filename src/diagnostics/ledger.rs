//! Counts of allowed and refused requests by consumer.
//!
//! Each lane of threads counts in a page of its own, so that check threads do not contend for a
//! lock; a report sums the pages. A request counts for the known consumer that it names, even
//! without proof, because the consumer's owner wants to see such requests. All other requests count
//! for no consumer.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::counts::ConsumerCounts;
use super::explanation::Explanation;
use super::refused_request::RefusedRequest;
use super::report::ConsumerReport;
use crate::clock::UnixTime;
use crate::config::Mode;
use crate::lanes::Lanes;
use crate::oauth::SignatureMethod;

/// Counts by consumer.
pub(super) struct ConsumerLedger(Lanes<Mutex<LedgerPage>>);

/// The counts of one lane.
struct LedgerPage {
    max_consumers: usize,
    /// Requests that name no known consumer.
    unknown: ConsumerCounts,
    consumers: BTreeMap<Box<str>, ConsumerCounts>,
    /// Requests that are not counted, because there were too many consumers.
    unreported: u64,
}

// === impl ConsumerLedger ===

impl ConsumerLedger {
    /// Counts up to `max_consumers` consumers in each lane.
    pub(super) fn new(max_consumers: usize) -> Self {
        Self(Lanes::new(|| Mutex::new(LedgerPage::new(max_consumers))))
    }

    /// Counts an allowed request of `consumer`.
    pub(super) fn count_allowed(&self, consumer: &str, method: SignatureMethod, now: UnixTime) {
        self.count(Some(consumer), |counts| counts.add_allowed(method, now));
    }

    /// Counts an unsigned request that was allowed.
    pub(super) fn count_anonymous(&self, now: UnixTime) {
        self.count(None, |counts| counts.add_anonymous(now));
    }

    /// Counts a refused request.
    pub(super) fn count_refused(&self, refused: &RefusedRequest<'_>, now: UnixTime) {
        self.count(refused.known_consumer(), |counts| {
            counts.add_refused(refused.into(), now);
        });
    }

    /// Counts the explanation of a request that is counted as refused already.
    pub(super) fn count_explanation(&self, consumer: &str, explanation: &Explanation, mode: Mode) {
        self.count(Some(consumer), |counts| {
            counts.add_explanation(explanation, mode);
        });
    }

    fn count(&self, consumer: Option<&str>, count: impl FnOnce(&mut ConsumerCounts)) {
        locked(self.0.mine()).count(consumer, count);
    }

    /// Returns up to `limit` reports after the key `after`, ordered by key.
    pub(super) fn reports(&self, after: Option<&str>, limit: usize) -> Vec<ConsumerReport> {
        let mut found = BTreeMap::<Box<str>, ConsumerReport>::new();
        for page in self.0.all() {
            locked(page).add_to(&mut found, after, limit);
        }
        let reports = found.into_iter().map(|(key, report)| ConsumerReport {
            consumer_key: key.into_string(),
            ..report
        });
        reports.take(limit).collect()
    }

    /// Returns the number of requests that are not counted, because there were too many consumers.
    pub(super) fn unreported(&self) -> u64 {
        self.0.all().map(|page| locked(page).unreported).sum()
    }
}

fn locked(page: &Mutex<LedgerPage>) -> MutexGuard<'_, LedgerPage> {
    page.lock().unwrap_or_else(PoisonError::into_inner)
}

// === impl LedgerPage ===

impl LedgerPage {
    fn new(max_consumers: usize) -> Self {
        Self {
            max_consumers,
            unknown: ConsumerCounts::default(),
            consumers: BTreeMap::new(),
            unreported: 0,
        }
    }

    /// Counts for a consumer, unless there are too many, or for no consumer.
    fn count(&mut self, consumer: Option<&str>, count: impl FnOnce(&mut ConsumerCounts)) {
        let Some(key) = consumer else {
            return count(&mut self.unknown);
        };
        let has_room = self.consumers.len() < self.max_consumers;
        match self.consumers.get_mut(key) {
            Some(counts) => count(counts),
            None if has_room => count(self.consumers.entry(key.into()).or_default()),
            None => self.unreported += 1,
        }
    }

    /// Adds the first `limit` consumers after the key `after` to `reports`. The first of all pages
    /// together are among the first of each.
    fn add_to(
        &self,
        reports: &mut BTreeMap<Box<str>, ConsumerReport>,
        after: Option<&str>,
        limit: usize,
    ) {
        if after.is_none() {
            reports
                .entry(Box::default())
                .or_default()
                .add(&self.unknown);
        }
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let consumers = self.consumers.range::<str, _>((start, Bound::Unbounded));
        for (key, counts) in consumers.take(limit) {
            reports.entry(key.clone()).or_default().add(counts);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::diagnostics::{RefusalContext, WordTally};
    use crate::oauth::Rejection;
    use crate::verify::{Denial, Reason};

    fn refused(denial: &Denial, mode: Mode) -> RefusedRequest<'_> {
        RefusedRequest {
            decision_id: "",
            reason: denial.reason.label(),
            denial: Some(denial),
            method: b"",
            host: b"",
            target: b"",
            mode,
            sent: None,
            context: RefusalContext::NONE,
        }
    }

    fn at(secs: u64) -> UnixTime {
        UnixTime::from_secs(secs)
    }

    #[test]
    fn a_report_sums_the_counts_of_all_threads() {
        let ledger = ConsumerLedger::new(10);
        let count = |method, secs| ledger.count_allowed("b", method, at(secs));
        thread::scope(|scope| {
            scope
                .spawn(|| count(SignatureMethod::HmacSha256, 1))
                .join()
                .unwrap();
            scope
                .spawn(|| count(SignatureMethod::HmacSha1, 3))
                .join()
                .unwrap();
            scope
                .spawn(|| count(SignatureMethod::HmacSha1, 2))
                .join()
                .unwrap();
        });
        ledger.count_allowed("a", SignatureMethod::RsaSha256, at(9));
        let reports = ledger.reports(Some(""), 10);
        assert_eq!(
            reports
                .iter()
                .map(|report| &*report.consumer_key)
                .collect::<Vec<_>>(),
            ["a", "b"]
        );
        assert_eq!(
            reports[1].methods,
            [
                (SignatureMethod::HmacSha1, 2),
                (SignatureMethod::HmacSha256, 1)
            ]
        );
        assert_eq!(
            (reports[1].seen(), reports[1].allowed, reports[1].last_seen),
            (3, 3, at(3))
        );
        assert_eq!(ledger.reports(Some("a"), 10).len(), 1);
        assert_eq!(ledger.reports(Some("b"), 10), []);
        assert_eq!(ledger.reports(Some(""), 1)[0].consumer_key, "a");
    }

    #[test]
    fn denials_and_shadow_denials_are_counted_apart() {
        let ledger = ConsumerLedger::new(10);
        let mismatch = Denial {
            signature_method: Some(SignatureMethod::HmacSha1),
            ..Denial::of(MISMATCH)
        };
        for (denial, mode) in [
            (&mismatch, Mode::Enforce),
            (&mismatch, Mode::Shadow),
            (&mismatch, Mode::Shadow),
            (&Denial::of(Reason::Unsigned), Mode::Enforce),
        ] {
            ledger.count_refused(&refused(denial, mode), at(5));
        }
        ledger.count_anonymous(at(6));
        let [unknown] = &*ledger.reports(None, 10) else {
            panic!("no consumer is known")
        };
        assert_eq!(
            unknown.reasons,
            [
                WordTally {
                    name: "signature_mismatch",
                    denied: 1,
                    would_deny: 2
                },
                WordTally {
                    name: "unsigned",
                    denied: 1,
                    would_deny: 0
                }
            ]
        );
        assert_eq!(unknown.methods, [(SignatureMethod::HmacSha1, 3)]);
        assert_eq!(
            (
                unknown.seen(),
                unknown.allowed,
                unknown.denied(),
                unknown.would_deny()
            ),
            (5, 1, 2, 2)
        );
        assert_eq!(unknown.last_seen, at(6));
    }

    #[test]
    fn requests_of_consumers_beyond_the_limit_are_counted_as_unreported() {
        let ledger = ConsumerLedger::new(2);
        for key in ["a", "b", "c", "a", "d"] {
            ledger.count_allowed(key, SignatureMethod::HmacSha1, at(1));
        }
        assert_eq!(ledger.reports(Some(""), 10).len(), 2);
        assert_eq!(
            (ledger.reports(Some(""), 10)[0].allowed, ledger.unreported()),
            (2, 2)
        );
    }

    const MISMATCH: Reason = Reason::Rejected(Rejection::SignatureMismatch);
}
