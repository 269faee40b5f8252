//! Counts of allowed and refused requests by consumer.
//!
//! Each lane of threads counts in a page of its own, so that check threads do not contend for a
//! lock; a report sums the pages. It copies the counts of a few consumers at a time, and adds them up
//! without the lock. A request counts for the known consumer that it names, even
//! without proof, because the consumer's owner wants to see such requests. All other requests count
//! for no consumer.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::counts::ConsumerCounts;
use super::explanation::Explanation;
use super::hour::{self, ConsumerHour, HourReport, MinuteSlots, ResultCounts};
use super::refused_request::RefusedRequest;
use super::report::ConsumerReport;
use crate::clock::UnixTime;
use crate::config::Mode;
use crate::lanes::Lanes;
use crate::model::Consumer;
use crate::oauth::SignatureMethod;

/// Counts by consumer.
pub(super) struct ConsumerLedger(Lanes<Mutex<LedgerPage>>);

/// The key and the name under which a consumer is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CountedConsumer<'a> {
    /// The consumer key.
    pub key: &'a str,
    /// The consumer's name.
    pub name: &'a str,
}

/// The counts of one lane.
struct LedgerPage {
    max_consumers: usize,
    /// The decisions of the last hour.
    minutes: MinuteSlots,
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
    pub(super) fn count_allowed(
        &self,
        consumer: CountedConsumer<'_>,
        method: SignatureMethod,
        now: UnixTime,
    ) {
        let mut page = self.page();
        page.minutes.at(now).allowed += 1;
        page.count(Some(consumer), |counts| counts.add_allowed(method, now));
    }

    /// Counts an unsigned request that was allowed.
    pub(super) fn count_anonymous(&self, now: UnixTime) {
        let mut page = self.page();
        page.minutes.at(now).allowed += 1;
        page.unknown.add_anonymous(now);
    }

    /// Counts a refused request.
    pub(super) fn count_refused(&self, refused: &RefusedRequest<'_>, now: UnixTime) {
        let mut page = self.page();
        let minute = page.minutes.at(now);
        minute.add_refused(refused.reason, refused.mode);
        let consumer = refused.known_consumer().map(CountedConsumer::from);
        page.count(consumer, |counts| counts.add_refused(refused.into(), now));
    }

    /// Counts a failure of Countersign, for no consumer.
    pub(super) fn count_failed(&self, label: &'static str, now: UnixTime) {
        self.page().minutes.at(now).add_failed(label);
    }

    /// Counts the explanation of a request that is counted as refused already.
    pub(super) fn count_explanation(
        &self,
        consumer: CountedConsumer<'_>,
        explanation: &Explanation,
        mode: Mode,
        now: UnixTime,
    ) {
        let mut page = self.page();
        for word in explanation.words() {
            page.minutes.at(now).add_cause(word, mode);
        }
        page.count(Some(consumer), |counts| {
            counts.add_explanation(explanation, mode);
        });
    }

    /// Locks the page of this thread.
    fn page(&self) -> MutexGuard<'_, LedgerPage> {
        locked(self.0.mine())
    }

    /// Returns up to `limit` reports after the key `after`, ordered by key.
    pub(super) fn reports(&self, after: Option<&str>, limit: usize) -> Vec<ConsumerReport> {
        let mut found = BTreeMap::<Box<str>, ConsumerReport>::new();
        for page in self.0.all() {
            add_reports(page, &mut found, after, limit);
        }
        let reports = found.into_iter().map(|(key, report)| ConsumerReport {
            consumer_key: key.into_string(),
            ..report
        });
        reports.take(limit).collect()
    }

    /// Adds the decisions of the last hour to `report`.
    pub(super) fn add_hour(&self, report: &mut HourReport) {
        for page in self.0.all() {
            let minutes = locked(page).minutes.clone();
            report.add(&minutes);
        }
    }

    /// Returns up to `limit` consumers with requests in the last hour, the busiest first.
    pub(super) fn busiest(&self, now: UnixTime, limit: usize) -> Vec<ConsumerHour> {
        let mut found = HashMap::<Box<str>, ConsumerHour>::new();
        for page in self.0.all() {
            add_hours(page, &mut found, now);
        }
        let consumers = found.into_iter().map(|(key, consumer)| ConsumerHour {
            consumer_key: key.into_string(),
            ..consumer
        });
        hour::busiest(consumers.collect(), limit)
    }

    /// Returns the number of requests that are not counted, because there were too many consumers.
    pub(super) fn unreported(&self) -> u64 {
        self.0.all().map(|page| locked(page).unreported).sum()
    }
}

/// Adds the first `limit` consumers of a page after the key `after`. The first of all pages together
/// are among the first of each.
fn add_reports(
    page: &Mutex<LedgerPage>,
    reports: &mut BTreeMap<Box<str>, ConsumerReport>,
    after: Option<&str>,
    limit: usize,
) {
    if after.is_none() {
        let unknown = locked(page).unknown.clone();
        reports.entry(Box::default()).or_default().add(&unknown);
    }
    let mut left = limit;
    read_consumers(page, after, |key, counts| {
        reports.entry(key.into()).or_default().add(&counts);
        left = left.saturating_sub(1);
        left > 0
    });
}

/// Adds the consumers of a page with requests in the last hour.
fn add_hours(page: &Mutex<LedgerPage>, found: &mut HashMap<Box<str>, ConsumerHour>, now: UnixTime) {
    let unknown = hour::results_of(&locked(page).unknown.hour, now);
    add_hour(found, "", "", unknown);
    read_consumers(page, None, |key, counts| {
        let results = hour::results_of(&counts.hour, now);
        add_hour(found, key, &counts.name, results);
        true
    });
}

/// Adds the requests of a consumer in the last hour, if it has any.
fn add_hour(
    found: &mut HashMap<Box<str>, ConsumerHour>,
    key: &str,
    name: &str,
    results: ResultCounts,
) {
    if results.total() == 0 {
        return;
    }
    let total = found.entry(key.into()).or_default();
    total.results = total.results.plus(results);
    if total.consumer_name.is_empty() {
        total.consumer_name.push_str(name);
    }
}

/// Reads the consumers of a page after the key `after`, until `read` returns false. Locks the page
/// only to copy the counts of a few consumers, since checks wait for it.
fn read_consumers(
    page: &Mutex<LedgerPage>,
    after: Option<&str>,
    mut read: impl FnMut(&str, ConsumerCounts) -> bool,
) {
    let mut copies = Vec::with_capacity(COPIED_AT_ONCE);
    let mut last: Option<Box<str>> = after.map(Into::into);
    loop {
        locked(page).copy_after(last.as_deref(), &mut copies);
        let is_last = copies.len() < COPIED_AT_ONCE;
        for (key, counts) in copies.drain(..) {
            if !read(&key, counts) {
                return;
            }
            last = Some(key);
        }
        if is_last {
            return;
        }
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
            minutes: MinuteSlots::default(),
            unknown: ConsumerCounts::default(),
            consumers: BTreeMap::new(),
            unreported: 0,
        }
    }

    /// Counts for a consumer, unless there are too many, or for no consumer.
    fn count(
        &mut self,
        consumer: Option<CountedConsumer<'_>>,
        count: impl FnOnce(&mut ConsumerCounts),
    ) {
        let Some(CountedConsumer { key, name }) = consumer else {
            return count(&mut self.unknown);
        };
        let has_room = self.consumers.len() < self.max_consumers;
        let counts = match self.consumers.get_mut(key) {
            Some(counts) => counts,
            None if has_room => self.consumers.entry(key.into()).or_default(),
            None => {
                self.unreported += 1;
                return;
            }
        };
        if *counts.name != *name {
            counts.name = name.into();
        }
        count(counts);
    }

    /// Copies the counts of the next consumers after a key.
    fn copy_after(&self, after: Option<&str>, copies: &mut Vec<(Box<str>, ConsumerCounts)>) {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let consumers = self.consumers.range::<str, _>((start, Bound::Unbounded));
        let next = consumers.take(COPIED_AT_ONCE);
        copies.extend(next.map(|(key, counts)| (key.clone(), counts.clone())));
    }
}

impl<'a> From<&'a Consumer> for CountedConsumer<'a> {
    fn from(consumer: &'a Consumer) -> Self {
        Self {
            key: consumer.key.as_str(),
            name: consumer.name.as_str(),
        }
    }
}

/// The consumers of a page that are copied under one lock: a few microseconds.
const COPIED_AT_ONCE: usize = 16;

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

    fn named(key: &str) -> CountedConsumer<'_> {
        CountedConsumer { key, name: "Name" }
    }

    fn at(secs: u64) -> UnixTime {
        UnixTime::from_secs(secs)
    }

    #[test]
    fn a_report_sums_the_counts_of_all_threads() {
        let ledger = ConsumerLedger::new(10);
        let count = |method, secs| ledger.count_allowed(named("b"), method, at(secs));
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
        ledger.count_allowed(named("a"), SignatureMethod::RsaSha256, at(9));
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
            ledger.count_allowed(named(key), SignatureMethod::HmacSha1, at(1));
        }
        assert_eq!(ledger.reports(Some(""), 10).len(), 2);
        assert_eq!(
            (ledger.reports(Some(""), 10)[0].allowed, ledger.unreported()),
            (2, 2)
        );
    }

    #[test]
    fn the_busiest_consumers_of_the_last_hour_have_their_names() {
        let ledger = ConsumerLedger::new(1000);
        let now = at(1_700_000_000);
        let allowed = |key: &str, name: &str, time| {
            let consumer = CountedConsumer { key, name };
            ledger.count_allowed(consumer, SignatureMethod::HmacSha1, time);
        };
        allowed("before", "Before", at(1_700_000_000 - 3601));
        for nth in 0..=COPIED_AT_ONCE {
            allowed(&format!("idle-{nth:04}"), "Idle", now);
        }
        allowed("printer", "Old name", now);
        allowed("printer", "Printer", now);
        let unsigned = Denial::of(Reason::Unsigned);
        ledger.count_refused(&refused(&unsigned, Mode::Enforce), now);
        let busiest = ledger.busiest(now, 1000);
        assert_eq!(busiest.len(), COPIED_AT_ONCE + 3);
        assert_eq!(
            (&*busiest[0].consumer_key, busiest[0].results.denied),
            ("", 1)
        );
        assert_eq!(
            (&*busiest[1].consumer_key, &*busiest[1].consumer_name),
            ("printer", "Printer")
        );
        assert_eq!(busiest[1].results.allowed, 2);
        let mut hour = HourReport::empty(now, at(0));
        ledger.add_hour(&mut hour);
        assert_eq!(hour.results().allowed, COPIED_AT_ONCE as u64 + 3);
    }

    #[test]
    fn a_page_is_free_while_a_report_adds_up_its_counts() {
        let page = Mutex::new(LedgerPage::new(100));
        let count = 2 * COPIED_AT_ONCE + 1;
        for nth in 0..count {
            let key = format!("{nth:02}");
            let method = SignatureMethod::HmacSha1;
            locked(&page).count(Some(named(&key)), |counts| {
                counts.add_allowed(method, at(1))
            });
        }
        let mut keys = Vec::new();
        read_consumers(&page, Some("00"), |key, counts| {
            assert!(page.try_lock().is_ok());
            assert_eq!(counts.allowed.iter().sum::<u64>(), 1);
            keys.push(key.to_owned());
            true
        });
        let expected: Vec<_> = (1..count).map(|nth| format!("{nth:02}")).collect();
        assert_eq!(keys, expected);
        let mut reports = BTreeMap::new();
        add_reports(&page, &mut reports, Some("00"), COPIED_AT_ONCE + 1);
        assert_eq!(reports.len(), COPIED_AT_ONCE + 1);
    }

    const MISMATCH: Reason = Reason::Rejected(Rejection::SignatureMismatch);
}
