//! The Redis store: shared by every replica of the service.
//!
//! # What is kept where
//!
//! | key | value |
//! |---|---|
//! | `countersign:{C}:consumer` | a consumer's record |
//! | `countersign:{C}:deleted` | the id of its deletion, for a minute |
//! | `countersign:{C}:token:T` | a token's record |
//! | `countersign:{C}:tokens` | an index of its tokens |
//! | `countersign:{C}:aside:ID` | an index of tokens that an earlier consumer of that key had |
//! | `countersign:{C}:request:T` | the record of temporary credentials, until they are forgotten |
//! | `countersign:{C}:nonces:SECOND:PART` | claims with that timestamp, each a nonce's and a check's hash, until they expire (`claims`) |
//! | `countersign:{T}:owner` | the consumer key of the token, so that a token can be found by its name alone |
//! | `countersign:{T}:request-owner` | the same of temporary credentials |
//! | `countersign:{U}:user` | a user's record |
//! | `countersign:{U}:user-tokens` | an index of tokens that act for the user: `T`, a space, `C`, as they are |
//! | `countersign:{U}:barred:N` | that the user may not take that username, for a minute |
//! | `countersign:{N}:username` | the id of the user who has that username, if his record says so too |
//! | `countersign:{S}:session` | a session, until it expires |
//! | `countersign:{A}:attempts` | a number of attempts, until their window ends |
//! | `countersign:{A}:taken-back:ID` | that attempts were taken back, for a minute |
//! | `countersign:consumers` | an index of consumer keys |
//! | `countersign:users` | an index of the ids of users who are not deleted |
//! | `countersign:aside` | an index of what is put aside: `C`, a space, `ID` |
//!
//! `C`, `T`, `U` and `N` are the percent-encoded consumer key, token, user id and username in lower case; `S` and `A` are
//! hashes. What a check needs has the hash tag of its consumer, so that every step stays within one slot of a Redis
//! Cluster; the standing of a user, whom several consumers share, is a step of its own. An index is a sorted set with one
//! score, so in the order of its bytes.
//!
//! # What is in more than one slot
//!
//! Such things are written one after the other, so that a crash in between does no harm, and what is read is held against
//! the record, which alone decides:
//!
//! - An entry of an index without a record is left out of lists. It is written before the record, and again after it where
//!   a removal may have come in between; who removes one looks afterwards whether the record is back.
//! - The owner of a token is a reservation until there is a record; the same consumer can still fill it.
//! - A username that is reserved for a user whose record does not have it is free. Who takes it first bars that user from
//!   it in the user's own slot, where his record is written, so that of two who want it one gets it (`users`).
//! - The tokens of a consumer that is deleted are put aside in one step with its record, and removed later, some at a time
//!   (`aside`).
//!
//! Tokens that were created by a release before version 2 of the records are in no index: they work and can be found and
//! revoked by their names, one at a time or with all of their consumer or user, but are not listed.
//!
//! # What can be lost
//!
//! A nonce that Redis forgets can be used again while its timestamp is inside of the window. It forgets when it restarts
//! without having written its nonces to disk, when a replica takes over that did not have them yet, when somebody
//! deletes them, and when a `maxmemory-policy` other than `noeviction` evicts them. The first two are seen as a change
//! of the server's run id or of its replication history, logged and counted; with `fence_on_restart` timestamps up to
//! that moment are refused. Requests dated ahead of the clock are not covered by that fence.

mod address;
mod aside;
mod batches;
mod claims;
mod client;
mod connection;
mod consumers;
mod contract;
mod fault;
mod health;
mod here;
mod keys;
mod lists;
mod lookups;
mod notices;
mod provider_2013;
mod request_tokens;
mod scripts;
mod server;
mod tokens;
mod users;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use redis::{Cmd, FromRedisValue, cmd};
use tokio::sync::Notify;

use self::address::Address;
use self::claims::RedisNonces;
use self::client::Client;
use self::fault::Fault;
use self::here::RedisHere;
use self::lookups::Lookups;
use self::notices::Notices;
use super::changes::may_have_changed;
use super::record::Records;
use super::{
    Change, Changes, CheckStore, Claim, Credentials, NonceClaim, Pulse, StoreError, StoreErrorKind,
    StoreStatus,
};
use crate::clock::{Clock, Entropy, UnixTime};
use crate::config::StoreConfig;
use crate::model::{AccessToken, ConsumerKey, Token};

pub use self::provider_2013::{ProviderConsumer, ProviderConsumers};

/// The store in Redis.
pub(super) struct RedisStore {
    records: Arc<Records>,
    client: Arc<Client>,
    claims: RedisNonces,
    lookups: Lookups,
    notices: Notices,
    clock: Arc<dyn Clock>,
    /// Rings when something was put aside.
    put_aside: Arc<Notify>,
}

// === impl RedisStore ===

impl RedisStore {
    /// Connects; an unreachable Redis is no error.
    ///
    /// # Errors
    /// When `url` is no address of Redis, or what answers there can not be used.
    pub(super) async fn open(
        url: &str,
        config: &StoreConfig,
        records: Records,
        clock: Arc<dyn Clock>,
        entropy: &dyn Entropy,
    ) -> Result<Arc<Self>, StoreError> {
        let address = Address::parse(url).map_err(|error| {
            StoreError::new(StoreErrorKind::Unusable, "reading store.url").because(error)
        })?;
        let client = Client::open(address.clone(), config, Arc::clone(&clock))
            .await
            .map_err(|fault| fault.during("connecting to Redis"))?;
        let put_aside = Arc::new(Notify::new());
        let notices = Notices::listen(address, &client, entropy);
        let claims = RedisNonces::new(Arc::clone(&client));
        let records = Arc::new(records);
        let lookups = Lookups::new(Arc::clone(&client), Arc::clone(&records));
        let store = Arc::new(Self {
            records,
            client,
            claims,
            lookups,
            notices,
            clock,
            put_aside,
        });
        tokio::spawn(aside::keep_clean(
            Arc::downgrade(&store),
            Arc::clone(&store.put_aside),
        ));
        Ok(store)
    }

    /// Makes a change and tells everybody, also when it failed and may have been made all the same.
    async fn changing<T>(
        &self,
        change: Change,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let changing = self.notices.changing(change);
        let outcome = work.await;
        match &outcome {
            Ok(_) => changing.made().await,
            // It may be on its way to Redis still.
            Err(_) if may_have_changed(&outcome) => drop(changing),
            Err(_) => changing.refused(),
        }
        outcome
    }

    async fn call<T: FromRedisValue>(
        &self,
        context: &'static str,
        command: &Cmd,
    ) -> Result<T, StoreError> {
        let value = self
            .client
            .call(command)
            .await
            .map_err(|fault| fault.during(context))?;
        redis::from_redis_value(value).map_err(|_| Fault::Unexpected.during(context))
    }

    /// Reads records whose keys are in one slot, in one round trip.
    async fn fetch(
        &self,
        context: &'static str,
        keys: &[String],
    ) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let found: Vec<Option<Vec<u8>>> = self.call(context, cmd("MGET").arg(keys)).await?;
        if found.len() == keys.len() {
            Ok(found)
        } else {
            Err(Fault::Unexpected.during(context))
        }
    }

    async fn fetch_one(
        &self,
        context: &'static str,
        key: String,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.fetch(context, &[key]).await?.pop().flatten())
    }

    /// Runs a script that changes a record, and reads what came of it.
    async fn change(&self, context: &'static str, script: &Cmd) -> Result<(), StoreError> {
        match self.call::<u8>(context, script).await? {
            0 => Err(conflict()),
            2 => Err(StoreError::new(StoreErrorKind::AlreadyExists, context)),
            _ => Ok(()),
        }
    }

    async fn swap(&self, key: &str, before: &[u8], bytes: &[u8]) -> Result<(), StoreError> {
        self.change(CHANGING, &scripts::swap(key, before, bytes, None))
            .await
    }

    /// For how many milliseconds from now something is kept; Redis takes no 0.
    fn millis_until(&self, end: UnixTime) -> u64 {
        u64::try_from(end.since(self.clock.now()).as_millis())
            .unwrap_or(u64::MAX)
            .clamp(1, LONGEST_MS)
    }
}

#[async_trait]
impl CheckStore for RedisStore {
    async fn credentials(
        &self,
        consumer: &ConsumerKey,
        token: Option<&Token>,
    ) -> Result<Credentials, StoreError> {
        self.lookups.credentials(consumer, token).await
    }

    async fn claim_nonce(&self, claim: &NonceClaim<'_>) -> Result<Claim, StoreError> {
        self.claims.claim_nonce(claim).await
    }

    fn here(self: Arc<Self>) -> Option<Arc<dyn CheckStore>> {
        Some(Arc::new(RedisHere::of(self)))
    }

    fn changes(&self) -> &Changes {
        self.notices.changes()
    }
}

#[async_trait]
impl Pulse for RedisStore {
    async fn ping(&self) -> Result<(), StoreError> {
        self.client
            .ping()
            .await
            .map_err(|fault| fault.during("asking whether Redis can be written"))
    }

    fn status(&self) -> StoreStatus {
        StoreStatus {
            restarts_seen: self.client.restarts_seen(),
            cut_off: self.notices.are_cut_off(),
            untold: self.notices.untold(),
            ..StoreStatus::default()
        }
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").finish_non_exhaustive()
    }
}

/// A token that is kept under a consumer says that it is his, or it is not read.
fn owned(consumer: &ConsumerKey, token: AccessToken) -> Result<AccessToken, StoreError> {
    if token.consumer_key == *consumer {
        return Ok(token);
    }
    let moved = "it is kept under a consumer that it was not issued to";
    Err(StoreError::new(StoreErrorKind::Unreadable, "reading a record").because(moved))
}

fn follows(stored: u64, new: u64) -> Result<(), StoreError> {
    if stored.checked_add(1) == Some(new) {
        Ok(())
    } else {
        Err(conflict())
    }
}

fn conflict() -> StoreError {
    StoreError::new(StoreErrorKind::Conflict, CHANGING)
}

/// The consumer key that is kept as the owner of something.
fn owner(text: String, context: &'static str) -> Result<ConsumerKey, StoreError> {
    ConsumerKey::new(text)
        .map_err(|error| StoreError::new(StoreErrorKind::Unreadable, context).because(error))
}

const LOOKING_UP: &str = "looking up credentials";
const KEEPING: &str = "keeping a new record";
const CHANGING: &str = "changing a record";
const DELETING: &str = "deleting a record";
const LISTING: &str = "listing records";

/// A century: longer times overflow in Redis.
const LONGEST_MS: u64 = 100 * 366 * 24 * 60 * 60 * 1000;
