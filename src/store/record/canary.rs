//! The canary: a record without content that proves that a replica has the master key of the
//! others.
//!
//! The first process that uses a store seals it. Every other process opens it before it writes its
//! first record, and, with Redis, in each synthetic check. A replica with another key cannot open
//! it. Other replicas could not read what it writes, so [`Records::writer`] refuses it.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{RecordKind, Records};
use crate::store::master_key::MasterKeys;
use crate::store::seal::{SealError, open_with};
use crate::store::{StoreError, StoreErrorKind};

/// The key that sealed a canary that opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a canary under an older key is sealed anew"]
pub(in crate::store) enum CanarySeal {
    /// The first key of the file, which seals records.
    FirstKey,
    /// Another key of the file, while the keys are rotated.
    OlderKey,
}

/// The outcome of the last comparison of the master keys with the canary.
#[derive(Default)]
pub(super) struct KeyProof {
    state: AtomicU8,
    /// The canary of the store at the last comparison. Held while it is compared, so that `state` is
    /// the outcome with the current keys.
    seen: Mutex<Option<Arc<[u8]>>>,
}

/// The reason for which the canary does not open, and the remedy.
#[derive(Debug, thiserror::Error)]
enum CanaryError {
    #[error(
        "the store was written with the master key {0:?}, which is not in the file that store.master_key_file names; use the key file of the other replicas, or add the line of that key"
    )]
    OtherKey(Box<str>),
    #[error(
        "the store was written with a master key of the id {0:?}, and the file that store.master_key_file names has another key of that id; use the key file of the other replicas"
    )]
    OtherKeyOfThatId(Box<str>),
    #[error(
        "the record that proves the master key is damaged ({0}); if store.master_key_file names the right file, delete the key countersign:{{canary}}"
    )]
    Damaged(SealError),
}

// === impl Records ===

impl Records {
    /// Returns the canary of this process, the same at each call.
    pub(in crate::store) fn own_canary(&self) -> Result<Box<[u8]>, StoreError> {
        self.own.load().canary(self)
    }

    /// Compares the master keys with the canary of the store.
    ///
    /// # Errors
    /// [`WrongMasterKey`](StoreErrorKind::WrongMasterKey) if no key opens it. Until one does,
    /// [`writer`](Self::writer) refuses.
    pub(in crate::store) fn prove_key(&self, canary: &[u8]) -> Result<CanarySeal, StoreError> {
        let mut seen = self.key_proof.lock();
        if seen.as_deref() != Some(canary) {
            *seen = Some(canary.into());
        }
        self.compare(canary)
    }

    /// Notes a record that this process sealed anew. A new canary counts at once, so that a key file
    /// without the former keys is accepted.
    pub(in crate::store) fn note_resealed(&self, kind: RecordKind, sealed: &[u8]) {
        if kind == RecordKind::Canary {
            // The result is the state that `writer` reads.
            drop(self.prove_key(sealed));
        }
    }

    /// Compares the master keys, which were replaced, with the canary that was seen last.
    pub(super) fn prove_key_again(&self) {
        let seen = self.key_proof.lock();
        if let Some(canary) = &*seen {
            // The result is the state that `writer` reads.
            drop(self.compare(canary));
        }
    }

    /// Compares the master keys with a canary, while it is locked.
    fn compare(&self, canary: &[u8]) -> Result<CanarySeal, StoreError> {
        let opened = self.sealer.open(canary, RecordKind::Canary.named(b""));
        self.key_proof
            .set(if opened.is_ok() { PROVEN } else { REFUSED });
        opened.map_err(|problem| wrong_key(CanaryError::of(problem)))?;
        Ok(if self.sealer.is_sealed_with_the_first_key(canary) {
            CanarySeal::FirstKey
        } else {
            CanarySeal::OlderKey
        })
    }

    /// Returns `true` if the master keys opened the canary at the last comparison.
    pub(in crate::store) fn is_key_proven(&self) -> bool {
        self.key_proof.get() == PROVEN
    }

    /// Returns `true` if the canary of the store was compared with the current master keys, and
    /// sealed anew if that was due.
    pub(in crate::store) fn is_canary_settled(&self) -> bool {
        self.own.load().is_settled()
    }

    /// Notes that the canary of the store was compared, and sealed as `own` if that was due.
    pub(in crate::store) fn settle_canary(&self, own: &[u8]) {
        self.own.load().settle(own);
    }
}

// === impl KeyProof ===

impl KeyProof {
    /// Returns an error unless the key was proven.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        match self.get() {
            PROVEN => Ok(()),
            REFUSED => Err(wrong_key("it did not open the canary of the store")),
            _ => Err(StoreError::new(StoreErrorKind::Unavailable, PROVING)
                .because("the store has not answered since the start; try again")),
        }
    }

    /// Returns an error if `keys` do not open the canary that was seen last. If the store has not
    /// answered yet, the first comparison decides.
    pub(super) fn check_keys(&self, keys: &MasterKeys) -> Result<(), StoreError> {
        let Some(canary) = self.lock().clone() else {
            return Ok(());
        };
        open_with(keys, &canary, RecordKind::Canary.named(b""))
            .map(drop)
            .map_err(|problem| wrong_key(CanaryError::of(problem)))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<[u8]>>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self) -> u8 {
        self.state.load(Ordering::Acquire)
    }

    fn set(&self, state: u8) {
        self.state.store(state, Ordering::Release);
    }
}

// === impl CanaryError ===

impl CanaryError {
    fn of(problem: SealError) -> Self {
        match problem {
            SealError::UnknownKey(id) => Self::OtherKey(id),
            SealError::Refused(id) => Self::OtherKeyOfThatId(id),
            SealError::UnknownVersion(_) | SealError::NotSealed | SealError::TooLong => {
                Self::Damaged(problem)
            }
        }
    }
}

pub(super) fn wrong_key(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::new(StoreErrorKind::WrongMasterKey, PROVING).because(source)
}

const PROVING: &str = "comparing the master key with the store";

const PROVEN: u8 = 1;
const REFUSED: u8 = 2;
