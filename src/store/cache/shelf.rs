//! Copies of one kind: bounded in memory, each with when it was taken.

use std::hash::Hash;
use std::time::Duration;

use moka::sync::Cache;

use super::epochs::Epoch;
use crate::clock::UnixTime;

/// Copies by name. What is used stays; what is seldom used goes when there is no room.
pub(super) struct Shelf<K, V> {
    copies: Cache<K, Copy<V>>,
    max_age: Duration,
}

/// When something is asked for, and what had been told by then.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) time: UnixTime,
    pub(super) epoch: Epoch,
}

#[derive(Clone)]
struct Copy<V> {
    value: V,
    asked: Moment,
}

// === impl Shelf ===

impl<K, V> Shelf<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Keeps copies for `max_age`, and not more than `max_bytes` of them by what `weigh` says.
    pub(super) fn new(
        max_bytes: u64,
        max_age: Duration,
        weigh: impl Fn(&K, &V) -> usize + Send + Sync + 'static,
    ) -> Self {
        let copies = Cache::builder()
            .max_capacity(max_bytes)
            .weigher(move |key, copy: &Copy<V>| u32::try_from(weigh(key, &copy.value)).unwrap_or(u32::MAX))
            // Only frees the memory: whether a copy is too old is for the clock to say.
            .time_to_live(max_age.max(Duration::from_millis(1)))
            .build();
        Self { copies, max_age }
    }

    /// The copy of that name, if at `now` it is young enough and nothing was told of it since.
    pub(super) fn find(&self, key: &K, now: Moment) -> Option<V> {
        let copy = self.copies.get(key)?;
        copy.is_good(now, self.max_age).then_some(copy.value)
    }

    /// Keeps a copy by a look-up that began at `asked`.
    pub(super) fn keep(&self, key: &K, value: V, asked: Moment) {
        if !self.max_age.is_zero() {
            self.copies.insert(key.clone(), Copy { value, asked });
        }
    }

    /// Drops the copy of that name.
    pub(super) fn forget(&self, key: &K) {
        self.copies.invalidate(key);
    }

    /// Drops all.
    pub(super) fn clear(&self) {
        self.copies.invalidate_all();
    }

    /// How many copies there are, and their bytes.
    pub(super) fn size(&self) -> (u64, u64) {
        self.copies.run_pending_tasks();
        (self.copies.entry_count(), self.copies.weighted_size())
    }
}

impl<V> Copy<V> {
    fn is_good(&self, now: Moment, max_age: Duration) -> bool {
        // A clock that was set back would keep it for longer.
        let in_order = self.asked.time <= now.time;
        in_order && now.time.since(self.asked.time) < max_age && self.asked.epoch == now.epoch
    }
}
