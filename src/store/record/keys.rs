//! Replacement of the master keys while the store is in use.

use std::sync::Arc;

use tracing::info;

use super::Records;
use super::canary::wrong_key;
use super::own::OwnRecords;
use crate::store::StoreError;
use crate::store::master_key::MasterKeys;

/// The reason for which other master keys would leave records unreadable, and the remedy.
#[derive(Debug, thiserror::Error)]
enum KeyLoss {
    #[error(
        "the master key file has another key of the id {0:?} than before; put the former line back, and give a new key its own id, as `countersign keygen` does; if the former line was wrong, restart"
    )]
    OtherKeyOfThatId(Box<str>),
    #[error(
        "the master key file lacks the key {0:?}, which seals records now; put its line back after the others, run `countersign rekey`, and then remove the line"
    )]
    OfFirstKey(Box<str>),
    #[error(
        "the master key file lacks {keys}, and {records} records are under other keys than the first one; run `countersign rekey` and wait until countersign_store_records_under_old_keys is 0, or put the lines back"
    )]
    OfRecords { keys: String, records: u64 },
    #[error(
        "the master key file lacks {0}, and the records under other keys than the first one are not counted yet; run `countersign rekey` and wait until countersign_store_records_under_old_keys is 0, or put the lines back"
    )]
    NotCounted(String),
}

impl Records {
    /// Returns an error if `keys` do not open the canary of the store, as it was seen last, or not
    /// every record that the keys in use open.
    pub(in crate::store) fn check_keys(&self, keys: &MasterKeys) -> Result<(), StoreError> {
        self.key_proof.check_keys(keys)?;
        // Keys that do not open the canary are a mistake, which `keys` correct.
        if !self.is_key_proven() {
            return Ok(());
        }
        let current = self.sealer.keys();
        if let Some(id) = current.id_of_another_key_in(keys) {
            return Err(wrong_key(KeyLoss::OtherKeyOfThatId(id.into())));
        }
        self.check_removal(&current, keys)
    }

    /// Returns an error unless no record is under a key that `keys` lack. Asks for a count if that
    /// may help.
    fn check_removal(&self, current: &MasterKeys, keys: &MasterKeys) -> Result<(), StoreError> {
        let removed = current.ids_not_in(keys);
        if removed.is_empty() {
            return Ok(());
        }
        let first = current.sealing().id();
        if removed.contains(&first) {
            return Err(wrong_key(KeyLoss::OfFirstKey(first.into())));
        }
        let keys = removed.join(", ");
        let loss = match self.under_old_keys() {
            Some(0) => return Ok(()),
            Some(records) => KeyLoss::OfRecords { keys, records },
            None => KeyLoss::NotCounted(keys),
        };
        self.want_census();
        Err(wrong_key(loss))
    }

    /// Seals and opens with `keys` from now on. A call that began before finishes with the former
    /// ones.
    pub(in crate::store) fn use_keys(&self, keys: MasterKeys) {
        let new = format!("{keys:?}");
        let former = self.sealer.replace_keys(keys);
        // After the keys, so that no own record is sealed with a former key and kept.
        self.own.store(Arc::new(OwnRecords::default()));
        self.prove_key_again();
        let former = format!("{former:?}");
        if new != former {
            info!(
                keys = new,
                former, "the master keys changed; the first one seals records from now on"
            );
        }
    }
}
