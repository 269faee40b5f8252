//! The service in this process, over a store in memory and with a clock that stands still, and somebody who asks.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use countersign::clock::{ManualClock, SystemEntropy, UnixTime};
use countersign::config::{Config, ListenAddress, ListenerConfig, Sources, StoreUrl, load};
use countersign::issue::{
    Actor, ConsumerDraft, Directory, IssueError, Issued, Issuer, RequestTokenDraft, Terms, UserDraft,
};
use countersign::model::{ConsumerKey, RequestTokenState, Secret, Token, UserId};
use countersign::server::api::AdminToken;
use countersign::server::{self, App, Listeners, ServerError};
use countersign::store::{self, Store};
use countersign::telemetry::Metrics;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A running service; stops when dropped.
pub(crate) struct Site {
    pub(crate) address: SocketAddr,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) issuer: Issuer,
    pub(crate) consumer_key: ConsumerKey,
    store: Arc<dyn Store>,
    #[expect(dead_code, reason = "the service ends when it is dropped")]
    shutdown: oneshot::Sender<()>,
    #[expect(dead_code, reason = "belongs to the service")]
    ended: JoinHandle<Result<(), ServerError>>,
}

impl Site {
    pub(crate) async fn start() -> Self {
        Self::start_with("").await
    }

    /// With these lines in the configuration file.
    pub(crate) async fn start_with(lines: &str) -> Self {
        Self::start_on(lines, None).await
    }

    /// The same, with users whom the operator knows.
    pub(crate) async fn start_on(lines: &str, directory: Option<Arc<dyn Directory>>) -> Self {
        let config = Arc::new(config(lines));
        let clock = Arc::new(ManualClock::at(UnixTime::from_secs(1_700_000_000)));
        let store =
            store::open(&config.store, Path::new("unused"), clock.clone(), Arc::new(SystemEntropy)).await.unwrap();
        let issuer = Issuer::new(store.clone(), clock.clone(), Arc::new(SystemEntropy), Terms::of(&config), None);
        let consumer_key = somebody(&issuer).await;
        let listeners = Listeners::bind(&config).await.unwrap();
        let ListenAddress::Tcp(address) = listeners.addresses().http else { panic!("not TCP") };
        let app = App {
            config,
            directory,
            store: store.clone(),
            clock: clock.clone(),
            entropy: Arc::new(SystemEntropy),
            metrics: Arc::new(Metrics::default()),
            admin_token: AdminToken::new("the-admin-token-of-these-tests").unwrap(),
            issuer_token: None,
        };
        let (shutdown, told) = oneshot::channel();
        let ended = tokio::spawn(server::run(listeners, app, async { drop(told.await) }));
        Self { address, clock, issuer, consumer_key, store, shutdown, ended }
    }

    /// The printer asks for access, and its user is to come back there.
    pub(crate) async fn asks(&self, callback: &str) -> Token {
        let draft = RequestTokenDraft {
            consumer_key: self.consumer_key.clone(),
            callback: callback.to_owned(),
            scopes: Vec::new(),
        };
        self.issuer.create_request_token(&draft, &Actor::ADMIN).await.unwrap().token
    }

    /// How far a request came.
    pub(crate) async fn state(&self, name: &Token) -> RequestTokenState {
        self.store.request_token(name).await.unwrap().unwrap().state
    }

    /// The printer's server exchanges what its user brought back.
    pub(crate) async fn exchange(&self, name: &Token, verifier: &str) -> Result<Issued, IssueError> {
        let verifier = Secret::new(verifier.as_bytes());
        self.issuer.exchange(&self.consumer_key, name, &verifier, &Actor::Consumer(self.consumer_key.clone())).await
    }
}

/// The user of every site here.
pub(crate) const USERNAME: &str = "jane";
pub(crate) const PASSWORD: &str = "correct horse & battery";

/// Whom the tokens act for.
pub(crate) fn jane() -> UserId {
    UserId::new("u-jane").unwrap()
}

/// Where the printer's users come back to.
const CALLBACK_REGISTERED: &str = "https://printer.example.com/ready";

/// That, with a query of one order's.
pub(crate) const CALLBACK: &str = "https://printer.example.com/ready?order=7";

async fn somebody(issuer: &Issuer) -> ConsumerKey {
    let draft = ConsumerDraft {
        name: "Printer Example".to_owned(),
        description: "Prints your photos and sends them home.".to_owned(),
        app_url: "https://printer.example.com/about".to_owned(),
        callbacks: [CALLBACK_REGISTERED, "com.example.printer:/done", "oob"].map(str::to_owned).into(),
        scopes: vec!["photos.read".to_owned(), "orders.write".to_owned()],
        ..ConsumerDraft::default()
    };
    let consumer = issuer.create_consumer(&draft, &Actor::ADMIN).await.unwrap().record;
    let user = UserDraft {
        user_id: Some(jane().as_str().to_owned()),
        username: USERNAME.to_owned(),
        password: Some(Secret::new(PASSWORD.as_bytes())),
    };
    issuer.create_user(&user, &Actor::ADMIN).await.unwrap();
    consumer.key
}

fn config(lines: &str) -> Config {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("countersign.toml");
    std::fs::write(&file, lines).unwrap();
    let mut config = load(&Sources { file: Some(file), ..Sources::default() }).unwrap();
    config.store.url = StoreUrl::Memory;
    for listener in
        [&mut config.check.listener, &mut config.api.listener, &mut config.http.listener, &mut config.ops.listener]
    {
        let address = ListenAddress::Tcp(([127, 0, 0, 1], 0).into());
        *listener = ListenerConfig { address, tls: None, insecure_plaintext: false };
    }
    // Enough to be a hash, and quick in a build that is not optimized.
    (config.password.memory_kib, config.password.iterations) = (64, 1);
    config.password.max_delay = Duration::ZERO;
    config.shutdown.delay = Duration::ZERO;
    config
}
