//! State of which every thread uses a copy of its own: what all checks touch would else wander between processors, and
//! each touch would wait for it.
//!
//! Threads share copies when there are more of them than processors: a copy must bear that.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::available_parallelism;

/// As many copies of a `T` as there are processors, rounded up to a power of two.
#[derive(Debug)]
pub(crate) struct Lanes<T>(Box<[Lane<T>]>);

/// Alone on the two cache lines that processors fetch together.
#[derive(Debug)]
#[repr(align(128))]
struct Lane<T>(T);

// === impl Lanes ===

impl<T> Lanes<T> {
    /// Makes each copy by `make`.
    pub(crate) fn new(mut make: impl FnMut() -> T) -> Self {
        Self((0..*COUNT).map(|_| Lane(make())).collect())
    }

    /// The copy of the thread that asks.
    pub(crate) fn mine(&self) -> &T {
        let lane = MINE.with(|mine| *mine) & (self.0.len() - 1);
        &self.0[lane].0
    }

    /// Every copy.
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
    /// Which copy is this thread's, before it is cut down to how many there are.
    static MINE: usize = NEXT.fetch_add(1, Ordering::Relaxed);
}

static NEXT: AtomicUsize = AtomicUsize::new(0);

/// Asked once: it reads files.
static COUNT: LazyLock<usize> = LazyLock::new(|| {
    available_parallelism()
        .map_or(1, usize::from)
        .next_power_of_two()
        .min(MOST)
});

/// The most copies: what is counted in them is read by adding them up.
const MOST: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_keeps_to_its_copy_and_all_are_seen() {
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
