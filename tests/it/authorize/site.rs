//! The service in this process, over a store in memory and with a manual clock, and a consumer.

use std::net::SocketAddr;
use std::sync::Arc;

use countersign::clock::{ManualClock, SystemEntropy, UnixTime};
use countersign::config::{Config, Sources, load};
use countersign::issue::{
    Actor, ConsumerAttributes, ConsumerDraft, Directory, IssueError, IssuedToken, Issuer,
    IssuerTerms, RequestTokenDraft, UserDraft,
};
use countersign::model::{ConsumerKey, ConsumerProfile, RequestTokenState, Secret, Token, UserId};
use countersign::server::{App, ServiceLogo};
use countersign::store::Store;

use crate::support::admin_server::memory;
use crate::support::leaks;
use crate::support::serving::{self, Serving};

/// A running service; stops when dropped.
pub(crate) struct Site {
    pub(crate) address: SocketAddr,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) issuer: Issuer,
    pub(crate) consumer_key: ConsumerKey,
    store: Arc<dyn Store>,
    #[expect(dead_code, reason = "the service ends when it is dropped")]
    serving: Serving,
}

impl Site {
    pub(crate) async fn start() -> Self {
        Self::start_with("").await
    }

    /// Starts a service with these lines in its configuration file.
    pub(crate) async fn start_with(lines: &str) -> Self {
        Self::start_on(lines, None).await
    }

    /// Starts a service with a user directory of the operator.
    pub(crate) async fn start_on(lines: &str, directory: Option<Arc<dyn Directory>>) -> Self {
        let config = config(lines);
        let clock = Arc::new(ManualClock::at(UnixTime::from_secs(1_700_000_000)));
        let store = memory(clock.clone()).await;
        let issuer = Issuer::new(
            store.clone(),
            clock.clone(),
            Arc::new(SystemEntropy),
            IssuerTerms::of(&config),
            None,
        );
        let consumer_key = somebody(&issuer).await;
        let logo = ServiceLogo::load(config.authorize.logo_file.as_deref()).unwrap();
        let app = App {
            directory,
            logo: logo.map(Arc::new),
            ..serving::app(config, store.clone(), clock.clone())
        };
        let serving = Serving::start(app).await;
        Self {
            address: serving.http(),
            clock,
            issuer,
            consumer_key,
            store,
            serving,
        }
    }

    /// Requests temporary credentials for the printer, with this callback.
    pub(crate) async fn asks(&self, callback: &str) -> Token {
        self.asks_for(&self.consumer_key, callback).await
    }

    /// Creates a consumer with the longest name and description, and the most scopes.
    pub(crate) async fn create_talkative(&self) -> ConsumerKey {
        let draft = ConsumerDraft {
            attributes: ConsumerAttributes {
                name: "Wide".repeat(63),
                profile: ConsumerProfile {
                    description: "It prints and sends. ".repeat(47).trim().to_owned(),
                    app_url: format!("https://printer.example.com/{}", "a".repeat(200)),
                    ..ConsumerProfile::default()
                },
                callbacks: vec![CALLBACK_REGISTERED.to_owned()],
                scopes: (0..40).map(|nth| format!("photos.album-{nth}")).collect(),
                ..ConsumerAttributes::default()
            },
            ..ConsumerDraft::default()
        };
        let created = self.issuer.create_consumer(&draft, &Actor::ADMIN).await;
        created.unwrap().record.key
    }

    /// Requests temporary credentials for a consumer, with this callback.
    pub(crate) async fn asks_for(&self, consumer_key: &ConsumerKey, callback: &str) -> Token {
        let draft = RequestTokenDraft {
            consumer_key: consumer_key.clone(),
            callback: callback.to_owned(),
            scopes: Vec::new(),
        };
        self.issuer
            .create_request_token(&draft, &Actor::ADMIN)
            .await
            .unwrap()
            .token
    }

    /// Returns the state of a request.
    pub(crate) async fn state(&self, name: &Token) -> RequestTokenState {
        self.store.request_token(name).await.unwrap().unwrap().state
    }

    /// Exchanges temporary credentials and a verifier for a token.
    pub(crate) async fn exchange(
        &self,
        name: &Token,
        verifier: &str,
    ) -> Result<IssuedToken, IssueError> {
        let verifier = Secret::new(verifier.as_bytes());
        self.issuer
            .exchange_request_token(
                &self.consumer_key,
                name,
                &verifier,
                &Actor::Consumer(self.consumer_key.clone()),
            )
            .await
    }
}

/// The user of every site here.
pub(crate) const USERNAME: &str = "jane";
pub(crate) const PASSWORD: &str = "correct horse & battery";

/// Returns the id of the user.
pub(crate) fn jane() -> UserId {
    UserId::new("u-jane").unwrap()
}

/// The registered callback of the printer.
const CALLBACK_REGISTERED: &str = "https://printer.example.com/ready";

/// The callback with the query of one order.
pub(crate) const CALLBACK: &str = "https://printer.example.com/ready?order=7";

async fn somebody(issuer: &Issuer) -> ConsumerKey {
    let draft = ConsumerDraft {
        attributes: ConsumerAttributes {
            name: "Printer Example".to_owned(),
            profile: ConsumerProfile {
                description: "Prints your photos and sends them home.".to_owned(),
                app_url: "https://printer.example.com/about".to_owned(),
                ..ConsumerProfile::default()
            },
            callbacks: [CALLBACK_REGISTERED, "com.example.printer:/done", "oob"]
                .map(str::to_owned)
                .into(),
            scopes: vec!["photos.read".to_owned(), "orders.write".to_owned()],
            ..ConsumerAttributes::default()
        },
        ..ConsumerDraft::default()
    };
    let consumer = issuer
        .create_consumer(&draft, &Actor::ADMIN)
        .await
        .unwrap()
        .record;
    leaks::secret(PASSWORD);
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
    let mut config = load(&Sources {
        file: Some(file),
        ..Sources::default()
    })
    .unwrap();
    serving::fit(&mut config);
    serving::quick_passwords(&mut config);
    config
}
