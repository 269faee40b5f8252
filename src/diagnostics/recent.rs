//! The most recent denials, in the order of their decisions.
//!
//! The number and the bytes are bounded, and the oldest denials are evicted first;
//! [`super::buffer`] keeps that fair. A [`DenialWatch`](super::DenialWatch) reads from here too,
//! from its own position.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::buffer::DenialBuffer;
use super::explanation::Explanation;
use super::filter::DenialFilter;
use super::record::DenialRecord;
use crate::oauth::CompatSet;

/// The most recent denials.
pub(super) struct RecentDenials {
    max_count: usize,
    max_bytes: usize,
    buffer: Mutex<DenialBuffer>,
    /// Notified of every change.
    pub(super) changed: Notify,
}

impl RecentDenials {
    /// Stores up to `max_count` denials and `max_bytes` bytes.
    pub(super) fn new(max_count: usize, max_bytes: usize) -> Self {
        Self {
            max_count,
            max_bytes,
            buffer: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// Adds a denial, and returns its sequence number. `fill` writes it into an empty or evicted
    /// record; `known` tells whether it names a known consumer.
    pub(super) fn add(&self, known: bool, fill: impl FnOnce(&mut DenialRecord)) -> u64 {
        let sequence = self.change(|buffer| buffer.push(known, fill));
        self.changed.notify_waiters();
        sequence
    }

    /// Sets the explanation of a denial, if it is still stored.
    pub(super) fn explain(&self, sequence: u64, explanation: Explanation, profiles: CompatSet) {
        if self.change(|buffer| buffer.explain(sequence, explanation, profiles)) {
            self.changed.notify_waiters();
        }
    }

    /// Changes the buffer, then evicts denials until the limits hold.
    fn change<T>(&self, change: impl FnOnce(&mut DenialBuffer) -> T) -> T {
        let mut buffer = self.buffer();
        let changed = change(&mut buffer);
        while buffer.len() > self.max_count || buffer.bytes() > self.max_bytes {
            buffer.evict_oldest(self.max_count / MIN_SENDERS);
        }
        changed
    }

    /// Returns up to `limit` matching denials with sequence numbers below `before`, the newest
    /// first. Reads a few under each lock, since checks wait for it.
    pub(super) fn list(
        &self,
        filter: &DenialFilter,
        before: Option<u64>,
        limit: usize,
    ) -> Vec<DenialRecord> {
        let mut listed = Vec::new();
        let mut next = Some(before.unwrap_or(u64::MAX));
        while let Some(before) = next.filter(|_| listed.len() < limit) {
            next = self.list_some(filter, before, limit, &mut listed);
        }
        listed
    }

    /// Adds the matching ones of the next [`READ_AT_ONCE`] denials, up to `limit` in all, and returns
    /// the sequence number of the last one that was read; `None` if it was the oldest.
    fn list_some(
        &self,
        filter: &DenialFilter,
        before: u64,
        limit: usize,
        listed: &mut Vec<DenialRecord>,
    ) -> Option<u64> {
        let buffer = self.buffer();
        let mut last = None;
        for denial in buffer.older_than(before).take(READ_AT_ONCE) {
            last = Some(denial.sequence);
            if listed.len() < limit && filter.matches(denial) {
                listed.push(denial.clone());
            }
        }
        last
    }

    /// Returns the denial of a decision.
    pub(super) fn find(&self, decision_id: &str) -> Option<DenialRecord> {
        self.buffer().find(decision_id).cloned()
    }

    /// Locks the buffer.
    pub(super) fn buffer(&self) -> MutexGuard<'_, DenialBuffer> {
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The number of denials that are read under one lock: some microseconds.
const READ_AT_ONCE: usize = 16;

/// The number of consumers that must send many bad requests before they evict denials of others.
const MIN_SENDERS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostics::masking;

    fn recent(max_count: usize) -> RecentDenials {
        RecentDenials::new(max_count, usize::MAX)
    }

    fn add(recent: &RecentDenials, reason: &'static str) -> u64 {
        recent.add(true, |denial| {
            denial.reason = reason;
            masking::set(&mut denial.decision_id, reason.as_bytes());
        })
    }

    fn reasons(denials: &[DenialRecord]) -> Vec<&'static str> {
        denials.iter().map(|denial| denial.reason).collect()
    }

    fn only(reason: &str) -> DenialFilter {
        DenialFilter {
            reason: Some(reason.to_owned()),
            ..DenialFilter::default()
        }
    }

    #[test]
    fn the_oldest_denial_is_evicted_first_and_the_newest_listed_first() {
        let recent = recent(3);
        for reason in ["a", "b", "c", "d"] {
            add(&recent, reason);
        }
        let all = DenialFilter::default();
        assert_eq!(reasons(&recent.list(&all, None, 10)), ["d", "c", "b"]);
        assert_eq!(reasons(&recent.list(&all, Some(3), 1)), ["c"]);
        assert_eq!(reasons(&recent.list(&all, Some(2), 10)), ["b"]);
        assert_eq!(reasons(&recent.list(&all, Some(0), 10)), [""; 0]);
        assert_eq!(reasons(&recent.list(&only("b"), None, 10)), ["b"]);
        assert!(recent.find("a").is_none());
        assert_eq!(recent.find("d").map(|denial| denial.sequence), Some(3));
    }

    #[test]
    fn a_list_reads_a_few_denials_under_each_lock() {
        let recent = recent(1000);
        let count = 3 * READ_AT_ONCE + 1;
        for at in 0..count {
            add(&recent, if at == 0 { "first" } else { "other" });
        }
        assert_eq!(recent.list(&only("first"), None, 10).len(), 1);
        let all = recent.list(&DenialFilter::default(), None, count + 1);
        let sequences: Vec<_> = all.iter().map(|denial| denial.sequence).collect();
        let expected: Vec<_> = (0..count as u64).rev().collect();
        assert_eq!(sequences, expected);
        let mut listed = Vec::new();
        let last = recent.list_some(&only("other"), u64::MAX, 2, &mut listed);
        assert_eq!(
            (last, listed.len()),
            (Some((count - READ_AT_ONCE) as u64), 2)
        );
    }

    #[test]
    fn bytes_are_bounded_and_memory_is_reused() {
        let long = "x".repeat(200);
        let one = {
            let mut denial = DenialRecord::empty();
            masking::set(&mut denial.path, long.as_bytes());
            denial.size()
        };
        let recent = RecentDenials::new(1000, 3 * one);
        for _ in 0..1000 {
            recent.add(true, |denial| {
                masking::set(&mut denial.path, long.as_bytes())
            });
            let buffer = recent.buffer();
            assert!(buffer.bytes() <= 3 * one);
            assert_eq!(
                buffer.bytes(),
                buffer
                    .older_than(u64::MAX)
                    .map(DenialRecord::size)
                    .sum::<usize>()
            );
        }
        assert!((1..=3).contains(&recent.buffer().len()));
        let recent = RecentDenials::new(1, usize::MAX);
        recent.add(true, |denial| {
            masking::set(&mut denial.path, long.as_bytes())
        });
        recent.add(true, |_| ());
        recent.add(true, |denial| assert!(denial.path.capacity() >= long.len()));
        assert_eq!(
            RecentDenials::new(0, usize::MAX).add(true, |_| ()),
            0,
            "a limit of zero stores nothing"
        );
    }

    #[test]
    fn denials_of_unknown_consumers_do_not_evict_those_of_known_ones() {
        let recent = recent(4);
        let add = |known, reason| recent.add(known, |denial| denial.reason = reason);
        for reason in ["a", "b", "c", "d", "e"] {
            add(true, reason);
        }
        for _ in 0..1000 {
            add(false, "unsigned");
        }
        add(true, "f");
        let all = DenialFilter::default();
        assert_eq!(
            reasons(&recent.list(&all, None, 10)),
            ["f", "unsigned", "unsigned", "e"]
        );
        assert_eq!(
            reasons(&recent.list(&all, Some(1005), 10)),
            ["unsigned", "unsigned", "e"]
        );
        recent.explain(4, Explanation::Skipped, CompatSet::NONE);
        assert!(matches!(
            recent.list(&only("e"), None, 10)[0].explanation,
            Explanation::Skipped
        ));
    }

    #[test]
    fn a_flood_of_one_consumer_evicts_only_its_own_denials() {
        let recent = recent(16);
        let add = |key: &str, reason| {
            recent.add(true, |denial| {
                denial.reason = reason;
                masking::set(&mut denial.consumer_key, key.as_bytes());
            })
        };
        add("victim", "a");
        add("victim", "b");
        for _ in 0..1000 {
            add("flood", "x");
        }
        add("victim", "c");
        let all = DenialFilter::default();
        assert_eq!(reasons(&recent.list(&all, None, 2)), ["c", "x"]);
        assert_eq!(reasons(&recent.list(&all, Some(2), 10)), ["b", "a"]);
        for _ in 0..1000 {
            add("flood", "x");
        }
        let listed = recent.list(&all, None, 100);
        assert!((12..=16).contains(&listed.len()), "{}", listed.len());
        assert_eq!(
            listed.iter().filter(|denial| denial.reason != "x").count(),
            3,
            "a, b and c are still stored"
        );
    }
}
