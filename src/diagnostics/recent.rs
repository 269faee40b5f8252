//! The last denials, in the order in which they were decided: bounded in number and bytes, the oldest dropped first.
//!
//! Those that name a known consumer and all others are dropped apart, each down to half of the room: who knows no consumer
//! can push nobody's denials out. Of known consumers, the one of which there are most loses its own, once it has an eighth of
//! the room. The memory of what is dropped is used again for what comes, so that a flood of denials hardly allocates. Who
//! watches reads from here as well, each from where it is: a slow reader loses the oldest, and learns how many.

use std::cmp::Reverse;
use std::collections::hash_map::{Entry, RandomState};
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::hash::BuildHasher as _;
use std::iter;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::{DenialFilter, DenialRecord, Explanation};

/// The last denials.
pub(super) struct RecentDenials {
    most: usize,
    max_bytes: usize,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    /// Those that name a known consumer, and the others; each in the order of sequence numbers.
    denials: [VecDeque<DenialRecord>; 2],
    /// How many of the first name each consumer, by the hash of its key. Two that have the same are taken for one.
    held: HashMap<u64, usize>,
    hasher: RandomState,
    /// The number of the next.
    next: u64,
    bytes: usize,
    /// What was dropped last, whose memory is used again.
    spare: Option<DenialRecord>,
    closed: bool,
}

/// Denials as they come.
pub struct DenialWatch {
    recent: Arc<RecentDenials>,
    filter: DenialFilter,
    next: u64,
}

/// What came since the last look.
#[derive(Clone, Debug, Default)]
pub struct NewDenials {
    /// How many denials were dropped before they could be read, whether or not the filter admits them.
    pub missed: u64,
    /// The denials that are left, the oldest first.
    pub denials: Vec<DenialRecord>,
}

// === impl RecentDenials ===

impl RecentDenials {
    /// Keeps at most `most` denials and `max_bytes` bytes.
    pub(super) fn new(most: usize, max_bytes: usize) -> Self {
        Self {
            most,
            max_bytes,
            state: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// Adds the denial that `fill` makes of an empty or a dropped one, and returns its number. `known` says that it names a
    /// known consumer.
    pub(super) fn add(&self, known: bool, fill: impl FnOnce(&mut DenialRecord)) -> u64 {
        let mut state = self.state();
        let mut denial = state.spare.take().unwrap_or_else(DenialRecord::empty);
        fill(&mut denial);
        let sequence = state.next;
        denial.sequence = sequence;
        state.next += 1;
        state.bytes += denial.weight();
        if known {
            let owner = state.owner(&denial);
            *state.held.entry(owner).or_default() += 1;
        }
        state.denials[usize::from(!known)].push_back(denial);
        self.make_room(&mut state);
        drop(state);
        self.changed.notify_waiters();
        sequence
    }

    fn make_room(&self, state: &mut State) {
        while state.len() > self.most || state.bytes > self.max_bytes {
            state.drop_oldest(self.most / SHARES);
        }
    }

    /// Adds to the denial of that number why its signature did not match, if it is still kept.
    pub(super) fn explain(&self, sequence: u64, explanation: Explanation) {
        let mut state = self.state();
        let Some(denial) = state.find(sequence) else {
            return;
        };
        let before = denial.weight();
        denial.explanation = explanation;
        let after = denial.weight();
        state.bytes = state.bytes - before + after;
        self.make_room(&mut state);
        drop(state);
        self.changed.notify_waiters();
    }

    /// The newest first.
    pub(super) fn list(
        &self,
        filter: &DenialFilter,
        before: Option<u64>,
        limit: usize,
    ) -> Vec<DenialRecord> {
        let state = self.state();
        let older = state.older_than(before.unwrap_or(u64::MAX));
        older
            .filter(|denial| filter.admits(denial))
            .take(limit)
            .cloned()
            .collect()
    }

    /// The denial of that decision.
    pub(super) fn find(&self, decision_id: &str) -> Option<DenialRecord> {
        self.state()
            .denials
            .iter()
            .flatten()
            .find(|denial| denial.decision_id == decision_id)
            .cloned()
    }

    /// Ends every watch.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.changed.notify_waiters();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl State ===

impl State {
    fn len(&self) -> usize {
        self.denials.iter().map(VecDeque::len).sum()
    }

    /// Drops the oldest of those of which there are more; of known consumers, where one has more than its share, the oldest of
    /// the one that has most.
    fn drop_oldest(&mut self, share: usize) {
        let [known, others] = &self.denials;
        self.spare = if known.len() > others.len() {
            let (&most, &held) = self
                .held
                .iter()
                .max_by_key(|(_, held)| **held)
                .unwrap_or((&0, &0));
            let is_oldest = known
                .front()
                .is_none_or(|oldest| self.owner(oldest) == most);
            if held > share && !is_oldest {
                return self.drop_some(most, held.div_ceil(BATCHES));
            }
            let dropped = self.denials[0].pop_front();
            dropped.inspect(|dropped| self.release(self.owner(dropped), 1))
        } else {
            self.denials[1].pop_front()
        };
        self.bytes -= self.spare.as_ref().map_or(self.bytes, DenialRecord::weight);
    }

    /// Drops the `count` oldest of one consumer that stand between those of others: to find each by itself would take long.
    fn drop_some(&mut self, owner: u64, count: usize) {
        let (mut left, mut bytes) = (count, 0);
        let hasher = &self.hasher;
        self.denials[0].retain(|denial| {
            let is_dropped = left > 0 && hasher.hash_one(&denial.consumer_key) == owner;
            if is_dropped {
                left -= 1;
                bytes += denial.weight();
            }
            !is_dropped
        });
        self.bytes -= bytes;
        self.release(owner, count - left);
    }

    fn release(&mut self, owner: u64, count: usize) {
        if let Entry::Occupied(mut held) = self.held.entry(owner) {
            *held.get_mut() -= count;
            if *held.get() == 0 {
                held.remove();
            }
        }
    }

    fn owner(&self, denial: &DenialRecord) -> u64 {
        self.hasher.hash_one(&denial.consumer_key)
    }

    fn find(&mut self, sequence: u64) -> Option<&mut DenialRecord> {
        self.denials.iter_mut().find_map(|denials| {
            let at = denials
                .binary_search_by_key(&sequence, |denial| denial.sequence)
                .ok()?;
            denials.get_mut(at)
        })
    }

    /// Those with numbers below, the newest first.
    fn older_than(&self, sequence: u64) -> impl Iterator<Item = &DenialRecord> {
        let older = |denials: &'_ VecDeque<DenialRecord>| {
            denials.partition_point(|denial| denial.sequence < sequence)
        };
        let [known, others] = &self.denials;
        let (known, others) = (
            known.range(..older(known)).rev(),
            others.range(..older(others)).rev(),
        );
        merged(known, others, |denial| Reverse(denial.sequence))
    }

    /// Those from that number on, the oldest first.
    fn from(&self, sequence: u64) -> impl Iterator<Item = &DenialRecord> {
        let from = |denials: &'_ VecDeque<DenialRecord>| {
            denials.partition_point(|denial| denial.sequence < sequence)
        };
        let [known, others] = &self.denials;
        merged(
            known.range(from(known)..),
            others.range(from(others)..),
            |denial| denial.sequence,
        )
    }

    /// What came from number `from` on, as far as it is kept and no longer being explained; and the number after it.
    fn since(&self, from: u64, filter: &DenialFilter) -> (NewDenials, u64) {
        let (mut seen, mut present, mut end) = (NewDenials::default(), 0, self.next);
        for denial in self.from(from) {
            if matches!(denial.explanation, Explanation::Pending) || present == BATCH {
                end = denial.sequence;
                break;
            }
            present += 1;
            if filter.admits(denial) {
                seen.denials.push(denial.clone());
            }
        }
        // Each number was given to one that is still here or was dropped.
        seen.missed = end - from - present;
        (seen, end)
    }
}

/// Two iterators in one order as one.
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

// === impl DenialWatch ===

impl DenialWatch {
    pub(super) fn new(recent: Arc<RecentDenials>, filter: DenialFilter) -> Self {
        let next = recent.state().next;
        Self {
            recent,
            filter,
            next,
        }
    }

    /// What came, as soon as something did; `None` when the service ends.
    pub async fn next(&mut self) -> Option<NewDenials> {
        loop {
            let mut changed = std::pin::pin!(self.recent.changed.notified());
            // From here on nothing that comes is overlooked.
            changed.as_mut().enable();
            let (seen, next) = {
                let state = self.recent.state();
                if state.closed {
                    return None;
                }
                state.since(self.next, &self.filter)
            };
            let is_behind = self.next != next;
            self.next = next;
            if seen.missed > 0 || !seen.denials.is_empty() {
                return Some(seen);
            }
            if !is_behind {
                changed.await;
            }
        }
    }
}

impl fmt::Debug for DenialWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DenialWatch")
            .field("filter", &self.filter)
            .finish_non_exhaustive()
    }
}

/// How many consumers at least have to send much, before denials of the others are pushed out.
const SHARES: usize = 8;

/// Which part of those of one consumer is dropped at once.
const BATCHES: usize = 4;

/// How many denials are copied at a time, while others wait to add theirs.
const BATCH: u64 = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostics::masked;

    fn recent(most: usize) -> Arc<RecentDenials> {
        Arc::new(RecentDenials::new(most, usize::MAX))
    }

    fn add(recent: &RecentDenials, reason: &'static str) -> u64 {
        recent.add(true, |denial| {
            denial.reason = reason;
            masked::put(&mut denial.decision_id, reason.as_bytes());
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
    fn the_oldest_is_dropped_first_and_the_newest_listed_first() {
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
    fn bytes_are_bounded_and_memory_is_used_again() {
        let long = "x".repeat(200);
        let one = {
            let mut denial = DenialRecord::empty();
            masked::put(&mut denial.path, long.as_bytes());
            denial.weight()
        };
        let recent = RecentDenials::new(1000, 3 * one);
        for _ in 0..1000 {
            recent.add(true, |denial| {
                masked::put(&mut denial.path, long.as_bytes())
            });
            let state = recent.state();
            assert!(state.bytes <= 3 * one);
            assert_eq!(
                state.bytes,
                state
                    .denials
                    .iter()
                    .flatten()
                    .map(DenialRecord::weight)
                    .sum::<usize>()
            );
        }
        assert!((1..=3).contains(&recent.state().len()));
        let recent = RecentDenials::new(1, usize::MAX);
        recent.add(true, |denial| {
            masked::put(&mut denial.path, long.as_bytes())
        });
        recent.add(true, |_| ());
        recent.add(true, |denial| assert!(denial.path.capacity() >= long.len()));
        assert_eq!(
            RecentDenials::new(0, usize::MAX).add(true, |_| ()),
            0,
            "nothing is kept where nothing is to be kept"
        );
    }

    #[test]
    fn who_names_no_known_consumer_pushes_out_none_that_does() {
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
        recent.explain(4, Explanation::Skipped);
        assert!(matches!(
            recent.list(&only("e"), None, 10)[0].explanation,
            Explanation::Skipped
        ));
    }

    #[test]
    fn who_names_one_known_consumer_pushes_out_its_own_alone() {
        let recent = recent(16);
        let add = |key: &str, reason| {
            recent.add(true, |denial| {
                denial.reason = reason;
                masked::put(&mut denial.consumer_key, key.as_bytes());
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
            "a, b and c are still there"
        );
        let state = recent.state();
        assert_eq!(state.held.values().sum::<usize>(), state.len());
        assert_eq!(
            (state.held.len(), state.bytes),
            (2, state.denials[0].iter().map(DenialRecord::weight).sum())
        );
    }

    #[tokio::test]
    async fn what_is_being_explained_is_seen_once_it_is_and_what_comes_after_it_then() {
        let recent = recent(10);
        let mut watch = DenialWatch::new(Arc::clone(&recent), DenialFilter::default());
        let pending = recent.add(true, |denial| denial.explanation = Explanation::Pending);
        recent.add(false, |denial| denial.reason = "unsigned");
        let (seen, ()) = tokio::join!(watch.next(), async {
            recent.explain(pending, Explanation::Skipped)
        });
        let seen = seen.unwrap();
        assert_eq!((seen.missed, seen.denials.len()), (0, 2));
        assert!(matches!(seen.denials[0].explanation, Explanation::Skipped));
    }

    #[tokio::test]
    async fn who_watches_sees_what_comes_from_then_on() {
        let recent = recent(3);
        add(&recent, "before");
        let mut watch = DenialWatch::new(Arc::clone(&recent), DenialFilter::default());
        add(&recent, "a");
        add(&recent, "b");
        let seen = watch.next().await.unwrap();
        assert_eq!((seen.missed, reasons(&seen.denials)), (0, vec!["a", "b"]));
        let (seen, ()) = tokio::join!(watch.next(), async {
            add(&recent, "c");
        });
        assert_eq!(reasons(&seen.unwrap().denials), ["c"]);
    }

    #[tokio::test]
    async fn a_slow_reader_loses_the_oldest_and_learns_how_many() {
        let recent = recent(2);
        let mut watch = DenialWatch::new(Arc::clone(&recent), DenialFilter::default());
        for reason in ["a", "b", "c", "d", "e"] {
            add(&recent, reason);
        }
        let seen = watch.next().await.unwrap();
        assert_eq!((seen.missed, reasons(&seen.denials)), (3, vec!["d", "e"]));
        add(&recent, "f");
        assert_eq!(watch.next().await.unwrap().missed, 0);
    }

    #[tokio::test]
    async fn only_what_the_filter_admits_is_seen_and_the_end() {
        let recent = recent(1000);
        let mut watch = DenialWatch::new(Arc::clone(&recent), only("b"));
        for _ in 0..3 * BATCH {
            add(&recent, "a");
        }
        add(&recent, "b");
        assert_eq!(reasons(&watch.next().await.unwrap().denials), ["b"]);
        let (ended, ()) = tokio::join!(watch.next(), async { recent.close() });
        assert!(ended.is_none() && watch.next().await.is_none());
    }
}
