//! How consumers, users and their credentials are written: one JSON object each, with a version, secrets sealed.
//!
//! Both stores write the same bytes. The types of [`crate::model`] do not serialize themselves, so that a secret can
//! not leave this process by accident. A record that is not exactly what this version writes is not read: neither
//! guessing at an unknown field nor dropping it at the next change is safe.

mod consumer;
mod request_token;
mod session;
mod token;
mod user;

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use super::dummy::Dummies;
use super::seal::Sealer;
use super::{StoreError, StoreErrorKind};
use crate::model::{AccessToken, Consumer, ConsumerKey, Token, UserId, UserStanding};

/// Writes and reads records.
pub(super) struct Records {
    sealer: Sealer,
    dummies: OnceLock<Option<Dummies>>,
}

/// What every version of a record has.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

// === impl Records ===

impl Records {
    /// Records whose secrets `sealer` seals.
    pub(super) fn new(sealer: Sealer) -> Self {
        Self {
            sealer,
            dummies: OnceLock::new(),
        }
    }

    /// Reads the consumer that a look-up of `key` found; where it found nothing, as much is read for nothing.
    pub(super) fn found_consumer(
        &self,
        key: &ConsumerKey,
        bytes: Option<&[u8]>,
    ) -> Result<Option<Consumer>, StoreError> {
        if let Some(bytes) = bytes {
            return self.decode_consumer(key, bytes).map(Some);
        }
        self.dummies()
            .map_or(Ok(()), |dummies| dummies.read_consumer(self))?;
        Ok(None)
    }

    /// Reads the token that a look-up of `token` found, as [`found_consumer`](Self::found_consumer) does.
    pub(super) fn found_token(
        &self,
        token: &Token,
        bytes: Option<&[u8]>,
    ) -> Result<Option<AccessToken>, StoreError> {
        if let Some(bytes) = bytes {
            return self.decode_token(token, bytes).map(Some);
        }
        self.dummies()
            .map_or(Ok(()), |dummies| dummies.read_token(self))?;
        Ok(None)
    }

    /// Reads the standing of the user whom a look-up found, as [`found_consumer`](Self::found_consumer) does.
    pub(super) fn found_standing(
        &self,
        found: Option<(&UserId, &[u8])>,
    ) -> Result<UserStanding, StoreError> {
        if let Some((id, bytes)) = found {
            return Self::decode_standing(id, bytes);
        }
        self.dummies().map_or(Ok(()), Dummies::read_standing)?;
        Ok(UserStanding::default())
    }

    /// A random id of one attempt to change something.
    pub(super) fn draw_id(&self) -> u128 {
        self.sealer.draw_id()
    }

    /// Makes a record that may be without a sealed secret unlike every other, also one that says the same: bytes that are
    /// found where they were to be written were written by the same call.
    fn mark(&self) -> u64 {
        u64::try_from(self.draw_id() >> u64::BITS).unwrap_or_default()
    }

    fn dummies(&self) -> Option<&Dummies> {
        self.dummies.get_or_init(|| Dummies::write(self)).as_ref()
    }
}

/// Reads a record; of one that it can not read it says the version, if that is the reason.
fn parse<'r, T: Deserialize<'r>>(bytes: &'r [u8]) -> Result<T, StoreError> {
    serde_json::from_slice(bytes).map_err(|error| {
        if let Ok(Versioned { version }) = serde_json::from_slice(bytes)
            && let Err(newer) = check_version(version)
        {
            return newer;
        }
        // serde_json quotes what it read, so only the place is passed on.
        unreadable(format!(
            "it is not a record of version {VERSION} (line {}, column {})",
            error.line(),
            error.column()
        ))
    })
}

fn check_version(version: u32) -> Result<(), StoreError> {
    if (OLDEST_VERSION..=VERSION).contains(&version) {
        return Ok(());
    }
    Err(unreadable(format!(
        "it is of version {version}, this release reads versions {OLDEST_VERSION} to {VERSION}; run the release that wrote it"
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

/// The version of the records that are written. Version 2 added `verified`, the generations, and what a consumer's answers
/// tell it; of a record of version 1 they are what [`Default`] says.
const VERSION: u32 = 2;

/// The oldest version that is read.
const OLDEST_VERSION: u32 = 1;

#[cfg(test)]
mod tests;

#[cfg(test)]
pub(super) mod version_1;
