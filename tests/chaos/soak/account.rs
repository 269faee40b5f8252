//! The judgement of every request, as soon as it is answered. The rules are those of `judge.rs`.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::judge::{Tally, is_valid};
use crate::ledger::{Entry, Fate, Kind, Verdict};
use crate::soak::windows::{Place, Windows};

/// The sums of a soak.
#[derive(Clone, Debug, Default)]
pub(crate) struct Account {
    pub(crate) requests: usize,
    /// Fresh requests with valid credentials.
    pub(crate) valid: usize,
    pub(crate) tampered: Tally,
    pub(crate) replays: Tally,
    pub(crate) revoked: Tally,
    /// Valid requests far from all faults, and those that did not pass.
    pub(crate) calm: Tally,
    /// The answers to valid requests that did not pass far from all faults.
    pub(crate) calm_failures: BTreeMap<String, usize>,
    /// Valid requests that did not pass in a fault.
    pub(crate) failed_in_faults: usize,
    /// The latency of requests far from all faults.
    pub(crate) latency: Histogram,
    allowed: Bits,
}

/// A set of numbers.
#[derive(Clone, Debug, Default)]
struct Bits(Vec<u64>);

/// Counts of latencies, in steps of 50 microseconds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Histogram {
    counts: BTreeMap<u128, usize>,
    sum: usize,
}

impl Account {
    /// Judges a request with the fate of its credential.
    pub(crate) fn add(&mut self, entry: &Entry, fate: &Fate, windows: &mut Windows) {
        self.requests += 1;
        let place = windows.place(entry.sent);
        let excused =
            matches!(place, Place::Fault(index) if windows.all[index].excuses(entry.sent));
        self.count_allowed(entry, fate, excused);
        if place == Place::Calm {
            self.latency.add(entry.answered - entry.sent);
        }
        if entry.kind == Kind::Fresh && is_valid(entry, fate) {
            self.count_valid(entry, place, windows);
        }
    }

    fn count_allowed(&mut self, entry: &Entry, fate: &Fate, excused: bool) {
        let allowed = entry.verdict == Verdict::Allowed;
        match entry.kind {
            Kind::Tampered => return self.tampered.add(allowed, false),
            Kind::Fresh => {
                let revoked = fate.revoked.map(|at| at + REVOCATION);
                if revoked.is_some_and(|at| entry.sent > at) {
                    self.revoked.add(allowed, excused);
                }
            }
            Kind::Replay | Kind::Retry => {}
        }
        let again = allowed && !self.allowed.insert(entry.request);
        if again || entry.kind == Kind::Replay {
            self.replays.add(again, excused);
        }
    }

    fn count_valid(&mut self, entry: &Entry, place: Place, windows: &mut Windows) {
        self.valid += 1;
        let passed = entry.verdict == Verdict::Allowed;
        match place {
            Place::Measuring => {}
            Place::Calm => {
                self.calm.add(!passed, false);
                if !passed {
                    let answer = format!("{:?}", entry.verdict);
                    *self.calm_failures.entry(answer).or_default() += 1;
                }
            }
            Place::Fault(index) if !passed => {
                self.failed_in_faults += 1;
                windows.all[index].failed += 1;
                windows.all[index].last = Some(entry.sent);
            }
            Place::Fault(_) => {}
        }
    }
}

impl Bits {
    /// Adds a number, and returns whether it is new.
    fn insert(&mut self, number: usize) -> bool {
        let (word, bit) = (number / 64, 1 << (number % 64));
        if word >= self.0.len() {
            self.0.resize(word + 1, 0);
        }
        let new = self.0[word] & bit == 0;
        self.0[word] |= bit;
        new
    }
}

impl Histogram {
    fn add(&mut self, latency: Duration) {
        *self.counts.entry(latency.as_micros() / STEP).or_default() += 1;
        self.sum += 1;
    }

    /// Returns the latency that a share of the requests stays below.
    pub(crate) fn below(&self, share: f64) -> Duration {
        let mut rest = (self.sum as f64 * share) as usize;
        for (step, count) in &self.counts {
            if *count > rest {
                return Duration::from_micros(((step + 1) * STEP) as u64);
            }
            rest -= count;
        }
        let last = self.counts.keys().next_back().copied().unwrap_or_default();
        Duration::from_micros(((last + 1) * STEP) as u64)
    }
}

/// The longest time from an acknowledged revocation to its effect.
const REVOCATION: Duration = Duration::from_secs(1);

/// The microseconds of a step.
const STEP: u128 = 50;
