//! Rate limits for explanations: one for each consumer, one shared by the consumers beyond the
//! limit of tracked ones, and one in total. Each accumulates unused explanations for up to ten
//! seconds.
//!
//! A caller who knows a consumer's key can send bad signatures in its name. That uses up only this
//! consumer's rate. A request over the rate costs one lookup and allocates nothing.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::UnixTime;
use crate::config::DiagnosticsConfig;

/// The rate limits and their remaining explanations.
pub(super) struct ExplainRates {
    most: usize,
    state: Mutex<State>,
}

struct State {
    /// The rate of each consumer, in explanations a minute.
    each: u64,
    all: Bucket,
    /// Shared by consumers that are not tracked.
    others: Bucket,
    consumers: HashMap<Box<str>, Bucket>,
    /// The earliest time of the next sweep.
    sweep_at: UnixTime,
}

/// A token bucket.
#[derive(Clone, Copy)]
struct Bucket {
    per_minute: u64,
    /// In units; one explanation takes [`ONE`].
    left: u64,
    at: UnixTime,
}

// === impl ExplainRates ===

impl ExplainRates {
    /// Returns the rates of `config`, with full buckets.
    pub(super) fn new(config: &DiagnosticsConfig, now: UnixTime) -> Self {
        let each = config.explain_rate;
        let state = State {
            each,
            all: Bucket::full(config.explain_total_rate, now),
            others: Bucket::full(each, now),
            consumers: HashMap::new(),
            sweep_at: now,
        };
        Self {
            most: config.consumers,
            state: Mutex::new(state),
        }
    }

    /// Sets the rates. Buckets keep what is left in them, up to their new capacity.
    pub(super) fn set(&self, config: &DiagnosticsConfig) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let each = config.explain_rate;
        state.each = each;
        state.all.per_minute = config.explain_total_rate;
        state.others.per_minute = each;
        for bucket in state.consumers.values_mut() {
            bucket.per_minute = each;
        }
    }

    /// Takes one explanation of a consumer; returns whether one was left.
    pub(super) fn take(&self, consumer: &str, now: UnixTime) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State {
            each,
            all,
            others,
            consumers,
            sweep_at,
        } = &mut *state;
        // Two lookups, so that only a new key is copied.
        if !consumers.contains_key(consumer) && self.has_room(consumers, sweep_at, now) {
            consumers.insert(consumer.into(), Bucket::full(*each, now));
        }
        let own = consumers.get_mut(consumer).unwrap_or(others);
        own.refill(now);
        all.refill(now);
        let granted = own.has_one() && all.has_one();
        if granted {
            own.left -= ONE;
            all.left -= ONE;
        }
        granted
    }

    /// Returns whether one more consumer can be tracked. Evicts consumers whose buckets are full
    /// again, at most once in [`SAVED`].
    fn has_room(
        &self,
        consumers: &mut HashMap<Box<str>, Bucket>,
        sweep_at: &mut UnixTime,
        now: UnixTime,
    ) -> bool {
        if consumers.len() >= self.most && now >= *sweep_at {
            consumers.retain(|_, bucket| now.since(bucket.at) < SAVED);
            *sweep_at = now.plus(SAVED);
        }
        consumers.len() < self.most
    }
}

// === impl Bucket ===

impl Bucket {
    fn full(per_minute: u64, at: UnixTime) -> Self {
        let mut bucket = Self {
            per_minute,
            left: 0,
            at,
        };
        bucket.left = bucket.capacity();
        bucket
    }

    /// Returns the units of ten seconds, and at least [`ONE`].
    fn capacity(&self) -> u64 {
        if self.per_minute == 0 {
            0
        } else {
            (self.per_minute * 1000 * SAVED.as_secs()).max(ONE)
        }
    }

    fn refill(&mut self, now: UnixTime) {
        let millis = u64::try_from(now.since(self.at).as_millis()).unwrap_or(u64::MAX);
        self.left = self
            .left
            .saturating_add(millis.saturating_mul(self.per_minute))
            .min(self.capacity());
        self.at = now;
    }

    const fn has_one(&self) -> bool {
        self.left >= ONE
    }
}

/// The units of one explanation: a rate of one a minute adds one unit each millisecond.
const ONE: u64 = 60_000;

/// The time in which an empty bucket becomes full.
const SAVED: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    const START: UnixTime = UnixTime::from_secs(1_700_000_000);

    fn of(explain_rate: u64, explain_total_rate: u64, consumers: usize) -> ExplainRates {
        ExplainRates::new(
            &DiagnosticsConfig {
                explain_rate,
                explain_total_rate,
                consumers,
                ..Config::default().diagnostics
            },
            START,
        )
    }

    fn taken(rates: &ExplainRates, consumer: &str, now: UnixTime) -> usize {
        (0..10_000).filter(|_| rates.take(consumer, now)).count()
    }

    #[test]
    fn a_new_rate_holds_from_the_next_explanation_on() {
        let rates = of(60, 6000, 10);
        taken(&rates, "a", START);
        let mut config = Config::default().diagnostics;
        (config.explain_rate, config.explain_total_rate) = (0, 6000);
        rates.set(&config);
        let later = START.plus(Duration::from_secs(60));
        assert!(!rates.take("a", later) && !rates.take("new", later));
    }

    #[test]
    fn each_consumer_has_its_own_rate_and_saves_ten_seconds_of_it() {
        let rates = of(60, 6000, 10);
        assert_eq!(
            [taken(&rates, "a", START), taken(&rates, "b", START)],
            [10, 10]
        );
        assert_eq!(
            taken(&rates, "a", START.plus(Duration::from_millis(2500))),
            2
        );
        assert_eq!(taken(&rates, "a", START.plus(Duration::from_hours(1))), 10);
    }

    #[test]
    fn fractions_of_an_explanation_add_up() {
        let rates = of(60, 6000, 10);
        taken(&rates, "a", START);
        let in_time = (1..=30_000)
            .filter(|&millis| rates.take("a", START.plus(Duration::from_millis(millis))));
        assert_eq!(in_time.count(), 30);
        assert!(
            !rates.take("a", START),
            "a clock that goes back adds nothing"
        );
    }

    #[test]
    fn the_total_rate_limits_all_consumers() {
        let rates = of(60, 120, 100);
        let keys: Vec<_> = (0..50).map(|nth| nth.to_string()).collect();
        assert_eq!(
            keys.iter()
                .map(|key| taken(&rates, key, START))
                .sum::<usize>(),
            20
        );
        assert_eq!(taken(&of(0, 120, 100), "a", START), 0);
        assert_eq!(taken(&of(1, 120, 100), "a", START), 1, "at least one");
    }

    #[test]
    fn untracked_consumers_share_a_rate_until_others_are_evicted() {
        let rates = of(60, 60_000, 2);
        let left = |key: &str, now| taken(&rates, key, now);
        assert_eq!(
            ["a", "b", "c", "d"].map(|key| left(key, START)),
            [10, 10, 10, 0]
        );
        let later = START.plus(SAVED);
        assert_eq!(["e", "f", "g"].map(|key| left(key, later)), [10, 10, 10]);
        assert!(rates.state.lock().unwrap().consumers.len() <= 2);
    }
}
