//! The clock of Redis: its difference from this host's, and its jumps.
//!
//! Redis forgets a nonce by its own clock, a fixed time after the claim; replicas judge timestamps
//! by theirs. A replica that is late accepts a request whose nonce Redis forgot already. A replica
//! that is early makes Redis forget too soon for the others. Nonces are kept for a minute beyond the
//! window, so no replay passes while the clock of each replica differs from that of Redis by at most
//! half a minute. Beyond that (`store.max_clock_skew`) claims are refused.
//!
//! If the clock of Redis jumps ahead, nonces expire at once. A jump shows against the monotonic
//! clock of this host, which no correction of the time moves.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use redis::Value;
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::error::CommandError;
use super::link::read;
use crate::clock::UnixTime;

/// The difference between the clocks at the last look.
#[derive(Debug)]
pub(super) struct ClockSkew {
    /// The largest accepted difference; zero accepts any.
    limit: Duration,
    /// Redis' clock minus this host's, of the primary that differs most, in milliseconds.
    millis: AtomicI64,
    /// The difference between the clock of each server and the monotonic clock, in milliseconds.
    offsets: Mutex<BTreeMap<String, i64>>,
    started: Instant,
    is_warned: AtomicBool,
    is_refusing: AtomicBool,
}

/// One reading of a server's clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct TimeSample {
    server_millis: i64,
    /// This host's clock when the answer came.
    host: UnixTime,
    sent: Instant,
    answered: Instant,
}

// === impl TimeSample ===

impl TimeSample {
    /// Reads the answer to `TIME`.
    pub(super) fn read(
        answer: Value,
        host: UnixTime,
        sent: Instant,
        answered: Instant,
    ) -> Result<Self, CommandError> {
        let (secs, micros): (i64, i64) = read(answer)?;
        Ok(Self {
            server_millis: secs.saturating_mul(1000).saturating_add(micros / 1000),
            host,
            sent,
            answered,
        })
    }

    /// Returns the time between the server's reading and the answer: half of the round trip.
    fn way_back(&self) -> Duration {
        self.answered.saturating_duration_since(self.sent) / 2
    }

    /// Returns the server's clock minus this host's, in milliseconds.
    fn skew(&self) -> i64 {
        let server = self.server_millis.saturating_add(millis(self.way_back()));
        server.saturating_sub(i64::try_from(self.host.as_millis()).unwrap_or(i64::MAX))
    }
}

// === impl ClockSkew ===

impl ClockSkew {
    /// Returns a skew that was not measured yet.
    pub(super) fn new(limit: Duration) -> Self {
        Self {
            limit,
            millis: AtomicI64::new(0),
            offsets: Mutex::default(),
            started: Instant::now(),
            is_warned: AtomicBool::new(false),
            is_refusing: AtomicBool::new(false),
        }
    }

    /// Fails if the clocks differ too much for any claim.
    pub(super) fn check(&self) -> Result<(), CommandError> {
        let skew = self.millis();
        if self.exceeds_limit(skew) {
            Err(CommandError::ClockSkew(skew / 1000))
        } else {
            Ok(())
        }
    }

    /// Returns Redis' clock minus this host's, in milliseconds.
    pub(super) fn millis(&self) -> i64 {
        self.millis.load(Ordering::Relaxed)
    }

    /// Returns the time by which Redis' clock is ahead of this host's; zero if any difference is
    /// accepted, or if it is so large that every claim is refused.
    pub(super) fn lead(&self) -> Duration {
        let skew = self.millis();
        if self.limit.is_zero() || self.exceeds_limit(skew) {
            return Duration::ZERO;
        }
        Duration::from_millis(u64::try_from(skew).unwrap_or(0))
    }

    /// Returns the largest accepted difference in whole seconds; 0 accepts any.
    pub(super) const fn limit_secs(&self) -> u64 {
        self.limit.as_secs()
    }

    /// Notes a reading of every server's clock, and returns `true` if one jumped ahead since the
    /// last reading.
    pub(super) fn observe(&self, samples: &BTreeMap<String, TimeSample>) -> bool {
        let skews = samples.values().map(TimeSample::skew);
        let skew = skews.max_by_key(|skew| skew.saturating_abs()).unwrap_or(0);
        self.millis.store(skew, Ordering::Relaxed);
        self.report(skew);
        self.find_jump(samples)
    }

    fn find_jump(&self, samples: &BTreeMap<String, TimeSample>) -> bool {
        let mut offsets = self.offsets.lock().unwrap_or_else(PoisonError::into_inner);
        let offset = |sample: &TimeSample| {
            let read_at = sample.answered.saturating_duration_since(self.started);
            let read_at = read_at.saturating_sub(sample.way_back());
            sample.server_millis.saturating_sub(millis(read_at))
        };
        let jumped = samples.iter().any(|(server, sample)| {
            let known = offsets.get(server);
            known.is_some_and(|known| offset(sample).saturating_sub(*known) > JUMP)
        });
        *offsets = samples
            .iter()
            .map(|(server, sample)| (server.clone(), offset(sample)))
            .collect();
        jumped
    }

    /// Logs the beginning and the end of a difference, once each.
    fn report(&self, skew: i64) {
        let differs = skew.saturating_abs() > WARNED;
        if differs && !self.is_warned.swap(true, Ordering::Relaxed) {
            warn!(
                skew_ms = skew,
                "the clock of Redis differs from this host's by more than a second; set both by NTP"
            );
        }
        if skew.saturating_abs() < WARNED / 2 && self.is_warned.swap(false, Ordering::Relaxed) {
            info!(
                skew_ms = skew,
                "the clocks of Redis and this host agree again"
            );
        }
        let refuses = self.exceeds_limit(skew);
        if self.is_refusing.swap(refuses, Ordering::Relaxed) != refuses && refuses {
            error!(
                skew_ms = skew,
                "refusing every nonce: the clock of Redis differs from this host's by more than store.max_clock_skew, so that replays could pass; set both by NTP"
            );
        }
    }

    const fn exceeds_limit(&self, skew: i64) -> bool {
        let limit = self.limit.as_millis();
        limit > 0 && skew.unsigned_abs() as u128 > limit
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// The difference that causes a warning, in milliseconds.
const WARNED: i64 = 1000;

/// The least jump, in milliseconds: far above what NTP corrects at once and what a slow answer
/// hides, and far below the margin for which nonces are kept.
const JUMP: i64 = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_difference_beyond_the_limit_is_refused_until_it_is_gone() {
        let skew = ClockSkew::new(Duration::from_secs(30));
        for (server, refused) in [
            (1_000_000, None),
            (1_029_000, None),
            (1_031_500, Some(31)),
            (969_000, Some(-31)),
            (971_000, None),
        ] {
            skew.observe(&reading("a", server, 1_000_000));
            let expected = refused.map_or(Ok(()), |secs| Err(CommandError::ClockSkew(secs)));
            assert_eq!(skew.check(), expected, "{server}");
        }
        let unlimited = ClockSkew::new(Duration::ZERO);
        unlimited.observe(&reading("a", 0, 1_000_000_000));
        assert_eq!(unlimited.check(), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_jump_ahead_shows_against_the_monotonic_clock_alone() {
        let skew = ClockSkew::new(Duration::ZERO);
        assert!(!skew.observe(&reading("a", 1_000_000, 1_000_000)));
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(
            !skew.observe(&reading("a", 1_060_000, 5_000)),
            "this host's clock was set back"
        );
        assert!(skew.observe(&reading("a", 1_080_000, 1_060_000)));
        assert!(!skew.observe(&reading("a", 1_080_000, 1_060_000)), "once");
        assert!(!skew.observe(&reading("a", 1_060_000, 1_060_000)), "back");
        assert!(
            !skew.observe(&reading("b", 2_000_000, 1_060_000)),
            "another server has another clock"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn half_of_the_round_trip_is_no_difference() {
        let sent = Instant::now();
        tokio::time::advance(Duration::from_secs(4)).await;
        let answer = Value::Array(vec![Value::Int(1002), Value::Int(0)]);
        let host = UnixTime::from_secs(1004);
        let sample = TimeSample::read(answer, host, sent, Instant::now()).unwrap();
        assert_eq!(sample.skew(), 0);
    }

    fn reading(server: &str, server_millis: i64, host: u64) -> BTreeMap<String, TimeSample> {
        let (sent, answered) = (Instant::now(), Instant::now());
        let host = UnixTime::from_millis(host);
        let sample = TimeSample {
            server_millis,
            host,
            sent,
            answered,
        };
        BTreeMap::from([(server.to_owned(), sample)])
    }
}
