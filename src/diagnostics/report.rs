//! How many requests of each consumer were let through and refused, and why.
//!
//! Each thread that answers checks counts in a ledger of its own, so that none waits for another; a report adds them up.
//! What is counted for which consumer is decided here: a request that names a consumer who is known counts for that one
//! even if it is not proven, since that is what its owner asks about. Everything else counts for nobody.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Explanation, RefusedRequest};
use crate::clock::UnixTime;
use crate::config::Mode;
use crate::lanes::Lanes;
use crate::oauth::SignatureMethod;

/// What came of one consumer, since counting began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsumerReport {
    /// Its key; empty for requests that name no known consumer.
    pub consumer_key: String,
    /// How many requests were let through, not counting those of shadow mode that would have been refused.
    pub allowed: u64,
    /// The others, by reason.
    pub reasons: Vec<WordTally>,
    /// Those whose signature did not match, by a word of the [`Explanation`]; a pair of causes is in both.
    pub causes: Vec<WordTally>,
    /// All of them by signature method, in the order of [`SignatureMethod::ALL`]; what names none is not in it.
    pub methods: Vec<(SignatureMethod, u64)>,
    /// When the last of them came.
    pub last_seen: UnixTime,
}

/// How many requests one word is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WordTally {
    /// The word.
    pub name: &'static str,
    /// Those that were refused.
    pub denied: u64,
    /// Those that were let through on a route in shadow mode.
    pub would_deny: u64,
}

/// Counts by consumer.
pub(super) struct ConsumerLedger(Lanes<Mutex<Page>>);

/// The ledger of one thread.
struct Page {
    most: usize,
    nobody: Counts,
    consumers: BTreeMap<Box<str>, Counts>,
    unreported: u64,
}

#[derive(Default)]
struct Counts {
    anonymous: u64,
    allowed: [u64; SignatureMethod::ALL.len()],
    refused: Vec<(Kind, u64)>,
    causes: Vec<WordTally>,
    last_seen: UnixTime,
}

/// What refused requests are counted by; every part is from a closed set.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Kind {
    reason: &'static str,
    method: Option<SignatureMethod>,
    mode: Mode,
}

// === impl ConsumerReport ===

impl ConsumerReport {
    /// How many requests came.
    pub fn seen(&self) -> u64 {
        self.allowed + self.denied() + self.would_deny()
    }

    /// How many were refused.
    pub fn denied(&self) -> u64 {
        self.reasons.iter().map(|tally| tally.denied).sum()
    }

    /// How many were let through on a route in shadow mode, and would have been refused otherwise.
    pub fn would_deny(&self) -> u64 {
        self.reasons.iter().map(|tally| tally.would_deny).sum()
    }

    fn add(&mut self, counts: &Counts) {
        self.allowed += counts.anonymous + counts.allowed.iter().sum::<u64>();
        self.last_seen = self.last_seen.max(counts.last_seen);
        for (method, count) in SignatureMethod::ALL.into_iter().zip(counts.allowed) {
            self.add_method(method, count);
        }
        for (kind, count) in &counts.refused {
            tally(&mut self.reasons, kind.reason).add(kind.mode, *count);
            if let Some(method) = kind.method {
                self.add_method(method, *count);
            }
        }
        for cause in &counts.causes {
            let sum = tally(&mut self.causes, cause.name);
            sum.denied += cause.denied;
            sum.would_deny += cause.would_deny;
        }
    }

    fn add_method(&mut self, method: SignatureMethod, count: u64) {
        if count == 0 {
            return;
        }
        match self
            .methods
            .binary_search_by_key(&method, |(method, _)| *method)
        {
            Ok(at) => self.methods[at].1 += count,
            Err(at) => self.methods.insert(at, (method, count)),
        }
    }
}

/// The tally of that word, in the order of words.
fn tally<'t>(tallies: &'t mut Vec<WordTally>, name: &'static str) -> &'t mut WordTally {
    let at = tallies
        .binary_search_by_key(&name, |tally| tally.name)
        .unwrap_or_else(|at| {
            tallies.insert(
                at,
                WordTally {
                    name,
                    denied: 0,
                    would_deny: 0,
                },
            );
            at
        });
    &mut tallies[at]
}

// === impl WordTally ===

impl WordTally {
    const fn add(&mut self, mode: Mode, count: u64) {
        match mode {
            Mode::Enforce => self.denied += count,
            Mode::Shadow => self.would_deny += count,
        }
    }
}

// === impl ConsumerLedger ===

impl ConsumerLedger {
    /// Counts for `most` consumers on each thread.
    pub(super) fn new(most: usize) -> Self {
        let page = || Page {
            most,
            nobody: Counts::default(),
            consumers: BTreeMap::new(),
            unreported: 0,
        };
        Self(Lanes::new(|| Mutex::new(page())))
    }

    pub(super) fn allowed(&self, consumer: &str, method: SignatureMethod, now: UnixTime) {
        locked(self.0.mine()).count(Some(consumer), |counts| {
            counts.allowed[method as usize] += 1;
            counts.last_seen = now;
        });
    }

    pub(super) fn anonymous(&self, now: UnixTime) {
        locked(self.0.mine()).count(None, |nobody| {
            nobody.anonymous += 1;
            nobody.last_seen = now;
        });
    }

    pub(super) fn refused(&self, refused: &RefusedRequest<'_>, now: UnixTime) {
        let denial = refused.denial;
        let kind = Kind {
            reason: refused.reason,
            method: denial.and_then(|denial| denial.signature_method),
            mode: refused.mode,
        };
        let consumer = denial.and_then(|denial| denial.known_consumer());
        locked(self.0.mine()).count(consumer.map(|consumer| consumer.key.as_str()), |counts| {
            counts.refused(kind);
            counts.last_seen = now;
        });
    }

    /// Counts why the signature of a request did not match that was counted as refused already.
    pub(super) fn explained(&self, consumer: &str, explanation: &Explanation, mode: Mode) {
        locked(self.0.mine()).count(Some(consumer), |counts| {
            explanation
                .words()
                .for_each(|word| tally(&mut counts.causes, word).add(mode, 1));
        });
    }

    /// At most `limit` of them after the key `after`, in the order of their keys.
    pub(super) fn reports(&self, after: Option<&str>, limit: usize) -> Vec<ConsumerReport> {
        let mut found = BTreeMap::<Box<str>, ConsumerReport>::new();
        for page in self.0.all() {
            let page = locked(page);
            let nobody = after.is_none().then_some((Box::default(), &page.nobody));
            let begin = after.map_or(Bound::Unbounded, Bound::Excluded);
            let consumers = page.consumers.range::<str, _>((begin, Bound::Unbounded));
            // The first of all pages together are among the first of each.
            let consumers = consumers
                .take(limit)
                .map(|(key, counts)| (key.clone(), counts));
            for (key, counts) in nobody.into_iter().chain(consumers) {
                found.entry(key).or_default().add(counts);
            }
        }
        let reports = found.into_iter().map(|(key, report)| ConsumerReport {
            consumer_key: key.into_string(),
            ..report
        });
        reports.take(limit).collect()
    }

    pub(super) fn unreported(&self) -> u64 {
        self.0.all().map(|page| locked(page).unreported).sum()
    }
}

fn locked(page: &Mutex<Page>) -> MutexGuard<'_, Page> {
    page.lock().unwrap_or_else(PoisonError::into_inner)
}

// === impl Page ===

impl Page {
    /// Counts for a consumer, unless there are too many already, or for nobody.
    fn count(&mut self, consumer: Option<&str>, count: impl FnOnce(&mut Counts)) {
        let Some(key) = consumer else {
            return count(&mut self.nobody);
        };
        let has_room = self.consumers.len() < self.most;
        match self.consumers.get_mut(key) {
            Some(counts) => count(counts),
            None if has_room => count(self.consumers.entry(key.into()).or_default()),
            None => self.unreported += 1,
        }
    }
}

// === impl Counts ===

impl Counts {
    fn refused(&mut self, kind: Kind) {
        match self.refused.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, count)) => *count += 1,
            None => self.refused.push((kind, 1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
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
        }
    }

    fn at(secs: u64) -> UnixTime {
        UnixTime::from_secs(secs)
    }

    #[test]
    fn what_threads_count_is_added_up_for_each_consumer() {
        let ledger = ConsumerLedger::new(10);
        let count = |method, secs| ledger.allowed("b", method, at(secs));
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
        ledger.allowed("a", SignatureMethod::RsaSha256, at(9));
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
    fn what_is_refused_is_told_apart_from_what_would_be() {
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
            ledger.refused(&refused(denial, mode), at(5));
        }
        ledger.anonymous(at(6));
        let [nobody] = &*ledger.reports(None, 10) else {
            panic!("nobody is known")
        };
        assert_eq!(
            nobody.reasons,
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
        assert_eq!(nobody.methods, [(SignatureMethod::HmacSha1, 3)]);
        assert_eq!(
            (
                nobody.seen(),
                nobody.allowed,
                nobody.denied(),
                nobody.would_deny()
            ),
            (5, 1, 2, 2)
        );
        assert_eq!(nobody.last_seen, at(6));
    }

    #[test]
    fn only_so_many_consumers_are_counted_and_the_others_are_owned_up_to() {
        let ledger = ConsumerLedger::new(2);
        for key in ["a", "b", "c", "a", "d"] {
            ledger.allowed(key, SignatureMethod::HmacSha1, at(1));
        }
        assert_eq!(ledger.reports(Some(""), 10).len(), 2);
        assert_eq!(
            (ledger.reports(Some(""), 10)[0].allowed, ledger.unreported()),
            (2, 2)
        );
    }

    const MISMATCH: Reason = Reason::Rejected(Rejection::SignatureMismatch);
}
