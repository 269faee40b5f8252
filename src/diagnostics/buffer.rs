//! Storage of denials, with fair eviction.
//!
//! - Denials of known consumers and all others are stored apart, and eviction shrinks the larger
//!   part: a caller without a known key cannot evict the denials of known consumers.
//! - Among known consumers, the one with the most denials loses its own, once it has more than its
//!   share.
//! - An evicted record is reused for the next denial, so that a flood of denials hardly allocates.

use std::cmp::Reverse;
use std::collections::hash_map::{Entry, RandomState};
use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasher as _;
use std::iter;

use super::explanation::Explanation;
use super::record::DenialRecord;
use crate::oauth::CompatSet;

/// The stored denials. Each part is ordered by sequence number.
#[derive(Default)]
pub(super) struct DenialBuffer {
    /// Denials that name a known consumer.
    known: VecDeque<DenialRecord>,
    /// All other denials.
    unknown: VecDeque<DenialRecord>,
    /// The number of denials in `known` by the hash of the consumer key. Keys with equal hashes
    /// count as one.
    counts: HashMap<u64, usize>,
    hasher: RandomState,
    next_sequence: u64,
    bytes: usize,
    /// The record that was evicted last.
    spare: Option<DenialRecord>,
}

impl DenialBuffer {
    /// Returns the number of denials.
    pub(super) fn len(&self) -> usize {
        self.known.len() + self.unknown.len()
    }

    /// Returns the memory that the denials use, in bytes.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns the sequence number of the next denial.
    pub(super) const fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    /// Adds the denial that `fill` writes, and returns its sequence number.
    pub(super) fn push(&mut self, known: bool, fill: impl FnOnce(&mut DenialRecord)) -> u64 {
        let mut denial = self.spare.take().unwrap_or_else(DenialRecord::empty);
        fill(&mut denial);
        let sequence = self.next_sequence;
        denial.sequence = sequence;
        self.next_sequence += 1;
        self.bytes += denial.size();
        if known {
            let owner = self.owner(&denial);
            *self.counts.entry(owner).or_default() += 1;
            self.known.push_back(denial);
        } else {
            self.unknown.push_back(denial);
        }
        sequence
    }

    /// Sets the explanation of a denial; returns whether the denial is stored.
    pub(super) fn explain(
        &mut self,
        sequence: u64,
        explanation: Explanation,
        profiles: CompatSet,
    ) -> bool {
        let Some(denial) = self.find_sequence(sequence) else {
            return false;
        };
        let before = denial.size();
        denial.explanation = explanation;
        denial.profiles = profiles;
        let after = denial.size();
        self.bytes = self.bytes - before + after;
        true
    }

    /// Returns the denial of a decision.
    pub(super) fn find(&self, decision_id: &str) -> Option<&DenialRecord> {
        let mut all = self.known.iter().chain(&self.unknown);
        all.find(|denial| denial.decision_id == decision_id)
    }

    fn find_sequence(&mut self, sequence: u64) -> Option<&mut DenialRecord> {
        [&mut self.known, &mut self.unknown]
            .into_iter()
            .find_map(|part| {
                let at = part
                    .binary_search_by_key(&sequence, |denial| denial.sequence)
                    .ok()?;
                part.get_mut(at)
            })
    }

    /// Returns the denials with lower sequence numbers, the newest first.
    pub(super) fn older_than(&self, sequence: u64) -> impl Iterator<Item = &DenialRecord> {
        let older = |part: &VecDeque<DenialRecord>| position(part, sequence);
        let known = self.known.range(..older(&self.known)).rev();
        let unknown = self.unknown.range(..older(&self.unknown)).rev();
        merged(known, unknown, |denial| Reverse(denial.sequence))
    }

    /// Returns the denials from a sequence number on, the oldest first.
    pub(super) fn starting_at(&self, sequence: u64) -> impl Iterator<Item = &DenialRecord> {
        let known = self.known.range(position(&self.known, sequence)..);
        let unknown = self.unknown.range(position(&self.unknown, sequence)..);
        merged(known, unknown, |denial| denial.sequence)
    }

    /// Evicts from the larger part. `share` is the number of denials that a known consumer may have
    /// before it loses its own.
    pub(super) fn evict_oldest(&mut self, share: usize) {
        self.spare = if self.known.len() > self.unknown.len() {
            if let Some((owner, count)) = self.dominant_owner(share) {
                return self.evict_of_owner(owner, count.div_ceil(BATCHES));
            }
            let evicted = self.known.pop_front();
            evicted.inspect(|evicted| self.release(self.owner(evicted), 1))
        } else {
            self.unknown.pop_front()
        };
        let freed = self.spare.as_ref().map_or(self.bytes, DenialRecord::size);
        self.bytes -= freed;
    }

    /// Returns the known consumer with the most denials and their number, if it has more than
    /// `share` and does not own the oldest denial anyway.
    fn dominant_owner(&self, share: usize) -> Option<(u64, usize)> {
        let (&owner, &count) = self.counts.iter().max_by_key(|(_, count)| **count)?;
        let oldest = self.known.front()?;
        (count > share && self.owner(oldest) != owner).then_some((owner, count))
    }

    /// Evicts the `count` oldest denials of one consumer in one pass, since a pass for each would
    /// take too long.
    fn evict_of_owner(&mut self, owner: u64, count: usize) {
        let (mut left, mut freed) = (count, 0);
        let hasher = &self.hasher;
        self.known.retain(|denial| {
            let is_evicted = left > 0 && hasher.hash_one(&denial.consumer_key) == owner;
            if is_evicted {
                left -= 1;
                freed += denial.size();
            }
            !is_evicted
        });
        self.bytes -= freed;
        self.release(owner, count - left);
    }

    fn release(&mut self, owner: u64, count: usize) {
        if let Entry::Occupied(mut entry) = self.counts.entry(owner) {
            *entry.get_mut() -= count;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }

    fn owner(&self, denial: &DenialRecord) -> u64 {
        self.hasher.hash_one(&denial.consumer_key)
    }
}

/// Returns the index of the first denial from a sequence number on.
fn position(part: &VecDeque<DenialRecord>, sequence: u64) -> usize {
    part.partition_point(|denial| denial.sequence < sequence)
}

/// Merges two iterators that are ordered by `key`.
fn merged<T: Copy, K: Ord>(
    one: impl Iterator<Item = T>,
    other: impl Iterator<Item = T>,
    key: impl Fn(T) -> K,
) -> impl Iterator<Item = T> {
    let (mut one, mut other) = (one.peekable(), other.peekable());
    iter::from_fn(move || match (one.peek(), other.peek()) {
        (Some(&first), Some(&second)) if key(second) < key(first) => other.next(),
        (Some(_), _) => one.next(),
        (None, _) => other.next(),
    })
}

/// A dominant consumer loses one in so many of its denials at once.
const BATCHES: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_bytes_match_the_stored_denials() {
        let mut buffer = DenialBuffer::default();
        let push = |buffer: &mut DenialBuffer, known, key: &str| {
            buffer.push(known, |denial| key.clone_into(&mut denial.consumer_key))
        };
        push(&mut buffer, true, "victim");
        for _ in 0..40 {
            push(&mut buffer, true, "flood");
            push(&mut buffer, false, "");
        }
        while buffer.len() > 20 {
            buffer.evict_oldest(2);
        }
        assert_eq!(buffer.counts.values().sum::<usize>(), buffer.known.len());
        assert_eq!(buffer.counts.len(), 2, "the victim is still stored");
        let stored = buffer.older_than(u64::MAX).map(DenialRecord::size);
        assert_eq!(buffer.bytes, stored.sum::<usize>());
    }
}
