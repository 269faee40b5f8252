//! A store of each kind for one test, and records to put into it.

use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use countersign::clock::{Clock, Entropy as _, ManualClock, SystemEntropy, UnixTime};
use countersign::config::{ConnectionFiles, StoreConfig, StoreUrl};
use countersign::model::{
    AccessToken, Callback, CompatProfile, CompatSet, Consumer, ConsumerId, ConsumerKey,
    ConsumerName, ConsumerProfile, ConsumerSecret, ConsumerStatus, Flow, Generation, PasswordHash,
    RequestToken, RequestTokenState, Scopes, Secret, Session, SessionId, Token, TokenStatus, User,
    UserId, UserStatus, Username,
};
use countersign::oauth::SignatureMethod;
use countersign::store::{
    ClaimOutcome, NonceClaim, Store, StoreError, StoreFuture, new_master_key, open,
};
use futures_util::future::Either;

use crate::support::process::eventually;
use crate::support::redis::RedisServer;

/// The time at which every test begins, in seconds.
pub(crate) const NOW: u64 = 1_700_000_000;

/// The time for which a nonce is kept after its timestamp.
pub(crate) const KEPT: Duration = Duration::from_secs(660);

/// A data directory, a clock that the test sets, and the configuration of a store.
pub(crate) struct Bench {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) config: StoreConfig,
    directory: tempfile::TempDir,
}

impl Bench {
    /// Returns a bench for the store in a file.
    pub(crate) fn embedded() -> Self {
        Self::new(StoreUrl::Embedded(PathBuf::from("countersign.redb")))
    }

    /// Returns a bench for the store in memory.
    pub(crate) fn memory() -> Self {
        Self::new(StoreUrl::Memory)
    }

    /// Returns a bench for a store in Redis, with a master key file.
    pub(crate) fn redis(url: impl Into<String>) -> Self {
        let mut bench = Self::new(StoreUrl::Redis(url.into()));
        let path = bench.data_dir().join("shared-master-key");
        write_private(&path, &new_master_key(&SystemEntropy));
        bench.config.master_key_file = Some(path);
        bench
    }

    fn new(url: StoreUrl) -> Self {
        Self {
            clock: Arc::new(ManualClock::at(UnixTime::from_secs(NOW))),
            config: StoreConfig {
                url,
                master_key_file: None,
                files: ConnectionFiles::default(),
                timeout: Duration::from_millis(250),
                connections: 4,
                min_replicas: 0,
                fence_on_restart: false,
                max_clock_skew: Duration::ZERO,
            },
            directory: tempfile::tempdir().unwrap(),
        }
    }

    /// The directory of the embedded store and its key.
    pub(crate) fn data_dir(&self) -> &Path {
        self.directory.path()
    }

    /// Opens the store.
    pub(crate) async fn try_open(&self) -> Result<Arc<dyn Store>, StoreError> {
        self.try_open_as(&self.config).await
    }

    async fn try_open_as(&self, config: &StoreConfig) -> Result<Arc<dyn Store>, StoreError> {
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        open(config, self.data_dir(), clock, Arc::new(SystemEntropy)).await
    }

    /// Opens the store in Redis at another address, which must succeed.
    pub(crate) async fn open_at(&self, url: String) -> Arc<dyn Store> {
        let config = StoreConfig {
            url: StoreUrl::Redis(url),
            ..self.config.clone()
        };
        self.try_open_as(&config).await.unwrap()
    }

    /// Opens the store, which must succeed.
    pub(crate) async fn open(&self) -> Arc<dyn Store> {
        self.wait_until_closed().await;
        self.try_open().await.unwrap()
    }

    /// Waits until a store that was dropped has closed its file: a thread may still hold it.
    async fn wait_until_closed(&self) {
        let StoreUrl::Embedded(name) = &self.config.url else {
            return;
        };
        let path = self.data_dir().join(name);
        let is_closed = || async {
            match std::fs::File::open(&path) {
                Ok(file) => file.try_lock().is_ok().then_some(()),
                Err(_) => Some(()),
            }
        };
        eventually(
            "the store file is closed",
            Duration::from_secs(20),
            is_closed,
        )
        .await;
    }
}

/// Returns a bench and its Redis.
pub(crate) fn with_redis() -> (Bench, RedisServer) {
    let server = RedisServer::start();
    let mut bench = Bench::redis(server.url());
    // Patient, since other tests cover slow calls.
    bench.config.timeout = Duration::from_secs(2);
    (bench, server)
}

/// Writes a file that only its owner may read.
pub(crate) fn write_private(path: &Path, text: &str) {
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .unwrap();
    std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
}

/// Returns a claim of one nonce now, by a check of its own; tests change its fields.
pub(crate) fn claim<'c>(
    consumer: &'c ConsumerKey,
    timestamp: u64,
    nonce: &'c [u8],
) -> NonceClaim<'c> {
    let mut check_id = [0; 16];
    SystemEntropy.fill(&mut check_id);
    NonceClaim {
        consumer,
        token: None,
        timestamp,
        nonce,
        check_id,
        now: UnixTime::from_secs(NOW),
        expires_at: UnixTime::from_secs(timestamp).plus(KEPT),
        not_before: 0,
    }
}

/// Claims a random nonce, to find out whether the store answers.
pub(crate) async fn claim_anything(store: &dyn Store) -> Result<ClaimOutcome, StoreError> {
    let mut nonce = [0; 16];
    SystemEntropy.fill(&mut nonce);
    store.claim_nonce(&claim(&key("ck"), NOW, &nonce)).await
}

/// Returns the answer of a store if it is ready at once.
pub(crate) fn ready<T>(answer: StoreFuture<'_, T>) -> Option<T> {
    match answer {
        Either::Left(ready) => Some(ready.into_inner().unwrap()),
        Either::Right(_) => None,
    }
}

/// Returns a consumer key.
pub(crate) fn key(key: &str) -> ConsumerKey {
    ConsumerKey::new(key).unwrap()
}

/// The secret of every consumer in these tests.
pub(crate) const CONSUMER_SECRET: &[u8] = b"kd94hf93k423kf44-consumer-secret";

/// The secret of every token in these tests.
pub(crate) const TOKEN_SECRET: &[u8] = b"pfkkdhi9sl3r4s00-token-secret";

/// Returns a consumer with a value in every field except RSA keys.
pub(crate) fn consumer(consumer_key: &str) -> Consumer {
    Consumer {
        id: ConsumerId::new(format!("id-of-{consumer_key}")).unwrap(),
        key: key(consumer_key),
        name: ConsumerName::new("Printer Example").unwrap(),
        profile: ConsumerProfile {
            description: "prints \"photos\" \u{1F5A8}".into(),
            app_url: "https://printer.example/".into(),
            ..ConsumerProfile::default()
        },
        verified: true,
        status: ConsumerStatus::Active,
        secrets: vec![
            ConsumerSecret {
                secret: Secret::new(CONSUMER_SECRET),
                expires_at: None,
            },
            ConsumerSecret {
                secret: Secret::new(*b"\0\xFF old"),
                expires_at: Some(UnixTime::from_secs(NOW + 60)),
            },
        ],
        rsa_public_keys: Vec::new(),
        signature_methods: [SignatureMethod::HmacSha1, SignatureMethod::HmacSha256].into(),
        flows: Flow::ALL.iter().copied().collect(),
        callbacks: vec!["https://printer.example/ready".into()],
        scopes: Scopes::parse("read write").unwrap(),
        compat: CompatSet::only(CompatProfile::NoRootSlash),
        deny_detail: None,
        deprecated_at: None,
        sunset_at: None,
        generation: Generation::from_number(7),
        created_at: UnixTime::from_secs(NOW),
        updated_at: UnixTime::from_secs(NOW),
        revision: 1,
    }
}

/// Returns a token of a consumer.
pub(crate) fn token(consumer_key: &str, token: &str) -> AccessToken {
    AccessToken {
        token: Token::new(token).unwrap(),
        secret: Secret::new(TOKEN_SECRET),
        consumer_key: key(consumer_key),
        user_id: Some(UserId::new("jane doe").unwrap()),
        scopes: Scopes::parse("read").unwrap(),
        consumer_generation: Generation::from_number(7),
        user_generation: Generation::default(),
        status: TokenStatus::Active,
        expires_at: Some(UnixTime::from_secs(NOW + 3600)),
        created_at: UnixTime::from_secs(NOW),
        revision: 1,
    }
}

/// Returns a user with a value in every field.
pub(crate) fn user(id: &str, username: &str) -> User {
    User {
        id: user_id(id),
        username: Some(Username::new(username).unwrap()),
        password: Some(PasswordHash::new(PASSWORD_HASH)),
        status: UserStatus::Active,
        generation: Generation::from_number(9),
        created_at: UnixTime::from_secs(NOW),
        updated_at: UnixTime::from_secs(NOW),
        revision: 1,
    }
}

/// The password hash of every user in these tests.
pub(crate) const PASSWORD_HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$cGFzc3dvcmQtaGFzaA";

/// Returns a user id.
pub(crate) fn user_id(id: &str) -> UserId {
    UserId::new(id).unwrap()
}

/// Returns the name of a token.
pub(crate) fn name(token: &str) -> Token {
    Token::new(token).unwrap()
}

/// Returns temporary credentials of a consumer.
pub(crate) fn request_token(consumer_key: &str, token: &str) -> RequestToken {
    RequestToken {
        token: name(token),
        secret: Secret::new(*b"temporary-secret"),
        consumer_key: key(consumer_key),
        consumer_generation: Generation::from_number(7),
        callback: Callback::Uri("https://printer.example/ready?a=b".into()),
        scopes: Scopes::parse("read").unwrap(),
        state: RequestTokenState::Pending,
        wrong_verifiers: 0,
        created_at: UnixTime::from_secs(NOW),
        expires_at: UnixTime::from_secs(NOW + 600),
        revision: 1,
    }
}

/// The verifier of authorized temporary credentials.
pub(crate) const VERIFIER: &[u8] = b"the-verifier-of-temporary-credentials";

/// Returns the same temporary credentials, authorized by a user.
pub(crate) fn authorized(token: RequestToken) -> RequestToken {
    let state = RequestTokenState::Authorized {
        user_id: user_id("jane doe"),
        user_generation: Generation::from_number(9),
        screen_name: "Jane \u{1F5A8}".into(),
        verifier: Secret::new(VERIFIER),
        scopes: Scopes::parse("read").unwrap(),
    };
    RequestToken {
        state,
        revision: token.revision + 1,
        ..token
    }
}

/// Returns a session of a browser.
pub(crate) fn session(cookie: &str) -> Session {
    Session {
        id: SessionId::of_cookie(cookie.as_bytes()),
        user_id: user_id("jane doe"),
        user_generation: Generation::from_number(9),
        screen_name: "Jane \u{1F5A8}".into(),
        expires_at: UnixTime::from_secs(NOW + 3600),
    }
}

/// Returns an error and all its causes, as an operator reads them.
pub(crate) fn causes(error: &StoreError) -> String {
    error.with_causes()
}
