//! What is in the file: tables of redb, every commit durable.
//!
//! | table | key | value |
//! |---|---|---|
//! | `nonces` | expiry in milliseconds, nonce id | timestamp, check id |
//! | `meta` | `format`, `clean`, `horizon`, `fence` | number |
//!
//! The tables of records are in `tables`, those of what expires in `expiring`.

use std::sync::{PoisonError, RwLock};

use redb::{
    Database, ReadTransaction, ReadableDatabase as _, ReadableTable as _, TableDefinition,
    WriteTransaction,
};

use super::journal::horizon_at;
use super::nonces::{Kept, Remembered};
use super::{expiring, tables};
use crate::clock::UnixTime;
use crate::store::nonce::NonceId;
use crate::store::{StoreError, StoreErrorKind};

/// The open file.
pub(super) struct Disk {
    /// `None` once it is closed.
    database: RwLock<Option<Database>>,
}

/// What was found when the file was opened.
pub(super) struct Begun {
    /// Whether the last process did not close it.
    pub(super) unclean: bool,
    /// Timestamps up to this second are refused.
    pub(super) fence: u64,
    /// What is in the file as the horizon now.
    pub(super) horizon: u64,
    /// The claims after the fence that the file remembers.
    pub(super) claims: Vec<(NonceId, Remembered)>,
}

// === impl Disk ===

impl Disk {
    /// The disk behind an open database.
    pub(super) const fn new(database: Database) -> Self {
        Self {
            database: RwLock::new(Some(database)),
        }
    }

    /// Takes the file into use: from here until [`Disk::finish`] it is marked as not closed.
    pub(super) fn begin(&self, now: UnixTime) -> Result<Begun, StoreError> {
        self.write(|transaction| {
            let mut meta = transaction.open_table(META)?;
            let number = |key| Ok::<_, redb::Error>(meta.get(key)?.map(|value| value.value()));
            let format = number(FORMAT)?;
            if format.is_some_and(|format| !(OLDEST_FORMAT..=FORMAT_VERSION).contains(&format)) {
                return Err(Stop::Refused(unusable(
                    "it was written by another release; run that one",
                )));
            }
            let unclean = number(CLEAN)? == Some(0);
            let mut fence = number(FENCE)?.unwrap_or(0);
            if unclean {
                fence = fence.max(now.as_secs()).max(number(HORIZON)?.unwrap_or(0));
            }
            let horizon = horizon_at(now);
            for (key, value) in [
                (FORMAT, FORMAT_VERSION),
                (CLEAN, 0),
                (FENCE, fence),
                (HORIZON, horizon),
            ] {
                meta.insert(key, value)?;
            }
            tables::prepare(transaction)?;
            expiring::prepare(transaction)?;
            if format == Some(OLDEST_FORMAT) {
                tables::index_tokens(transaction)?;
            }
            let claims = claims_after(fence, transaction)?;
            Ok(Begun {
                unclean,
                fence,
                horizon,
                claims,
            })
        })
    }

    /// Keeps what a clean end keeps, marks the file clean, and closes it. Does nothing the second time.
    pub(super) fn finish(&self, kept: &Kept) -> Result<(), StoreError> {
        if self.check_open().is_err() {
            return Ok(());
        }
        self.write(|transaction| {
            let mut nonces = transaction.open_table(NONCES)?;
            nonces.retain(|_, _| false)?;
            for (id, claim) in &kept.claims {
                nonces.insert(&nonce_key(*id, claim), &nonce_value(claim))?;
            }
            let mut meta = transaction.open_table(META)?;
            meta.insert(FENCE, kept.fence)?;
            meta.insert(CLEAN, 1)?;
            Ok(())
        })?;
        let database = self
            .database
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        database
            .map_or(Ok(()), Database::close)
            .map_err(|error| failed(error.into()))
    }

    /// Whether it is not closed yet.
    pub(super) fn check_open(&self) -> Result<(), StoreError> {
        let open = self
            .database
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some();
        if open { Ok(()) } else { Err(closed()) }
    }

    /// Writes claims and the horizon in one commit, and forgets some claims that have expired at `now`.
    pub(super) fn remember(
        &self,
        claims: &[(NonceId, Remembered)],
        horizon: u64,
        now: UnixTime,
    ) -> Result<(), StoreError> {
        self.write(|transaction| {
            let mut nonces = transaction.open_table(NONCES)?;
            for (id, claim) in claims {
                nonces.insert(&nonce_key(*id, claim), &nonce_value(claim))?;
            }
            for _ in 0..FORGOTTEN_PER_COMMIT {
                let expired = nonces.first()?.is_some_and(|(key, value)| {
                    read_nonce(key.value(), value.value()).1.expires_at <= now
                });
                if !expired {
                    break;
                }
                nonces.pop_first()?;
            }
            transaction.open_table(META)?.insert(HORIZON, horizon)?;
            Ok(())
        })
    }

    /// Reads what was committed, all of it as of one moment.
    pub(super) fn read<T>(
        &self,
        work: impl FnOnce(&ReadTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let transaction = database
            .as_ref()
            .ok_or_else(closed)?
            .begin_read()
            .map_err(|error| failed(error.into()))?;
        work(&transaction).map_err(failed)
    }

    /// The bytes of one record.
    pub(super) fn record(
        &self,
        table: tables::Table,
        key: &str,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(|transaction| tables::record(transaction, table, key))
    }

    /// Lets nobody read or write while it is held: a disk that does not answer.
    #[cfg(test)]
    pub(super) fn hold_up(&self) -> impl Drop {
        self.database
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Commits what `work` did, durably; if it stops, nothing is changed.
    pub(super) fn write<T>(
        &self,
        work: impl FnOnce(&WriteTransaction) -> Result<T, Stop>,
    ) -> Result<T, StoreError> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let transaction = database
            .as_ref()
            .ok_or_else(closed)?
            .begin_write()
            .map_err(|error| failed(error.into()))?;
        let value = work(&transaction)?;
        transaction.commit().map_err(|error| failed(error.into()))?;
        Ok(value)
    }
}

/// Why a change is not made.
#[derive(Debug)]
pub(super) enum Stop {
    /// The contract forbids it.
    Refused(StoreError),
    /// The file failed.
    Failed(redb::Error),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Refused(error)
    }
}

impl<E: Into<redb::Error>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl From<Stop> for StoreError {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Refused(error) => error,
            Stop::Failed(error) => failed(error),
        }
    }
}

fn claims_after(
    fence: u64,
    transaction: &WriteTransaction,
) -> Result<Vec<(NonceId, Remembered)>, redb::Error> {
    let nonces = transaction.open_table(NONCES)?;
    let mut claims = Vec::new();
    for row in nonces.iter()? {
        let (key, value) = row?;
        let (id, claim) = read_nonce(key.value(), value.value());
        if claim.timestamp > fence {
            claims.push((id, claim));
        }
    }
    Ok(claims)
}

/// Ordered by expiry, so that what has expired comes first.
fn nonce_key(id: NonceId, claim: &Remembered) -> [u8; 24] {
    let mut key = [0; 24];
    key[..8].copy_from_slice(&claim.expires_at.as_millis().to_be_bytes());
    key[8..].copy_from_slice(&id.0);
    key
}

fn nonce_value(claim: &Remembered) -> [u8; 24] {
    let mut value = [0; 24];
    value[..8].copy_from_slice(&claim.timestamp.to_be_bytes());
    value[8..].copy_from_slice(&claim.check_id);
    value
}

fn read_nonce(key: &[u8; 24], value: &[u8; 24]) -> (NonceId, Remembered) {
    let (expires_at, id) = split(key);
    let (timestamp, check_id) = split(value);
    (
        NonceId(id),
        Remembered {
            check_id,
            timestamp,
            expires_at: UnixTime::from_millis(expires_at),
        },
    )
}

fn split(bytes: &[u8; 24]) -> (u64, [u8; 16]) {
    let (mut number, mut rest) = ([0; 8], [0; 16]);
    number.copy_from_slice(&bytes[..8]);
    rest.copy_from_slice(&bytes[8..]);
    (u64::from_be_bytes(number), rest)
}

fn failed(error: redb::Error) -> StoreError {
    let damaged = matches!(error, redb::Error::Corrupted(_));
    let kind = if damaged {
        StoreErrorKind::Unreadable
    } else {
        StoreErrorKind::Unavailable
    };
    StoreError::new(kind, "using the store file").because(error)
}

fn closed() -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, "using the store file")
        .because("the store is closed")
}

fn unusable(problem: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::Unusable, "opening the store file").because(problem)
}

const NONCES: TableDefinition<'static, &[u8; 24], &[u8; 24]> = TableDefinition::new("nonces");
const META: TableDefinition<'static, &str, u64> = TableDefinition::new("meta");

const FORMAT: &str = "format";
const CLEAN: &str = "clean";
const HORIZON: &str = "horizon";
const FENCE: &str = "fence";

/// The version of this layout.
const FORMAT_VERSION: u64 = 2;

/// The layout before it, which has no indexes of tokens: they are made when it is opened.
const OLDEST_FORMAT: u64 = 1;

/// Expired claims that one commit forgets: bounded, so that no commit is slow.
const FORGOTTEN_PER_COMMIT: usize = 1024;
