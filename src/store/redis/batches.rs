//! How what is asked of Redis at once shares a round trip.
//!
//! ```text
//!              yields once         one command for all who wait
//!  asking ─▶ queue ──▶ runner ────────────────────────────────────▶ Redis ──▶ an answer for each
//!              ▲          │ meanwhile others queue
//!              └──────────┘
//! ```
//!
//! Who finds nobody running starts a runner, which lets everybody who is ready join and sends all that wait as one command;
//! who comes meanwhile is in the next. A batch that is late holds up nobody: after [`LATE`] another runner takes what waits.
//! A batch that may be sent twice is tried again as any call (`client`), and ends by the deadline of the first in it. On a
//! Cluster a command stays within a slot, so each consumer has one.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use super::client::Client;
use super::fault::Fault;
use super::keys;

/// What many ask of Redis at a time. All of it may be sent twice.
pub(super) trait Question: Sized + Send + Sync + 'static {
    /// What one of them is answered.
    type Answer: Send + 'static;

    /// A key of the slot that it is in.
    fn key(&self) -> &str;

    /// Asks for all that wait, which are in one slot if there are slots: an answer for each, in their order.
    fn ask(
        client: &Client,
        waiting: &[Waiting<Self>],
        deadline: Instant,
    ) -> impl Future<Output = Result<Vec<Self::Answer>, Fault>> + Send;
}

/// Sends questions together.
pub(super) struct Batches<Q: Question> {
    client: Arc<Client>,
    queue: Mutex<Queue<Q>>,
}

struct Queue<Q: Question> {
    waiting: Vec<Waiting<Q>>,
    /// When the first of them came.
    since: Option<Instant>,
    has_runner: bool,
}

/// Who waits for an answer.
pub(super) struct Waiting<Q: Question> {
    /// What is asked.
    pub(super) question: Q,
    done: oneshot::Sender<Result<Q::Answer, Fault>>,
}

/// Those who wait for one command.
struct Batch<Q: Question> {
    waiting: Vec<Waiting<Q>>,
    deadline: Instant,
}

// === impl Batches ===

impl<Q: Question> Batches<Q> {
    /// Questions that go to Redis by `client`.
    pub(super) fn new(client: Arc<Client>) -> Arc<Self> {
        Arc::new(Self {
            client,
            queue: Mutex::default(),
        })
    }

    /// By what they go.
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Asks, with all who ask now. Dropping the future harms nobody else's; this may be carried out all the same.
    pub(super) async fn ask(self: &Arc<Self>, question: Q) -> Result<Q::Answer, Fault> {
        self.client.check()?;
        let (done, outcome) = oneshot::channel();
        if self.enqueue(Waiting { question, done })? {
            self.start_runner();
        }
        outcome.await.unwrap_or(Err(Fault::Abandoned))
    }

    /// Whether nobody runs, so that the caller has to start a runner.
    fn enqueue(&self, waiting: Waiting<Q>) -> Result<bool, Fault> {
        let mut queue = self.queue();
        if queue.waiting.len() >= MOST_WAITING {
            return Err(Fault::Overloaded);
        }
        if queue.waiting.is_empty() {
            queue.since = Some(Instant::now());
        }
        queue.waiting.push(waiting);
        Ok(!std::mem::replace(&mut queue.has_runner, true))
    }

    fn start_runner(self: &Arc<Self>) {
        tokio::spawn(run(Arc::clone(self)));
    }

    /// Takes all who wait; when nobody does, the next to come starts a runner.
    fn take(&self) -> Option<Batch<Q>> {
        let mut queue = self.queue();
        let Some(since) = queue.since.take() else {
            queue.has_runner = false;
            return None;
        };
        let next = Vec::with_capacity(queue.waiting.len());
        let waiting = std::mem::replace(&mut queue.waiting, next);
        Some(Batch {
            waiting,
            deadline: since + self.client.timeout(),
        })
    }

    /// Leaves what waits to another runner.
    fn hand_over(self: &Arc<Self>) {
        let mut queue = self.queue();
        queue.has_runner = !queue.waiting.is_empty();
        if queue.has_runner {
            self.start_runner();
        }
    }

    /// Sends a batch, and answers everybody in it.
    async fn send(&self, batch: Batch<Q>) {
        if !self.client.is_cluster() {
            return self.send_to_one_slot(batch.waiting, batch.deadline).await;
        }
        let mut slots: Vec<Vec<Waiting<Q>>> = Vec::new();
        for waiting in batch.waiting {
            match slots
                .iter_mut()
                .find(|slot| keys::share_a_slot(slot[0].question.key(), waiting.question.key()))
            {
                Some(slot) => slot.push(waiting),
                None => slots.push(vec![waiting]),
            }
        }
        join_all(
            slots
                .into_iter()
                .map(|slot| self.send_to_one_slot(slot, batch.deadline)),
        )
        .await;
    }

    async fn send_to_one_slot(&self, waiting: Vec<Waiting<Q>>, deadline: Instant) {
        match Q::ask(&self.client, &waiting, deadline).await {
            Ok(answers) => waiting
                .into_iter()
                .zip(answers)
                .for_each(|(one, answer)| one.answer(Ok(answer))),
            // A key of somebody else's making fails the command; it is not to fail those beside it.
            Err(Fault::WrongType) if waiting.len() > 1 => {
                for one in waiting {
                    let outcome = Q::ask(&self.client, std::slice::from_ref(&one), deadline).await;
                    one.answer(
                        outcome.and_then(|answers| {
                            answers.into_iter().next().ok_or(Fault::Unexpected)
                        }),
                    );
                }
            }
            Err(fault) => waiting
                .into_iter()
                .for_each(|one| one.answer(Err(fault.clone()))),
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue<Q>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends batches until nobody waits any more.
async fn run<Q: Question>(batches: Arc<Batches<Q>>) {
    let unless_stopped = Stopped(&batches);
    tokio::task::yield_now().await;
    while let Some(batch) = batches.take() {
        let mut sent = pin!(batches.send(batch));
        if timeout(LATE, &mut sent).await.is_err() {
            batches.hand_over();
            std::mem::forget(unless_stopped);
            return sent.await;
        }
    }
    std::mem::forget(unless_stopped);
}

/// Lets the next question start a runner when this one panicked, or its runtime ended; those who wait learn it by their
/// dropped senders.
struct Stopped<'b, Q: Question>(&'b Batches<Q>);

impl<Q: Question> Drop for Stopped<'_, Q> {
    fn drop(&mut self) {
        let mut queue = self.0.queue();
        *queue = Queue::default();
    }
}

// === impl Queue ===

impl<Q: Question> Default for Queue<Q> {
    fn default() -> Self {
        Self {
            waiting: Vec::new(),
            since: None,
            has_runner: false,
        }
    }
}

// === impl Waiting ===

impl<Q: Question> Waiting<Q> {
    /// Nobody listens any more when the caller has gone away.
    fn answer(self, outcome: Result<Q::Answer, Fault>) {
        let _ = self.done.send(outcome);
    }
}

/// How long others wait for a batch that is under way: more than a round trip takes, and little of `store.timeout`.
const LATE: Duration = Duration::from_millis(5);

/// The most that wait at a time: what Redis does in some milliseconds.
const MOST_WAITING: usize = 4096;
