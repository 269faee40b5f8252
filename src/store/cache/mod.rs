//! The cache of the records that checks look up: a warm check contacts the store only to claim its
//! nonce.
//!
//! An entry is used only
//!
//! 1. while no change that concerns it was announced. A consumer, a token, and the user whom a
//!    token acts for each have a count of changes (`epochs`), which is read before the lookup
//!    begins and again whenever the entry is used. So a lookup that a change overtook is never
//!    used, whenever its result is inserted;
//! 2. until it is `cache.max_age` old, counted from the start of the lookup, which bounds the
//!    effect of a missed change.
//!
//! While the store is unavailable, an entry may be used until it is `cache.max_stale_age` old. Rule 1
//! still applies: a change that was announced before or during the outage counts. The records and
//! the answer to the check are marked as stale.
//!
//! The absence of a record is cached too, for a second at most and apart from the rest, so that a
//! caller that tries random names neither reaches the store with each nor evicts useful entries.
//!
//! A warm lookup is a ready answer: it neither waits nor allocates.
//!
//! # Security
//! Secrets stay in [`Secret`](crate::model::Secret), which is wiped when the last check that uses
//! an entry releases it. An entry that can no longer be used is removed on a change, on eviction or
//! replacement, or else by a sweep: none stays in memory for longer than twice `cache.max_age`, or
//! `cache.max_stale_age` if that is longer, plus the time between two calls of
//! [`StoreHealth::status`], half a second in a running server. The HMAC key that a token's entry
//! remembers, and the consumer secret in it, go with that entry: a removed consumer secret may stay
//! in memory for as long, but proves nothing, since it is no longer among the secrets that are
//! tried. A warm check is faster than a cold one: response times
//! can reveal that a key was used lately, and, for a key that is tried repeatedly, whether it
//! exists; never a secret.
//!
//! Left to others: the source of changes ([`super::ChangeFeed`]), and the meaning of a status
//! ([`crate::verify`]).

mod epochs;
mod per_runtime;
mod table;
mod weight;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;

use self::epochs::{EpochTable, RecordEpoch, RecordName};
use self::per_runtime::RuntimeCache;
use self::table::{CacheTable, LookupStart};
use super::{
    CallerRecords, ChangeObserver, CheckStore, ClaimOutcome, NonceClaim, RecordChange, Store,
    StoreError, StoreFuture, StoreHealth, StoreStatus, boxed_answer, ready_answer,
};
use crate::clock::{Clock, UnixTime};
use crate::config::CacheConfig;
use crate::model::{AccessToken, Consumer, ConsumerKey, Token, UserStanding};
use crate::telemetry::Metrics;

/// A store for checks that caches the records it looked up.
pub struct CachedStore {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    epochs: EpochTable,
    consumers: CacheTable<Arc<Consumer>>,
    tokens: CacheTable<CachedToken>,
    missing_consumers: CacheTable<()>,
    /// The consumer that has no token of that name, by the name.
    missing_tokens: CacheTable<ConsumerKey>,
    max_age: Duration,
    /// The oldest record that is used while the store is unavailable; zero uses none.
    max_stale_age: Duration,
    /// The time of the last sweep, in milliseconds.
    swept_at: AtomicU64,
}

/// A token, and the standing of the user whom it acts for.
#[derive(Clone)]
struct CachedToken {
    token: Arc<AccessToken>,
    user: UserStanding,
    user_epoch: Option<RecordEpoch>,
}

/// A lookup in the store, with the changes that had been announced before it.
struct StoreLookup<'a> {
    consumer: (&'a ConsumerKey, LookupStart),
    token: Option<(&'a Token, LookupStart)>,
    any_user: RecordEpoch,
}

// === impl CachedStore ===

impl CachedStore {
    /// Returns a cache in front of `store`, and subscribes it to the store's changes.
    pub fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        config: &CacheConfig,
        metrics: Arc<Metrics>,
    ) -> Arc<Self> {
        let share = |sixteenths: u64| config.max_bytes / 16 * sixteenths;
        let (max_age, miss_age) = (config.max_age, config.max_age.min(MAX_MISS_AGE));
        let cache = Arc::new(Self {
            consumers: CacheTable::new(share(5), max_age),
            tokens: CacheTable::new(share(9), max_age),
            missing_consumers: CacheTable::new(share(1), miss_age),
            missing_tokens: CacheTable::new(share(1), miss_age),
            epochs: EpochTable::default(),
            swept_at: AtomicU64::new(clock.now().as_millis()),
            max_age,
            max_stale_age: config.max_stale_age,
            store,
            clock,
            metrics,
        });
        let observer: Weak<Self> = Arc::downgrade(&cache);
        cache.store.changes().subscribe(observer);
        cache
    }

    /// Looks up a caller in the cache, or else in `store`, which is the one behind the cache.
    fn read_through<'a>(
        &'a self,
        store: &'a dyn CheckStore,
        consumer: &'a ConsumerKey,
        token: Option<&'a Token>,
    ) -> StoreFuture<'a, CallerRecords> {
        let now = self.clock.now();
        let cached = self.find(consumer.as_str(), token.map(Token::as_str), now);
        self.metrics.cache_lookup(cached.is_some());
        match cached {
            Some(records) => ready_answer(Ok(records)),
            None => boxed_answer(self.fill(store, self.begin_lookup(consumer, token, now))),
        }
    }

    /// Looks up a caller in `store` and caches the result.
    async fn fill(
        &self,
        store: &dyn CheckStore,
        lookup: StoreLookup<'_>,
    ) -> Result<CallerRecords, StoreError> {
        let (consumer, token) = (lookup.consumer.0, lookup.token.map(|(token, _)| token));
        let found = match store.caller_records(consumer, token).await {
            Err(error) if error.is_outage() => {
                let stale = self.find_stale(consumer, token, lookup.consumer.1.time);
                return stale.ok_or(error);
            }
            answered => answered?,
        };
        self.insert(&lookup, &found);
        Ok(found)
    }

    /// Notes the announced changes, before the store is contacted.
    fn begin_lookup<'a>(
        &self,
        consumer: &'a ConsumerKey,
        token: Option<&'a Token>,
        time: UnixTime,
    ) -> StoreLookup<'a> {
        let start = |name| LookupStart {
            time,
            epoch: self.epochs.of(name),
        };
        StoreLookup {
            consumer: (consumer, start(RecordName::Consumer(consumer))),
            token: token.map(|token| (token, start(RecordName::Token(token)))),
            any_user: self.epochs.of_any_user(),
        }
    }

    /// Answers from the cache alone; `None` if the store must be contacted.
    fn find(&self, key: &str, token: Option<&str>, now: UnixTime) -> Option<CallerRecords> {
        let epochs = &self.epochs;
        let Some(consumer) = self.consumers.find(key, now, epochs) else {
            // Nobody needs the tokens of an absent consumer.
            return self
                .missing_consumers
                .find(key, now, epochs)
                .map(|()| CallerRecords::default());
        };
        let without_token = |consumer| CallerRecords {
            consumer: Some(consumer),
            ..CallerRecords::default()
        };
        let Some(name) = token else {
            return Some(without_token(consumer));
        };
        let cached = self
            .tokens
            .find(name, now, epochs)
            .filter(|cached| self.is_user_current(cached));
        match cached {
            Some(cached) if cached.token.consumer_key.as_str() == key => Some(CallerRecords {
                consumer: Some(consumer),
                token: Some(cached.token),
                user: cached.user,
                is_stale: false,
            }),
            Some(_) => Some(without_token(consumer)),
            None => {
                let missed_by = self.missing_tokens.find(name, now, epochs)?;
                (missed_by.as_str() == key).then(|| without_token(consumer))
            }
        }
    }

    /// Finds records that are older than `cache.max_age`, and that no announced change concerns, for
    /// an outage of the store.
    fn find_stale(
        &self,
        key: &ConsumerKey,
        token: Option<&Token>,
        now: UnixTime,
    ) -> Option<CallerRecords> {
        let (epochs, max_age) = (&self.epochs, self.max_stale_age);
        let consumer = self
            .consumers
            .find_up_to(key.as_str(), now, max_age, epochs)?;
        let mut records = CallerRecords {
            consumer: Some(consumer),
            is_stale: true,
            ..CallerRecords::default()
        };
        if let Some(token) = token {
            let cached = self
                .tokens
                .find_up_to(token.as_str(), now, max_age, epochs)?;
            let is_usable = cached.token.consumer_key == *key && self.is_user_current(&cached);
            (records.token, records.user) =
                is_usable.then_some((Some(cached.token), cached.user))?;
        }
        Some(records)
    }

    /// Returns `true` if no change of the token's user was announced since the token was cached.
    fn is_user_current(&self, cached: &CachedToken) -> bool {
        cached
            .user_epoch
            .is_none_or(|epoch| self.epochs.is_current(epoch))
    }

    /// Caches the result of a lookup.
    fn insert(&self, lookup: &StoreLookup<'_>, found: &CallerRecords) {
        let (key, start) = lookup.consumer;
        let name = key.as_str();
        match &found.consumer {
            Some(consumer) => {
                let weight = weight::consumer(key, consumer);
                self.consumers
                    .insert(name, Arc::clone(consumer), start, weight);
            }
            None => {
                let weight = weight::missing(name, "");
                self.missing_consumers.insert(name, (), start, weight);
            }
        }
        match (lookup.token, &found.token) {
            (None, _) => {}
            (Some(named), Some(token)) => self.insert_token(lookup, named, token, found.user),
            (Some((token, start)), None) => {
                let weight = weight::missing(token.as_str(), name);
                self.missing_tokens
                    .insert(token.as_str(), key.clone(), start, weight);
            }
        }
    }

    fn insert_token(
        &self,
        lookup: &StoreLookup<'_>,
        (name, start): (&Token, LookupStart),
        token: &Arc<AccessToken>,
        user: UserStanding,
    ) {
        let user_epoch = token
            .user_id
            .as_ref()
            .map(|id| self.epochs.of(RecordName::User(id)));
        // The user is known only after the lookup: the user's count is valid if no user changed in
        // the meantime.
        if self.epochs.is_current(lookup.any_user) {
            let cached = CachedToken {
                token: Arc::clone(token),
                user,
                user_epoch,
            };
            let weight = weight::token(name, token);
            self.tokens.insert(name.as_str(), cached, start, weight);
        }
    }

    /// Removes entries that can no longer be used, once in `max_age`.
    fn sweep(&self) {
        let (now, swept_at) = (self.clock.now(), self.swept_at.load(Ordering::Relaxed));
        let last = UnixTime::from_millis(swept_at);
        if now >= last && now.since(last) < self.max_age {
            return;
        }
        // Of several threads that find a sweep due, one does it.
        let next = now.as_millis();
        let claimed =
            self.swept_at
                .compare_exchange(swept_at, next, Ordering::Relaxed, Ordering::Relaxed);
        if claimed.is_ok() {
            let kept_for = self.max_age.max(self.max_stale_age);
            self.consumers.sweep(now, kept_for, &self.epochs);
            self.tokens.sweep(now, kept_for, &self.epochs);
            self.missing_consumers
                .sweep(now, MAX_MISS_AGE, &self.epochs);
            self.missing_tokens.sweep(now, MAX_MISS_AGE, &self.epochs);
        }
    }

    fn entries_and_bytes(&self) -> (u64, u64) {
        let sizes = [
            self.consumers.size(),
            self.tokens.size(),
            self.missing_consumers.size(),
            self.missing_tokens.size(),
        ];
        sizes
            .into_iter()
            .fold((0, 0), |sum, size| (sum.0 + size.0, sum.1 + size.1))
    }
}

impl CheckStore for CachedStore {
    fn caller_records<'a>(
        &'a self,
        consumer: &'a ConsumerKey,
        token: Option<&'a Token>,
    ) -> StoreFuture<'a, CallerRecords> {
        self.read_through(&*self.store, consumer, token)
    }

    fn claim_nonce<'a>(&'a self, claim: &'a NonceClaim<'a>) -> StoreFuture<'a, ClaimOutcome> {
        self.store.claim_nonce(claim)
    }

    fn clock_lead(&self) -> Duration {
        self.store.clock_lead()
    }

    fn for_this_runtime(self: Arc<Self>) -> Option<Arc<dyn CheckStore>> {
        let store = Arc::clone(&self.store).for_this_runtime()?;
        Some(Arc::new(RuntimeCache::new(self, store)))
    }
}

#[async_trait]
impl StoreHealth for CachedStore {
    async fn ping(&self) -> Result<(), StoreError> {
        self.store.ping().await
    }

    fn status(&self) -> StoreStatus {
        self.sweep();
        let (cache_entries, cache_bytes) = self.entries_and_bytes();
        StoreStatus {
            cache_entries,
            cache_bytes,
            ..self.store.status()
        }
    }
}

impl ChangeObserver for CachedStore {
    fn on_change(&self, change: &RecordChange) {
        self.epochs.raise(change);
        self.metrics.cache_invalidation(change.kind());
        // The new count has invalidated all copies; their removal only frees memory.
        match change {
            RecordChange::Consumer(key) => {
                self.consumers.remove(key.as_str());
                self.missing_consumers.remove(key.as_str());
            }
            RecordChange::Token(token) => {
                self.tokens.remove(token.as_str());
                self.missing_tokens.remove(token.as_str());
            }
            RecordChange::User(_) => {}
            RecordChange::Everything => {
                self.consumers.clear();
                self.tokens.clear();
                self.missing_consumers.clear();
                self.missing_tokens.clear();
            }
        }
    }
}

impl fmt::Debug for CachedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedStore").finish_non_exhaustive()
    }
}

/// The longest time for which the absence of a record is cached: a record that another process
/// creates is usable after that, even if the announcement is missed.
const MAX_MISS_AGE: Duration = Duration::from_secs(1);
