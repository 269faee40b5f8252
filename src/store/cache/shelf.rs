//! Copies of one kind: bounded in memory, each with when it was taken.

use std::hash::RandomState;
use std::time::Duration;

use quick_cache::Weighter;
use quick_cache::sync::{Cache, DefaultLifecycle};

use super::epochs::{Epoch, Epochs};
use super::weight::ENTRY;
use crate::clock::UnixTime;

/// Copies by name. What is used stays; what is seldom used goes when there is no room.
pub(super) struct Shelf<V> {
    copies: Cache<Box<str>, Copy<V>, Weight, RandomState>,
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
    /// In bytes.
    weight: usize,
}

/// What a copy says that it weighs.
#[derive(Clone)]
struct Weight;

// === impl Shelf ===

impl<V: Clone> Shelf<V> {
    /// Keeps copies that may be used for `max_age`, and not more than `max_bytes` of them by what [`keep`](Self::keep) is
    /// told.
    pub(super) fn new(max_bytes: u64, max_age: Duration) -> Self {
        let most = usize::try_from(max_bytes).unwrap_or(usize::MAX) / ENTRY;
        let copies = Cache::with(
            most,
            max_bytes,
            Weight,
            RandomState::new(),
            DefaultLifecycle::default(),
        );
        Self { copies, max_age }
    }

    /// The copy of that name, if at `now` it is young enough and nothing was told of it since.
    pub(super) fn find(&self, name: &str, now: UnixTime, epochs: &Epochs) -> Option<V> {
        let copy = self.copies.get(name)?;
        copy.is_good(now, self.max_age, epochs)
            .then_some(copy.value)
    }

    /// Keeps a copy by a look-up that began at `asked`, and that takes `weight` bytes.
    pub(super) fn keep(&self, name: &str, value: V, asked: Moment, weight: usize) {
        if !self.max_age.is_zero() {
            self.copies.insert(
                name.into(),
                Copy {
                    value,
                    asked,
                    weight,
                },
            );
        }
    }

    /// Drops the copy of that name.
    pub(super) fn forget(&self, name: &str) {
        self.copies.remove(name);
    }

    /// Drops what will not be used any more after `now`.
    pub(super) fn sweep(&self, now: UnixTime, epochs: &Epochs) {
        self.copies
            .retain(|_, copy| copy.is_good(now, self.max_age, epochs));
    }

    /// Drops all.
    pub(super) fn clear(&self) {
        self.copies.clear();
    }

    /// How many copies there are, and their bytes.
    pub(super) fn size(&self) -> (u64, u64) {
        (
            u64::try_from(self.copies.len()).unwrap_or(u64::MAX),
            self.copies.weight(),
        )
    }
}

impl<V> Copy<V> {
    fn is_good(&self, now: UnixTime, max_age: Duration, epochs: &Epochs) -> bool {
        // A clock that was set back would keep it for longer.
        let in_order = self.asked.time <= now;
        in_order && now.since(self.asked.time) < max_age && epochs.is_now(self.asked.epoch)
    }
}

impl<V> Weighter<Box<str>, Copy<V>> for Weight {
    fn weight(&self, _name: &Box<str>, copy: &Copy<V>) -> u64 {
        u64::try_from(copy.weight).unwrap_or(u64::MAX)
    }
}
