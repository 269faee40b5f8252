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
//! # Security
//! Secrets stay in [`Secret`](crate::model::Secret). What is warm is answered sooner than what is not: the time of an answer
//! can tell that a key was used lately, and, of a key asked for again and again, whether it exists; never a secret.
//!
//! Left to others: where changes come from ([`super::Changes`]), and what a status means ([`crate::verify`]).

mod epochs;
mod shelf;
mod weight;

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;

use self::epochs::{Epoch, Epochs, Name};
use self::shelf::{Moment, Shelf};
use super::{
    Change, Changes, CheckStore, Claim, Credentials, NonceClaim, Observe, Pulse, Store, StoreError, StoreStatus,
};
use crate::clock::Clock;
use crate::config::CacheConfig;
use crate::model::{AccessToken, Consumer, ConsumerKey, Token, UserStanding};
use crate::telemetry::Metrics;

/// A store for checks that keeps copies of what it looked up.
pub struct CachedStore {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    epochs: Epochs,
    consumers: Shelf<ConsumerKey, Arc<Consumer>>,
    tokens: Shelf<Token, TokenCopy>,
    missing_consumers: Shelf<ConsumerKey, ()>,
    /// By their names: the consumer who does not have a token of that name.
    missing_tokens: Shelf<Token, ConsumerKey>,
}

/// A token, and the standing of the user whom it acts for.
#[derive(Clone)]
struct TokenCopy {
    token: Arc<AccessToken>,
    user: UserStanding,
    user_epoch: Option<Epoch>,
}

/// What is asked for, and what had been told when it was.
struct Question<'a> {
    consumer: &'a ConsumerKey,
    asked_consumer: Moment,
    token: Option<(&'a Token, Moment)>,
    any_user: Epoch,
}

// === impl CachedStore ===

impl CachedStore {
    /// A cache in front of `store`, which it hears of changes from.
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, config: &CacheConfig, metrics: Arc<Metrics>) -> Arc<Self> {
        let share = |sixteenths: u64| config.max_bytes / 16 * sixteenths;
        let (max_age, missed_for) = (config.max_age, config.max_age.min(MISSES_FOR));
        let cache = Arc::new(Self {
            store,
            clock,
            metrics,
            epochs: Epochs::default(),
            consumers: Shelf::new(share(5), max_age, |key, consumer: &Arc<Consumer>| weight::consumer(key, consumer)),
            tokens: Shelf::new(share(9), max_age, |token, copy: &TokenCopy| weight::token(token, &copy.token)),
            missing_consumers: Shelf::new(share(1), missed_for, |key: &ConsumerKey, ()| {
                weight::missing(key.as_str(), "")
            }),
            missing_tokens: Shelf::new(share(1), missed_for, |token: &Token, consumer: &ConsumerKey| {
                weight::missing(token.as_str(), consumer.as_str())
            }),
        });
        let observer: Weak<Self> = Arc::downgrade(&cache);
        cache.store.changes().subscribe(observer);
        cache
    }

    /// The question, with what was told until now: before anything is looked up.
    fn question<'a>(&self, consumer: &'a ConsumerKey, token: Option<&'a Token>) -> Question<'a> {
        let time = self.clock.now();
        let moment = |name| Moment { time, epoch: self.epochs.of(name) };
        Question {
            consumer,
            asked_consumer: moment(Name::Consumer(consumer)),
            token: token.map(|token| (token, moment(Name::Token(token)))),
            any_user: self.epochs.of_any_user(),
        }
    }

    /// The answer from copies alone; `None` when the store must be asked.
    fn find(&self, question: &Question<'_>) -> Option<Credentials> {
        let &Question { consumer: key, asked_consumer, token, .. } = question;
        let Some(consumer) = self.consumers.find(key, asked_consumer) else {
            // What tokens a consumer had that is not there concerns nobody.
            return self.missing_consumers.find(key, asked_consumer).map(|()| Credentials::default());
        };
        let consumer = Some(consumer);
        let Some((name, asked_token)) = token else { return Some(Credentials { consumer, ..Credentials::default() }) };
        if let Some(copy) = self.tokens.find(name, asked_token).filter(|copy| self.is_of_now(copy)) {
            return Some(if copy.token.consumer_key == *key {
                Credentials { consumer, token: Some(copy.token), user: copy.user }
            } else {
                Credentials { consumer, ..Credentials::default() }
            });
        }
        let missed_by = self.missing_tokens.find(name, asked_token)?;
        (missed_by == *key).then(|| Credentials { consumer, ..Credentials::default() })
    }

    /// Whether nothing was told of the user whom the token acts for.
    fn is_of_now(&self, copy: &TokenCopy) -> bool {
        let user_id = copy.token.user_id.as_ref();
        copy.user_epoch == user_id.map(|id| self.epochs.of(Name::User(id)))
    }

    /// Keeps what a look-up brought.
    fn keep(&self, question: &Question<'_>, found: &Credentials) {
        let &Question { consumer: key, asked_consumer, token, .. } = question;
        match &found.consumer {
            Some(consumer) => self.consumers.keep(key, Arc::clone(consumer), asked_consumer),
            None => self.missing_consumers.keep(key, (), asked_consumer),
        }
        match (token, &found.token) {
            (None, _) => {}
            (Some((name, asked)), Some(token)) => self.keep_token(question, (name, asked), token, found.user),
            (Some((name, asked)), None) => self.missing_tokens.keep(name, key.clone(), asked),
        }
    }

    fn keep_token(
        &self,
        question: &Question<'_>,
        (name, asked): (&Token, Moment),
        token: &Arc<AccessToken>,
        user: UserStanding,
    ) {
        let user_epoch = token.user_id.as_ref().map(|id| self.epochs.of(Name::User(id)));
        // Only now it is known whom the token acts for: the user's count is good if no user's was raised meanwhile.
        if self.epochs.of_any_user() == question.any_user {
            self.tokens.keep(name, TokenCopy { token: Arc::clone(token), user, user_epoch }, asked);
        }
    }

    fn entries_and_bytes(&self) -> (u64, u64) {
        let sizes =
            [self.consumers.size(), self.tokens.size(), self.missing_consumers.size(), self.missing_tokens.size()];
        sizes.into_iter().fold((0, 0), |sum, size| (sum.0 + size.0, sum.1 + size.1))
    }
}

#[async_trait]
impl CheckStore for CachedStore {
    async fn credentials(&self, consumer: &ConsumerKey, token: Option<&Token>) -> Result<Credentials, StoreError> {
        let question = self.question(consumer, token);
        let known = self.find(&question);
        self.metrics.cache_lookup(known.is_some());
        if let Some(known) = known {
            return Ok(known);
        }
        let found = self.store.credentials(consumer, token).await?;
        self.keep(&question, &found);
        Ok(found)
    }

    async fn claim_nonce(&self, claim: &NonceClaim<'_>) -> Result<Claim, StoreError> {
        self.store.claim_nonce(claim).await
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
        let (cache_entries, cache_bytes) = self.entries_and_bytes();
        StoreStatus { cache_entries, cache_bytes, ..self.store.status() }
    }
}

impl Observe for CachedStore {
    fn observe(&self, change: &Change) {
        self.epochs.raise(change);
        self.metrics.cache_invalidation(change.kind());
        // No copy of it is used any more; the rest only frees memory.
        match change {
            Change::Consumer(key) => {
                self.consumers.forget(key);
                self.missing_consumers.forget(key);
            }
            Change::Token(token) => {
                self.tokens.forget(token);
                self.missing_tokens.forget(token);
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
