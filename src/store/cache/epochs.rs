//! How many changes were told of each record, so that a copy taken before one is known as old.

use std::hash::{BuildHasher as _, Hash, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::model::{ConsumerKey, Token, UserId};
use crate::store::Change;

/// The counts. Names share counters by their hashes: a change makes a few copies of others old too, never one too few.
pub(super) struct Epochs {
    hasher: RandomState,
    shards: Box<[AtomicU64]>,
    users: AtomicU64,
    everything: AtomicU64,
}

/// A count at some time. It only grows: two that are equal had nothing told in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Epoch(u64);

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
        self.with_everything(self.shard(name))
    }

    /// The count of all users together.
    pub(super) fn of_any_user(&self) -> Epoch {
        self.with_everything(&self.users)
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
            raise(&self.users);
        }
        raise(self.shard(name));
    }

    fn with_everything(&self, count: &AtomicU64) -> Epoch {
        // Neither ever shrinks, so their sum is the same only while both are.
        Epoch(count.load(Ordering::SeqCst).wrapping_add(self.everything.load(Ordering::SeqCst)))
    }

    fn shard(&self, name: Name<'_>) -> &AtomicU64 {
        let hash = self.hasher.hash_one(name);
        // The modulus is far below usize::MAX, whose size it has.
        &self.shards[usize::try_from(hash % SHARDS).unwrap_or_default()]
    }
}

impl Default for Epochs {
    fn default() -> Self {
        Self {
            hasher: RandomState::new(),
            shards: (0..SHARDS).map(|_| AtomicU64::new(0)).collect(),
            users: AtomicU64::new(0),
            everything: AtomicU64::new(0),
        }
    }
}

fn raise(count: &AtomicU64) {
    count.fetch_add(1, Ordering::SeqCst);
}

/// 32 KiB of counters: at a hundred changes a second a copy is dropped for another's sake once in 40 seconds.
const SHARDS: u64 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_raises_the_count_of_its_name() {
        let epochs = Epochs::default();
        let (key, user) = (ConsumerKey::new("ck").unwrap(), UserId::new("ck").unwrap());
        let before = (epochs.of(Name::Consumer(&key)), epochs.of(Name::User(&user)), epochs.of_any_user());
        epochs.raise(&Change::Consumer(key.clone()));
        assert_ne!(epochs.of(Name::Consumer(&key)), before.0);
        assert_eq!(epochs.of_any_user(), before.2);
        epochs.raise(&Change::User(user.clone()));
        assert_ne!(epochs.of(Name::User(&user)), before.1);
        assert_ne!(epochs.of_any_user(), before.2);
    }

    #[test]
    fn a_change_of_everything_raises_every_count() {
        let epochs = Epochs::default();
        let token = Token::new("t").unwrap();
        let before = (epochs.of(Name::Token(&token)), epochs.of_any_user());
        epochs.raise(&Change::Everything);
        assert_ne!(epochs.of(Name::Token(&token)), before.0);
        assert_ne!(epochs.of_any_user(), before.1);
    }
}
