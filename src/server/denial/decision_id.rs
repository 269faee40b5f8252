//! The id of one decision, shared by its log event, its answer and its nonce claim.
//!
//! Ids are random: no two decisions of any replica share one, they do not show how many decisions
//! there were, and the next one cannot be guessed, because a claim that carries a known id passes
//! as a retry.
//!
//! Each lane of threads draws its ids from its own generator (ChaCha), which [`Entropy`] seeds
//! again after every [`IDS_PER_SEED`] ids. Earlier ids can therefore not be computed from the
//! memory of the process, except those since the last seed, and the copies of a machine that was
//! cloned share at most as many.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use zeroize::Zeroizing;

use crate::clock::Entropy;
use crate::lanes::Lanes;

/// The id of one decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DecisionId(pub(crate) [u8; 16]);

impl DecisionId {
    /// Returns the hexadecimal digits.
    pub(crate) fn hex(self) -> HexDigits {
        let mut digits = [0; 32];
        for (two, byte) in digits.chunks_exact_mut(2).zip(self.0) {
            two.copy_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 0xf)]]);
        }
        HexDigits(digits)
    }
}

impl fmt::Display for DecisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.hex().as_str())
    }
}

/// The hexadecimal digits of a [`DecisionId`].
#[derive(Clone, Copy)]
pub(crate) struct HexDigits([u8; 32]);

impl HexDigits {
    /// Returns the digits as text.
    pub(crate) fn as_str(&self) -> &str {
        // Digits are ASCII.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// The header with the id of a denial, also of a response without a body.
pub(crate) const HEADER: &str = "x-countersign-decision-id";

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Generates [`DecisionId`]s without a system call for each.
pub(crate) struct DecisionIds {
    lanes: Lanes<Mutex<IdGenerator>>,
    entropy: Arc<dyn Entropy>,
}

/// The generator of one lane.
struct IdGenerator {
    random: StdRng,
    /// The ids left until the next seed.
    left: u32,
}

// === impl DecisionIds ===

impl DecisionIds {
    /// Returns a generator that takes its seeds from `entropy`.
    pub(crate) fn new(entropy: Arc<dyn Entropy>) -> Self {
        Self {
            lanes: Lanes::new(Mutex::default),
            entropy,
        }
    }

    /// Generates an id.
    pub(crate) fn next(&self) -> DecisionId {
        let mut lane = self
            .lanes
            .mine()
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        lane.next(&*self.entropy)
    }
}

impl fmt::Debug for DecisionIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DecisionIds").finish_non_exhaustive()
    }
}

// === impl IdGenerator ===

impl Default for IdGenerator {
    /// Returns a generator that seeds itself before the first id.
    fn default() -> Self {
        Self {
            random: StdRng::from_seed([0; 32]),
            left: 0,
        }
    }
}

impl IdGenerator {
    fn next(&mut self, entropy: &dyn Entropy) -> DecisionId {
        if self.left == 0 {
            self.seed(entropy);
        }
        self.left -= 1;
        let mut id = [0; 16];
        self.random.fill_bytes(&mut id);
        DecisionId(id)
    }

    fn seed(&mut self, entropy: &dyn Entropy) {
        let mut seed = Zeroizing::new([0; 32]);
        entropy.fill(&mut *seed);
        self.random = StdRng::from_seed(*seed);
        self.left = IDS_PER_SEED;
    }
}

/// The ids from one seed: 1 KiB of keystream.
const IDS_PER_SEED: u32 = 64;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::clock::CountingEntropy;

    #[test]
    fn an_id_is_written_in_32_digits() {
        let id = DecisionId(0x0123_4567_89ab_cdef_0011_2233_4455_66ff_u128.to_be_bytes());
        assert_eq!(id.to_string(), "0123456789abcdef00112233445566ff");
    }

    #[test]
    fn no_two_decisions_share_an_id() {
        let entropy: Arc<dyn Entropy> = Arc::new(CountingEntropy::default());
        let (one, other) = (
            DecisionIds::new(Arc::clone(&entropy)),
            DecisionIds::new(entropy),
        );
        let mut seen = HashSet::new();
        for _ in 0..IDS_PER_SEED * 3 + 1 {
            for id in [one.next(), other.next()] {
                assert!(seen.insert(id.0), "{id}");
            }
        }
        let elsewhere = std::thread::scope(|scope| scope.spawn(|| one.next()).join()).unwrap();
        assert!(seen.insert(elsewhere.0), "{elsewhere}");
    }

    #[test]
    fn clones_of_a_machine_share_only_the_ids_of_the_current_seed() {
        let entropy = CountingEntropy::default();
        let cloned = || {
            let mut generator = IdGenerator::default();
            // Both clones hold the seed that the machine had before.
            generator.seed(&CountingEntropy::default());
            generator
        };
        let (mut one, mut other) = (cloned(), cloned());
        for _ in 0..IDS_PER_SEED {
            assert_eq!(one.next(&entropy), other.next(&entropy));
        }
        assert_ne!(one.next(&entropy), other.next(&entropy));
    }

    #[test]
    fn a_new_seed_replaces_all_state_of_the_old_one() {
        let (mut used, mut fresh) = (IdGenerator::default(), IdGenerator::default());
        for _ in 0..IDS_PER_SEED {
            used.next(&CountingEntropy::default());
        }
        used.seed(&CountingEntropy::default());
        fresh.seed(&CountingEntropy::default());
        assert_eq!(used.random, fresh.random);
    }
}
