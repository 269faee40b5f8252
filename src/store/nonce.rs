//! The name under which a nonce is kept, the same in both stores.

use sha2::{Digest as _, Sha256};

use super::NonceClaim;

/// A 128-bit hash over scope, timestamp and nonce, each preceded by its length.
///
/// # Security
/// A collision would refuse an honest request, not let one through, and only among the requests of one consumer: its
/// key is part of the hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct NonceId(pub(super) [u8; 16]);

impl NonceId {
    /// The id of what `claim` claims.
    pub(super) fn of(claim: &NonceClaim<'_>) -> Self {
        let mut hash = Sha256::new();
        let mut part = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_be_bytes());
            hash.update(bytes);
        };
        part(claim.consumer.as_str().as_bytes());
        // A token is never empty, so no token and a token differ.
        part(claim.token.map_or("", |token| token.as_str()).as_bytes());
        part(&claim.timestamp.to_be_bytes());
        part(claim.nonce);
        let digest: [u8; 32] = hash.finalize().into();
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        Self(id)
    }
}
