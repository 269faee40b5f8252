//! Generations, which revoke every token of a consumer or a user at once.

use crate::clock::Entropy;

/// A random number of a consumer or a user, which each new token copies.
///
/// A new generation revokes every token with the old one, independent of the clocks of the replicas
/// and of the number of tokens. A user without a record has the generation 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Generation(u64);

impl Generation {
    /// Draws a new generation.
    pub fn draw(entropy: &dyn Entropy) -> Self {
        let mut bytes = [0; 8];
        entropy.fill(&mut bytes);
        Self(u64::from_be_bytes(bytes).max(1))
    }

    /// Returns the generation that is stored as this number.
    pub const fn from_number(number: u64) -> Self {
        Self(number)
    }

    /// Returns the number to store.
    pub const fn number(self) -> u64 {
        self.0
    }
}
