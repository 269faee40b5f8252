//! The drain at shutdown: its signal, its deadline, and the tasks that remain.

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

/// The sender that starts a drain.
#[derive(Debug)]
pub(crate) struct DrainSignal(watch::Sender<Option<Instant>>);

/// A receiver of a [`DrainSignal`].
#[derive(Clone, Debug)]
pub(crate) struct DrainWatch(watch::Receiver<Option<Instant>>);

// === impl DrainSignal ===

impl DrainSignal {
    /// Returns a signal that has not started.
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(None))
    }

    /// Returns a receiver.
    pub(crate) fn watch(&self) -> DrainWatch {
        DrainWatch(self.0.subscribe())
    }

    /// Starts the drain, which ends at `deadline`.
    pub(crate) fn start(&self, deadline: Instant) {
        self.0.send_replace(Some(deadline));
    }
}

// === impl DrainWatch ===

impl DrainWatch {
    /// Waits for the start of the drain, and returns its deadline: now, if the signal was dropped.
    pub(crate) async fn started(&mut self) -> Instant {
        let started = self.0.wait_for(Option::is_some).await;
        started
            .ok()
            .and_then(|deadline| *deadline)
            .unwrap_or_else(Instant::now)
    }
}

/// Waits until every task has ended, or until `deadline`; returns the number of tasks that were
/// aborted then.
pub(crate) async fn join_until(mut open: JoinSet<()>, deadline: Instant) -> usize {
    let all = async { while open.join_next().await.is_some() {} };
    if timeout_at(deadline, all).await.is_ok() {
        return 0;
    }
    let aborted = open.len();
    open.shutdown().await;
    aborted
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_task_is_aborted_at_the_deadline_and_counted() {
        let mut open = JoinSet::new();
        open.spawn(ready(()));
        open.spawn(pending());
        let began = Instant::now();
        assert_eq!(join_until(open, began + Duration::from_secs(5)).await, 1);
        assert_eq!(began.elapsed(), Duration::from_secs(5));
    }

    #[tokio::test(start_paused = true)]
    async fn ended_tasks_are_not_waited_for() {
        let mut open = JoinSet::new();
        open.spawn(ready(()));
        let began = Instant::now();
        assert_eq!(join_until(open, began + Duration::from_secs(5)).await, 0);
        assert_eq!(began.elapsed(), Duration::ZERO);
    }

    #[tokio::test]
    async fn a_late_watch_sees_the_drain() {
        let signal = DrainSignal::new();
        let deadline = Instant::now();
        signal.start(deadline);
        assert_eq!(signal.watch().started().await, deadline);
    }
}
