//! The table `nonces`: the claims that are in the file.
//!
//! | key | value |
//! |---|---|
//! | expiry in milliseconds, nonce id | timestamp, check id |
//!
//! Rows are in the order in which they expire.

use redb::{ReadableTable as _, Table, TableDefinition, WriteTransaction};

use super::error::WriteError;
use crate::clock::UnixTime;
use crate::store::nonce::NonceId;
use crate::store::nonce_memory::StoredClaim;

/// Inserts claims.
pub(super) fn insert(
    transaction: &WriteTransaction,
    claims: &[StoredClaim],
) -> Result<(), WriteError> {
    insert_into(&mut transaction.open_table(NONCES)?, claims)
}

/// Replaces the content of the table with `claims`.
pub(super) fn replace_all(
    transaction: &WriteTransaction,
    claims: &[StoredClaim],
) -> Result<(), WriteError> {
    let mut nonces = transaction.open_table(NONCES)?;
    nonces.retain(|_, _| false)?;
    insert_into(&mut nonces, claims)
}

/// Deletes up to `limit` claims that have expired at `now`.
pub(super) fn delete_expired(
    transaction: &WriteTransaction,
    now: UnixTime,
    limit: usize,
) -> Result<(), WriteError> {
    let mut nonces = transaction.open_table(NONCES)?;
    for _ in 0..limit {
        let has_expired = nonces
            .first()?
            .is_some_and(|(key, value)| decode(key.value(), value.value()).expires_at <= now);
        if !has_expired {
            break;
        }
        nonces.pop_first()?;
    }
    Ok(())
}

/// Lists the claims whose timestamp is after `fence`.
pub(super) fn after(
    transaction: &WriteTransaction,
    fence: u64,
) -> Result<Vec<StoredClaim>, WriteError> {
    let nonces = transaction.open_table(NONCES)?;
    let mut claims = Vec::new();
    for row in nonces.iter()? {
        let (key, value) = row?;
        let claim = decode(key.value(), value.value());
        if claim.timestamp > fence {
            claims.push(claim);
        }
    }
    Ok(claims)
}

fn insert_into(
    nonces: &mut Table<'_, &'static Cell, &'static Cell>,
    claims: &[StoredClaim],
) -> Result<(), WriteError> {
    for claim in claims {
        let key = join(claim.expires_at.as_millis(), claim.id.0);
        let value = join(claim.timestamp, claim.check_id);
        nonces.insert(&key, &value)?;
    }
    Ok(())
}

fn decode(key: &Cell, value: &Cell) -> StoredClaim {
    let (expires_at, id) = split(key);
    let (timestamp, check_id) = split(value);
    StoredClaim {
        id: NonceId(id),
        check_id,
        timestamp,
        expires_at: UnixTime::from_millis(expires_at),
    }
}

fn join(number: u64, id: [u8; 16]) -> Cell {
    let mut bytes = [0; 24];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    bytes[8..].copy_from_slice(&id);
    bytes
}

fn split(bytes: &Cell) -> (u64, [u8; 16]) {
    let (mut number, mut id) = ([0; 8], [0; 16]);
    number.copy_from_slice(&bytes[..8]);
    id.copy_from_slice(&bytes[8..]);
    (u64::from_be_bytes(number), id)
}

/// A number in big-endian order, so that rows are ordered by it, and an id.
type Cell = [u8; 24];

const NONCES: TableDefinition<'static, &Cell, &Cell> = TableDefinition::new("nonces");
