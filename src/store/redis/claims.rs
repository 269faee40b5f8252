//! Claims of nonces: where they are kept, and how they are claimed.
//!
//! # What is kept
//!
//! The nonces of one consumer with one `oauth_timestamp` are spread over [`PARTS`] buckets. A bucket is a hash: its fields are
//! 8 bytes of the [`NonceId`], its values 8 bytes made of the check id. All claims of a bucket have one timestamp, so they
//! expire together, and never before the latest of them wanted it. Redis keeps a hash of up to 512 entries in one piece of
//! memory (`hash-max-listpack-entries`), about 20 bytes for each; a key for each nonce takes 200.
//!
//! Claims that come at once are one script (`batches`).
//!
//! # Security
//! Two nonces of one consumer, timestamp and part whose 8 bytes are the same refuse the second: for a thousand nonces a
//! second, once in some 37 million years. Two checks whose ids give the same 8 bytes would let a replay pass as
//! a repeated claim: one in 2^64 for each replay, and nobody can try offline, since the server draws the ids. With
//! `nonce.trust_envoy_request_id` they are hashes of Envoy's request ids: who can choose those could look for such a pair,
//! and needs none, since the same id passes as well.

use std::sync::Arc;

use redis::Cmd;
use tokio::time::Instant;

use super::batches::{Batches, Question, Waiting};
use super::client::Client;
use super::fault::Fault;
use super::{LONGEST_MS, keys, scripts};
use crate::store::nonce::NonceId;
use crate::store::{Claim, NonceClaim, StoreError};

/// Claims nonces in Redis.
pub(super) struct RedisNonces(Arc<Batches<Entry>>);

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

// === impl RedisNonces ===

impl RedisNonces {
    /// Claims that go to Redis by `client`.
    pub(super) fn new(client: Arc<Client>) -> Self {
        Self(Batches::new(client))
    }

    /// Claims a nonce.
    pub(super) async fn claim_nonce(&self, claim: &NonceClaim<'_>) -> Result<Claim, StoreError> {
        if claim.timestamp <= claim.not_before {
            return Ok(Claim::Fenced {
                not_before: claim.not_before,
            });
        }
        // A claim that could not be remembered is not claimed.
        let keep_for = claim.expires_at.since(claim.now).as_millis();
        if keep_for == 0 {
            return Ok(Claim::Fenced {
                not_before: claim.timestamp,
            });
        }
        let keep_for = u64::try_from(keep_for).unwrap_or(u64::MAX).min(LONGEST_MS);
        let claimed = self.0.ask(Entry::of(claim, keep_for)).await;
        if !claimed.map_err(|fault| fault.during("claiming a nonce"))? {
            return Ok(Claim::Replayed);
        }
        // Asked last: a restart is noticed before the first command on a new connection, so whatever forgot earlier
        // claims and then answered this one has raised the fence by now.
        let fence = self.0.client().fence();
        Ok(if claim.timestamp <= fence {
            Claim::Fenced { not_before: fence }
        } else {
            Claim::Fresh
        })
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

impl Question for Entry {
    /// Whether it is the holder's now, and was nobody else's before.
    type Answer = bool;

    fn key(&self) -> &str {
        &self.bucket
    }

    /// One script for all of them. It may be sent twice: each entry knows its holder.
    async fn ask(
        client: &Client,
        waiting: &[Waiting<Self>],
        deadline: Instant,
    ) -> Result<Vec<bool>, Fault> {
        let entries = || waiting.iter().map(|waiting| &waiting.question);
        let call =
            |command: Cmd| async move { client.call_by(&command, deadline, waiting.len()).await };
        let answer = match call(scripts::claim(entries())).await {
            // Redis forgot the script, or never saw it; nothing was done.
            Err(Fault::UnknownScript) => call(scripts::claim_with_source(entries())).await?,
            answer => answer?,
        };
        let answers: Vec<u8> = redis::from_redis_value(answer).map_err(|_| Fault::Unexpected)?;
        let known = answers.len() == waiting.len()
            && answers.iter().all(|answer| matches!(answer, b'0' | b'1'));
        if known {
            Ok(answers.into_iter().map(|answer| answer == b'1').collect())
        } else {
            Err(Fault::Unexpected)
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

/// Odd, so that multiplying by it loses nothing.
const MIXER: u64 = 0x9E37_79B9_7F4A_7C15;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_of_checks_that_differ_anywhere_are_told_apart() {
        let ids = (0..128)
            .map(|bit| 1_u128 << bit)
            .chain([0, u128::MAX, 1 | 1 << 64]);
        let holders: HashSet<_> = ids.clone().map(|id| folded(id.to_be_bytes())).collect();
        assert_eq!(holders.len(), ids.count());
    }
}
