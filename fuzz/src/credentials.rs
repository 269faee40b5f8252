//! The consumers and tokens that every service here knows.

use std::sync::Arc;

use countersign::clock::{Clock, CountingEntropy, Entropy, ManualClock, UnixTime};
use countersign::config::{Config, StoreConfig, StoreUrl};
use countersign::issue::{
    Actor, ConsumerAttributes, ConsumerDraft, Expiry, Issuer, IssuerTerms, TokenDraft,
};
use countersign::model::Secret;
use countersign::store::{self, Store};

/// The time of every check.
pub const NOW: u64 = 1_700_000_000;

/// A consumer with a shared secret.
#[derive(Debug, PartialEq, Eq)]
pub struct KnownConsumer {
    /// `oauth_consumer_key`.
    pub key: &'static str,
    /// Its secret.
    pub secret: &'static str,
    /// True if it may sign with PLAINTEXT.
    pub may_use_plaintext: bool,
}

/// A token.
#[derive(Debug, PartialEq, Eq)]
pub struct KnownToken {
    /// `oauth_token`.
    pub token: &'static str,
    /// Its secret.
    pub secret: &'static str,
    /// The consumer that it belongs to.
    pub consumer: &'static KnownConsumer,
    /// The user that it acts for.
    pub user: Option<&'static str>,
}

/// The consumers with a shared secret. The names are short, so that a mutation can find them.
pub static CONSUMERS: [KnownConsumer; 3] = [
    KnownConsumer {
        key: "ck",
        secret: "kd94hf93k423kf44",
        may_use_plaintext: false,
    },
    KnownConsumer {
        key: "plain",
        secret: "s3cr&t/+= %",
        may_use_plaintext: true,
    },
    KnownConsumer {
        key: "third",
        secret: "another-secret",
        may_use_plaintext: false,
    },
];

/// The tokens.
pub static TOKENS: [KnownToken; 3] = [
    KnownToken {
        token: "tk",
        secret: "pfkkdhi9sl3r4s00",
        consumer: &CONSUMERS[0],
        user: Some("jane"),
    },
    KnownToken {
        token: "own",
        secret: "t&k=n s%cret",
        consumer: &CONSUMERS[0],
        user: None,
    },
    KnownToken {
        token: "other",
        secret: "secret-of-another",
        consumer: &CONSUMERS[1],
        user: Some("joe"),
    },
];

/// A consumer without a shared secret, whose private key nobody here has: no request proves it.
pub const RSA_CONSUMER: &str = "rsa";

/// Returns the consumer of that key.
pub fn consumer(key: &[u8]) -> Option<&'static KnownConsumer> {
    CONSUMERS
        .iter()
        .find(|consumer| consumer.key.as_bytes() == key)
}

/// Returns the token of that name.
pub fn token(name: &[u8]) -> Option<&'static KnownToken> {
    TOKENS.iter().find(|token| token.token.as_bytes() == name)
}

/// The parts of a service that do not change between inputs.
#[derive(Clone, Debug)]
pub struct Ground {
    /// The clock, which stands at [`NOW`].
    pub clock: Arc<dyn Clock>,
    /// The source of unique bytes.
    pub entropy: Arc<dyn Entropy>,
    /// The store, in memory.
    pub store: Arc<dyn Store>,
}

impl Ground {
    /// Returns a new store with the consumers and tokens.
    pub async fn new(config: &Config) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(UnixTime::from_secs(NOW)));
        let entropy: Arc<dyn Entropy> = Arc::new(CountingEntropy::default());
        let in_memory = StoreConfig {
            url: StoreUrl::Memory,
            master_key_file: None,
            ..config.store.clone()
        };
        let directory = std::env::temp_dir();
        let opened = store::open(
            &in_memory,
            &directory,
            Arc::clone(&clock),
            Arc::clone(&entropy),
        )
        .await;
        let store = opened.expect("a store in memory");
        let ground = Self {
            clock,
            entropy,
            store,
        };
        ground.fill(config).await;
        ground
    }

    /// Returns an issuer over the store.
    pub fn issuer(&self, config: &Config) -> Issuer {
        Issuer::new(
            Arc::clone(&self.store),
            Arc::clone(&self.clock),
            Arc::clone(&self.entropy),
            IssuerTerms::of(config),
            None,
        )
    }

    async fn fill(&self, config: &Config) {
        let issuer = self.issuer(config);
        for known in &CONSUMERS {
            let draft = ConsumerDraft {
                consumer_key: Some(known.key.to_owned()),
                consumer_secret: Some(Secret::new(known.secret.as_bytes())),
                attributes: attributes(known.key, known.may_use_plaintext),
                ..ConsumerDraft::default()
            };
            create(&issuer, &draft).await;
        }
        let rsa = ConsumerDraft {
            consumer_key: Some(RSA_CONSUMER.to_owned()),
            no_shared_secret: true,
            rsa_public_keys: vec![RSA_PUBLIC_KEY.to_owned()],
            attributes: attributes(RSA_CONSUMER, true),
            ..ConsumerDraft::default()
        };
        create(&issuer, &rsa).await;
        for known in &TOKENS {
            let draft = TokenDraft {
                token: Some(known.token.to_owned()),
                token_secret: Some(Secret::new(known.secret.as_bytes())),
                consumer_key: known.consumer.key.to_owned(),
                user_id: known.user.map(str::to_owned),
                expiry: Expiry::Never,
                ..TokenDraft::default()
            };
            issuer
                .create_token(&draft, &Actor::ADMIN)
                .await
                .expect("a valid token");
        }
    }
}

async fn create(issuer: &Issuer, draft: &ConsumerDraft) {
    issuer
        .create_consumer(draft, &Actor::ADMIN)
        .await
        .expect("a valid consumer");
}

fn attributes(name: &str, may_use_plaintext: bool) -> ConsumerAttributes {
    let every = [
        "HMAC-SHA1",
        "HMAC-SHA256",
        "HMAC-SHA512",
        "RSA-SHA1",
        "RSA-SHA256",
        "RSA-SHA512",
        "PLAINTEXT",
    ];
    let methods = if may_use_plaintext { &every[..] } else { &[] };
    ConsumerAttributes {
        name: name.to_owned(),
        signature_methods: methods.iter().map(|&method| method.to_owned()).collect(),
        flows: ["two-legged", "three-legged", "xauth"]
            .map(str::to_owned)
            .into(),
        callbacks: ["oob", "https://client.example/ready"]
            .map(str::to_owned)
            .into(),
        scopes: ["read", "write"].map(str::to_owned).into(),
        ..ConsumerAttributes::default()
    }
}

/// The public key of a published test vector (`tests/vectors/oauth1.json`).
const RSA_PUBLIC_KEY: &str = "-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAmKHOVHuDCsRyEHkhEikI
iL9+NRBQ7XwJQLFz++JqHSbsJ0izn0pBTYCh+Mur0iolCuwcVNihcuxZESff73Hi
Zj/TA+m1j4E9loOIkkMYD7QBxFabPTGL5IVtJbdIcoQHBi1Ed5G+GI0pBn2vBMxv
xtoPv1SnS9Jp0oFoQp0gZ0dMUcFnHIHUUy5ttP4815Jhw/dgwUe5A4IgVKz1k3yx
w57FaCFLregQDyPN0yIx41RtSZ/CtKa2xnkFPQC8Gi9+qr6aWKZgqmgBhzjNn17B
DxTYRGcUKW8ltjOD7Vx540qpTTijdrZnRd41sJvYSmfcXmliZAZgZy3t7Tc9DnTt
KQIDAQAB
-----END PUBLIC KEY-----
";
