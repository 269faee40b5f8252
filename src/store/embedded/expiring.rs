//! What expires: temporary credentials, sessions and counters of attempts.
//!
//! | table | key | value |
//! |---|---|---|
//! | `expiring` | kind, name | expiry in milliseconds, bytes |
//! | `expiries` | expiry in milliseconds, kind, name | nothing |
//!
//! Each row of one table has its row in the other.

use redb::{ReadTransaction, ReadableTable as _, TableDefinition, WriteTransaction};

use super::disk::Stop;
use super::{conflict, taken};
use crate::clock::UnixTime;
use crate::store::StoreError;

/// What is kept under a name.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// Temporary credentials, by token.
    RequestToken = 1,
    /// A session, by its id.
    Session = 2,
    /// How many attempts, by the counter's bytes.
    Attempts = 3,
}

/// Bytes that are kept until a time.
#[derive(Clone, Debug)]
pub(super) struct Expiring {
    pub(super) expires_at: UnixTime,
    pub(super) bytes: Vec<u8>,
}

/// Makes the tables that are not there yet.
pub(super) fn prepare(transaction: &WriteTransaction) -> Result<(), Stop> {
    transaction.open_table(EXPIRING)?;
    transaction.open_table(EXPIRIES)?;
    Ok(())
}

/// What is kept under a name, whether it has expired or not.
pub(super) fn find(
    transaction: &ReadTransaction,
    kind: Kind,
    name: &[u8],
) -> Result<Option<Expiring>, redb::Error> {
    Ok(transaction
        .open_table(EXPIRING)?
        .get((kind as u8, name))?
        .map(|row| read(row.value())))
}

/// Keeps something under a name where there is nothing.
pub(super) fn create(
    transaction: &WriteTransaction,
    kind: Kind,
    name: &[u8],
    value: &Expiring,
) -> Result<(), Stop> {
    match stored(transaction, kind, name)? {
        None => put(transaction, kind, name, value),
        Some(_) => Err(taken().into()),
    }
}

/// Replaces what is kept under a name if its bytes are still `before`.
pub(super) fn swap(
    transaction: &WriteTransaction,
    kind: Kind,
    name: &[u8],
    before: &[u8],
    value: &Expiring,
) -> Result<(), Stop> {
    match stored(transaction, kind, name)? {
        Some(stored) if stored.bytes == before => put(transaction, kind, name, value),
        _ => Err(conflict().into()),
    }
}

/// Keeps something under a name, whatever was there.
pub(super) fn put(
    transaction: &WriteTransaction,
    kind: Kind,
    name: &[u8],
    value: &Expiring,
) -> Result<(), Stop> {
    remove(transaction, kind, name)?;
    let expiry = value.expires_at.as_millis();
    transaction
        .open_table(EXPIRING)?
        .insert((kind as u8, name), (expiry, value.bytes.as_slice()))?;
    transaction
        .open_table(EXPIRIES)?
        .insert((expiry, kind as u8, name), ())?;
    Ok(())
}

/// Removes what is kept under a name.
pub(super) fn remove(transaction: &WriteTransaction, kind: Kind, name: &[u8]) -> Result<(), Stop> {
    let removed = transaction
        .open_table(EXPIRING)?
        .remove((kind as u8, name))?
        .map(|row| row.value().0);
    if let Some(expiry) = removed {
        transaction
            .open_table(EXPIRIES)?
            .remove((expiry, kind as u8, name))?;
    }
    Ok(())
}

/// ChangeFeed what is kept under a name; `None` leaves it as it is.
pub(super) fn change<T>(
    transaction: &WriteTransaction,
    kind: Kind,
    name: &[u8],
    work: impl FnOnce(Option<Expiring>) -> Result<(Option<Expiring>, T), StoreError>,
) -> Result<T, Stop> {
    let (value, outcome) = work(stored(transaction, kind, name)?)?;
    if let Some(value) = value {
        put(transaction, kind, name, &value)?;
    }
    Ok(outcome)
}

/// Whether anything has expired at `now`.
pub(super) fn has_expired(
    transaction: &ReadTransaction,
    now: UnixTime,
) -> Result<bool, redb::Error> {
    Ok(transaction
        .open_table(EXPIRIES)?
        .first()?
        .is_some_and(|(key, _)| key.value().0 <= now.as_millis()))
}

/// Removes up to `limit` of what has expired at `now`.
pub(super) fn sweep(
    transaction: &WriteTransaction,
    now: UnixTime,
    limit: usize,
) -> Result<(), Stop> {
    let (mut expiring, mut expiries) = (
        transaction.open_table(EXPIRING)?,
        transaction.open_table(EXPIRIES)?,
    );
    for _ in 0..limit {
        let Some((expiry, kind, name)) = expiries.first()?.map(|(key, _)| {
            let (expiry, kind, name) = key.value();
            (expiry, kind, name.to_vec())
        }) else {
            break;
        };
        if expiry > now.as_millis() {
            break;
        }
        expiring.remove((kind, name.as_slice()))?;
        expiries.remove((expiry, kind, name.as_slice()))?;
    }
    Ok(())
}

fn stored(
    transaction: &WriteTransaction,
    kind: Kind,
    name: &[u8],
) -> Result<Option<Expiring>, Stop> {
    Ok(transaction
        .open_table(EXPIRING)?
        .get((kind as u8, name))?
        .map(|row| read(row.value())))
}

fn read((expiry, bytes): (u64, &[u8])) -> Expiring {
    Expiring {
        expires_at: UnixTime::from_millis(expiry),
        bytes: bytes.to_vec(),
    }
}

/// A kind and a name.
type Name = (u8, &'static [u8]);

/// When it expires, and what it is.
type Value = (u64, &'static [u8]);

const EXPIRING: TableDefinition<'static, Name, Value> = TableDefinition::new("expiring");
const EXPIRIES: TableDefinition<'static, (u64, u8, &[u8]), ()> = TableDefinition::new("expiries");
