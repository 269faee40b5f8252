//! The records that this process seals for itself: dummies, and its canary.
//!
//! They are sealed at their first use, and again after the master keys were replaced, since the new
//! keys may not open the old ones.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use super::dummy::{self, DummyRecords};
use super::{RecordKind, Records, unwritable};
use crate::store::StoreError;

/// The own records under one set of master keys.
#[derive(Default)]
pub(super) struct OwnRecords {
    /// `None` if they cannot be sealed.
    dummies: OnceLock<Option<DummyRecords>>,
    canary: OnceLock<Box<[u8]>>,
    /// The canary of the store needs no new seal, or has got one.
    is_settled: AtomicBool,
}

impl OwnRecords {
    /// Returns the dummies.
    pub(super) fn dummies(&self, records: &Records) -> Option<&DummyRecords> {
        self.dummies
            .get_or_init(|| write_dummies(records).ok())
            .as_ref()
    }

    /// Returns the canary, the same bytes at each call: a process that may write it twice writes
    /// the same.
    pub(super) fn canary(&self, records: &Records) -> Result<Box<[u8]>, StoreError> {
        if let Some(canary) = self.canary.get() {
            return Ok(canary.clone());
        }
        let sealed = records
            .unproven_writer()
            .seal(RecordKind::Canary, b"", &())?;
        Ok(self.canary.get_or_init(|| sealed.into()).clone())
    }

    /// Notes that the canary of the store was compared, and sealed anew if that was due. `own` is
    /// the canary that a new seal would have; another one belongs to keys that were replaced.
    pub(super) fn settle(&self, own: &[u8]) {
        if self.canary.get().is_some_and(|canary| **canary == *own) {
            self.is_settled.store(true, Ordering::Release);
        }
    }

    /// Returns `true` if the canary of the store was compared, and sealed anew if that was due.
    pub(super) fn is_settled(&self) -> bool {
        self.is_settled.load(Ordering::Acquire)
    }
}

fn write_dummies(records: &Records) -> Result<DummyRecords, StoreError> {
    let writer = records.unproven_writer();
    let consumer = dummy::consumer().map_err(unwritable)?;
    let token = dummy::token(&consumer.key).map_err(unwritable)?;
    let user = dummy::user().map_err(unwritable)?;
    Ok(DummyRecords {
        consumer: (consumer.key.clone(), writer.encode_consumer(&consumer)?),
        token: (token.token.clone(), writer.encode_token(&token)?),
        user: (user.id.clone(), writer.encode_user(&user)?),
    })
}
