//! The number of records under old master keys, as it was last counted.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Records;

/// The last count.
#[derive(Default)]
pub(super) struct LastCensus {
    /// The count, and the ids of the master keys at that time.
    last: Mutex<Option<(Vec<Box<str>>, u64)>>,
    /// True if somebody waits for the next one.
    is_wanted: AtomicBool,
}

impl Records {
    /// Notes the number of records under old keys, counted while the master keys were `keys`.
    pub(in crate::store) fn note_census(&self, keys: &[Box<str>], under_old_keys: u64) {
        let last = &mut *self.census.lock();
        *last = Some((keys.to_vec(), under_old_keys));
        self.census.is_wanted.store(false, Ordering::Relaxed);
    }

    /// Asks for a count soon.
    pub(super) fn want_census(&self) {
        self.census.is_wanted.store(true, Ordering::Relaxed);
    }

    /// Returns `true` if a count was asked for and none has ended since.
    pub(in crate::store) fn is_census_wanted(&self) -> bool {
        self.census.is_wanted.load(Ordering::Relaxed)
    }

    /// Returns the number of records under old keys: 0 if there is one key, and `None` if nobody has
    /// counted with these keys.
    pub(in crate::store) fn under_old_keys(&self) -> Option<u64> {
        let keys = self.master_key_ids();
        if keys.len() == 1 {
            return Some(0);
        }
        let last = self.census.lock();
        let (counted_with, count) = last.as_ref()?;
        (*counted_with == keys).then_some(*count)
    }
}

impl LastCensus {
    fn lock(&self) -> MutexGuard<'_, Option<(Vec<Box<str>>, u64)>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
