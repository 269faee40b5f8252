//! Claims of nonces: where they are kept, and how those that come at once share a round trip.
//!
//! # What is kept
//!
//! The nonces of one consumer with one `oauth_timestamp` are spread over [`PARTS`] buckets. A bucket is a hash: its fields are
//! 8 bytes of the [`NonceId`], its values 8 bytes made of the check id. All claims of a bucket have one timestamp, so they
//! expire together, and never before the latest of them wanted it. Redis keeps a hash of up to 512 entries in one piece of
//! memory (`hash-max-listpack-entries`), about 20 bytes for each; a key for each nonce takes 200.
//!
//! # How it is asked
//!
//! ```text
//!              yields once         one script for all who wait
//!  claim ──▶ queue ──▶ runner ────────────────────────────────────▶ Redis ──▶ an answer for each
//!             ▲           │ meanwhile others queue
//!             └───────────┘
//! ```
//!
//! Who finds nobody running starts a runner, which lets everybody who is ready join and sends all that wait as one script;
//! who comes meanwhile is in the next. A batch that is late holds up nobody: after [`LATE`] another runner takes what waits.
//! A batch that may be sent twice is tried again as any call (`client`), and ends by the deadline of the first in it. On a
//! Cluster a script stays within a slot, so each consumer has one.
//!
//! # Security
//! Two nonces of one consumer, timestamp and part whose 8 bytes are the same refuse the second: for a thousand nonces a
//! second, once in some 37 million years. Two checks whose ids give the same 8 bytes would let a replay pass as
//! a repeated claim: one in 2^64 for each replay, and nobody can try offline, since the server draws the ids. With
//! `nonce.trust_envoy_request_id` they are hashes of Envoy's request ids: who can choose those could look for such a pair,
//! and needs none, since the same id passes as well.

use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use redis::Cmd;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use super::client::Client;
use super::fault::Fault;
use super::{LONGEST_MS, keys, scripts};
use crate::store::nonce::NonceId;
use crate::store::{Claim, NonceClaim, Nonces, StoreError};

/// Claims nonces in Redis.
pub(super) struct RedisNonces(Arc<Claims>);

/// Sends claims together.
struct Claims {
    client: Arc<Client>,
    queue: Mutex<Queue>,
}

/// One field of one bucket.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// The key of the bucket.
    pub(super) bucket: String,
    /// What is claimed.
    pub(super) field: [u8; 8],
    /// Who claims it.
    pub(super) holder: [u8; 8],
    /// For how many milliseconds it is kept.
    pub(super) keep_for: u64,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<Waiting>,
    /// When the first of them came.
    since: Option<Instant>,
    has_runner: bool,
}

struct Waiting {
    entry: Entry,
    done: oneshot::Sender<Result<bool, Fault>>,
}

/// Those who wait for one script.
struct Batch {
    waiting: Vec<Waiting>,
    deadline: Instant,
}

// === impl RedisNonces ===

impl RedisNonces {
    /// Claims that go to Redis by `client`.
    pub(super) fn new(client: Arc<Client>) -> Self {
        Self(Arc::new(Claims { client, queue: Mutex::default() }))
    }
}

#[async_trait]
impl Nonces for RedisNonces {
    async fn claim_nonce(&self, claim: &NonceClaim<'_>) -> Result<Claim, StoreError> {
        if claim.timestamp <= claim.not_before {
            return Ok(Claim::Fenced { not_before: claim.not_before });
        }
        // A claim that could not be remembered is not claimed.
        let keep_for = claim.expires_at.since(claim.now).as_millis();
        if keep_for == 0 {
            return Ok(Claim::Fenced { not_before: claim.timestamp });
        }
        let keep_for = u64::try_from(keep_for).unwrap_or(u64::MAX).min(LONGEST_MS);
        let claimed = self.0.claim(Entry::of(claim, keep_for)).await;
        if !claimed.map_err(|fault| fault.during("claiming a nonce"))? {
            return Ok(Claim::Replayed);
        }
        // Asked last: a restart is noticed before the first command on a new connection, so whatever forgot earlier
        // claims and then answered this one has raised the fence by now.
        let fence = self.0.client.fence();
        Ok(if claim.timestamp <= fence { Claim::Fenced { not_before: fence } } else { Claim::Fresh })
    }
}

impl fmt::Debug for RedisNonces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisNonces").finish_non_exhaustive()
    }
}

// === impl Claims ===

impl Claims {
    /// Claims an entry: whether it is the holder's now, and was nobody else's before. Dropping the future harms no other
    /// claim; this one may be made all the same.
    async fn claim(self: &Arc<Self>, entry: Entry) -> Result<bool, Fault> {
        self.client.check()?;
        let (done, outcome) = oneshot::channel();
        if self.enqueue(Waiting { entry, done })? {
            self.start_runner();
        }
        outcome.await.unwrap_or(Err(Fault::Abandoned))
    }

    /// Whether nobody runs, so that the caller has to start a runner.
    fn enqueue(&self, waiting: Waiting) -> Result<bool, Fault> {
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
    fn take(&self) -> Option<Batch> {
        let mut queue = self.queue();
        let Some(since) = queue.since.take() else {
            queue.has_runner = false;
            return None;
        };
        let next = Vec::with_capacity(queue.waiting.len());
        let waiting = std::mem::replace(&mut queue.waiting, next);
        Some(Batch { waiting, deadline: since + self.client.timeout() })
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
    async fn send(&self, batch: Batch) {
        if !self.client.is_cluster() {
            return self.send_to_one_slot(batch.waiting, batch.deadline).await;
        }
        let mut slots: Vec<Vec<Waiting>> = Vec::new();
        for waiting in batch.waiting {
            match slots.iter_mut().find(|slot| keys::share_a_slot(&slot[0].entry.bucket, &waiting.entry.bucket)) {
                Some(slot) => slot.push(waiting),
                None => slots.push(vec![waiting]),
            }
        }
        join_all(slots.into_iter().map(|slot| self.send_to_one_slot(slot, batch.deadline))).await;
    }

    async fn send_to_one_slot(&self, waiting: Vec<Waiting>, deadline: Instant) {
        match self.ask(&waiting, deadline).await {
            Ok(answers) => waiting.into_iter().zip(answers).for_each(|(one, answer)| one.answer(Ok(answer))),
            // A key of somebody else's making fails the script; it is not to fail the claims beside it.
            Err(Fault::WrongType) if waiting.len() > 1 => {
                for one in waiting {
                    let outcome = self.ask(std::slice::from_ref(&one), deadline).await;
                    one.answer(outcome.map(|answers| answers.first() == Some(&true)));
                }
            }
            Err(fault) => waiting.into_iter().for_each(|one| one.answer(Err(fault.clone()))),
        }
    }

    /// One script for all of them. It may be sent twice: each entry knows its holder.
    async fn ask(&self, waiting: &[Waiting], deadline: Instant) -> Result<Vec<bool>, Fault> {
        let entries = || waiting.iter().map(|waiting| &waiting.entry);
        let call = |command: Cmd| async move { self.client.call_by(&command, deadline, waiting.len()).await };
        let answer = match call(scripts::claim(entries())).await {
            // Redis forgot the script, or never saw it; nothing was done.
            Err(Fault::UnknownScript) => call(scripts::claim_with_source(entries())).await?,
            answer => answer?,
        };
        let answers: Vec<u8> = redis::from_redis_value(answer).map_err(|_| Fault::Unexpected)?;
        let known = answers.len() == waiting.len() && answers.iter().all(|answer| matches!(answer, b'0' | b'1'));
        if known { Ok(answers.into_iter().map(|answer| answer == b'1').collect()) } else { Err(Fault::Unexpected) }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends batches until nobody waits any more.
async fn run(claims: Arc<Claims>) {
    let unless_stopped = Stopped(&claims);
    tokio::task::yield_now().await;
    while let Some(batch) = claims.take() {
        let mut sent = pin!(claims.send(batch));
        if timeout(LATE, &mut sent).await.is_err() {
            claims.hand_over();
            std::mem::forget(unless_stopped);
            return sent.await;
        }
    }
    std::mem::forget(unless_stopped);
}

/// Lets the next claim start a runner when this one panicked, or its runtime ended; those who wait learn it by their
/// dropped senders.
struct Stopped<'c>(&'c Claims);

impl Drop for Stopped<'_> {
    fn drop(&mut self) {
        let mut queue = self.0.queue();
        *queue = Queue::default();
    }
}

// === impl Waiting ===

impl Waiting {
    /// Nobody listens any more when the caller has gone away.
    fn answer(self, outcome: Result<bool, Fault>) {
        let _ = self.done.send(outcome);
    }
}

// === impl Entry ===

impl Entry {
    /// What `claim` claims, for that many milliseconds.
    pub(super) fn of(claim: &NonceClaim<'_>, keep_for: u64) -> Self {
        let id = NonceId::of(claim);
        let (part, field) = id.part_and_field(PARTS);
        Self {
            bucket: keys::nonces(claim.consumer, claim.timestamp, part),
            field,
            holder: folded(claim.check_id),
            keep_for,
        }
    }
}

/// Eight bytes of a check id that differ where any of it does, by all but chance.
fn folded(check_id: [u8; 16]) -> [u8; 8] {
    let whole = u128::from_be_bytes(check_id);
    let (high, low) = ((whole >> 64) as u64, whole as u64);
    let mixed = high.wrapping_mul(MIXER);
    // Multiplied, a high bit alone stays one bit; with its shifted copy it is none of `low`'s.
    (mixed ^ (mixed >> 32) ^ low).to_be_bytes()
}

/// Buckets for each consumer and second: with 1,000 nonces a second some 30 entries each, with 16,000 still in one piece of
/// memory.
const PARTS: u8 = 32;

/// How long others wait for a batch that is under way: more than a round trip takes, and little of `store.timeout`.
const LATE: Duration = Duration::from_millis(5);

/// The most claims that wait at a time: what Redis does in some milliseconds.
const MOST_WAITING: usize = 4096;

/// Odd, so that multiplying by it loses nothing.
const MIXER: u64 = 0x9E37_79B9_7F4A_7C15;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_of_checks_that_differ_anywhere_are_told_apart() {
        let ids = (0..128).map(|bit| 1_u128 << bit).chain([0, u128::MAX, 1 | 1 << 64]);
        let holders: HashSet<_> = ids.clone().map(|id| folded(id.to_be_bytes())).collect();
        assert_eq!(holders.len(), ids.count());
    }
}
