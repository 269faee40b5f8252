//! The scan of every sealed record of a store, for the rotation of master keys and for backups.
//!
//! A scan reads one bounded page after the other, so that checks go on meanwhile. It lists every
//! record that exists from its first page to its last at least once, and possibly twice. A record
//! that is created, changed or deleted during the scan may be listed or not, in any of its versions.

use std::fmt;

use async_trait::async_trait;

use super::StoreError;
use super::record::RecordKind;
use super::seal::key_id_of;

/// Lists the sealed records, and seals them again.
#[async_trait]
pub trait RecordScan: Send + Sync {
    /// Lists a page of records, about `limit` and perhaps none.
    ///
    /// # Errors
    /// [`Unavailable`](super::StoreErrorKind::Unavailable) also if the servers behind the store
    /// change too often for a scan to end.
    async fn scan(&self, from: &ScanCursor, limit: usize) -> Result<ScanPage, StoreError>;

    /// Seals records with the first master key, each only if it still has the bytes that the scan
    /// listed. Content, revision and expiry stay, and nothing is announced. Returns an outcome for
    /// each record, in their order.
    ///
    /// # Errors
    /// If the store fails; some of the records may be sealed again then.
    async fn reseal(&self, records: &[SealedRecord]) -> Result<Vec<ResealOutcome>, StoreError>;

    /// Returns the ids of the master keys in the order of their file: the first one seals.
    fn master_key_ids(&self) -> Vec<Box<str>>;

    /// Opens a record; returns the reason for which it cannot be read, for an operator.
    fn problem_of(&self, record: &SealedRecord) -> Option<String>;

    /// Notes how many records other keys than the first one seal, for
    /// [`StoreStatus`](super::StoreStatus). The number counts as long as the master keys are `keys`.
    fn note_census(&self, keys: &[Box<str>], under_old_keys: u64);

    /// Returns `true` if the removal of a master key waits for a count.
    fn is_census_wanted(&self) -> bool;
}

/// The position in a scan from which the next page starts; by default the beginning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScanCursor(pub(super) ScanPosition);

/// The position, as the stores keep it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum ScanPosition {
    #[default]
    Start,
    /// Among the records of a kind, after that name.
    Record {
        kind: RecordKind,
        name: Option<Vec<u8>>,
    },
    /// Within the keys of a server.
    Server(ServerPosition),
}

/// A position in the keys of several servers, which are scanned one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ServerPosition {
    /// The servers at the beginning of the scan. If they are others at its end, keys may have moved
    /// past it.
    pub(super) servers: String,
    /// The number of the server.
    pub(super) server: usize,
    /// The cursor that the server returned.
    pub(super) cursor: u64,
    /// The number of times that the scan began again.
    pub(super) restarts: u32,
}

/// A page of a scan.
#[derive(Debug)]
pub struct ScanPage {
    /// The records.
    pub records: Vec<SealedRecord>,
    /// The start of the next page; `None` after the last one.
    pub next: Option<ScanCursor>,
}

/// A sealed record as it is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedRecord {
    /// The kind of the record.
    pub kind: RecordKind,
    /// The name to which the record is bound: the consumer key, the token, the user id, or the bytes
    /// of the session id. The canary has none.
    pub name: Vec<u8>,
    /// The stored bytes; empty if something other than a record is stored in its place.
    pub bytes: Vec<u8>,
    /// The place of the record, if its kind and its name do not tell it.
    pub(super) key: Option<String>,
}

/// The outcome of sealing a record again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResealOutcome {
    /// The first master key seals the record.
    Resealed,
    /// The record was changed or deleted since it was listed, and stays as it is. A change seals it
    /// with the first key of the replica that made it.
    Changed,
    /// The record does not open, for this reason, and stays as it is.
    Unreadable(String),
}

// === impl SealedRecord ===

impl SealedRecord {
    /// Returns the id of the master key that sealed the record; `None` if it is not a sealed record
    /// of this release.
    pub fn key_id(&self) -> Option<&str> {
        key_id_of(&self.bytes)
    }
}

impl fmt::Debug for SealedRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedRecord")
            .field("kind", &self.kind)
            .field("bytes", &self.bytes.len())
            .finish_non_exhaustive()
    }
}
