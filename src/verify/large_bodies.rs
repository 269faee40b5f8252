//! The hashes of large bodies, which take longer than a check may hold its thread.
//!
//! - A hash is computed in steps, and other checks of the thread run between them.
//! - At most [`TURNS`] hashes of a thread are computed at once, and one for each consumer: further
//!   requests of that consumer wait, and those of others do not wait for them.
//! - Only proven requests get here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use tokio::task::yield_now;

use crate::model::ConsumerKey;
use crate::oauth::BodyHashing;

/// The turns of one thread.
#[derive(Debug)]
pub(super) struct LargeBodies {
    turns: Semaphore,
    /// The consumers that have a turn or wait for one.
    consumers: Mutex<HashMap<ConsumerKey, Arc<Semaphore>>>,
}

impl Default for LargeBodies {
    fn default() -> Self {
        Self {
            turns: Semaphore::new(TURNS),
            consumers: Mutex::default(),
        }
    }
}

impl LargeBodies {
    /// Computes a hash when it is the consumer's turn.
    pub(super) async fn hash<'h>(
        &self,
        consumer: &ConsumerKey,
        mut hashing: BodyHashing<'h>,
    ) -> BodyHashing<'h> {
        let _turn = self.turn(consumer).await;
        while hashing.step() {
            yield_now().await;
        }
        hashing
    }

    async fn turn<'t>(&'t self, consumer: &'t ConsumerKey) -> Turn<'t> {
        let own = Arc::clone(self.consumers().entry(consumer.clone()).or_insert_with(one));
        let mut turn = Turn {
            bodies: self,
            consumer,
            permits: (None, None),
        };
        // The semaphores are never closed.
        turn.permits.0 = own.acquire_owned().await.ok();
        turn.permits.1 = self.turns.acquire().await.ok();
        turn
    }

    fn consumers(&self) -> MutexGuard<'_, HashMap<ConsumerKey, Arc<Semaphore>>> {
        self.consumers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn one() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(1))
}

/// A turn, or a place in the queue for one.
struct Turn<'t> {
    bodies: &'t LargeBodies,
    consumer: &'t ConsumerKey,
    permits: (Option<OwnedSemaphorePermit>, Option<SemaphorePermit<'t>>),
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.permits = (None, None);
        let mut consumers = self.bodies.consumers();
        let is_last = |own: &Arc<Semaphore>| Arc::strong_count(own) == 1;
        if consumers.get(self.consumer).is_some_and(is_last) {
            consumers.remove(self.consumer);
        }
    }
}

/// The hashes of a thread at once. Each adds a step to the wait of other checks.
const TURNS: usize = 2;

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn a_consumer_has_one_turn_and_does_not_block_another() {
        let (bodies, [one, other]) = (LargeBodies::default(), ["one", "other"].map(key));
        let first = bodies.turn(&one).await;
        assert!(bodies.turn(&one).now_or_never().is_none());
        let second = bodies.turn(&other).now_or_never().unwrap();
        assert!(
            bodies.turn(&key("third")).now_or_never().is_none(),
            "no turn is left"
        );
        drop(first);
        assert!(bodies.turn(&one).now_or_never().is_some());
        drop(second);
        assert!(bodies.consumers().is_empty());
        assert_eq!(bodies.turns.available_permits(), TURNS);
    }

    fn key(text: &str) -> ConsumerKey {
        ConsumerKey::new(text).unwrap()
    }
}
