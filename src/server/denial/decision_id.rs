//! The id of one decision: what its log event, its answer and its nonce claim are known by.
//!
//! Ids are random: no two decisions of any replica share one, nobody can count our decisions by them, and nobody can guess
//! the next one, since a claim that is sent with a known id passes as a retry. They are drawn many at a time:
//!
//! 1. Each lane of threads keeps a key, to which fresh bytes of [`Entropy`] are added before it is used.
//! 2. ChaCha20 under that key makes the next key and [`DRAWN`] ids. The key is replaced before the first of them is used.
//!
//! So an id tells nothing of the others, as none tells the keystream's rest from noise; what was drawn before can not be
//! made again from what is in memory now; and of two copies of a machine, as snapshots make them, each goes on with ids of
//! its own, but for those that were drawn already.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use chacha20::ChaCha20;
use chacha20::cipher::{KeyIvInit as _, StreamCipher as _};
use zeroize::Zeroizing;

use crate::clock::Entropy;
use crate::lanes::Lanes;

/// The id of one decision: in logs and answers, and what makes a nonce claim sent twice one claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DecisionId(pub(crate) [u8; 16]);

impl DecisionId {
    /// Its digits.
    pub(crate) fn hex(self) -> Hex {
        let mut digits = [0; 32];
        for (two, byte) in digits.chunks_exact_mut(2).zip(self.0) {
            two.copy_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 0xf)]]);
        }
        Hex(digits)
    }
}

impl fmt::Display for DecisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.hex().as_str())
    }
}

/// The digits of a [`DecisionId`].
#[derive(Clone, Copy)]
pub(crate) struct Hex([u8; 32]);

impl Hex {
    /// As text.
    pub(crate) fn as_str(&self) -> &str {
        // Digits are ASCII.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Makes [`DecisionId`]s, without asking the operating system for each.
pub(crate) struct DecisionIds {
    lanes: Lanes<Mutex<Drawn>>,
    entropy: Arc<dyn Entropy>,
}

/// Ids drawn beforehand, and the key of those after them.
struct Drawn {
    key: Zeroizing<[u8; 32]>,
    ids: Zeroizing<[[u8; 16]; DRAWN]>,
    used: usize,
}

// === impl DecisionIds ===

impl DecisionIds {
    /// Draws from `entropy`.
    pub(crate) fn new(entropy: Arc<dyn Entropy>) -> Self {
        Self {
            lanes: Lanes::new(Mutex::default),
            entropy,
        }
    }

    /// One that was not there before.
    pub(crate) fn next(&self) -> DecisionId {
        let mut drawn = self
            .lanes
            .mine()
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if drawn.used >= DRAWN {
            drawn.draw(&*self.entropy);
        }
        let id = drawn.ids[drawn.used];
        drawn.used += 1;
        DecisionId(id)
    }
}

impl fmt::Debug for DecisionIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DecisionIds").finish_non_exhaustive()
    }
}

// === impl Drawn ===

impl Default for Drawn {
    /// None are there, and no key.
    fn default() -> Self {
        Self {
            key: Zeroizing::default(),
            ids: Zeroizing::new([[0; 16]; DRAWN]),
            used: DRAWN,
        }
    }
}

impl Drawn {
    fn draw(&mut self, entropy: &dyn Entropy) {
        let mut fresh = Zeroizing::new([0; 32]);
        entropy.fill(&mut *fresh);
        self.key
            .iter_mut()
            .zip(*fresh)
            .for_each(|(kept, fresh)| *kept ^= fresh);
        // A key is used for one keystream, so that it needs no nonce.
        let mut keystream = ChaCha20::new((&*self.key).into(), &[0; 12].into());
        *self.key = [0; 32];
        keystream.apply_keystream(&mut *self.key);
        *self.ids = [[0; 16]; DRAWN];
        keystream.apply_keystream(self.ids.as_flattened_mut());
        self.used = 0;
    }
}

/// How many ids are drawn at once: 1 KiB with the key.
const DRAWN: usize = 62;

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
        for _ in 0..DRAWN * 3 + 1 {
            for id in [one.next(), other.next()] {
                assert!(seen.insert(id.0), "{id}");
            }
        }
        let elsewhere = std::thread::scope(|scope| scope.spawn(|| one.next()).join()).unwrap();
        assert!(seen.insert(elsewhere.0), "{elsewhere}");
    }

    #[test]
    fn copies_of_a_machine_go_on_with_ids_of_their_own() {
        let entropy: Arc<dyn Entropy> = Arc::new(CountingEntropy::default());
        let drawn_alike = || Drawn {
            key: Zeroizing::new([7; 32]),
            ..Drawn::default()
        };
        let (mut one, mut other) = (drawn_alike(), drawn_alike());
        one.draw(&*entropy);
        other.draw(&*entropy);
        assert_ne!(one.ids, other.ids);
        assert_ne!(one.key, other.key);
    }

    #[test]
    fn the_key_of_what_was_drawn_is_gone_and_none_of_its_ids() {
        let ids = DecisionIds::new(Arc::new(CountingEntropy::default()));
        let keys = || {
            ids.lanes
                .all()
                .map(|lane| lane.lock().unwrap().key.to_vec())
                .collect::<Vec<_>>()
        };
        let before = keys();
        let drawn: Vec<_> = (0..DRAWN).map(|_| ids.next()).collect();
        let changed: Vec<_> = keys()
            .into_iter()
            .zip(before)
            .filter(|(after, before)| after != before)
            .collect();
        assert_eq!(changed.len(), 1, "the lane of this thread");
        for half in changed[0].0.chunks(16) {
            assert!(drawn.iter().all(|id| id.0 != half));
        }
    }
}
