//! Counts in slots of time, of which the latest are kept.

use std::array;

use crate::clock::UnixTime;

/// The counts of the latest `COUNT` slots of `SECONDS` seconds. Slots begin at whole multiples of
/// their length.
#[derive(Clone)]
pub(super) struct TimeSlots<T, const COUNT: usize, const SECONDS: u64> {
    /// The number of the newest slot since the epoch.
    newest: u64,
    /// Slot `n` is at the index `n % COUNT`.
    slots: [T; COUNT],
}

impl<T: Default, const COUNT: usize, const SECONDS: u64> TimeSlots<T, COUNT, SECONDS> {
    /// Returns the counts of the slot that contains `now`. A new slot begins empty, and so do all
    /// slots after a clock was set back by more than they cover.
    pub(super) fn at(&mut self, now: UnixTime) -> &mut T {
        let number = Self::number(now);
        if number != self.newest {
            self.turn_to(number);
        }
        &mut self.slots[Self::index(number)]
    }

    #[cold]
    fn turn_to(&mut self, number: u64) {
        if number < self.newest && self.newest - number < COUNT as u64 {
            return;
        }
        let passed = number.checked_sub(self.newest);
        match passed.filter(|&passed| passed < COUNT as u64) {
            Some(passed) => {
                for new in self.newest + 1..=self.newest + passed {
                    self.slots[Self::index(new)] = T::default();
                }
            }
            None => self.slots.fill_with(T::default),
        }
        self.newest = number;
    }

    /// Returns the kept slots from the one that contains `start` on, the oldest first, each with
    /// its beginning.
    pub(super) fn since(&self, start: UnixTime) -> impl Iterator<Item = (UnixTime, &T)> {
        let oldest = (self.newest + 1).saturating_sub(COUNT as u64);
        let first = Self::number(start).max(oldest);
        (first..=self.newest).map(|number| {
            let begin = UnixTime::from_secs(number * SECONDS);
            (begin, &self.slots[Self::index(number)])
        })
    }

    const fn number(time: UnixTime) -> u64 {
        time.as_millis() / (SECONDS * 1000)
    }

    fn index(number: u64) -> usize {
        usize::try_from(number % COUNT as u64).unwrap_or_default()
    }
}

impl<T: Default, const COUNT: usize, const SECONDS: u64> Default for TimeSlots<T, COUNT, SECONDS> {
    fn default() -> Self {
        Self {
            newest: 0,
            slots: array::from_fn(|_| T::default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(slots: &TimeSlots<u32, 3, 60>, start: u64) -> Vec<(u64, u32)> {
        let slots = slots.since(UnixTime::from_secs(start));
        slots
            .map(|(begin, &count)| (begin.as_secs(), count))
            .collect()
    }

    fn counted(times: &[u64]) -> TimeSlots<u32, 3, 60> {
        let mut slots = TimeSlots::default();
        for &time in times {
            *slots.at(UnixTime::from_secs(time)) += 1;
        }
        slots
    }

    #[test]
    fn the_latest_slots_are_kept_and_skipped_ones_are_empty() {
        let slots = counted(&[600, 659, 660, 780]);
        assert_eq!(shown(&slots, 0), [(660, 1), (720, 0), (780, 1)]);
        assert_eq!(shown(&slots, 779), [(720, 0), (780, 1)]);
        assert_eq!(shown(&slots, 840), []);
        assert_eq!(
            shown(&counted(&[600, 6000]), 0),
            [(5880, 0), (5940, 0), (6000, 1)]
        );
    }

    #[test]
    fn a_clock_that_is_set_back_a_little_counts_in_an_earlier_slot() {
        let slots = counted(&[600, 660, 605]);
        assert_eq!(shown(&slots, 600), [(600, 2), (660, 1)]);
    }

    #[test]
    fn a_clock_that_is_set_back_far_begins_again() {
        let slots = counted(&[60_000, 600]);
        assert_eq!(shown(&slots, 0), [(480, 0), (540, 0), (600, 1)]);
    }
}
