//! What revokes every token of a consumer or a user at once.

use crate::clock::Entropy;

/// A random number that a consumer or a user has, and each of their tokens copies when it is issued: drawing a new one
/// revokes every token issued before, whatever the clocks of the replicas say and however many tokens there are.
///
/// 0 is what a user has of whom nothing is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Generation(u64);

impl Generation {
    /// Draws one that was not there before.
    pub fn draw(entropy: &dyn Entropy) -> Self {
        let mut bytes = [0; 8];
        entropy.fill(&mut bytes);
        Self(u64::from_be_bytes(bytes).max(1))
    }

    /// The generation that was kept as this number.
    pub const fn from_number(number: u64) -> Self {
        Self(number)
    }

    /// The number to keep.
    pub const fn number(self) -> u64 {
        self.0
    }
}
