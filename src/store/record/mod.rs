//! The stored form of consumers, users and their credentials: one JSON object each, with a version
//! and sealed secrets.
//!
//! Both stores write the same bytes. The types of [`crate::model`] do not serialize themselves, so
//! that no secret leaves this process by accident. A record that differs from the format of this
//! version is not read: it is not safe to guess the meaning of an unknown field, nor to lose it at
//! the next update.

mod consumer;
mod dummy;
mod look_up;
mod request_token;
mod session;
mod token;
mod user;

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use self::dummy::DummyRecords;
use super::seal::Sealer;
use super::{StoreError, StoreErrorKind};

/// The writer and reader of records.
pub(super) struct Records {
    sealer: Sealer,
    /// Written at their first use; `None` if they cannot be sealed.
    dummies: OnceLock<Option<DummyRecords>>,
}

/// The field that a record has in every version.
#[derive(Deserialize)]
struct RecordVersion {
    version: u32,
}

// === impl Records ===

impl Records {
    /// Returns a writer and reader that seals secrets with `sealer`.
    pub(super) fn new(sealer: Sealer) -> Self {
        Self {
            sealer,
            dummies: OnceLock::new(),
        }
    }

    /// Draws a random id for one attempt to change a record.
    pub(super) fn draw_id(&self) -> u128 {
        self.sealer.draw_id()
    }

    /// Draws a number that makes the bytes of a record unique even if it has no sealed secret.
    ///
    /// So a call that finds the bytes that it is about to write knows that an earlier attempt of
    /// its own wrote them.
    fn mark(&self) -> u64 {
        u64::try_from(self.draw_id() >> u64::BITS).unwrap_or_default()
    }
}

/// Parses a record. If it has another version, the error names that version.
fn parse<'r, T: Deserialize<'r>>(bytes: &'r [u8]) -> Result<T, StoreError> {
    serde_json::from_slice(bytes).map_err(|error| {
        if let Ok(RecordVersion { version }) = serde_json::from_slice(bytes)
            && let Err(other_version) = check_version(version)
        {
            return other_version;
        }
        // The message of serde_json quotes the record, so only the position is passed on.
        unreadable(format!(
            "it is not a record of version {VERSION} (line {}, column {})",
            error.line(),
            error.column()
        ))
    })
}

fn check_version(version: u32) -> Result<(), StoreError> {
    if version == VERSION {
        return Ok(());
    }
    Err(unreadable(format!(
        "it has version {version}, and this release reads version {VERSION}; run the release that wrote it"
    )))
}

fn write(record: &impl Serialize) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(record).map_err(unwritable)
}

fn unreadable(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::new(StoreErrorKind::Unreadable, "reading a record").because(source)
}

fn unwritable(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::new(StoreErrorKind::Unusable, "writing a record").because(source)
}

/// The version of the records that this release reads and writes. Development versions used 1 and 2.
const VERSION: u32 = 3;

#[cfg(test)]
mod tests;
