//! A table of cached records of one kind: bounded in memory, each entry with the start of its
//! lookup.

use std::hash::RandomState;
use std::time::Duration;

use quick_cache::Weighter;
use quick_cache::sync::{Cache, DefaultLifecycle};

use super::epochs::{EpochTable, RecordEpoch};
use super::weight::ENTRY;
use crate::clock::UnixTime;

/// Cached values by name. If there is no room, rarely used entries are evicted first.
pub(super) struct CacheTable<V> {
    entries: Cache<Box<str>, CacheEntry<V>, EntryWeighter, RandomState>,
    max_age: Duration,
}

/// The start of a lookup: its time, and the changes that had been announced by then.
#[derive(Clone, Copy, Debug)]
pub(super) struct LookupStart {
    pub(super) time: UnixTime,
    pub(super) epoch: RecordEpoch,
}

#[derive(Clone)]
struct CacheEntry<V> {
    value: V,
    start: LookupStart,
    /// The weight in bytes.
    weight: usize,
}

/// Reads the weight of an entry.
#[derive(Clone)]
struct EntryWeighter;

// === impl CacheTable ===

impl<V: Clone> CacheTable<V> {
    /// Returns a table whose entries are valid for `max_age` and weigh at most `max_bytes`
    /// together, by the weights given to [`insert`](Self::insert).
    pub(super) fn new(max_bytes: u64, max_age: Duration) -> Self {
        let max_entries = usize::try_from(max_bytes).unwrap_or(usize::MAX) / ENTRY;
        let entries = Cache::with(
            max_entries,
            max_bytes,
            EntryWeighter,
            RandomState::new(),
            DefaultLifecycle::default(),
        );
        Self { entries, max_age }
    }

    /// Returns the value of that name if it is valid at `now`.
    pub(super) fn find(&self, name: &str, now: UnixTime, epochs: &EpochTable) -> Option<V> {
        self.find_up_to(name, now, self.max_age, epochs)
    }

    /// Returns the value of that name if it is younger than `max_age` at `now`, and unchanged.
    pub(super) fn find_up_to(
        &self,
        name: &str,
        now: UnixTime,
        max_age: Duration,
        epochs: &EpochTable,
    ) -> Option<V> {
        let entry = self.entries.get(name)?;
        entry.is_valid(now, max_age, epochs).then_some(entry.value)
    }

    /// Caches the result of a lookup that began at `start`, and that takes `weight` bytes.
    pub(super) fn insert(&self, name: &str, value: V, start: LookupStart, weight: usize) {
        if !self.max_age.is_zero() {
            let entry = CacheEntry {
                value,
                start,
                weight,
            };
            self.entries.insert(name.into(), entry);
        }
    }

    /// Removes the value of that name.
    pub(super) fn remove(&self, name: &str) {
        self.entries.remove(name);
    }

    /// Removes all values that are older than `max_age` at `now`, or changed.
    pub(super) fn sweep(&self, now: UnixTime, max_age: Duration, epochs: &EpochTable) {
        self.entries
            .retain(|_, entry| entry.is_valid(now, max_age, epochs));
    }

    /// Removes all values.
    pub(super) fn clear(&self) {
        self.entries.clear();
    }

    /// Returns the number of entries, and their weight in bytes.
    pub(super) fn size(&self) -> (u64, u64) {
        (
            u64::try_from(self.entries.len()).unwrap_or(u64::MAX),
            self.entries.weight(),
        )
    }
}

impl<V> CacheEntry<V> {
    /// Returns `true` if the entry is young enough and no change was announced since its lookup
    /// began.
    fn is_valid(&self, now: UnixTime, max_age: Duration, epochs: &EpochTable) -> bool {
        // If the clock was set back, an entry from the future would be valid for too long.
        let in_order = self.start.time <= now;
        in_order && now.since(self.start.time) < max_age && epochs.is_current(self.start.epoch)
    }
}

impl<V> Weighter<Box<str>, CacheEntry<V>> for EntryWeighter {
    fn weight(&self, _name: &Box<str>, entry: &CacheEntry<V>) -> u64 {
        u64::try_from(entry.weight).unwrap_or(u64::MAX)
    }
}
