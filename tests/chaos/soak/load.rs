//! The load: as much as the machine can answer, to measure it, and then a steady rate.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use crate::driver::Driver;
use crate::ledger::Ledger;

/// The load of a soak.
pub(crate) struct Load {
    driver: Arc<Driver>,
    unsent: AtomicUsize,
}

impl Load {
    /// Returns the load that a driver sends.
    pub(crate) fn new(driver: Arc<Driver>) -> Self {
        Self {
            driver,
            unsent: AtomicUsize::new(0),
        }
    }

    /// Returns the verdicts per second to callers that always wait for one: the median of the seconds
    /// after the first third.
    pub(crate) async fn saturation(&self, length: Duration, ledger: &Ledger) -> f64 {
        let mut callers = JoinSet::new();
        for caller in 0..CALLERS {
            let driver = Arc::clone(&self.driver);
            callers.spawn(async move {
                // Each caller begins elsewhere in the sequence of kinds.
                for turn in caller.. {
                    driver.send(turn).await;
                }
            });
        }
        sleep(length / 3).await;
        let mut rates = Vec::new();
        let end = Instant::now() + length * 2 / 3;
        while Instant::now() < end {
            let (before, begun) = (ledger.verdicts(), Instant::now());
            sleep(Duration::from_secs(1)).await;
            let answered = (ledger.verdicts() - before) as f64;
            rates.push(answered / begun.elapsed().as_secs_f64());
        }
        callers.shutdown().await;
        rates.sort_by(f64::total_cmp);
        rates.get(rates.len() / 2).copied().unwrap_or_default()
    }

    /// Sends so many requests per second until it is aborted, whether earlier ones have an answer or
    /// not. Like Envoy, it does not send a request while too many are in flight.
    pub(crate) async fn steady(self: Arc<Self>, rate: f64) {
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut sent = JoinSet::new();
        let begun = Instant::now();
        let mut turn = 0;
        loop {
            beat.tick().await;
            let due = (begun.elapsed().as_secs_f64() * rate) as usize;
            for turn in turn..due {
                if sent.len() >= MOST {
                    self.unsent.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
                let driver = Arc::clone(&self.driver);
                sent.spawn(async move { driver.send(turn).await });
            }
            turn = turn.max(due);
            while sent.try_join_next().is_some() {}
        }
    }

    /// Returns the number of requests that were not sent.
    pub(crate) fn unsent(&self) -> usize {
        self.unsent.load(Ordering::Relaxed)
    }
}

/// The callers that measure the saturation.
const CALLERS: usize = 64;

/// The pause between two looks for due requests.
const BEAT: Duration = Duration::from_millis(1);

/// The most requests in flight, as in Envoy by default.
const MOST: usize = 1024;
