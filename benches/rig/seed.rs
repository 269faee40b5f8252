//! Many consumers and tokens, written into Redis by the store's own code.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use countersign::clock::{Clock as _, SystemClock, SystemEntropy, UnixTime};
use countersign::config::{Config, StoreConfig, StoreUrl};
use countersign::model::{
    AccessToken, CompatSet, Consumer, ConsumerId, ConsumerKey, ConsumerName, ConsumerProfile,
    ConsumerSecret, ConsumerStatus, Generation, Scopes, Secret, Token, TokenStatus,
};
use countersign::store::{self, Store};
use futures_util::{StreamExt as _, stream};
use serde::Serialize;

use crate::calls::Account;
use crate::process::Redis;

/// The number of records.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Records {
    pub(crate) consumers: usize,
}

/// The cost of the records.
#[derive(Debug, Serialize)]
pub(crate) struct SeedReport {
    consumers: usize,
    tokens: usize,
    seconds: f64,
    /// Bytes of Redis for each, with its entries in the indexes.
    bytes_per_consumer: f64,
    bytes_per_token: f64,
    redis_bytes: u64,
}

impl Records {
    /// Returns the number of tokens.
    pub(crate) fn tokens(&self) -> usize {
        self.consumers * 2
    }

    /// Returns the consumer of a token. Each consumer has one token, the first half have another,
    /// and the first one has the last quarter of all.
    pub(crate) fn consumer_of(&self, token: usize) -> usize {
        let (all, tokens) = (self.consumers, self.tokens());
        if token >= tokens / 4 * 3 {
            0
        } else {
            token % all
        }
    }
}

/// Writes the records into an empty Redis.
pub(crate) fn seed(records: &Records, redis: &Redis, key_file: &Path) -> SeedReport {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let begun = Instant::now();
    let empty = redis.number("used_memory");
    let with_consumers = runtime.block_on(async {
        let store = open(redis, key_file).await;
        let (now, store) = (SystemClock.now(), &store);
        let consumers = stream::iter(0..records.consumers).map(|n| consumer(n, now));
        consumers
            .for_each_concurrent(AT_ONCE, async |one| {
                store.create_consumer(&one).await.unwrap()
            })
            .await;
        let with_consumers = redis.number("used_memory");
        let tokens =
            stream::iter(0..records.tokens()).map(|n| token(records.consumer_of(n), n, now));
        tokens
            .for_each_concurrent(AT_ONCE, async |one| store.create_token(&one).await.unwrap())
            .await;
        with_consumers
    });
    let redis_bytes = redis.number("used_memory");
    SeedReport {
        consumers: records.consumers,
        tokens: records.tokens(),
        seconds: begun.elapsed().as_secs_f64(),
        bytes_per_consumer: with_consumers.saturating_sub(empty) as f64 / records.consumers as f64,
        bytes_per_token: redis_bytes.saturating_sub(with_consumers) as f64
            / records.tokens() as f64,
        redis_bytes,
    }
}

async fn open(redis: &Redis, key_file: &Path) -> Arc<dyn Store> {
    let config = StoreConfig {
        url: StoreUrl::Redis(format!("redis://{}", redis.address)),
        master_key_file: Some(key_file.to_owned()),
        // Concurrent calls wait for each other.
        timeout: Duration::from_secs(30),
        ..Config::default().store
    };
    store::open(
        &config,
        Path::new("."),
        Arc::new(SystemClock),
        Arc::new(SystemEntropy),
    )
    .await
    .unwrap()
}

fn consumer(n: usize, now: UnixTime) -> Consumer {
    let account = Account::numbered(n, 0);
    let secret = ConsumerSecret {
        secret: Secret::new(account.secret.into_bytes()),
        expires_at: None,
    };
    Consumer {
        id: ConsumerId::new(format!("id-{n}")).unwrap(),
        name: ConsumerName::new(format!("Consumer {n}")).unwrap(),
        key: ConsumerKey::new(account.key).unwrap(),
        profile: ConsumerProfile::default(),
        verified: false,
        status: ConsumerStatus::Active,
        secrets: vec![secret],
        rsa_public_keys: Vec::new(),
        signature_methods: [].into(),
        flows: [].into(),
        callbacks: Vec::new(),
        scopes: Scopes::parse("read write").unwrap(),
        compat: CompatSet::NONE,
        deny_detail: None,
        deprecated_at: None,
        sunset_at: None,
        generation: Generation::from_number(1),
        created_at: now,
        updated_at: now,
        revision: 1,
    }
}

fn token(consumer: usize, n: usize, now: UnixTime) -> AccessToken {
    let account = Account::numbered(consumer, n);
    AccessToken {
        token: Token::new(account.token).unwrap(),
        secret: Secret::new(account.token_secret.into_bytes()),
        consumer_key: ConsumerKey::new(account.key).unwrap(),
        user_id: None,
        scopes: Scopes::parse("read").unwrap(),
        consumer_generation: Generation::from_number(1),
        user_generation: Generation::default(),
        status: TokenStatus::Active,
        expires_at: None,
        created_at: now,
        revision: 1,
    }
}

/// The number of concurrent calls.
const AT_ONCE: usize = 512;
