//! Claims of nonces: their layout in Redis, and the script that claims them.
//!
//! # Layout
//!
//! The nonces of one consumer with one `oauth_timestamp` are spread over [`PARTS`] buckets. A
//! bucket is a hash: its fields are 8 bytes of the [`NonceId`], its values 8 bytes derived from the
//! check id. All claims of a bucket have one timestamp, so they expire together, with the last of
//! them. Redis stores a hash of up to 512 entries in one piece of memory
//! (`hash-max-listpack-entries`), about 20 bytes for each entry; a key for each nonce takes 200.
//!
//! Claims that arrive together share a script (`batching`).
//!
//! # Security
//! If two nonces of one consumer, timestamp and part have the same 8 bytes, the second one is
//! refused: at a thousand nonces a second, once in some 37 million years. If the ids of two checks
//! have the same 8 bytes, a replay passes as a repeated claim: a chance of one in 2^64 for each
//! replay, without offline attempts, since the server draws the ids. With
//! `nonce.trust_envoy_request_id` the ids are hashes of Envoy's request ids: a sender who can
//! choose those could search for such a pair, but does not need one, since the same request id
//! passes as well.

use std::sync::Arc;

use redis::Cmd;
use tokio::time::Instant;

use super::batching::{BatchItem, Batcher, PendingItem};
use super::client::RedisClient;
use super::error::CommandError;
use super::link::read;
use super::scripts::{self, NonceEntry};
use super::{MAX_MILLIS, keys};
use crate::store::nonce::NonceId;
use crate::store::{ClaimOutcome, NonceClaim, StoreError};

/// Claims nonces in Redis.
pub(super) struct NonceClaims(Arc<Batcher<NonceEntry>>);

// === impl NonceClaims ===

impl NonceClaims {
    /// Claims nonces over `client`.
    pub(super) fn new(client: Arc<RedisClient>) -> Self {
        Self(Batcher::new(client))
    }

    /// Claims a nonce.
    pub(super) async fn claim(&self, claim: &NonceClaim<'_>) -> Result<ClaimOutcome, StoreError> {
        if claim.timestamp <= claim.not_before {
            return Ok(ClaimOutcome::Fenced {
                not_before: claim.not_before,
            });
        }
        // A claim that cannot be remembered is not made.
        let millis = claim.expires_at.since(claim.now).as_millis();
        if millis == 0 {
            return Ok(ClaimOutcome::Fenced {
                not_before: claim.timestamp,
            });
        }
        let context = "claiming a nonce";
        let clocks = self.0.client().check_clocks();
        clocks.map_err(|error| error.during(context))?;
        let millis = u64::try_from(millis).unwrap_or(u64::MAX).min(MAX_MILLIS);
        let claimed = self.0.send(NonceEntry::of(claim, millis)).await;
        if !claimed.map_err(|error| error.during(context))? {
            return Ok(ClaimOutcome::Replayed);
        }
        // The fence comes last: a restart is noticed before the first command on a new connection,
        // so a server that lost earlier claims and then answered this one has raised the fence by
        // now.
        let fence = self.0.client().fence();
        Ok(if claim.timestamp <= fence {
            ClaimOutcome::Fenced { not_before: fence }
        } else {
            ClaimOutcome::Fresh
        })
    }
}

// === impl NonceEntry ===

impl NonceEntry {
    fn of(claim: &NonceClaim<'_>, millis: u64) -> Self {
        let (part, nonce) = NonceId::of(claim).part_and_field(PARTS);
        Self {
            bucket: keys::nonces(claim.consumer, claim.timestamp, part),
            nonce,
            claimant: fold(claim.check_id),
            millis,
            now: claim.now.as_secs(),
        }
    }
}

impl BatchItem for NonceEntry {
    /// `true` if the nonce is the claimant's now, and was no other's before.
    type Answer = bool;

    fn slot_key(&self) -> &str {
        &self.bucket
    }

    /// Runs one script for all of them. It may run twice: each entry has its claimant.
    async fn send_all(
        client: &RedisClient,
        pending: &[PendingItem<Self>],
        deadline: Instant,
    ) -> Result<Vec<bool>, CommandError> {
        let mut answers = claim_all(client, pending, deadline).await?;
        if answers == b"E" {
            // The data is another: the fence rises before these nonces are claimed in it.
            client.inspect_again(deadline, false).await?;
            answers = claim_all(client, pending, deadline).await?;
        }
        if let Some(skew) = answers.strip_prefix(b"T") {
            client.inspect_again(deadline, true).await?;
            let skew = str::from_utf8(skew).ok().and_then(|skew| skew.parse().ok());
            return Err(skew.map_or(CommandError::UnexpectedAnswer, CommandError::ClockSkew));
        }
        if answers == b"E" {
            return Err(CommandError::EpochChanged);
        }
        let is_complete = answers.len() == pending.len()
            && answers.iter().all(|answer| matches!(answer, b'0' | b'1'));
        if is_complete {
            Ok(answers.into_iter().map(|answer| answer == b'1').collect())
        } else {
            Err(CommandError::UnexpectedAnswer)
        }
    }
}

/// Runs the script, and returns its answer.
async fn claim_all(
    client: &RedisClient,
    pending: &[PendingItem<NonceEntry>],
    deadline: Instant,
) -> Result<Vec<u8>, CommandError> {
    let entries = || pending.iter().map(|pending| &pending.item);
    let now = entries().map(|entry| entry.now).max().unwrap_or(0);
    let guard = client.claim_guard(now)?;
    let call =
        |command: Cmd| async move { client.call_by(&command, deadline, pending.len()).await };
    match call(scripts::claim(&guard, entries())).await {
        // Redis does not have the script in its cache, and did nothing.
        Err(CommandError::UnknownScript) => {
            read(call(scripts::claim_with_source(&guard, entries())).await?)
        }
        answer => read(answer?),
    }
}

/// Folds a check id to eight bytes. Ids that differ in any bit almost certainly give different
/// bytes.
fn fold(check_id: [u8; 16]) -> [u8; 8] {
    let whole = u128::from_be_bytes(check_id);
    let (high, low) = ((whole >> 64) as u64, whole as u64);
    let mixed = high.wrapping_mul(MIXER);
    // The product of a single high bit is a single bit; with its shifted copy it cannot equal one
    // bit of `low`.
    (mixed ^ (mixed >> 32) ^ low).to_be_bytes()
}

/// The number of buckets for each consumer and second: at 1,000 nonces a second each has some 30
/// entries, at 16,000 each is still in one piece of memory.
const PARTS: u8 = 32;

/// An odd factor, so that the multiplication loses nothing.
const MIXER: u64 = 0x9E37_79B9_7F4A_7C15;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn check_ids_that_differ_in_any_bit_give_different_claimants() {
        let ids = (0..128)
            .map(|bit| 1_u128 << bit)
            .chain([0, u128::MAX, 1 | 1 << 64]);
        let claimants: HashSet<_> = ids.clone().map(|id| fold(id.to_be_bytes())).collect();
        assert_eq!(claimants.len(), ids.count());
    }
}
