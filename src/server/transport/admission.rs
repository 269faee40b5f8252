//! The admission of checks to their thread.
//!
//! ```text
//!              places left
//!  arrival ─────────────────▶ check
//!     │ none                    ▲ the newest first, if the oldest has waited for long
//!     ▼                         │
//!   line ──────────────────── turn: after each look at the sockets, a number of places
//!     │
//!     ▼ full, or too late to be answered in time
//!  refused
//! ```
//!
//! A thread starts at most [`PLACES`] checks between two looks at its sockets, so that under
//! overload arrivals, cancellations and responses of the store are seen within milliseconds. All
//! other checks wait in a line. There they cost little, and hold a stream of their caller: Envoy
//! fails the requests beyond its own limit without a call, which costs nothing here.
//!
//! - A short line is served in order. Once its oldest entry has waited for [`PATIENCE`], the newest
//!   is served first: its caller has the most time left, while in order each would be answered just
//!   too late.
//! - An entry that has used up three quarters of its time is refused. A full line refuses arrivals.
//! - An entry whose caller has gone is skipped.
//!
//! A refusal costs a part of a check. If a caller sends more checks than the thread can refuse, only
//! TCP slows it down.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::task::yield_now;
use tokio::time::Instant;

/// The admission to one thread. Its clones share the line.
#[derive(Clone, Debug)]
pub(crate) struct Admission(Arc<Gate>);

/// The time at which a check arrived, and the time at which its answer must be on its way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CheckTime {
    pub(crate) arrival: Instant,
    pub(crate) deadline: Instant,
}

/// The refusal of a check whose thread cannot answer it in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Overloaded;

#[derive(Debug)]
struct Gate {
    /// The checks that may start before the next turn; not above zero while there is a line.
    places: AtomicI32,
    line: Mutex<Line>,
    /// Notified when a line begins.
    begun: Arc<Notify>,
}

/// The checks that wait.
#[derive(Debug, Default)]
struct Line {
    entries: VecDeque<Entry>,
    /// The time of the last turn, while there is a line.
    last_turn: Option<Instant>,
    /// Set once entries without a caller were removed since the last turn.
    is_swept: bool,
}

/// A check that waits. Dropping it refuses the check.
#[derive(Debug)]
struct Entry {
    arrival: Instant,
    /// The latest time at which the check may start.
    start_by: Instant,
    admit: oneshot::Sender<()>,
}

// === impl Admission ===

impl Admission {
    /// Returns the admission to the thread of the current runtime.
    pub(crate) fn here() -> Self {
        let begun = Arc::new(Notify::new());
        let gate = Arc::new(Gate {
            places: AtomicI32::new(PLACES),
            line: Mutex::default(),
            begun: Arc::clone(&begun),
        });
        tokio::spawn(take_turns(Arc::downgrade(&gate), begun));
        Self(gate)
    }

    /// Returns the time at which a request that is read now arrived. Under overload, it has waited
    /// in the socket for up to the time since the last turn, and half of that on average.
    pub(crate) fn arrival(&self) -> Instant {
        let now = Instant::now();
        if self.0.places.load(Ordering::Relaxed) > 0 {
            return now;
        }
        let last_turn = self.0.line().last_turn;
        last_turn.map_or(now, |last| now - now.duration_since(last) / 2)
    }

    /// Waits until a check may start.
    ///
    /// # Errors
    /// If its answer would be too late, or too many checks wait.
    pub(crate) async fn enter(&self, time: CheckTime) -> Result<(), Overloaded> {
        if Instant::now() >= time.start_by() {
            return Err(Overloaded);
        }
        if self.0.places.fetch_sub(1, Ordering::Relaxed) > 0 {
            return Ok(());
        }
        let admitted = self.0.join_line(time)?;
        admitted.await.map_err(|_| Overloaded)
    }
}

// === impl CheckTime ===

impl CheckTime {
    /// Returns the latest time at which the check may start.
    fn start_by(self) -> Instant {
        self.deadline - self.deadline.saturating_duration_since(self.arrival) / 4
    }
}

// === impl Gate ===

impl Gate {
    /// Appends a check to the line; the receiver gets a message when it may start.
    fn join_line(&self, time: CheckTime) -> Result<oneshot::Receiver<()>, Overloaded> {
        let mut line = self.line();
        line.make_room()?;
        let (admit, admitted) = oneshot::channel();
        let was_empty = line.entries.is_empty();
        line.entries.push_back(Entry {
            arrival: time.arrival,
            start_by: time.start_by(),
            admit,
        });
        if was_empty {
            line.last_turn = Some(Instant::now());
            self.begun.notify_one();
        }
        Ok(admitted)
    }

    /// Admits the checks of one turn; returns whether others still wait.
    fn take_turn(&self) -> bool {
        let mut line = self.line();
        let now = Instant::now();
        let left = line.admit(PLACES, now);
        let waits = !line.entries.is_empty();
        line.last_turn = waits.then_some(now);
        self.places.store(left, Ordering::Relaxed);
        waits
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a turn after each look at the sockets, while there is a line.
async fn take_turns(gate: Weak<Gate>, begun: Arc<Notify>) {
    loop {
        begun.notified().await;
        loop {
            // The runtime continues a task that yielded only after it has looked at the sockets.
            yield_now().await;
            match gate.upgrade() {
                Some(gate) if gate.take_turn() => {}
                Some(_) => break,
                None => return,
            }
        }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.begun.notify_one();
    }
}

// === impl Line ===

impl Line {
    /// Makes room for another entry, of those whose callers have gone.
    fn make_room(&mut self) -> Result<(), Overloaded> {
        if self.entries.len() >= LONGEST_LINE && !self.is_swept {
            self.is_swept = true;
            self.entries.retain(|entry| !entry.admit.is_closed());
        }
        if self.entries.len() < LONGEST_LINE {
            Ok(())
        } else {
            Err(Overloaded)
        }
    }

    /// Refuses the entries that are too late, and admits up to `places` others; returns the places
    /// that are left.
    fn admit(&mut self, mut places: i32, now: Instant) -> i32 {
        self.is_swept = false;
        while self
            .entries
            .front()
            .is_some_and(|oldest| oldest.start_by <= now)
        {
            self.entries.pop_front();
        }
        while places > 0
            && let Some(entry) = self.next(now)
        {
            if entry.start_by > now && entry.admit.send(()).is_ok() {
                places -= 1;
            }
        }
        places
    }

    /// Takes the entry that is next.
    fn next(&mut self, now: Instant) -> Option<Entry> {
        let oldest = self.entries.front()?;
        if now.saturating_duration_since(oldest.arrival) < PATIENCE {
            self.entries.pop_front()
        } else {
            self.entries.pop_back()
        }
    }
}

/// The checks that may start between two looks at the sockets. Large enough that the claims of a
/// turn share a round trip to the store, and a turn takes a few milliseconds at most.
const PLACES: i32 = 64;

/// The checks that may wait. Envoy sends 1024 at once by default, over all threads.
const LONGEST_LINE: usize = 1024;

/// The wait after which the newest check is served first.
const PATIENCE: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use tokio::task::{JoinHandle, LocalSet, spawn_local};
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn checks_start_at_once_while_places_are_left() {
        let gate = Gate::without_turns();
        for _ in 0..PLACES {
            assert_eq!(gate.ask().now_or_never(), Some(Ok(())));
        }
        assert_eq!(gate.ask().now_or_never(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_short_line_is_served_in_order() {
        LocalSet::new()
            .run_until(async {
                let gate = Gate::full().await;
                let waiting = gate.waits(usize::try_from(PLACES).unwrap() + 1).await;
                assert!(gate.0.take_turn(), "one still waits");
                settle().await;
                let admitted: Vec<_> = waiting.iter().map(JoinHandle::is_finished).collect();
                assert!(admitted[..admitted.len() - 1].iter().all(|&done| done));
                assert!(!admitted[admitted.len() - 1], "the last one");
                assert!(!gate.0.take_turn());
            })
            .await;
    }

    #[tokio::test(start_paused = true)]
    async fn the_newest_is_served_first_once_the_oldest_has_waited_for_long() {
        LocalSet::new()
            .run_until(async {
                let gate = Gate::full().await;
                let places = usize::try_from(PLACES).unwrap();
                let old = gate.waits(places).await;
                advance(PATIENCE).await;
                let new = gate.waits(places).await;
                gate.0.take_turn();
                settle().await;
                assert!(new.iter().all(JoinHandle::is_finished));
                assert!(!old.iter().any(JoinHandle::is_finished));
            })
            .await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_check_that_cannot_be_answered_in_time_is_refused() {
        LocalSet::new()
            .run_until(async {
                let gate = Gate::full().await;
                let waiting = gate.waits(1).await.remove(0);
                advance(TIMEOUT * 3 / 4).await;
                gate.0.take_turn();
                assert_eq!(waiting.await.unwrap(), Err(Overloaded));

                let late = CheckTime {
                    arrival: Instant::now() - TIMEOUT,
                    deadline: Instant::now(),
                };
                assert_eq!(
                    gate.enter(late).await,
                    Err(Overloaded),
                    "despite free places"
                );
            })
            .await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_line_refuses_arrivals_unless_callers_have_gone() {
        LocalSet::new()
            .run_until(async {
                let gate = Gate::full().await;
                let waiting = gate.waits(LONGEST_LINE).await;
                assert_eq!(gate.ask().now_or_never(), Some(Err(Overloaded)));
                waiting[7].abort();
                settle().await;
                gate.0.line().is_swept = false;
                let _in_the_line = gate.waits(1).await;
                assert_eq!(gate.0.line().entries.len(), LONGEST_LINE);
            })
            .await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_check_whose_caller_has_gone_takes_no_place() {
        LocalSet::new()
            .run_until(async {
                let gate = Gate::full().await;
                let gone = gate.waits(usize::try_from(PLACES).unwrap()).await;
                gone.iter().for_each(JoinHandle::abort);
                settle().await;
                let waiting = gate.waits(1).await.remove(0);
                gate.0.take_turn();
                assert_eq!(waiting.await.unwrap(), Ok(()));
            })
            .await;
    }

    #[tokio::test(start_paused = true)]
    async fn under_overload_a_request_has_waited_in_its_socket() {
        LocalSet::new()
            .run_until(async {
                let gate = Gate::full().await;
                assert_eq!(gate.arrival(), Instant::now(), "no line yet");
                let _waiting = gate.waits(1).await;
                advance(Duration::from_millis(100)).await;
                assert_eq!(
                    Instant::now() - gate.arrival(),
                    Duration::from_millis(50),
                    "since the last turn"
                );
            })
            .await;
    }

    /// Twice as many checks as the thread can do, each with the same time to live: most of what it
    /// can do is answered in time.
    #[tokio::test(start_paused = true)]
    async fn at_twice_the_capacity_most_checks_that_start_are_in_time() {
        LocalSet::new()
            .run_until(async {
                let gate = Gate::without_turns();
                let mut asked = Vec::new();
                for _ in 0..500 {
                    // A turn starts a number of checks and takes 5 ms; twice as many arrive.
                    for _ in 0..2 * PLACES {
                        let gate = gate.clone();
                        asked.push(spawn_local(async move {
                            let began = Instant::now();
                            gate.ask().await.map(|()| began.elapsed())
                        }));
                    }
                    settle().await;
                    advance(Duration::from_millis(5)).await;
                    gate.0.take_turn();
                    settle().await;
                }
                asked.iter().for_each(JoinHandle::abort);
                let mut waits = Vec::new();
                for one in asked {
                    if let Ok(Ok(wait)) = one.await {
                        waits.push(wait);
                    }
                }
                waits.sort_unstable();
                let capacity = 500 * usize::try_from(PLACES).unwrap();
                assert!(
                    waits.len() * 100 > capacity * 95,
                    "{} of {capacity}",
                    waits.len()
                );
                let p99 = waits[waits.len() * 99 / 100];
                assert!(p99 <= TIMEOUT * 3 / 4, "{p99:?}");
            })
            .await;
    }

    const TIMEOUT: Duration = Duration::from_millis(180);

    impl Gate {
        /// Returns an admission whose turns the test takes.
        fn without_turns() -> Admission {
            Admission(Arc::new(Self {
                places: AtomicI32::new(PLACES),
                line: Mutex::default(),
                begun: Arc::default(),
            }))
        }

        /// Returns an admission without a place left.
        async fn full() -> Admission {
            let gate = Self::without_turns();
            for _ in 0..PLACES {
                gate.ask().await.unwrap();
            }
            gate
        }
    }

    impl Admission {
        /// Asks for a check that arrives now.
        fn ask(&self) -> impl Future<Output = Result<(), Overloaded>> + use<> {
            let arrival = Instant::now();
            let (gate, deadline) = (self.clone(), arrival + TIMEOUT);
            async move { gate.enter(CheckTime { arrival, deadline }).await }
        }

        /// Lets so many checks wait.
        async fn waits(&self, count: usize) -> Vec<JoinHandle<Result<(), Overloaded>>> {
            let waiting = (0..count).map(|_| spawn_local(self.ask())).collect();
            settle().await;
            waiting
        }
    }

    /// Lets every task run, of which a `LocalSet` polls some at a time.
    async fn settle() {
        for _ in 0..100 {
            yield_now().await;
        }
    }
}
