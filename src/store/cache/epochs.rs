//! How many changes were told of each record, so that a copy taken before one is known as old.

use std::hash::{BuildHasher as _, Hash, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::model::{ConsumerKey, Token, UserId};
use crate::store::Change;

/// The counts. Names share counters by their hashes: a change makes a few copies of others old too, never one too few.
pub(super) struct Epochs {
    hasher: RandomState,
    /// Of the names, then one of all users together.
    counters: Box<[AtomicU64]>,
    everything: AtomicU64,
}

/// A count as it was at some time. It only grows: while it is the same, nothing was told.
///
/// It knows its counter, so that asking again takes no hashing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Epoch {
    counter: u16,
    count: u64,
}

/// Whose count.
#[derive(Clone, Copy, Hash)]
pub(super) enum Name<'a> {
    Consumer(&'a ConsumerKey),
    Token(&'a Token),
    User(&'a UserId),
}

// === impl Epochs ===

impl Epochs {
    /// The count of a name.
    pub(super) fn of(&self, name: Name<'_>) -> Epoch {
        self.read(self.counter(name))
    }

    /// The count of all users together.
    pub(super) fn of_any_user(&self) -> Epoch {
        self.read(ALL_USERS)
    }

    /// Whether nothing was told of a name since its count was `epoch`.
    pub(super) fn is_now(&self, epoch: Epoch) -> bool {
        self.read(epoch.counter) == epoch
    }

    /// Counts a change.
    pub(super) fn raise(&self, change: &Change) {
        let name = match change {
            Change::Consumer(key) => Name::Consumer(key),
            Change::Token(token) => Name::Token(token),
            Change::User(id) => Name::User(id),
            Change::Everything => return raise(&self.everything),
        };
        if let Name::User(_) = name {
            // First: who reads the user's count after it was raised must find this one raised as well.
            raise(&self.counters[usize::from(ALL_USERS)]);
        }
        raise(&self.counters[usize::from(self.counter(name))]);
    }

    fn read(&self, counter: u16) -> Epoch {
        let count = self.counters[usize::from(counter)].load(Ordering::SeqCst);
        // Neither ever shrinks, so their sum is the same only while both are.
        Epoch {
            counter,
            count: count.wrapping_add(self.everything.load(Ordering::SeqCst)),
        }
    }

    fn counter(&self, name: Name<'_>) -> u16 {
        let hash = self.hasher.hash_one(name);
        // The modulus fits.
        u16::try_from(hash % u64::from(ALL_USERS)).unwrap_or_default()
    }
}

impl Default for Epochs {
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

/// The counter of all users together, after those of names. 32 KiB of them: at a hundred changes a second a copy is
/// dropped for another's sake once in 40 seconds.
const ALL_USERS: u16 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_raises_the_count_of_its_name() {
        let epochs = Epochs::default();
        let (key, user) = (ConsumerKey::new("ck").unwrap(), UserId::new("ck").unwrap());
        let before = (
            epochs.of(Name::Consumer(&key)),
            epochs.of(Name::User(&user)),
            epochs.of_any_user(),
        );
        assert!(epochs.is_now(before.0) && epochs.is_now(before.1) && epochs.is_now(before.2));
        epochs.raise(&Change::Consumer(key.clone()));
        assert!(!epochs.is_now(before.0));
        assert_ne!(epochs.of(Name::Consumer(&key)), before.0);
        assert!(epochs.is_now(before.2));
        epochs.raise(&Change::User(user));
        assert!(!epochs.is_now(before.1) && !epochs.is_now(before.2));
    }

    #[test]
    fn a_change_of_everything_raises_every_count() {
        let epochs = Epochs::default();
        let token = Token::new("t").unwrap();
        let before = (epochs.of(Name::Token(&token)), epochs.of_any_user());
        epochs.raise(&Change::Everything);
        assert!(!epochs.is_now(before.0) && !epochs.is_now(before.1));
    }
}
