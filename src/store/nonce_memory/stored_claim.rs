//! A claim as the store remembers it.

use crate::clock::UnixTime;
use crate::store::NonceClaim;
use crate::store::nonce::NonceId;

/// A claim as it is kept in memory and in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct StoredClaim {
    pub(in crate::store) id: NonceId,
    pub(in crate::store) check_id: [u8; 16],
    pub(in crate::store) timestamp: u64,
    pub(in crate::store) expires_at: UnixTime,
}

impl StoredClaim {
    /// Returns the part of `claim` that is kept.
    pub(in crate::store) fn of(claim: &NonceClaim<'_>) -> Self {
        Self {
            id: NonceId::of(claim),
            check_id: claim.check_id,
            timestamp: claim.timestamp,
            expires_at: claim.expires_at,
        }
    }
}
