//! Per-thread copies of hot state, to avoid contention: a cache line that every check writes would
//! otherwise move between processors.
//!
//! If there are more threads than processors, threads share copies, so a copy must be `Sync`.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::available_parallelism;

/// A copy of `T` for each processor, rounded up to a power of two.
#[derive(Debug)]
pub(crate) struct Lanes<T>(Box<[Lane<T>]>);

/// A copy with two cache lines of its own, the unit that processors prefetch.
#[derive(Debug)]
#[repr(align(128))]
struct Lane<T>(T);

// === impl Lanes ===

impl<T> Lanes<T> {
    /// Creates each copy with `make`.
    pub(crate) fn new(mut make: impl FnMut() -> T) -> Self {
        Self((0..*COUNT).map(|_| Lane(make())).collect())
    }

    /// Returns the copy of the calling thread.
    pub(crate) fn mine(&self) -> &T {
        let lane = MINE.with(|mine| *mine) & (self.0.len() - 1);
        &self.0[lane].0
    }

    /// Returns all copies.
    pub(crate) fn all(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|Lane(copy)| copy)
    }
}

impl<T: Default> Default for Lanes<T> {
    fn default() -> Self {
        Self::new(T::default)
    }
}

thread_local! {
    /// The number of this thread; its low bits are the index of its copy.
    static MINE: usize = NEXT.fetch_add(1, Ordering::Relaxed);
}

static NEXT: AtomicUsize = AtomicUsize::new(0);

/// The number of copies. Reading it opens files, so it is read once.
static COUNT: LazyLock<usize> = LazyLock::new(|| {
    available_parallelism()
        .map_or(1, usize::from)
        .next_power_of_two()
        .min(MOST)
});

/// The maximum number of copies, because reading a count adds up all of them.
const MOST: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thread_uses_one_copy_and_all_are_counted() {
        let lanes = Lanes::<AtomicUsize>::default();
        let count = || {
            for _ in 0..3 {
                lanes.mine().fetch_add(1, Ordering::Relaxed);
            }
        };
        count();
        let counts = |lanes: &Lanes<AtomicUsize>| {
            lanes
                .all()
                .map(|copy| copy.load(Ordering::Relaxed))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            counts(&lanes)
                .into_iter()
                .filter(|&count| count > 0)
                .collect::<Vec<_>>(),
            [3]
        );
        std::thread::scope(|scope| scope.spawn(count).join()).unwrap();
        assert_eq!(counts(&lanes).iter().sum::<usize>(), 6);
        assert!(counts(&lanes).len().is_power_of_two());
    }
}
