//! Batches of calls that share a round trip to Redis.
//!
//! ```text
//!              yields once         one command for all pending items
//!  send ────▶ queue ──▶ runner ────────────────────────────────────▶ Redis ──▶ an answer for each
//!              ▲          │ meanwhile, others queue
//!              └──────────┘
//! ```
//!
//! A caller that finds no runner starts one. The runner yields once, so that every task that is
//! ready can join, and sends all pending items as one command; later items are in the next batch. A
//! slow batch delays no other: after [`SLOW`], another runner takes over the queue. A batch is
//! retried like any call (`client`), and ends by the deadline of its first item. On a Cluster a
//! command stays within a slot, so each slot has its own command.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use super::client::RedisClient;
use super::error::CommandError;
use super::keys;

/// A call that can share a command with others like it. The command may be sent twice.
pub(super) trait BatchItem: Sized + Send + Sync + 'static {
    /// The answer to one item.
    type Answer: Send + 'static;

    /// Returns a key of the slot that the item is in.
    fn slot_key(&self) -> &str;

    /// Sends one command for all `pending` items, which are in one slot, and returns their answers
    /// in order.
    fn send_all(
        client: &RedisClient,
        pending: &[PendingItem<Self>],
        deadline: Instant,
    ) -> impl Future<Output = Result<Vec<Self::Answer>, CommandError>> + Send;
}

/// Sends items in batches.
pub(super) struct Batcher<I: BatchItem> {
    client: Arc<RedisClient>,
    queue: Mutex<PendingQueue<I>>,
}

struct PendingQueue<I: BatchItem> {
    pending: Vec<PendingItem<I>>,
    /// The time at which the first pending item arrived.
    since: Option<Instant>,
    has_runner: bool,
}

/// An item whose caller waits for the answer.
pub(super) struct PendingItem<I: BatchItem> {
    /// The item.
    pub(super) item: I,
    done: oneshot::Sender<Result<I::Answer, CommandError>>,
}

/// The items of one command, or on a Cluster of one command for each slot.
struct ItemBatch<I: BatchItem> {
    pending: Vec<PendingItem<I>>,
    deadline: Instant,
}

// === impl Batcher ===

impl<I: BatchItem> Batcher<I> {
    /// Sends items over `client`.
    pub(super) fn new(client: Arc<RedisClient>) -> Arc<Self> {
        Arc::new(Self {
            client,
            queue: Mutex::default(),
        })
    }

    /// Returns the client that sends the batches.
    pub(super) fn client(&self) -> &RedisClient {
        &self.client
    }

    /// Sends an item with all that are pending. If the future is dropped, the item is not sent
    /// unless it is on its way, and others are not affected.
    pub(super) async fn send(self: &Arc<Self>, item: I) -> Result<I::Answer, CommandError> {
        self.client.check()?;
        let (done, outcome) = oneshot::channel();
        if self.enqueue(PendingItem { item, done })? {
            self.start_runner();
        }
        outcome.await.unwrap_or(Err(CommandError::RunnerStopped))
    }

    /// Queues an item. Returns whether there is no runner, so that the caller has to start one.
    fn enqueue(&self, item: PendingItem<I>) -> Result<bool, CommandError> {
        let mut queue = self.queue();
        if queue.pending.len() >= MAX_PENDING {
            return Err(CommandError::Overloaded);
        }
        if queue.pending.is_empty() {
            queue.since = Some(Instant::now());
        }
        queue.pending.push(item);
        Ok(!std::mem::replace(&mut queue.has_runner, true))
    }

    fn start_runner(self: &Arc<Self>) {
        tokio::spawn(run(Arc::clone(self)));
    }

    /// Takes all pending items whose callers still wait; if none is pending, the next item starts a
    /// runner.
    fn take(&self) -> Option<ItemBatch<I>> {
        let mut queue = self.queue();
        let Some(since) = queue.since.take() else {
            queue.has_runner = false;
            return None;
        };
        let next = Vec::with_capacity(queue.pending.len());
        let mut pending = std::mem::replace(&mut queue.pending, next);
        pending.retain(|one| !one.done.is_closed());
        Some(ItemBatch {
            pending,
            deadline: since + self.client.timeout(),
        })
    }

    /// Leaves the pending items to another runner.
    fn hand_over(self: &Arc<Self>) {
        let mut queue = self.queue();
        queue.has_runner = !queue.pending.is_empty();
        if queue.has_runner {
            self.start_runner();
        }
    }

    /// Sends a batch, and answers every item.
    async fn send_batch(&self, batch: ItemBatch<I>) {
        if batch.pending.is_empty() {
            return;
        }
        if !self.client.is_cluster() {
            return self.send_to_one_slot(batch.pending, batch.deadline).await;
        }
        let mut slots: Vec<Vec<PendingItem<I>>> = Vec::new();
        for pending in batch.pending {
            match slots
                .iter_mut()
                .find(|slot| keys::share_a_slot(slot[0].item.slot_key(), pending.item.slot_key()))
            {
                Some(slot) => slot.push(pending),
                None => slots.push(vec![pending]),
            }
        }
        join_all(
            slots
                .into_iter()
                .map(|slot| self.send_to_one_slot(slot, batch.deadline)),
        )
        .await;
    }

    async fn send_to_one_slot(&self, pending: Vec<PendingItem<I>>, deadline: Instant) {
        match I::send_all(&self.client, &pending, deadline).await {
            Ok(answers) => pending
                .into_iter()
                .zip(answers)
                .for_each(|(one, answer)| one.answer(Ok(answer))),
            // A key that another program wrote fails the whole command, but must not fail the other
            // items.
            Err(CommandError::WrongType) if pending.len() > 1 => {
                for one in pending {
                    let answers =
                        I::send_all(&self.client, std::slice::from_ref(&one), deadline).await;
                    one.answer(answers.and_then(only_answer));
                }
            }
            Err(error) => pending
                .into_iter()
                .for_each(|one| one.answer(Err(error.clone()))),
        }
    }

    fn queue(&self) -> MutexGuard<'_, PendingQueue<I>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn only_answer<T>(answers: Vec<T>) -> Result<T, CommandError> {
    answers
        .into_iter()
        .next()
        .ok_or(CommandError::UnexpectedAnswer)
}

/// Sends batches until no item is pending.
async fn run<I: BatchItem>(batcher: Arc<Batcher<I>>) {
    let guard = RunnerGuard(&batcher);
    tokio::task::yield_now().await;
    while let Some(batch) = batcher.take() {
        let mut sent = pin!(batcher.send_batch(batch));
        if timeout(SLOW, &mut sent).await.is_err() {
            batcher.hand_over();
            std::mem::forget(guard);
            return sent.await;
        }
    }
    std::mem::forget(guard);
}

/// Empties the queue if its runner panics, or the runner's runtime ends, so that the next item
/// starts another runner. Callers that wait get an error from their dropped senders.
struct RunnerGuard<'b, I: BatchItem>(&'b Batcher<I>);

impl<I: BatchItem> Drop for RunnerGuard<'_, I> {
    fn drop(&mut self) {
        let mut queue = self.0.queue();
        *queue = PendingQueue::default();
    }
}

// === impl PendingQueue ===

impl<I: BatchItem> Default for PendingQueue<I> {
    fn default() -> Self {
        Self {
            pending: Vec::new(),
            since: None,
            has_runner: false,
        }
    }
}

// === impl PendingItem ===

impl<I: BatchItem> PendingItem<I> {
    /// Answers the caller, if it still waits.
    fn answer(self, outcome: Result<I::Answer, CommandError>) {
        let _ = self.done.send(outcome);
    }
}

/// The time after which a batch no longer blocks the next: longer than a round trip, and a small
/// part of `store.timeout`.
const SLOW: Duration = Duration::from_millis(5);

/// The maximum number of pending items: as many as Redis answers in some milliseconds.
const MAX_PENDING: usize = 4096;
