//! Copies of what checks look up, so that a warm check asks the store for its nonce alone.
//!
//! A copy is used only
//!
//! 1. while nothing was told that concerns it: a consumer, a token and the user whom a token acts for each have a count of
//!    changes (`epochs`), which is read before the look-up begins and again whenever the copy is used. So what a look-up
//!    brings that was overtaken by a change is not used, whenever it is put in;
//! 2. until it is `cache.max_age` old, counted from the moment the look-up began: that bounds what a replica can miss.
//!
//! That something is not there is remembered too, for a second at most and apart from the rest, so that whoever asks for
//! names at random neither reaches the store with each nor pushes out what is used.
//!
//! What is warm is found by [`CheckStore::known`], which neither waits nor allocates; the store is asked by
//! [`CheckStore::credentials`].
//!
//! # Security
//! Secrets stay in [`Secret`](crate::model::Secret), which is wiped when the last check that uses a copy lets go of it.
//! What can not be used any more is dropped when it is found out by a change, pushed out or replaced, and else by a sweep:
//! no copy stays in memory for longer than twice `cache.max_age` and the while between two calls of [`Pulse::status`], which
//! is half a second in a server that runs. The HMAC key that a token's copy remembers, and the consumer secret in it, go
//! with that copy: a consumer secret that was taken away may stay in memory for as long, and proves nothing meanwhile, since
//! it is no longer among those that are tried. What is warm is answered sooner than what is not: the time of an answer
//! can tell that a key was used lately, and, of a key asked for again and again, whether it exists; never a secret.
//!
//! Left to others: where changes come from ([`super::Changes`]), and what a status means ([`crate::verify`]).

mod epochs;
mod here;
mod shelf;
mod weight;

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;

use self::epochs::{Epoch, Epochs, Name};
use self::here::CachedHere;
use self::shelf::{Moment, Shelf};
use super::{
    Change, Changes, CheckStore, Claim, Credentials, NonceClaim, Observe, Pulse, Store, StoreError,
    StoreStatus,
};
use crate::clock::{Clock, UnixTime};
use crate::config::CacheConfig;
use crate::model::{AccessToken, Consumer, ConsumerKey, Token, UserStanding};
use crate::telemetry::Metrics;

/// A store for checks that keeps copies of what it looked up.
pub struct CachedStore {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    epochs: Epochs,
    consumers: Shelf<Arc<Consumer>>,
    tokens: Shelf<TokenCopy>,
    missing_consumers: Shelf<()>,
    /// By their names: the consumer who does not have a token of that name.
    missing_tokens: Shelf<ConsumerKey>,
    max_age: Duration,
    /// When the last sweep was, in milliseconds.
    swept: AtomicU64,
}

/// A token, and the standing of the user whom it acts for.
#[derive(Clone)]
struct TokenCopy {
    token: Arc<AccessToken>,
    user: UserStanding,
    user_epoch: Option<Epoch>,
}

/// What the store is asked for, and what had been told before it was.
struct Question<'a> {
    consumer: (&'a ConsumerKey, Moment),
    token: Option<(&'a Token, Moment)>,
    any_user: Epoch,
}

// === impl CachedStore ===

impl CachedStore {
    /// A cache in front of `store`, which it hears of changes from.
    pub fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        config: &CacheConfig,
        metrics: Arc<Metrics>,
    ) -> Arc<Self> {
        let share = |sixteenths: u64| config.max_bytes / 16 * sixteenths;
        let (max_age, missed_for) = (config.max_age, config.max_age.min(MISSES_FOR));
        let cache = Arc::new(Self {
            consumers: Shelf::new(share(5), max_age),
            tokens: Shelf::new(share(9), max_age),
            missing_consumers: Shelf::new(share(1), missed_for),
            missing_tokens: Shelf::new(share(1), missed_for),
            epochs: Epochs::default(),
            swept: AtomicU64::new(clock.now().as_millis()),
            max_age,
            store,
            clock,
            metrics,
        });
        let observer: Weak<Self> = Arc::downgrade(&cache);
        cache.store.changes().subscribe(observer);
        cache
    }

    /// The answer from copies alone; `None` when the store must be asked.
    fn find(&self, key: &str, token: Option<&str>, now: UnixTime) -> Option<Credentials> {
        let epochs = &self.epochs;
        let Some(consumer) = self.consumers.find(key, now, epochs) else {
            // What tokens a consumer had that is not there concerns nobody.
            return self
                .missing_consumers
                .find(key, now, epochs)
                .map(|()| Credentials::default());
        };
        let consumer = Some(consumer);
        let Some(name) = token else {
            return Some(Credentials {
                consumer,
                ..Credentials::default()
            });
        };
        if let Some(copy) = self
            .tokens
            .find(name, now, epochs)
            .filter(|copy| self.is_of_now(copy))
        {
            return Some(if copy.token.consumer_key.as_str() == key {
                Credentials {
                    consumer,
                    token: Some(copy.token),
                    user: copy.user,
                }
            } else {
                Credentials {
                    consumer,
                    ..Credentials::default()
                }
            });
        }
        let missed_by = self.missing_tokens.find(name, now, epochs)?;
        (missed_by.as_str() == key).then(|| Credentials {
            consumer,
            ..Credentials::default()
        })
    }

    /// Whether nothing was told of the user whom the token acts for.
    fn is_of_now(&self, copy: &TokenCopy) -> bool {
        copy.user_epoch
            .is_none_or(|epoch| self.epochs.is_now(epoch))
    }

    /// Looks up in the copies, and else in `store`, which is the one behind them, and keeps what that brings.
    async fn look_up(
        &self,
        store: &dyn CheckStore,
        consumer: &ConsumerKey,
        token: Option<&Token>,
    ) -> Result<Credentials, StoreError> {
        let now = self.clock.now();
        if let Some(known) = self.known(consumer.as_str(), token.map(Token::as_str), now) {
            return Ok(known);
        }
        self.metrics.cache_lookup(false);
        let question = self.question(consumer, token, now);
        let found = store.credentials(consumer, token).await?;
        self.keep(&question, &found);
        Ok(found)
    }

    /// The question, with what was told until now: before the store is asked.
    fn question<'a>(
        &self,
        consumer: &'a ConsumerKey,
        token: Option<&'a Token>,
        time: UnixTime,
    ) -> Question<'a> {
        let moment = |name| Moment {
            time,
            epoch: self.epochs.of(name),
        };
        Question {
            consumer: (consumer, moment(Name::Consumer(consumer))),
            token: token.map(|token| (token, moment(Name::Token(token)))),
            any_user: self.epochs.of_any_user(),
        }
    }

    /// Keeps what a look-up brought.
    fn keep(&self, question: &Question<'_>, found: &Credentials) {
        let (key, asked) = question.consumer;
        let name = key.as_str();
        match &found.consumer {
            Some(consumer) => {
                self.consumers.keep(
                    name,
                    Arc::clone(consumer),
                    asked,
                    weight::consumer(key, consumer),
                );
            }
            None => self
                .missing_consumers
                .keep(name, (), asked, weight::missing(name, "")),
        }
        match (question.token, &found.token) {
            (None, _) => {}
            (Some(asked), Some(token)) => self.keep_token(question, asked, token, found.user),
            (Some((token, asked)), None) => {
                self.missing_tokens.keep(
                    token.as_str(),
                    key.clone(),
                    asked,
                    weight::missing(token.as_str(), name),
                );
            }
        }
    }

    fn keep_token(
        &self,
        question: &Question<'_>,
        (name, asked): (&Token, Moment),
        token: &Arc<AccessToken>,
        user: UserStanding,
    ) {
        let user_epoch = token
            .user_id
            .as_ref()
            .map(|id| self.epochs.of(Name::User(id)));
        // Only now it is known whom the token acts for: the user's count is good if no user's was raised meanwhile.
        if self.epochs.is_now(question.any_user) {
            let copy = TokenCopy {
                token: Arc::clone(token),
                user,
                user_epoch,
            };
            self.tokens
                .keep(name.as_str(), copy, asked, weight::token(name, token));
        }
    }

    /// Drops what will not be used any more, once in `max_age`.
    fn sweep(&self) {
        let (now, swept) = (self.clock.now(), self.swept.load(Ordering::Relaxed));
        let last = UnixTime::from_millis(swept);
        if now >= last && now.since(last) < self.max_age {
            return;
        }
        // Whoever else sees that it is due leaves it to this one.
        if self
            .swept
            .compare_exchange(swept, now.as_millis(), Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
        {
            self.consumers.sweep(now, &self.epochs);
            self.tokens.sweep(now, &self.epochs);
            self.missing_consumers.sweep(now, &self.epochs);
            self.missing_tokens.sweep(now, &self.epochs);
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

#[async_trait]
impl CheckStore for CachedStore {
    fn known(&self, consumer: &str, token: Option<&str>, now: UnixTime) -> Option<Credentials> {
        let known = self.find(consumer, token, now)?;
        self.metrics.cache_lookup(true);
        Some(known)
    }

    async fn credentials(
        &self,
        consumer: &ConsumerKey,
        token: Option<&Token>,
    ) -> Result<Credentials, StoreError> {
        self.look_up(&*self.store, consumer, token).await
    }

    fn claim_at_once(&self, claim: &NonceClaim<'_>) -> Option<Result<Claim, StoreError>> {
        self.store.claim_at_once(claim)
    }

    // Written out, so that the store's own future is returned and not put into another.
    fn claim_nonce<'life0, 'life1, 'life2, 'async_trait>(
        &'life0 self,
        claim: &'life1 NonceClaim<'life2>,
    ) -> Pin<Box<dyn Future<Output = Result<Claim, StoreError>> + Send + 'async_trait>>
    where
        Self: 'async_trait,
        'life0: 'async_trait,
        'life1: 'async_trait,
        'life2: 'async_trait,
    {
        self.store.claim_nonce(claim)
    }

    fn here(self: Arc<Self>) -> Option<Arc<dyn CheckStore>> {
        let store = Arc::clone(&self.store).here()?;
        Some(Arc::new(CachedHere::new(self, store)))
    }

    fn changes(&self) -> &Changes {
        self.store.changes()
    }
}

#[async_trait]
impl Pulse for CachedStore {
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

impl Observe for CachedStore {
    fn observe(&self, change: &Change) {
        self.epochs.raise(change);
        self.metrics.cache_invalidation(change.kind());
        // No copy of it is used any more; the rest only frees memory.
        match change {
            Change::Consumer(key) => {
                self.consumers.forget(key.as_str());
                self.missing_consumers.forget(key.as_str());
            }
            Change::Token(token) => {
                self.tokens.forget(token.as_str());
                self.missing_tokens.forget(token.as_str());
            }
            Change::User(_) => {}
            Change::Everything => {
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

/// How long it is remembered that something is not there, at most: created elsewhere, it is usable after that even if
/// nobody is told.
const MISSES_FOR: Duration = Duration::from_secs(1);
