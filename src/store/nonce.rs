//! The hash under which both stores keep a nonce.

use std::hash::{Hash, Hasher};

use sha2::{Digest as _, Sha256};

use super::NonceClaim;

/// A 128-bit hash over scope, timestamp and nonce, each preceded by its length.
///
/// # Security
/// A collision would refuse an honest request, not let one through, and only among the requests of
/// one consumer: its key is part of the hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NonceId(pub(super) [u8; 16]);

/// The id is a hash already, so half of it is a good hash of it.
impl Hash for NonceId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let (_, field) = self.part_and_field(1);
        state.write_u64(u64::from_le_bytes(field));
    }
}

impl NonceId {
    /// Returns the id of the nonce that `claim` claims.
    pub(super) fn of(claim: &NonceClaim<'_>) -> Self {
        // No token has an empty name, so the absence of a token differs from every token.
        let token = claim.token.map_or("", |token| token.as_str()).as_bytes();
        let timestamp = claim.timestamp.to_be_bytes();
        let mut hash = Sha256::new();
        for part in [
            claim.consumer.as_str().as_bytes(),
            token,
            &timestamp,
            claim.nonce,
        ] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let digest: [u8; 32] = hash.finalize().into();
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        Self(id)
    }

    /// Returns the part, of `parts`, that the id belongs to, and eight other bytes of the id.
    pub(super) fn part_and_field(&self, parts: u8) -> (u8, [u8; 8]) {
        let mut field = [0; 8];
        field.copy_from_slice(&self.0[8..]);
        (self.0[0] % parts, field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_spread_over_all_parts() {
        let parts: std::collections::BTreeSet<_> = (0..=u8::MAX)
            .map(|first| NonceId([first; 16]).part_and_field(16))
            .map(|(part, _)| part)
            .collect();
        assert!(parts.into_iter().eq(0..16));
    }
}
