//! The decisions of about the last hour: by minute for all callers, and by consumer.
//!
//! The hour begins at a multiple of five minutes, 55 to 60 minutes ago, so that counts by minute and
//! counts by consumer, which are kept for five minutes each, cover the same time.

use std::cmp::Reverse;
use std::time::Duration;

use super::tally::WordTally;
use super::time_slots::TimeSlots;
use crate::clock::UnixTime;
use crate::config::Mode;

/// The decisions of the last hour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HourReport {
    /// The time from which decisions are counted: the beginning of the hour, or of this process.
    pub since: UnixTime,
    /// The minutes of the hour, the oldest first. The last one is not over.
    pub minutes: Vec<MinuteReport>,
    /// The causes that were found in this hour.
    pub causes: Vec<WordTally>,
}

/// The decisions of one minute.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MinuteReport {
    /// The beginning of the minute.
    pub begin: UnixTime,
    /// The number of allowed requests.
    pub allowed: u64,
    /// The refused requests by reason.
    pub refused: Vec<WordTally>,
    /// The failures of Countersign by label. Each counts as `denied`; the failure mode of Envoy
    /// decides about the request.
    pub failed: Vec<WordTally>,
}

/// The decisions about one consumer in the last hour.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsumerHour {
    /// The consumer key; empty for requests that name no known consumer.
    pub consumer_key: String,
    /// The consumer's name; empty for such requests too.
    pub consumer_name: String,
    /// The number of requests by result.
    pub results: ResultCounts,
}

/// The number of requests by result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResultCounts {
    /// Allowed requests.
    pub allowed: u64,
    /// Refused requests.
    pub denied: u64,
    /// Requests that only shadow mode let through.
    pub would_deny: u64,
    /// Failures of Countersign.
    pub failed: u64,
}

/// The decisions of each minute on one thread.
pub(super) type MinuteSlots = TimeSlots<MinuteCounts, { MINUTES as usize }, 60>;

/// The decisions about one consumer on one thread, by five minutes.
pub(super) type ConsumerSlots = TimeSlots<ConsumerSlot, { SLOTS as usize }, SLOT_SECONDS>;

/// The decisions of one minute on one thread.
#[derive(Clone, Default)]
pub(super) struct MinuteCounts {
    pub(super) allowed: u64,
    refused: Vec<WordTally>,
    failed: Vec<WordTally>,
    causes: Vec<WordTally>,
}

/// The decisions about one consumer in five minutes. Small, because every consumer has some.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ConsumerSlot {
    pub(super) allowed: u32,
    denied: u32,
    would_deny: u32,
}

// === impl HourReport ===

impl HourReport {
    /// Returns a report without decisions. `started` is the time at which counting began.
    pub(super) fn empty(now: UnixTime, started: UnixTime) -> Self {
        let begin = beginning(now);
        let minutes = 1 + now.since(begin).as_secs() / 60;
        let minute = |nth| MinuteReport {
            begin: begin.plus(Duration::from_mins(nth)),
            ..MinuteReport::default()
        };
        Self {
            since: begin.max(started),
            minutes: (0..minutes.min(MINUTES)).map(minute).collect(),
            causes: Vec::new(),
        }
    }

    /// Adds the decisions of one thread.
    pub(super) fn add(&mut self, slots: &MinuteSlots) {
        let Some(begin) = self.minutes.first().map(|minute| minute.begin) else {
            return;
        };
        for (at, counts) in slots.since(begin) {
            let nth = at.since(begin).as_secs() / 60;
            let minute = usize::try_from(nth).ok();
            if let Some(minute) = minute.and_then(|nth| self.minutes.get_mut(nth)) {
                minute.add(counts);
                WordTally::add_all(&mut self.causes, &counts.causes);
            }
        }
    }

    /// Returns the number of requests by result.
    pub fn results(&self) -> ResultCounts {
        let minutes = self.minutes.iter().map(MinuteReport::results);
        minutes.fold(ResultCounts::default(), ResultCounts::plus)
    }

    /// Returns the reasons of refused requests and the labels of failures, the most frequent first.
    pub fn reasons(&self) -> Vec<WordTally> {
        let mut reasons = Vec::new();
        for minute in &self.minutes {
            WordTally::add_all(&mut reasons, &minute.refused);
            WordTally::add_all(&mut reasons, &minute.failed);
        }
        by_frequency(reasons)
    }

    /// Returns the causes, the most frequent first.
    pub fn causes_by_frequency(&self) -> Vec<WordTally> {
        by_frequency(self.causes.clone())
    }
}

fn by_frequency(mut tallies: Vec<WordTally>) -> Vec<WordTally> {
    tallies.sort_by_key(|tally| Reverse(tally.total()));
    tallies
}

// === impl MinuteReport ===

impl MinuteReport {
    fn add(&mut self, counts: &MinuteCounts) {
        self.allowed += counts.allowed;
        WordTally::add_all(&mut self.refused, &counts.refused);
        WordTally::add_all(&mut self.failed, &counts.failed);
    }

    /// Returns the number of requests by result.
    pub fn results(&self) -> ResultCounts {
        let refused = self.refused.iter();
        ResultCounts {
            allowed: self.allowed,
            denied: refused.clone().map(|tally| tally.denied).sum(),
            would_deny: refused.map(|tally| tally.would_deny).sum(),
            failed: self.failed.iter().map(WordTally::total).sum(),
        }
    }

    /// Returns the number of requests with that reason or failure.
    pub fn with_reason(&self, name: &str) -> u64 {
        let tallies = self.refused.iter().chain(&self.failed);
        let named = tallies.filter(|tally| tally.name == name);
        named.map(WordTally::total).sum()
    }
}

// === impl MinuteCounts ===

impl MinuteCounts {
    /// Counts a refused request.
    pub(super) fn add_refused(&mut self, reason: &'static str, mode: Mode) {
        WordTally::entry(&mut self.refused, reason).add(mode, 1);
    }

    /// Counts a failure of Countersign.
    pub(super) fn add_failed(&mut self, label: &'static str) {
        WordTally::entry(&mut self.failed, label).add(Mode::Enforce, 1);
    }

    /// Counts the cause of a request that is counted as refused already.
    pub(super) fn add_cause(&mut self, cause: &'static str, mode: Mode) {
        WordTally::entry(&mut self.causes, cause).add(mode, 1);
    }
}

// === impl ConsumerSlot ===

impl ConsumerSlot {
    /// Counts a refused request.
    pub(super) const fn add_refused(&mut self, mode: Mode) {
        match mode {
            Mode::Enforce => self.denied += 1,
            Mode::Shadow => self.would_deny += 1,
        }
    }
}

/// Returns the decisions about a consumer since the beginning of the hour.
pub(super) fn results_of(slots: &ConsumerSlots, now: UnixTime) -> ResultCounts {
    let slots = slots.since(beginning(now)).map(|(_, slot)| ResultCounts {
        allowed: slot.allowed.into(),
        denied: slot.denied.into(),
        would_deny: slot.would_deny.into(),
        failed: 0,
    });
    slots.fold(ResultCounts::default(), ResultCounts::plus)
}

// === impl ResultCounts ===

impl ResultCounts {
    /// Returns the number of requests that did not pass, or would not without shadow mode.
    pub const fn refused(&self) -> u64 {
        self.denied + self.would_deny + self.failed
    }

    /// Returns the number of requests.
    pub const fn total(&self) -> u64 {
        self.allowed + self.refused()
    }

    /// Returns the sum of both.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            allowed: self.allowed + other.allowed,
            denied: self.denied + other.denied,
            would_deny: self.would_deny + other.would_deny,
            failed: self.failed + other.failed,
        }
    }
}

/// Returns the consumers with the most refused requests, and then those with the most requests.
pub(super) fn busiest(mut consumers: Vec<ConsumerHour>, limit: usize) -> Vec<ConsumerHour> {
    consumers.sort_by(|a, b| {
        let rank = |consumer: &ConsumerHour| {
            let results = consumer.results;
            Reverse((results.refused(), results.total()))
        };
        let keys = || a.consumer_key.cmp(&b.consumer_key);
        rank(a).cmp(&rank(b)).then_with(keys)
    });
    consumers.truncate(limit);
    consumers
}

/// Returns the beginning of the hour.
fn beginning(now: UnixTime) -> UnixTime {
    let slot = now.as_secs() / SLOT_SECONDS;
    UnixTime::from_secs(slot.saturating_sub(SLOTS - 1) * SLOT_SECONDS)
}

/// The minutes of an hour.
const MINUTES: u64 = 60;

/// The counts of a consumer in an hour.
const SLOTS: u64 = 12;

const SLOT_SECONDS: u64 = 300;

#[cfg(test)]
mod tests {
    use super::*;

    /// 22:13:20 on a day.
    const NOW: UnixTime = UnixTime::from_secs(1_700_000_000);

    #[test]
    fn the_hour_begins_at_a_multiple_of_five_minutes_and_ends_now() {
        let started = NOW.minus(Duration::from_hours(5));
        let report = HourReport::empty(NOW, started);
        // 21:15:00.
        let begin = NOW.minus(Duration::from_secs(58 * 60 + 20));
        assert_eq!(report.since, begin);
        assert_eq!(report.minutes.len(), 59);
        assert_eq!(report.minutes[0].begin, begin);
        assert_eq!(
            report.minutes[58].begin,
            begin.plus(Duration::from_mins(58))
        );
        assert_eq!(HourReport::empty(NOW, NOW).since, NOW);
    }

    #[test]
    fn decisions_of_all_threads_are_added_by_minute_reason_and_cause() {
        let mut report = HourReport::empty(NOW, NOW);
        for _ in 0..2 {
            let mut slots = MinuteSlots::default();
            slots.at(NOW.minus(Duration::from_hours(2))).allowed += 1;
            slots.at(NOW.minus(Duration::from_mins(1))).allowed += 1;
            let counts = slots.at(NOW);
            counts.add_refused("unsigned", Mode::Enforce);
            counts.add_refused("nonce_used", Mode::Shadow);
            counts.add_refused("nonce_used", Mode::Enforce);
            counts.add_failed("deadline");
            counts.add_cause("scheme", Mode::Enforce);
            report.add(&slots);
        }
        let results = ResultCounts {
            allowed: 2,
            denied: 4,
            would_deny: 2,
            failed: 2,
        };
        assert_eq!(report.results(), results);
        assert_eq!(report.minutes[57].allowed, 2);
        assert_eq!(report.minutes[58].with_reason("nonce_used"), 4);
        let named = |tallies: Vec<WordTally>| -> Vec<_> {
            tallies
                .iter()
                .map(|tally| (tally.name, tally.total()))
                .collect()
        };
        assert_eq!(
            named(report.reasons()),
            [("nonce_used", 4), ("deadline", 2), ("unsigned", 2)]
        );
        assert_eq!(named(report.causes_by_frequency()), [("scheme", 2)]);
    }

    #[test]
    fn the_busiest_consumers_have_the_most_refused_requests() {
        let consumer = |key: &str, allowed, denied| ConsumerHour {
            consumer_key: key.to_owned(),
            consumer_name: String::new(),
            results: ResultCounts {
                allowed,
                denied,
                ..ResultCounts::default()
            },
        };
        let all = vec![
            consumer("quiet", 1, 0),
            consumer("b", 9, 0),
            consumer("a", 9, 0),
            consumer("failing", 0, 1),
        ];
        let keys: Vec<_> = busiest(all, 3)
            .into_iter()
            .map(|consumer| consumer.consumer_key)
            .collect();
        assert_eq!(keys, ["failing", "a", "b"]);
    }
}
