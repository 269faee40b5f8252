//! The cache in front of a store: its hits, the age of its entries, and their invalidation.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use countersign::clock::{ManualClock, UnixTime};
use countersign::config::CacheConfig;
use countersign::model::{
    AccessToken, Consumer, ConsumerKey, ConsumerStatus, Generation, Token, TokenStatus, User,
    UserStanding, UserStatus,
};
use countersign::store::{
    CachedStore, CallerRecords, ChangeObserver as _, CheckStore, ClaimOutcome, NonceClaim,
    RecordChange, Store, StoreError, StoreErrorKind, StoreFuture, StoreHealth, StoreStatus,
    boxed_answer,
};
use countersign::telemetry::Metrics;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::bench::{Bench, NOW, consumer, key, ready, token};
use crate::support::refusing_store::refusing_store;

#[tokio::test]
async fn a_second_look_up_is_answered_from_the_cache() {
    let cache = Cache::new().await;
    let first = cache.ask("ck", Some("t")).await;
    let second = cache.ask("ck", Some("t")).await;
    assert_eq!(cache.lookups(), 1);
    assert_eq!(
        (first.consumer, first.token),
        (second.consumer, second.token)
    );
    assert!(cache.ask("ck", None).await.token.is_none());
    assert_eq!(cache.lookups(), 1, "the consumer alone is cached too");
}

#[tokio::test]
async fn nothing_older_than_max_age_is_used() {
    let cache = Cache::new().await;
    cache.ask("ck", Some("t")).await;
    cache.clock.advance(MAX_AGE - Duration::from_millis(1));
    cache.ask("ck", Some("t")).await;
    assert_eq!(cache.lookups(), 1);
    cache.clock.advance(Duration::from_millis(1));
    cache.ask("ck", Some("t")).await;
    assert_eq!(cache.lookups(), 2);
}

#[tokio::test]
async fn the_age_of_an_entry_counts_from_the_start_of_its_look_up() {
    let cache = Cache::new().await;
    let asking = cache.ask_slowly("ck", None).await;
    cache.clock.advance(MAX_AGE);
    asking.end().await;
    cache.ask("ck", None).await;
    assert_eq!(cache.lookups(), 2);
}

#[tokio::test]
async fn nothing_is_used_after_the_clock_was_set_back() {
    let cache = Cache::new().await;
    cache.ask("ck", None).await;
    cache.clock.set(UnixTime::from_secs(NOW - 1));
    cache.ask("ck", None).await;
    assert_eq!(cache.lookups(), 2);
}

#[tokio::test]
async fn a_warm_answer_is_ready_and_equals_the_look_up() {
    let cache = Cache::new().await;
    let warm = |consumer, token| cache.warm(consumer, token);
    assert!(warm("ck", Some("t")).is_none(), "nothing was looked up");
    assert_eq!(cache.lookups(), 0, "the store was not contacted");
    let found = cache.ask("ck", Some("t")).await;
    let copy = warm("ck", Some("t")).unwrap();
    assert_eq!(
        (copy.consumer, copy.token, copy.user),
        (found.consumer, found.token, found.user)
    );
    assert!(warm("ck", Some("unknown")).is_none() && warm("other", None).is_none());
    cache.ask("unknown", None).await;
    assert!(
        warm("unknown", Some("t")).unwrap().consumer.is_none(),
        "its absence is cached"
    );
    cache.store.delete_token(&token("ck", "t")).await.unwrap();
    assert!(warm("ck", Some("t")).is_none(), "it was changed");
    cache.clock.advance(MAX_AGE);
    assert!(warm("ck", None).is_none(), "it is too old");
}

#[tokio::test]
async fn a_stale_entry_is_removed_within_twice_max_age() {
    let cache = Cache::new().await;
    let mut copies = Vec::new();
    for name in ["ck", "other"] {
        copies.push(Arc::downgrade(
            &cache.ask(name, None).await.consumer.unwrap(),
        ));
        cache.clock.advance(MAX_AGE / 2);
    }
    cache.cached.status();
    assert!(
        copies[0].upgrade().is_none() && copies[1].upgrade().is_some(),
        "only the old entry was removed"
    );
    cache.clock.advance(MAX_AGE);
    let status = cache.cached.status();
    assert!(copies[1].upgrade().is_none());
    assert_eq!((status.cache_entries, status.cache_bytes), (0, 0));
}

#[tokio::test]
async fn in_an_outage_old_records_are_used_up_to_max_stale_age_and_marked() {
    let cache = Cache::with(CacheConfig {
        max_age: MAX_AGE,
        max_stale_age: 10 * MAX_AGE,
        max_bytes: MAX_BYTES,
    })
    .await;
    assert!(!cache.ask("ck", Some("t")).await.is_stale);
    cache.clock.advance(5 * MAX_AGE);
    cache.cached.status();
    cache.gate.fails.store(true, Ordering::SeqCst);
    assert!(
        cache.fails("ck", None).await,
        "a single failure is no outage"
    );
    cache.gate.is_down.store(true, Ordering::SeqCst);
    let stale = cache.ask("ck", Some("t")).await;
    assert!(stale.is_stale && stale.consumer.is_some() && stale.token.is_some());
    assert!(cache.ask("ck", None).await.is_stale);
    for (consumer, token) in [
        ("other", None),
        ("ck", Some("unknown")),
        ("other", Some("t")),
    ] {
        assert!(
            cache.fails(consumer, token).await,
            "{consumer} was not looked up"
        );
    }
    cache.gate.is_down.store(false, Ordering::SeqCst);
    assert!(!cache.ask("ck", Some("t")).await.is_stale);
    cache.gate.is_down.store(true, Ordering::SeqCst);
    cache.clock.advance(10 * MAX_AGE);
    assert!(cache.fails("ck", Some("t")).await, "it is too old");
}

#[tokio::test]
async fn in_an_outage_no_changed_record_is_used() {
    let changes = [
        RecordChange::Consumer(key("ck")),
        RecordChange::Token(Token::new("t").unwrap()),
        RecordChange::User(token("ck", "t").user_id.unwrap()),
        RecordChange::Everything,
    ];
    for change in changes {
        let cache = Cache::with(CacheConfig {
            max_age: MAX_AGE,
            max_stale_age: 10 * MAX_AGE,
            max_bytes: MAX_BYTES,
        })
        .await;
        cache.ask("ck", Some("t")).await;
        cache.cached.on_change(&change);
        cache.gate.is_down.store(true, Ordering::SeqCst);
        assert!(cache.fails("ck", Some("t")).await, "{change:?}");
    }
}

#[tokio::test]
async fn without_max_stale_age_an_outage_fails_what_is_too_old() {
    let cache = Cache::new().await;
    cache.ask("ck", Some("t")).await;
    cache.gate.is_down.store(true, Ordering::SeqCst);
    assert!(!cache.ask("ck", Some("t")).await.is_stale);
    cache.clock.advance(MAX_AGE);
    assert!(cache.fails("ck", Some("t")).await);
}

#[tokio::test]
async fn a_max_age_of_zero_caches_nothing() {
    let cache = Cache::with(CacheConfig {
        max_age: Duration::ZERO,
        max_stale_age: Duration::ZERO,
        max_bytes: MAX_BYTES,
    })
    .await;
    for _ in 0..3 {
        cache.ask("ck", Some("t")).await;
        cache.ask("unknown", None).await;
    }
    assert_eq!(
        (cache.lookups(), cache.cached.status().cache_entries),
        (6, 0)
    );
}

#[tokio::test]
async fn a_changed_consumer_is_looked_up_again() {
    let cache = Cache::new().await;
    cache.ask("ck", Some("t")).await;
    let disabled = Consumer {
        status: ConsumerStatus::Disabled,
        revision: 2,
        ..consumer("ck")
    };
    cache.store.update_consumer(&disabled).await.unwrap();
    assert_eq!(
        cache.ask("ck", Some("t")).await.consumer.as_deref(),
        Some(&disabled)
    );
    cache.ask("other", None).await;
    cache.store.delete_consumer(&disabled).await.unwrap();
    assert!(cache.ask("ck", None).await.consumer.is_none());
}

#[tokio::test]
async fn a_changed_token_is_looked_up_again() {
    let cache = Cache::new().await;
    cache.ask("ck", Some("t")).await;
    let revoked = AccessToken {
        status: TokenStatus::Revoked,
        revision: 2,
        ..token("ck", "t")
    };
    cache.store.update_token(&revoked).await.unwrap();
    assert_eq!(
        cache.ask("ck", Some("t")).await.token.as_deref(),
        Some(&revoked)
    );
    cache.store.delete_token(&revoked).await.unwrap();
    assert!(cache.ask("ck", Some("t")).await.token.is_none());
}

#[tokio::test]
async fn a_changed_user_is_looked_up_again_with_every_token() {
    let cache = Cache::new().await;
    cache.store.create_token(&token("ck", "u")).await.unwrap();
    cache.ask("ck", Some("t")).await;
    cache.ask("ck", Some("u")).await;
    let user = user_of(&token("ck", "t"));
    cache.store.create_user(&user).await.unwrap();
    for name in ["t", "u"] {
        assert_eq!(
            cache.ask("ck", Some(name)).await.user,
            user.standing(),
            "{name}"
        );
    }
    let deleted = User {
        status: UserStatus::Deleted,
        revision: 2,
        ..user
    };
    cache.store.update_user(&deleted).await.unwrap();
    for name in ["t", "u"] {
        assert_eq!(
            cache.ask("ck", Some(name)).await.user.status,
            UserStatus::Deleted,
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_look_up_that_a_change_of_its_token_overtook_is_not_cached() {
    let cache = Cache::new().await;
    let asking = cache.ask_slowly("ck", Some("t")).await;
    let revoked = AccessToken {
        status: TokenStatus::Revoked,
        revision: 2,
        ..token("ck", "t")
    };
    cache.store.update_token(&revoked).await.unwrap();
    assert_eq!(
        asking.end().await.token.unwrap().status,
        TokenStatus::Active,
        "this read began before the change"
    );
    assert_eq!(
        cache.ask("ck", Some("t")).await.token.unwrap().status,
        TokenStatus::Revoked
    );
}

#[tokio::test]
async fn a_look_up_that_a_change_of_its_consumer_overtook_is_not_cached() {
    let cache = Cache::new().await;
    let asking = cache.ask_slowly("ck", Some("t")).await;
    let disabled = Consumer {
        status: ConsumerStatus::Disabled,
        revision: 2,
        ..consumer("ck")
    };
    cache.store.update_consumer(&disabled).await.unwrap();
    let overtaken = asking.end().await.consumer.unwrap();
    assert!(overtaken.is_active(), "it was read before the change");
    let found = cache.ask("ck", Some("t")).await.consumer.unwrap();
    assert!(!found.is_active());
}

#[tokio::test]
async fn a_look_up_that_a_change_of_its_user_overtook_is_not_cached() {
    let cache = Cache::new().await;
    let asking = cache.ask_slowly("ck", Some("t")).await;
    let user = User {
        status: UserStatus::Disabled,
        ..user_of(&token("ck", "t"))
    };
    cache.store.create_user(&user).await.unwrap();
    assert_eq!(
        asking.end().await.user,
        UserStanding::default(),
        "this read began before the change"
    );
    assert_eq!(
        cache.ask("ck", Some("t")).await.user.status,
        UserStatus::Disabled
    );
}

#[tokio::test]
async fn an_absence_that_a_creation_overtook_is_not_cached() {
    let cache = Cache::new().await;
    let asking = cache.ask_slowly("new", None).await;
    cache.store.create_consumer(&consumer("new")).await.unwrap();
    assert!(
        asking.end().await.consumer.is_none(),
        "this read began before the change"
    );
    assert!(cache.ask("new", None).await.consumer.is_some());
}

#[tokio::test]
async fn the_absence_of_a_record_is_cached_for_a_second() {
    let cache = Cache::new().await;
    for (consumer_key, name) in [
        ("unknown", None),
        ("unknown", Some("t")),
        ("ck", Some("unknown")),
    ] {
        let before = cache.lookups();
        cache.clock.advance(Duration::from_secs(1));
        for _ in 0..2 {
            assert!(cache.ask(consumer_key, name).await.token.is_none());
        }
        assert_eq!(cache.lookups() - before, 1, "{consumer_key} {name:?}");
        cache.clock.advance(Duration::from_secs(1));
        cache.ask(consumer_key, name).await;
        assert_eq!(cache.lookups() - before, 2, "{consumer_key} {name:?}");
    }
}

#[tokio::test]
async fn a_record_created_after_a_miss_is_found_at_once() {
    let cache = Cache::new().await;
    assert!(cache.ask("new", None).await.consumer.is_none());
    cache.store.create_consumer(&consumer("new")).await.unwrap();
    assert!(cache.ask("new", Some("n")).await.consumer.is_some());
    cache.store.create_token(&token("new", "n")).await.unwrap();
    assert!(cache.ask("new", Some("n")).await.token.is_some());
}

#[tokio::test]
async fn a_cached_token_is_found_only_under_its_consumer() {
    let cache = Cache::new().await;
    cache.ask("other", None).await;
    cache.ask("ck", Some("t")).await;
    let found = cache.ask("other", Some("t")).await;
    assert!(found.consumer.is_some() && found.token.is_none());
    assert_eq!(found.user, UserStanding::default());
    assert_eq!(cache.lookups(), 2, "the token's consumer was cached");
    assert!(cache.ask("ck", Some("t")).await.token.is_some());
}

#[tokio::test]
async fn a_token_that_another_consumer_missed_is_found_by_its_own() {
    let cache = Cache::new().await;
    cache.ask("ck", None).await;
    assert!(cache.ask("other", Some("t")).await.token.is_none());
    assert!(cache.ask("ck", Some("t")).await.token.is_some());
    assert!(cache.ask("other", Some("t")).await.token.is_none());
}

#[tokio::test]
async fn random_names_do_not_evict_used_entries() {
    let cache = Cache::with(CacheConfig {
        max_age: MAX_AGE,
        max_stale_age: Duration::ZERO,
        max_bytes: 256 * 1024,
    })
    .await;
    cache.ask("ck", Some("t")).await;
    for number in 0..1500 {
        cache.ask(&format!("random-{number}"), None).await;
        cache.ask("ck", Some(&format!("random-{number}"))).await;
    }
    let status = cache.cached.status();
    assert!(status.cache_bytes <= 256 * 1024, "{status:?}");
    let before = cache.lookups();
    cache.ask("ck", Some("t")).await;
    assert_eq!(cache.lookups(), before);
}

#[tokio::test]
async fn an_error_is_not_cached() {
    let cache = Cache::new().await;
    cache.gate.fails.store(true, Ordering::SeqCst);
    let error = cache
        .cached
        .caller_records(&key("ck"), None)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    assert!(cache.ask("ck", None).await.consumer.is_some());
}

#[tokio::test]
async fn hits_misses_and_sizes_are_reported() {
    let cache = Cache::new().await;
    cache.ask("ck", Some("t")).await;
    cache.ask("ck", Some("t")).await;
    cache.store.delete_token(&token("ck", "t")).await.unwrap();
    let text = cache.metrics.render();
    for series in [
        "countersign_cache_lookups_total{outcome=\"hit\"} 1\n",
        "countersign_cache_lookups_total{outcome=\"miss\"} 1\n",
        "countersign_cache_invalidations_total{changed=\"token\"} 1\n",
    ] {
        assert!(text.contains(series), "{series} in {text}");
    }
    let status = cache.cached.status();
    assert_eq!(status.cache_entries, 1, "the consumer");
    assert!((500..5000).contains(&status.cache_bytes), "{status:?}");
}

const MAX_AGE: Duration = Duration::from_secs(10);
const MAX_BYTES: u64 = 1024 * 1024;

/// A cache in front of a store in memory with the consumers `ck` and `other`, and the token `t` of
/// `ck`.
struct Cache {
    clock: Arc<ManualClock>,
    metrics: Arc<Metrics>,
    store: Arc<dyn Store>,
    gate: Arc<Gate>,
    cached: Arc<CachedStore>,
}

impl Cache {
    async fn new() -> Self {
        Self::with(CacheConfig {
            max_age: MAX_AGE,
            max_stale_age: Duration::ZERO,
            max_bytes: MAX_BYTES,
        })
        .await
    }

    async fn with(config: CacheConfig) -> Self {
        let store = Bench::memory().open().await;
        for name in ["ck", "other"] {
            store.create_consumer(&consumer(name)).await.unwrap();
        }
        store.create_token(&token("ck", "t")).await.unwrap();
        let gate = Arc::new(Gate::before(&store));
        let (clock, metrics) = (
            Arc::new(ManualClock::at(UnixTime::from_secs(NOW))),
            Arc::new(Metrics::default()),
        );
        let cached = CachedStore::new(
            Arc::clone(&gate) as _,
            Arc::clone(&clock) as _,
            &config,
            Arc::clone(&metrics),
        );
        Self {
            clock,
            metrics,
            store,
            gate,
            cached,
        }
    }

    async fn ask(&self, consumer: &str, token: Option<&str>) -> CallerRecords {
        let token = token.map(|token| Token::new(token).unwrap());
        self.cached
            .caller_records(&key(consumer), token.as_ref())
            .await
            .unwrap()
    }

    /// Returns whether a lookup fails.
    async fn fails(&self, consumer: &str, token: Option<&str>) -> bool {
        let (key, token) = (key(consumer), token.map(|name| Token::new(name).unwrap()));
        let answer = self.cached.caller_records(&key, token.as_ref());
        answer.await.is_err()
    }

    /// Returns the answer if it is ready at once.
    fn warm(&self, consumer: &str, token: Option<&str>) -> Option<CallerRecords> {
        let (key, token) = (key(consumer), token.map(|name| Token::new(name).unwrap()));
        ready(self.cached.caller_records(&key, token.as_ref()))
    }

    /// Starts a lookup, and returns when the store has been read but its answer is held back.
    async fn ask_slowly(&self, consumer: &str, token: Option<&str>) -> Asking {
        let ((entered, has_entered), (let_go, may_go)) = (oneshot::channel(), oneshot::channel());
        *self.gate.next.lock().unwrap() = Some((entered, may_go));
        let (cached, key, token) = (
            Arc::clone(&self.cached),
            key(consumer),
            token.map(|name| Token::new(name).unwrap()),
        );
        let answer =
            tokio::spawn(async move { cached.caller_records(&key, token.as_ref()).await.unwrap() });
        has_entered.await.unwrap();
        Asking { let_go, answer }
    }

    /// Returns the number of lookups in the store.
    fn lookups(&self) -> usize {
        self.gate.lookups.load(Ordering::SeqCst)
    }
}

/// A lookup with a response that is held back.
struct Asking {
    let_go: oneshot::Sender<()>,
    answer: JoinHandle<CallerRecords>,
}

impl Asking {
    /// Releases the answer.
    async fn end(self) -> CallerRecords {
        self.let_go.send(()).unwrap();
        self.answer.await.unwrap()
    }
}

/// A store that counts lookups, and can hold one back or fail.
#[derive(Debug)]
struct Gate {
    store: Arc<dyn Store>,
    lookups: AtomicUsize,
    fails: AtomicBool,
    /// Every lookup fails as in an outage.
    is_down: AtomicBool,
    /// The signals of the next lookup: one that it has read the store, and one that it may go on.
    next: Mutex<Option<(oneshot::Sender<()>, oneshot::Receiver<()>)>>,
}

impl Gate {
    fn before(store: &Arc<dyn Store>) -> Self {
        let (lookups, fails) = (AtomicUsize::new(0), AtomicBool::new(false));
        Self {
            store: Arc::clone(store),
            lookups,
            fails,
            is_down: AtomicBool::new(false),
            next: Mutex::new(None),
        }
    }
}

const UNAVAILABLE: StoreError = StoreError::new(StoreErrorKind::Unavailable, "testing");

impl CheckStore for Gate {
    fn caller_records<'a>(
        &'a self,
        consumer: &'a ConsumerKey,
        token: Option<&'a Token>,
    ) -> StoreFuture<'a, CallerRecords> {
        boxed_answer(async move {
            self.lookups.fetch_add(1, Ordering::SeqCst);
            if self.fails.swap(false, Ordering::SeqCst) {
                return Err(UNAVAILABLE);
            }
            if self.is_down.load(Ordering::SeqCst) {
                return Err(UNAVAILABLE.in_outage(true));
            }
            let found = self.store.caller_records(consumer, token).await;
            let next = self.next.lock().unwrap().take();
            if let Some((entered, may_go)) = next {
                entered.send(()).unwrap();
                may_go.await.unwrap();
            }
            found
        })
    }

    fn claim_nonce<'a>(&'a self, claim: &'a NonceClaim<'a>) -> StoreFuture<'a, ClaimOutcome> {
        self.store.claim_nonce(claim)
    }

    fn clock_lead(&self) -> Duration {
        Duration::ZERO
    }
}

#[async_trait]
impl StoreHealth for Gate {
    async fn ping(&self) -> Result<(), StoreError> {
        self.store.ping().await
    }

    fn status(&self) -> StoreStatus {
        self.store.status()
    }
}

refusing_store!(Gate, UNAVAILABLE, |gate| gate.store.changes());

/// Returns the user of a token, with another generation than the token.
fn user_of(token: &AccessToken) -> User {
    User {
        id: token.user_id.clone().unwrap(),
        username: None,
        password: None,
        status: UserStatus::Active,
        generation: Generation::from_number(9),
        created_at: UnixTime::from_secs(NOW),
        updated_at: UnixTime::from_secs(NOW),
        revision: 1,
    }
}
