//! Counts of the changes of each record, so that a copy that was taken before a change is
//! recognized as stale.

use std::hash::{BuildHasher as _, Hash, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::model::{ConsumerKey, Token, UserId};
use crate::store::RecordChange;

/// The counts. Names with the same hash share a counter, so a change may also invalidate a few
/// copies of other records, but it never misses a copy.
pub(super) struct EpochTable {
    hasher: RandomState,
    /// The counters of names, then one for all users together.
    counters: Box<[AtomicU64]>,
    everything: AtomicU64,
}

/// A count at some time. It only grows: while it is the same, no change was announced.
///
/// It remembers its counter, so that a comparison needs no hashing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RecordEpoch {
    counter: u16,
    count: u64,
}

/// The name of a record.
#[derive(Clone, Copy, Hash)]
pub(super) enum RecordName<'a> {
    Consumer(&'a ConsumerKey),
    Token(&'a Token),
    User(&'a UserId),
}

// === impl EpochTable ===

impl EpochTable {
    /// Returns the count of a name.
    pub(super) fn of(&self, name: RecordName<'_>) -> RecordEpoch {
        self.read(self.counter(name))
    }

    /// Returns the count of all users together.
    pub(super) fn of_any_user(&self) -> RecordEpoch {
        self.read(ALL_USERS)
    }

    /// Returns `true` if no change of the name was announced since its count was `epoch`.
    pub(super) fn is_current(&self, epoch: RecordEpoch) -> bool {
        self.read(epoch.counter) == epoch
    }

    /// Counts a change.
    pub(super) fn raise(&self, change: &RecordChange) {
        let name = match change {
            RecordChange::Consumer(key) => RecordName::Consumer(key),
            RecordChange::Token(token) => RecordName::Token(token),
            RecordChange::User(id) => RecordName::User(id),
            RecordChange::Everything => return raise(&self.everything),
        };
        if let RecordName::User(_) = name {
            // First, so that a reader that sees the user's new count sees this new count as well.
            raise(&self.counters[usize::from(ALL_USERS)]);
        }
        raise(&self.counters[usize::from(self.counter(name))]);
    }

    fn read(&self, counter: u16) -> RecordEpoch {
        let count = self.counters[usize::from(counter)].load(Ordering::SeqCst);
        // Neither ever shrinks, so their sum stays the same only while both do.
        RecordEpoch {
            counter,
            count: count.wrapping_add(self.everything.load(Ordering::SeqCst)),
        }
    }

    fn counter(&self, name: RecordName<'_>) -> u16 {
        let hash = self.hasher.hash_one(name);
        // The modulus fits.
        u16::try_from(hash % u64::from(ALL_USERS)).unwrap_or_default()
    }
}

impl Default for EpochTable {
    fn default() -> Self {
        Self {
            hasher: RandomState::new(),
            counters: (0..=ALL_USERS).map(|_| AtomicU64::new(0)).collect(),
            everything: AtomicU64::new(0),
        }
    }
}

fn raise(count: &AtomicU64) {
    count.fetch_add(1, Ordering::SeqCst);
}

/// The index of the counter of all users together, after those of names. The counters take 32 KiB:
/// at a hundred changes a second, a copy is invalidated by another record's change once in 40
/// seconds.
const ALL_USERS: u16 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_raises_the_count_of_its_name() {
        let epochs = EpochTable::default();
        let (key, user) = (ConsumerKey::new("ck").unwrap(), UserId::new("ck").unwrap());
        let before = (
            epochs.of(RecordName::Consumer(&key)),
            epochs.of(RecordName::User(&user)),
            epochs.of_any_user(),
        );
        assert!(
            epochs.is_current(before.0)
                && epochs.is_current(before.1)
                && epochs.is_current(before.2)
        );
        epochs.raise(&RecordChange::Consumer(key.clone()));
        assert!(!epochs.is_current(before.0));
        assert_ne!(epochs.of(RecordName::Consumer(&key)), before.0);
        assert!(epochs.is_current(before.2));
        epochs.raise(&RecordChange::User(user));
        assert!(!epochs.is_current(before.1) && !epochs.is_current(before.2));
    }

    #[test]
    fn names_are_spread_over_the_counters() {
        let epochs = EpochTable::default();
        let counters: std::collections::HashSet<_> = (0..1000)
            .map(|number| Token::new(number.to_string()).unwrap())
            .map(|token| epochs.counter(RecordName::Token(&token)))
            .collect();
        assert!(counters.len() > 500, "{}", counters.len());
        assert!(counters.into_iter().all(|counter| counter < ALL_USERS));
    }

    #[test]
    fn a_change_of_everything_raises_every_count() {
        let epochs = EpochTable::default();
        let token = Token::new("t").unwrap();
        let before = (epochs.of(RecordName::Token(&token)), epochs.of_any_user());
        epochs.raise(&RecordChange::Everything);
        assert!(!epochs.is_current(before.0) && !epochs.is_current(before.1));
    }
}
