//! The stored form of consumers, users and their credentials: one JSON object each, sealed as a
//! whole.
//!
//! Both stores write the same bytes. The types of [`crate::model`] do not serialize themselves, so
//! that no secret leaves this process by accident. A record that differs from the format of this
//! version is not read: it is not safe to guess the meaning of an unknown field, nor to lose it at
//! the next update.
//!
//! # Security
//! A record is one sealed message, bound to its kind and its name ([`seal`](super::seal)). So every
//! field that decides — status, scopes, the consumer and the user of a token, generations, expiry —
//! is as safe from an attacker with write access to the store as the secrets are. Sealing was
//! preferred to readable JSON with a tag: names, addresses and screen names are personal data, a
//! record is opened once instead of once for each secret, and `countersign consumer show` reads
//! what `redis-cli` no longer does. Keys, indexes and reservations are not sealed; readers compare
//! them with the records.
//!
//! A record that does not open is a failure of ours
//! ([`Unreadable`](StoreErrorKind::Unreadable)), never an absent record. Lists skip it, so that one
//! damaged record does not hide the others, log a warning and count it.

mod backup;
mod canary;
mod consumer;
mod dummy;
mod keys;
mod last_census;
mod look_up;
mod own;
mod request_token;
mod secret_text;
mod session;
mod token;
mod user;

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tracing::warn;
use zeroize::Zeroizing;

use self::canary::KeyProof;
use self::last_census::LastCensus;
use self::own::OwnRecords;
use super::seal::{RecordName, SealError, Sealer};
use super::{StoreError, StoreErrorKind};

pub(super) use canary::CanarySeal;

/// The reader of records, and the place to get their writer from.
pub(super) struct Records {
    sealer: Sealer,
    own: ArcSwap<OwnRecords>,
    key_proof: KeyProof,
    skipped: AtomicU64,
    census: LastCensus,
}

/// The writer of records.
pub(super) struct RecordWriter<'r> {
    sealer: &'r Sealer,
}

/// The kinds of records. The record of one kind never opens as one of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordKind {
    /// A consumer.
    Consumer,
    /// An access token.
    Token,
    /// A user.
    User,
    /// Temporary credentials.
    RequestToken,
    /// A session.
    Session,
    /// The record that proves the master key.
    Canary,
}

/// The reason for which a record cannot be opened or written.
#[derive(Debug, thiserror::Error)]
#[error("the record of {kind}: {problem}")]
struct RecordError {
    kind: RecordKind,
    problem: SealError,
}

// === impl Records ===

impl Records {
    /// Returns a reader and writer that seals records with `sealer`.
    pub(super) fn new(sealer: Sealer) -> Self {
        Self {
            sealer,
            own: ArcSwap::default(),
            key_proof: KeyProof::default(),
            skipped: AtomicU64::new(0),
            census: LastCensus::default(),
        }
    }

    /// Returns the writer.
    ///
    /// # Errors
    /// If the master key was not yet compared with the store, or is not the one that the store was
    /// written with: other replicas could not read the record.
    pub(super) fn writer(&self) -> Result<RecordWriter<'_>, StoreError> {
        self.key_proof.check()?;
        Ok(self.unproven_writer())
    }

    /// Draws a random id for one attempt to change a record.
    pub(super) fn draw_id(&self) -> u128 {
        self.sealer.draw_id()
    }

    /// Returns what a list shows of a record: nothing if it cannot be read, which is logged and
    /// counted. `name` is that of the record, if it has one.
    pub(super) fn listed<T>(
        &self,
        kind: RecordKind,
        name: Option<&dyn fmt::Display>,
        read: Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        match read {
            Ok(record) => Ok(Some(record)),
            Err(error) if error.kind() == StoreErrorKind::Unreadable => {
                self.skipped.fetch_add(1, Ordering::Relaxed);
                warn!(
                    name = name.map(tracing::field::display),
                    error = &error as &dyn std::error::Error,
                    "a list does not show the record of {kind}, because it cannot be read"
                );
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Returns the number of records and index entries that lists skipped.
    pub(super) fn skipped(&self) -> u64 {
        self.skipped.load(Ordering::Relaxed)
    }

    fn unproven_writer(&self) -> RecordWriter<'_> {
        RecordWriter {
            sealer: &self.sealer,
        }
    }

    /// Returns the ids of the master keys; the first one seals.
    pub(super) fn master_key_ids(&self) -> Vec<Box<str>> {
        self.sealer.key_ids()
    }

    /// Opens a record; returns the reason for which it cannot be read, for an operator.
    pub(super) fn problem_of(
        &self,
        kind: RecordKind,
        name: &[u8],
        sealed: &[u8],
    ) -> Option<String> {
        let opened = self.sealer.open(sealed, kind.named(name));
        opened.err().map(|problem| problem.to_string())
    }

    /// Opens the record and seals it with the first key.
    ///
    /// # Errors
    /// The reason for which it does not open, for an operator.
    pub(super) fn resealed(
        &self,
        kind: RecordKind,
        name: &[u8],
        sealed: &[u8],
    ) -> Result<Vec<u8>, String> {
        let name = kind.named(name);
        let resealed = self
            .sealer
            .open(sealed, name)
            .and_then(|opened| self.sealer.seal(&opened, name));
        resealed.map_err(|problem| problem.to_string())
    }

    /// Opens and parses the record with that kind and that name.
    fn open<T: DeserializeOwned>(
        &self,
        kind: RecordKind,
        name: &[u8],
        sealed: &[u8],
    ) -> Result<T, StoreError> {
        let opened = self.sealer.open(sealed, kind.named(name));
        let bytes = opened.map_err(|problem| unreadable(RecordError { kind, problem }))?;
        // The message of serde_json quotes the record, so only the position is passed on.
        serde_json::from_slice(&bytes).map_err(|error| {
            unreadable(format!(
                "the record of {kind} does not have the fields of this release (line {}, column {})",
                error.line(),
                error.column()
            ))
        })
    }
}

// === impl RecordWriter ===

impl RecordWriter<'_> {
    /// Writes and seals a record.
    ///
    /// The bytes are unique, so a call that finds the bytes that it is about to write knows that an
    /// earlier attempt of its own wrote them.
    fn seal(
        &self,
        kind: RecordKind,
        name: &[u8],
        record: &impl Serialize,
    ) -> Result<Vec<u8>, StoreError> {
        let bytes = json(record).map_err(unwritable)?;
        self.sealer
            .seal(&bytes, kind.named(name))
            .map_err(|problem| unwritable(RecordError { kind, problem }))
    }
}

// === impl RecordKind ===

impl RecordKind {
    /// Returns the name of the kind for programs.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Consumer => "consumer",
            Self::Token => "token",
            Self::User => "user",
            Self::RequestToken => "request_token",
            Self::Session => "session",
            Self::Canary => "canary",
        }
    }

    fn named(self, name: &[u8]) -> RecordName<'_> {
        RecordName {
            kind: self.bound_name(),
            name,
        }
    }

    /// Returns the name of the kind to which records are bound.
    pub(super) const fn bound_name(self) -> &'static str {
        match self {
            Self::Consumer => "consumer",
            Self::Token => "token",
            Self::User => "user",
            Self::RequestToken => "request-token",
            Self::Session => "session",
            Self::Canary => "canary",
        }
    }
}

impl fmt::Display for RecordKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Consumer => "a consumer",
            Self::Token => "a token",
            Self::User => "a user",
            Self::RequestToken => "temporary credentials",
            Self::Session => "a session",
            Self::Canary => "the canary",
        })
    }
}

/// Writes a record as JSON, in one piece of memory, so that all of it is wiped.
fn json(record: &impl Serialize) -> serde_json::Result<Zeroizing<Vec<u8>>> {
    let mut length = ByteCount(0);
    serde_json::to_writer(&mut length, record)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(length.0));
    serde_json::to_writer(&mut *bytes, record)?;
    Ok(bytes)
}

/// A counter of the bytes that are written to it.
struct ByteCount(usize);

impl io::Write for ByteCount {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns the error for a record that cannot be read.
pub(super) fn unreadable(
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> StoreError {
    StoreError::new(StoreErrorKind::Unreadable, "reading a record").because(source)
}

fn unwritable(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::new(StoreErrorKind::Unusable, "writing a record").because(source)
}

#[cfg(test)]
mod tests;
