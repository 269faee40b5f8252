//! The id of one decision: what its log event, its answer and its nonce claim are known by.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest as _, Sha256};

use crate::clock::Entropy;

/// The id of one decision: in logs and answers, and what makes a nonce claim sent twice one claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DecisionId(pub(super) [u8; 16]);

impl fmt::Display for DecisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

/// Makes [`DecisionId`]s: a hash over a random secret of this process and a counter, so that no two decisions of any
/// replica share one, none has to ask the operating system, and nobody can count our decisions by their ids.
#[derive(Debug)]
pub(super) struct DecisionIds {
    process: Sha256,
    count: AtomicU64,
}

impl DecisionIds {
    /// Draws the secret.
    pub(super) fn new(entropy: &dyn Entropy) -> Self {
        let mut secret = [0; 32];
        entropy.fill(&mut secret);
        Self { process: Sha256::new_with_prefix(secret), count: AtomicU64::new(0) }
    }

    /// One that was not there before.
    pub(super) fn next(&self) -> DecisionId {
        let count = self.count.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let digest = self.process.clone().chain_update(count).finalize();
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        DecisionId(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::CountingEntropy;

    #[test]
    fn no_two_decisions_share_an_id() {
        let entropy = CountingEntropy::default();
        let (one, other) = (DecisionIds::new(&entropy), DecisionIds::new(&entropy));
        let ids = [one.next(), one.next(), other.next(), other.next()];
        for (at, id) in ids.iter().enumerate() {
            assert!(!ids[..at].contains(id), "{id}");
        }
    }
}
