//! The number of records under old master keys, as it was last counted.

use std::sync::{Mutex, PoisonError};

use super::Records;

/// The last count, and the ids of the master keys at that time.
#[derive(Default)]
pub(super) struct LastCensus(Mutex<Option<(Vec<Box<str>>, u64)>>);

impl Records {
    /// Notes the number of records under old keys, counted while the master keys were `keys`.
    pub(in crate::store) fn note_census(&self, keys: &[Box<str>], under_old_keys: u64) {
        let last = &mut *self.census.lock();
        *last = Some((keys.to_vec(), under_old_keys));
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
    fn lock(&self) -> std::sync::MutexGuard<'_, Option<(Vec<Box<str>>, u64)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
