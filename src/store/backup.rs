//! Backups: the header and the digest of an export, the records that it can restore, and the fence
//! of a restored store.
//!
//! An export has consumers, users and tokens as they are sealed in the store, so it is useless
//! without the master key. Each record is bound to its kind and its name. The digest of all of them
//! is sealed too: without the key, a record of an export cannot be removed, replaced by one of an
//! older export, or moved.

use std::fmt;

use async_trait::async_trait;
use sha2::{Digest as _, Sha256};

use super::{RecordKind, SealedRecord, StoreError};
use crate::clock::UnixTime;
use crate::model::{AccessToken, Consumer, User};

/// Seals exports, opens their records, and raises the fence for a restore.
#[async_trait]
pub trait BackupStore: Send + Sync {
    /// Returns the kind of the store: `embedded`, `memory` or `redis`.
    fn kind(&self) -> &'static str;

    /// Seals the digest of an export with the first master key.
    fn seal_digest(&self, digest: &[u8; 32]) -> Result<Vec<u8>, StoreError>;

    /// Opens the sealed digest of an export.
    ///
    /// # Errors
    /// If a server with another master key sealed it, or it was changed.
    fn open_digest(&self, sealed: &[u8]) -> Result<[u8; 32], UnusableRecord>;

    /// Opens a record of an export of any store.
    ///
    /// # Errors
    /// If its master key is not in the key file, it was changed, or exports have no records of its
    /// [kind](RecordKind::is_exported).
    fn open_record(&self, record: &SealedRecord) -> Result<RestorableRecord, UnusableRecord>;

    /// Raises the fence to this moment: every replica refuses timestamps up to it, also after a
    /// restart.
    ///
    /// # Security
    /// A restored store does not have the nonces of the store that was exported. Without a fence,
    /// requests that were signed before the restore pass again within the timestamp window.
    async fn raise_fence(&self) -> Result<(), StoreError>;
}

/// A record of an export, opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RestorableRecord {
    /// A consumer.
    Consumer(Consumer),
    /// A user.
    User(User),
    /// An access token.
    Token(AccessToken),
}

/// The reason why a record or the digest of an export cannot be used. Never carries a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct UnusableRecord {
    missing_key: Option<Box<str>>,
    problem: String,
}

/// The beginning of an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportHeader {
    /// The version of the format.
    pub format_version: u32,
    /// The time at which the export began.
    pub began_at: UnixTime,
    /// The kind of store.
    pub store: String,
    /// The ids of the master keys of the server; the first one seals.
    pub key_ids: Vec<String>,
}

/// The numbers of records that an export lacks because they cannot be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnreadableCounts {
    /// The number of consumers.
    pub consumers: u64,
    /// The number of users.
    pub users: u64,
    /// The number of tokens.
    pub tokens: u64,
}

/// The digest of an export: SHA-256 of its header, of every record in order, and of the numbers of
/// unreadable records.
#[derive(Clone)]
pub struct ExportDigest(Sha256);

// === impl RecordKind ===

impl RecordKind {
    /// Returns `true` for records that an export has. The others are short-lived, or belong to the
    /// store.
    pub const fn is_exported(self) -> bool {
        matches!(self, Self::Consumer | Self::User | Self::Token)
    }
}

// === impl SealedRecord ===

impl SealedRecord {
    /// Returns a record of an export.
    pub const fn exported(kind: RecordKind, name: Vec<u8>, bytes: Vec<u8>) -> Self {
        Self {
            kind,
            name,
            bytes,
            key: None,
        }
    }
}

// === impl UnusableRecord ===

impl UnusableRecord {
    /// Returns the error for something that does not open.
    pub(super) fn new(problem: impl fmt::Display) -> Self {
        Self {
            missing_key: None,
            problem: problem.to_string(),
        }
    }

    /// Returns the error for something that the key with that id sealed.
    pub(super) fn with_missing_key(id: &str, problem: impl fmt::Display) -> Self {
        Self {
            missing_key: Some(id.into()),
            problem: problem.to_string(),
        }
    }

    /// Returns the id of the master key that is not in the key file, if that is the reason.
    pub fn missing_key(&self) -> Option<&str> {
        self.missing_key.as_deref()
    }
}

// === impl ExportHeader ===

impl ExportHeader {
    /// The version of the format that this release writes, and the last one that it reads.
    pub const FORMAT_VERSION: u32 = 1;
}

// === impl UnreadableCounts ===

impl UnreadableCounts {
    /// Counts a record.
    pub const fn add(&mut self, kind: RecordKind) {
        match kind {
            RecordKind::Consumer => self.consumers += 1,
            RecordKind::User => self.users += 1,
            RecordKind::Token => self.tokens += 1,
            // No export has them.
            RecordKind::RequestToken | RecordKind::Session | RecordKind::Canary => {}
        }
    }

    /// Returns the number of records of all kinds.
    pub const fn total(&self) -> u64 {
        self.consumers
            .saturating_add(self.users)
            .saturating_add(self.tokens)
    }
}

// === impl ExportDigest ===

impl ExportDigest {
    /// Begins with a header.
    pub fn new(header: &ExportHeader) -> Self {
        let mut digest = Self(Sha256::new());
        digest.number(header.format_version.into());
        digest.number(header.began_at.as_millis());
        digest.part(header.store.as_bytes());
        digest.number(header.key_ids.len() as u64);
        for id in &header.key_ids {
            digest.part(id.as_bytes());
        }
        digest
    }

    /// Adds a record.
    pub fn add(&mut self, record: &SealedRecord) {
        self.part(record.kind.bound_name().as_bytes());
        self.part(&record.name);
        self.part(&record.bytes);
    }

    /// Ends with the numbers of unreadable records, and returns the digest.
    pub fn finish(mut self, unreadable: &UnreadableCounts) -> [u8; 32] {
        self.part(b"unreadable");
        self.number(unreadable.consumers);
        self.number(unreadable.users);
        self.number(unreadable.tokens);
        self.0.finalize().into()
    }

    /// Adds a part after its length, so that different exports have different bytes.
    fn part(&mut self, part: &[u8]) {
        self.number(part.len() as u64);
        self.0.update(part);
    }

    fn number(&mut self, number: u64) {
        self.0.update(number.to_be_bytes());
    }
}

impl fmt::Debug for ExportDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExportDigest").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_change_of_an_export_changes_its_digest() {
        let original = [record("a", b"1"), record("b", b"2")];
        let digest = digest_of(&header(), &original);
        assert_eq!(digest_of(&header(), &original), digest);
        for changed in [
            vec![record("a", b"1")],
            vec![record("b", b"2"), record("a", b"1")],
            vec![record("a", b"1"), record("b", b"3")],
            vec![record("a", b"1"), record("b2", b"")],
            vec![record("a", b"1"), record("b", b"2"), record("b", b"2")],
        ] {
            assert_ne!(digest_of(&header(), &changed), digest, "{changed:?}");
        }
        let of_another = ExportHeader {
            store: "redis".to_owned(),
            ..header()
        };
        assert_ne!(digest_of(&of_another, &original), digest);
    }

    #[test]
    fn the_number_of_unreadable_records_of_each_kind_changes_the_digest() {
        let all = UnreadableCounts::default();
        let mut digests = vec![ExportDigest::new(&header()).finish(&all)];
        for kind in [RecordKind::Consumer, RecordKind::User, RecordKind::Token] {
            let mut counts = all;
            counts.add(kind);
            let digest = ExportDigest::new(&header()).finish(&counts);
            assert!(!digests.contains(&digest), "{kind}");
            digests.push(digest);
        }
    }

    fn digest_of(header: &ExportHeader, records: &[SealedRecord]) -> [u8; 32] {
        let mut digest = ExportDigest::new(header);
        records.iter().for_each(|record| digest.add(record));
        digest.finish(&UnreadableCounts::default())
    }

    fn header() -> ExportHeader {
        ExportHeader {
            format_version: 1,
            began_at: UnixTime::from_secs(5),
            store: "embedded".to_owned(),
            key_ids: vec!["k1".to_owned(), "k2".to_owned()],
        }
    }

    fn record(name: &str, bytes: &[u8]) -> SealedRecord {
        SealedRecord::exported(RecordKind::Token, name.into(), bytes.into())
    }
}
