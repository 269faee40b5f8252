//! The Redis store: shared by every replica of the service.
//!
//! # What is kept where
//!
//! | key | value |
//! |---|---|
//! | `countersign:{C}:consumer` | a consumer's record |
//! | `countersign:{C}:token:T` | a token's record |
//! | `countersign:{C}:nonce:HASH` | the check id of a claim, until it expires |
//! | `countersign:{T}:owner` | the consumer key of the token, so that a token can be found by its name alone |
//! | `countersign:consumers` | an index of consumer keys, for lists |
//!
//! `C` and `T` are the percent-encoded consumer key and token. What a check needs has the hash tag of its consumer, so
//! that every step stays within one slot of a Redis Cluster.
//!
//! # What can be lost
//!
//! A nonce that Redis forgets can be used again while its timestamp is inside of the window. It forgets when it restarts
//! without having written its nonces to disk, when a replica takes over that did not have them yet, when somebody
//! deletes them, and when a `maxmemory-policy` other than `noeviction` evicts them. The first two are seen as a change
//! of the server's run id or of its replication history, logged and counted; with `fence_on_restart` timestamps up to
//! that moment are refused. Requests dated ahead of the clock are not covered by that fence.

mod address;
mod client;
mod connection;
mod fault;
mod health;
mod keys;
mod scripts;
mod server;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use redis::{Cmd, FromRedisValue, cmd};

use self::address::Address;
use self::client::Client;
use self::fault::Fault;
use super::changes::{Untold, may_have_changed};
use super::nonce::NonceId;
use super::record::Records;
use super::{
    AttemptCounter, Change, Changes, CheckStore, Claim, Credentials, NonceClaim, Pulse, Store, StoreError,
    StoreErrorKind, StoreStatus, TokenHolder,
};
use crate::clock::Clock;
use crate::config::StoreConfig;
use crate::model::{
    AccessToken, Consumer, ConsumerKey, RequestToken, Session, SessionId, Token, User, UserId, UserStanding, Username,
};

/// The store in Redis.
pub(super) struct RedisStore {
    records: Records,
    client: Arc<Client>,
    changes: Changes,
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
    ) -> Result<Arc<Self>, StoreError> {
        let address = Address::parse(url)
            .map_err(|error| StoreError::new(StoreErrorKind::Unusable, "reading store.url").because(error))?;
        let client = Client::open(address, config, clock).await.map_err(|fault| fault.during("connecting to Redis"))?;
        Ok(Arc::new(Self { records, client, changes: Changes::default() }))
    }

    /// Tells everybody who keeps copies of a record that it changed.
    async fn announce(&self, change: Change) {
        self.changes.tell(&change);
    }

    /// Makes a change and announces it, also when it failed and may have been made all the same. When the caller goes away
    /// in between, this process is told.
    async fn changing<T>(
        &self,
        change: Change,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let untold = Untold { changes: &self.changes, change };
        let outcome = work.await;
        let change = untold.into_change();
        if may_have_changed(&outcome) {
            self.announce(change).await;
        }
        outcome
    }

    async fn call<T: FromRedisValue>(&self, context: &'static str, command: &Cmd) -> Result<T, StoreError> {
        let value = self.client.call(command).await.map_err(|fault| fault.during(context))?;
        redis::from_redis_value(value).map_err(|_| Fault::Unexpected.during(context))
    }

    /// Reads records whose keys are in one slot, in one round trip.
    async fn fetch(&self, context: &'static str, keys: &[String]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let found: Vec<Option<Vec<u8>>> = self.call(context, cmd("MGET").arg(keys)).await?;
        if found.len() == keys.len() { Ok(found) } else { Err(Fault::Unexpected.during(context)) }
    }

    async fn fetch_one(&self, context: &'static str, key: String) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.fetch(context, &[key]).await?.pop().flatten())
    }

    /// Writes a record where there is none. The bytes are never the same twice, since secrets are sealed with a random
    /// nonce, so finding them is finding what an earlier attempt of this very call wrote.
    async fn create(&self, key: String, bytes: &[u8]) -> Result<(), StoreError> {
        let context = "keeping a new record";
        let stored: Option<Vec<u8>> = self.call(context, cmd("SET").arg(key).arg(bytes).arg("NX").arg("GET")).await?;
        match stored {
            None => Ok(()),
            Some(stored) if stored == bytes => Ok(()),
            Some(_) => Err(StoreError::new(StoreErrorKind::AlreadyExists, context)),
        }
    }

    async fn swap(&self, key: String, before: &[u8], bytes: &[u8]) -> Result<(), StoreError> {
        let swapped: bool = self.call(CHANGING, &scripts::swap(&key, before, bytes)).await?;
        if swapped { Ok(()) } else { Err(conflict()) }
    }

    /// Reads the consumers of `keys`; one that is only in the index is left out.
    async fn consumers_of(&self, keys: &[ConsumerKey]) -> Result<Vec<Consumer>, StoreError> {
        let names: Vec<String> = keys.iter().map(keys::consumer).collect();
        let found = self.fetch(LISTING, &names).await?;
        let kept = keys.iter().zip(found).filter_map(|(key, bytes)| Some((key, bytes?)));
        kept.map(|(key, bytes)| self.records.decode_consumer(key, &bytes)).collect()
    }

    /// Reads up to `limit` keys of the index, those after `after`.
    async fn index_page(&self, after: Option<&ConsumerKey>, limit: usize) -> Result<Vec<ConsumerKey>, StoreError> {
        let start = after.map_or_else(|| "-".to_owned(), |key| format!("({key}"));
        let mut range = cmd("ZRANGE");
        range.arg(keys::CONSUMERS).arg(start).arg("+").arg("BYLEX").arg("LIMIT").arg(0).arg(limit);
        let page: Vec<String> = self.call(LISTING, &range).await?;
        let key = |key: String| {
            ConsumerKey::new(key).map_err(|error| StoreError::new(StoreErrorKind::Unreadable, LISTING).because(error))
        };
        page.into_iter().map(key).collect()
    }
}

#[async_trait]
impl CheckStore for RedisStore {
    async fn credentials(&self, consumer: &ConsumerKey, token: Option<&Token>) -> Result<Credentials, StoreError> {
        let mut keys = vec![keys::consumer(consumer)];
        keys.extend(token.map(|token| keys::token(consumer, token)));
        let mut found = self.fetch("looking up credentials", &keys).await?.into_iter();
        let stored_consumer = found.next().flatten();
        let stored_token = found.next().flatten();
        let token = token.map(|token| self.records.found_token(token, stored_token.as_deref())).transpose()?.flatten();
        Ok(Credentials {
            consumer: self.records.found_consumer(consumer, stored_consumer.as_deref())?.map(Arc::new),
            token: token.map(|token| owned(consumer, token)).transpose()?.map(Arc::new),
            user: UserStanding::default(),
        })
    }

    async fn claim_nonce(&self, claim: &NonceClaim<'_>) -> Result<Claim, StoreError> {
        if claim.timestamp <= claim.not_before {
            return Ok(Claim::Fenced { not_before: claim.not_before });
        }
        // A claim that could not be remembered is not claimed; PX takes no 0 either.
        let keep_for = claim.expires_at.since(claim.now).as_millis();
        if keep_for == 0 {
            return Ok(Claim::Fenced { not_before: claim.timestamp });
        }
        let mut set = cmd("SET");
        set.arg(keys::nonce(claim.consumer, NonceId::of(claim))).arg(&claim.check_id);
        set.arg("NX").arg("GET").arg("PX").arg(u64::try_from(keep_for).unwrap_or(u64::MAX));
        let claimed_by: Option<Vec<u8>> = self.call("claiming a nonce", &set).await?;
        if claimed_by.is_some_and(|check_id| check_id != claim.check_id) {
            return Ok(Claim::Replayed);
        }
        // Asked last: a restart is noticed before the first command on a new connection, so whatever forgot earlier
        // claims and then answered this one has raised the fence by now.
        let fence = self.client.fence();
        Ok(if claim.timestamp <= fence { Claim::Fenced { not_before: fence } } else { Claim::Fresh })
    }

    fn changes(&self) -> &Changes {
        &self.changes
    }
}

#[async_trait]
impl Pulse for RedisStore {
    async fn ping(&self) -> Result<(), StoreError> {
        self.client.ping().await.map_err(|fault| fault.during("asking whether Redis can be written"))
    }

    fn status(&self) -> StoreStatus {
        StoreStatus { restarts_seen: self.client.restarts_seen(), nonces: 0 }
    }
}

#[async_trait]
impl Store for RedisStore {
    async fn create_consumer(&self, consumer: &Consumer) -> Result<(), StoreError> {
        let bytes = self.records.encode_consumer(consumer)?;
        // First the index: an entry without a record is left out of lists, a record without an entry would be hidden.
        let index = cmd("ZADD").arg(keys::CONSUMERS).arg(0).arg(consumer.key.as_str()).to_owned();
        let _added: u64 = self.call("keeping a new record", &index).await?;
        let create = self.create(keys::consumer(&consumer.key), &bytes);
        self.changing(Change::Consumer(consumer.key.clone()), create).await
    }

    async fn replace_consumer(&self, consumer: &Consumer) -> Result<(), StoreError> {
        let key = keys::consumer(&consumer.key);
        let before = self.fetch_one(CHANGING, key.clone()).await?.ok_or_else(conflict)?;
        let stored = self.records.decode_consumer(&consumer.key, &before)?;
        follows(stored.revision, consumer.revision)?;
        let bytes = self.records.encode_consumer(consumer)?;
        self.changing(Change::Consumer(consumer.key.clone()), self.swap(key, &before, &bytes)).await
    }

    async fn consumer(&self, key: &ConsumerKey) -> Result<Option<Consumer>, StoreError> {
        let bytes = self.fetch_one("looking up a consumer", keys::consumer(key)).await?;
        bytes.map(|bytes| self.records.decode_consumer(key, &bytes)).transpose()
    }

    async fn consumers(&self, after: Option<&ConsumerKey>, limit: usize) -> Result<Vec<Consumer>, StoreError> {
        let mut page = Vec::new();
        let mut after = after.cloned();
        while page.len() < limit {
            let keys = self.index_page(after.as_ref(), limit - page.len()).await?;
            let Some(last) = keys.last() else { break };
            page.extend(self.consumers_of(&keys).await?);
            after = Some(last.clone());
        }
        Ok(page)
    }

    async fn create_token(&self, token: &AccessToken) -> Result<(), StoreError> {
        let context = "keeping a new record";
        let bytes = self.records.encode_token(token)?;
        // First the owner: it makes the name unique. Without a record it is a reservation that the same consumer can
        // still fill, so an interrupted attempt can be made again.
        let consumer = token.consumer_key.as_str();
        let reserve = cmd("SET").arg(keys::owner(&token.token)).arg(consumer).arg("NX").arg("GET").to_owned();
        let owner: Option<String> = self.call(context, &reserve).await?;
        if owner.is_some_and(|owner| owner != consumer) {
            return Err(StoreError::new(StoreErrorKind::AlreadyExists, context));
        }
        let create = self.create(keys::token(&token.consumer_key, &token.token), &bytes);
        self.changing(Change::Token(token.token.clone()), create).await
    }

    async fn replace_token(&self, token: &AccessToken) -> Result<(), StoreError> {
        let key = keys::token(&token.consumer_key, &token.token);
        let before = self.fetch_one(CHANGING, key.clone()).await?.ok_or_else(conflict)?;
        follows(self.records.decode_token(&token.token, &before)?.revision, token.revision)?;
        let bytes = self.records.encode_token(token)?;
        self.changing(Change::Token(token.token.clone()), self.swap(key, &before, &bytes)).await
    }

    async fn token(&self, token: &Token) -> Result<Option<AccessToken>, StoreError> {
        let context = "looking up a token";
        let owner: Option<String> = self.call(context, cmd("GET").arg(keys::owner(token))).await?;
        let Some(owner) = owner else { return Ok(None) };
        let owner = ConsumerKey::new(owner)
            .map_err(|error| StoreError::new(StoreErrorKind::Unreadable, context).because(error))?;
        let bytes = self.fetch_one(context, keys::token(&owner, token)).await?;
        bytes.map(|bytes| owned(&owner, self.records.decode_token(token, &bytes)?)).transpose()
    }

    async fn delete_consumer(&self, _consumer: &Consumer) -> Result<(), StoreError> {
        Err(unbuilt())
    }

    async fn delete_token(&self, _token: &AccessToken) -> Result<(), StoreError> {
        Err(unbuilt())
    }

    async fn tokens(
        &self,
        _holder: TokenHolder<'_>,
        _after: Option<&Token>,
        _limit: usize,
    ) -> Result<Vec<AccessToken>, StoreError> {
        Err(unbuilt())
    }

    async fn create_user(&self, _user: &User) -> Result<(), StoreError> {
        Err(unbuilt())
    }

    async fn replace_user(&self, _user: &User) -> Result<(), StoreError> {
        Err(unbuilt())
    }

    async fn user(&self, _id: &UserId) -> Result<Option<User>, StoreError> {
        Ok(None)
    }

    async fn user_named(&self, _username: &Username) -> Result<Option<User>, StoreError> {
        Err(unbuilt())
    }

    async fn users(&self, _after: Option<&UserId>, _limit: usize) -> Result<Vec<User>, StoreError> {
        Err(unbuilt())
    }

    async fn create_request_token(&self, _token: &RequestToken) -> Result<(), StoreError> {
        Err(unbuilt())
    }

    async fn replace_request_token(&self, _token: &RequestToken) -> Result<(), StoreError> {
        Err(unbuilt())
    }

    async fn exchange_request_token(&self, _used: &RequestToken, _issued: &AccessToken) -> Result<(), StoreError> {
        Err(unbuilt())
    }

    async fn request_token(&self, _token: &Token) -> Result<Option<RequestToken>, StoreError> {
        Err(unbuilt())
    }

    async fn create_session(&self, _session: &Session) -> Result<(), StoreError> {
        Err(unbuilt())
    }

    async fn session(&self, _id: &SessionId) -> Result<Option<Session>, StoreError> {
        Err(unbuilt())
    }

    async fn delete_session(&self, _id: &SessionId) -> Result<(), StoreError> {
        Err(unbuilt())
    }

    async fn count_attempt(&self, _counter: &AttemptCounter, _window: Duration) -> Result<u64, StoreError> {
        Err(unbuilt())
    }

    async fn take_attempts_back(&self, _counter: &AttemptCounter, _attempts: u64) -> Result<(), StoreError> {
        Err(unbuilt())
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.client.stop();
        Ok(())
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
    if stored.checked_add(1) == Some(new) { Ok(()) } else { Err(conflict()) }
}

fn conflict() -> StoreError {
    StoreError::new(StoreErrorKind::Conflict, CHANGING)
}

fn unbuilt() -> StoreError {
    StoreError::new(StoreErrorKind::Unusable, "keeping users and temporary credentials is not built yet")
}

const CHANGING: &str = "changing a record";
const LISTING: &str = "listing consumers";
