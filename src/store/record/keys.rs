//! Replacement of the master keys while the store is in use.

use std::sync::Arc;

use tracing::info;

use super::Records;
use super::own::OwnRecords;
use crate::store::StoreError;
use crate::store::master_key::MasterKeys;

impl Records {
    /// Returns an error if `keys` do not open the canary of the store, as it was seen last.
    pub(in crate::store) fn check_keys(&self, keys: &MasterKeys) -> Result<(), StoreError> {
        self.key_proof.check_keys(keys)
    }

    /// Seals and opens with `keys` from now on. A call that began before finishes with the former
    /// ones.
    pub(in crate::store) fn use_keys(&self, keys: MasterKeys) {
        let new = format!("{keys:?}");
        let former = self.sealer.replace_keys(keys);
        // After the keys, so that no own record is sealed with a former key and kept.
        self.own.store(Arc::new(OwnRecords::default()));
        if let Some(canary) = self.key_proof.seen() {
            // The result is the state that `writer` reads.
            drop(self.prove_key_of(&canary));
        }
        let former = format!("{former:?}");
        if new != former {
            info!(
                keys = new,
                former, "the master keys changed; the first one seals records from now on"
            );
        }
    }
}
