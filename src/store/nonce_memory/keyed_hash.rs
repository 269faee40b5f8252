//! The hash of nonce ids in the maps of the shards.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

/// A hash of ids under a random key.
///
/// # Security
/// Ids are hashes already, but a client can choose nonces whose ids have much in common. The key
/// keeps it from choosing where in a map they are, which would make the map slow.
#[derive(Clone, Copy)]
pub(super) struct KeyedHash {
    key: u64,
    hash: u64,
}

// === impl KeyedHash ===

impl KeyedHash {
    /// Returns a hash with a new random key.
    pub(super) fn random() -> Self {
        Self::with_key(RandomState::new().hash_one(()))
    }

    const fn with_key(key: u64) -> Self {
        Self { key, hash: 0 }
    }
}

impl BuildHasher for KeyedHash {
    type Hasher = Self;

    fn build_hasher(&self) -> Self {
        *self
    }
}

impl Hasher for KeyedHash {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    /// Multiplies and folds: both halves of the product depend on every bit of the key and of the
    /// word.
    fn write_u64(&mut self, word: u64) {
        let product = u128::from(self.hash ^ word ^ self.key) * u128::from(MULTIPLIER);
        self.hash = (product >> 64) as u64 ^ product as u64;
    }

    fn finish(&self) -> u64 {
        self.hash
    }
}

/// The golden ratio as a fraction of 2⁶⁴: odd, and without a pattern in its bits.
const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::store::nonce::NonceId;

    #[test]
    fn similar_ids_spread_and_their_places_depend_on_the_key() {
        for shift in [0, 20, 40, 54] {
            let (one, other) = (
                places(0x0123_4567_89AB_CDEF, shift),
                places(0xFEDC_BA98_7654_3210, shift),
            );
            assert_ne!(one, other);
            assert!(
                one.into_iter().collect::<HashSet<_>>().len() > 500,
                "shifted by {shift}"
            );
        }
    }

    fn places(key: u64, shift: u32) -> Vec<u64> {
        let id = |at: u64| NonceId(u128::from(at << shift).to_be_bytes());
        let hash = |at| KeyedHash::with_key(key).hash_one(id(at));
        (0..1024).map(|at| hash(at) % 1024).collect()
    }
}
