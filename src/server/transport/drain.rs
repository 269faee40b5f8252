//! Leaving: who is told to, until when, and what is left after that.

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

/// Tells connections to leave.
#[derive(Debug)]
pub(crate) struct DrainSignal(watch::Sender<Option<Instant>>);

impl DrainSignal {
    /// Nobody is told yet.
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(None))
    }

    /// For somebody who will have to leave.
    pub(crate) fn watch(&self) -> DrainWatch {
        DrainWatch(self.0.subscribe())
    }

    /// Tells everybody to be gone by `deadline`.
    pub(crate) fn start(&self, deadline: Instant) {
        self.0.send_replace(Some(deadline));
    }
}

/// Hears when to leave.
#[derive(Clone, Debug)]
pub(crate) struct DrainWatch(watch::Receiver<Option<Instant>>);

impl DrainWatch {
    /// Waits until it is time, and says by when to be gone: now, if nobody is left to tell.
    pub(crate) async fn started(&mut self) -> Instant {
        let started = self.0.wait_for(Option::is_some).await;
        started
            .ok()
            .and_then(|deadline| *deadline)
            .unwrap_or_else(Instant::now)
    }
}

/// Waits until every task has ended, at most until `deadline`; returns how many were cut off then.
pub(crate) async fn join_until(mut open: JoinSet<()>, deadline: Instant) -> usize {
    let all = async { while open.join_next().await.is_some() {} };
    if timeout_at(deadline, all).await.is_ok() {
        return 0;
    }
    let cut = open.len();
    open.shutdown().await;
    cut
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_does_not_end_in_time_is_cut_off_and_counted() {
        let mut open = JoinSet::new();
        open.spawn(ready(()));
        open.spawn(pending());
        let began = Instant::now();
        assert_eq!(join_until(open, began + Duration::from_secs(5)).await, 1);
        assert_eq!(began.elapsed(), Duration::from_secs(5));
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_ended_is_not_waited_for() {
        let mut open = JoinSet::new();
        open.spawn(ready(()));
        let began = Instant::now();
        assert_eq!(join_until(open, began + Duration::from_secs(5)).await, 0);
        assert_eq!(began.elapsed(), Duration::ZERO);
    }

    #[tokio::test]
    async fn who_comes_late_is_told_too() {
        let drain = DrainSignal::new();
        let deadline = Instant::now();
        drain.start(deadline);
        assert_eq!(drain.watch().started().await, deadline);
    }
}
