//! The judgement of a ledger: what was allowed or refused wrongly, and how long a fault lasted.
//!
//! | wrongly allowed | the rule |
//! |---|---|
//! | tampered | any request that was changed after it was signed |
//! | replay (P) | every allow but the first of the same signed request |
//! | revoked (L) | a request sent later than `Allowance::revocation` after the acknowledged revocation of its credential |
//!
//! Requests sent between the beginning of the fault and `Marks::excused` count apart: a row sets it
//! to a second after a switch of the primary. A fresh request with a valid credential is refused
//! wrongly if it is denied for another reason than its timestamp. A timestamp is refused by the fence
//! after a loss of nonces, so it counts as an interruption only.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use tokio::time::Instant;

use crate::ledger::{Entry, Fate, Kind, Verdict};
use crate::row::{Allowance, Since};

/// The moments of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Marks {
    pub(crate) began: Instant,
    pub(crate) cleared: Instant,
    pub(crate) ended: Instant,
    /// Wrongly allowed requests that were sent from the beginning of the fault until this moment are
    /// documented.
    pub(crate) excused: Option<Instant>,
}

/// The result of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Judgement {
    pub(crate) requests: usize,
    pub(crate) tampered: Tally,
    pub(crate) replays: Tally,
    pub(crate) revoked: Tally,
    /// Fresh requests with valid credentials.
    pub(crate) valid: usize,
    pub(crate) failed: usize,
    /// The slowest answer to a valid request since the fault began.
    pub(crate) slowest: Duration,
    /// The slowest answer to a valid request that failed.
    pub(crate) slowest_failure: Duration,
    /// Valid requests whose timestamp was refused.
    pub(crate) fenced: usize,
    /// Valid requests that were refused for another reason, by the reason.
    pub(crate) refused: BTreeMap<String, usize>,
    /// Retries of requests without a verdict, and the refused ones among them.
    pub(crate) retries: Tally,
    /// Valid requests that were sent after the longest time to recover, and those that did not pass.
    pub(crate) later: Tally,
    /// The time to recover since the fault began and since it ended; `None` if it never recovered.
    pub(crate) recovery: Option<(Duration, Duration)>,
    /// The share of valid requests that passed before the fault.
    pub(crate) before: f64,
}

/// A count of requests and of the wrong answers among them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) sent: usize,
    pub(crate) wrong: usize,
    /// Wrong answers to requests that were sent in the documented time.
    pub(crate) excused: usize,
}

impl Judgement {
    /// Judges a ledger.
    pub(crate) fn of(
        (entries, fates): &(Vec<Entry>, Vec<Fate>),
        marks: &Marks,
        allowance: &Allowance,
    ) -> Self {
        let mut judgement = Self {
            requests: entries.len(),
            ..Self::default()
        };
        let mut valid = Vec::new();
        for entry in entries {
            let fate = &fates[entry.credential];
            judgement.count(entry, fate, marks, allowance);
            if entry.kind == Kind::Fresh && is_valid(entry, fate) {
                judgement.count_valid(entry, marks);
                valid.push((entry.sent, entry.verdict == Verdict::Allowed));
            }
        }
        judgement.count_replays(entries, marks);
        judgement.recovery = recovery(&valid, marks);
        judgement.later = later(&valid, marks, allowance);
        judgement.before = share(&valid, |sent| {
            sent < marks.began && marks.began - sent < BEFORE
        });
        judgement
    }

    /// Returns the share of valid requests that passed in a part of a run.
    pub(crate) fn passed((entries, fates): (&[Entry], &[Fate]), part: Range<Instant>) -> f64 {
        let valid = entries
            .iter()
            .filter(|entry| entry.kind == Kind::Fresh && is_valid(entry, &fates[entry.credential]));
        let valid: Vec<_> = valid
            .map(|entry| (entry.sent, entry.verdict == Verdict::Allowed))
            .collect();
        share(&valid, |sent| part.contains(&sent))
    }

    /// Returns the time to recover since a moment.
    pub(crate) fn recovery_since(&self, since: Since) -> Option<Duration> {
        self.recovery.map(|(began, cleared)| match since {
            Since::Began => began,
            Since::Cleared => cleared,
        })
    }

    /// Returns the number of valid requests that were refused.
    pub(crate) fn wrongly_refused(&self) -> usize {
        self.refused.values().sum()
    }

    fn count(&mut self, entry: &Entry, fate: &Fate, marks: &Marks, allowance: &Allowance) {
        let allowed = entry.verdict == Verdict::Allowed;
        match entry.kind {
            Kind::Tampered => self.tampered.add(allowed, false),
            Kind::Retry => self
                .retries
                .add(matches!(entry.verdict, Verdict::Denied(_)), false),
            Kind::Fresh | Kind::Replay => {}
        }
        let revoked = fate.revoked.map(|at| at + allowance.revocation);
        if entry.kind == Kind::Fresh && revoked.is_some_and(|at| entry.sent > at) {
            self.revoked.add(allowed, is_excused(entry, marks));
        }
    }

    fn count_valid(&mut self, entry: &Entry, marks: &Marks) {
        self.valid += 1;
        let took = entry.answered - entry.sent;
        if entry.sent >= marks.began {
            self.slowest = self.slowest.max(took);
        }
        match &entry.verdict {
            Verdict::Allowed => {}
            Verdict::Denied(problem) if problem == "timestamp_refused" => self.fenced += 1,
            Verdict::Denied(problem) => {
                *self.refused.entry(problem.clone()).or_default() += 1;
            }
            Verdict::Failed(_) => {
                self.failed += 1;
                self.slowest_failure = self.slowest_failure.max(took);
            }
        }
    }

    fn count_replays(&mut self, entries: &[Entry], marks: &Marks) {
        let mut sends: BTreeMap<usize, Vec<&Entry>> = BTreeMap::new();
        for entry in entries.iter().filter(|entry| entry.kind != Kind::Tampered) {
            sends.entry(entry.request).or_default().push(entry);
        }
        for mut sends in sends.into_values() {
            sends.sort_by_key(|entry| entry.answered);
            self.replays.sent += sends
                .iter()
                .filter(|entry| entry.kind == Kind::Replay)
                .count();
            let allowed = sends
                .iter()
                .filter(|entry| entry.verdict == Verdict::Allowed);
            for again in allowed.skip(1) {
                self.replays.add(true, is_excused(again, marks));
                self.replays.sent -= 1;
            }
        }
    }
}

impl Tally {
    /// Counts a request, and whether its answer was wrong and in the documented time.
    pub(crate) fn add(&mut self, wrong: bool, excused: bool) {
        self.sent += 1;
        self.wrong += usize::from(wrong && !excused);
        self.excused += usize::from(wrong && excused);
    }
}

/// Returns whether the credential was valid during the whole request.
pub(crate) fn is_valid(entry: &Entry, fate: &Fate) -> bool {
    let created = fate.created.is_some_and(|at| at <= entry.sent);
    created && fate.revoking.is_none_or(|at| entry.answered < at)
}

fn is_excused(entry: &Entry, marks: &Marks) -> bool {
    let excused = marks.excused.map(|until| marks.began..until);
    excused.is_some_and(|time| time.contains(&entry.sent))
}

fn share(valid: &[(Instant, bool)], chosen: impl Fn(Instant) -> bool) -> f64 {
    let of_them: Vec<_> = valid.iter().filter(|(sent, _)| chosen(*sent)).collect();
    let passed = of_them.iter().filter(|(_, passed)| *passed).count();
    passed as f64 / of_them.len().max(1) as f64
}

/// Counts the valid requests after the longest time to recover.
fn later(valid: &[(Instant, bool)], marks: &Marks, allowance: &Allowance) -> Tally {
    let mut tally = Tally::default();
    let Some(bound) = allowance.recovery else {
        return tally;
    };
    let since = match bound.since {
        Since::Began => marks.began,
        Since::Cleared => marks.cleared,
    };
    let recovered = since + bound.within;
    for (_, passed) in valid.iter().filter(|(sent, _)| *sent > recovered) {
        tally.add(!passed, false);
    }
    tally
}

/// Returns the end of the last tenth of a second in which more than a fifth of the valid requests
/// did not pass, since the beginning and since the end of the fault. A single request that a busy
/// machine delays does not count.
fn recovery(valid: &[(Instant, bool)], marks: &Marks) -> Option<(Duration, Duration)> {
    let mut slots: BTreeMap<u128, (usize, usize)> = BTreeMap::new();
    for (sent, passed) in valid.iter().filter(|(sent, _)| *sent >= marks.began) {
        let slot = slots.entry((*sent - marks.began).as_millis() / SLOT);
        let (all, failed) = slot.or_default();
        *all += 1;
        *failed += usize::from(!passed);
    }
    let is_bad = |(all, failed): &(usize, usize)| *failed >= 2 && failed * 5 > *all;
    let last = slots.iter().rev().find(|(_, counts)| is_bad(counts));
    let since_began = last.map_or(0, |(slot, _)| (slot + 1) * SLOT) as u64;
    let since_began = Duration::from_millis(since_began);
    let until = marks.began + since_began;
    let recovered = until + RECOVERED < marks.ended && !valid.is_empty();
    recovered.then(|| (since_began, until.saturating_duration_since(marks.cleared)))
}

/// The time before a fault in which requests must pass.
const BEFORE: Duration = Duration::from_secs(1);

/// The length of a slot in milliseconds.
const SLOT: u128 = 100;

/// The time at the end of a run without a failure that proves the recovery.
const RECOVERED: Duration = Duration::from_millis(400);
