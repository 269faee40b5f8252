//! The rules of issuing, each on a store in memory with a clock that stands still.

mod apply;
mod audit;
mod consumers;
mod exchange;
mod log_in;
mod races;
mod request_tokens;
mod sessions;
mod tokens;
mod users;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::{
    Actor, Consent, ConsumerAttributes, ConsumerDraft, Directory, IssueError, IssuedToken, Issuer,
    IssuerTerms, RequestTokenDraft, TokenDraft, UserDraft,
};
use crate::clock::{Clock, CountingEntropy, Entropy, ManualClock, UnixTime};
use crate::config::{Config, StoreUrl};
use crate::model::{
    AccessToken, Consumer, ConsumerKey, RequestToken, Secret, Token, User, UserId, Username,
};
use crate::store::{Store, open};

const NOW: UnixTime = UnixTime::from_secs(1_700_000_000);

const ADMIN: Actor = Actor::ADMIN;

/// An issuer, and what it stands on.
struct World {
    issuer: Issuer,
    store: Arc<dyn Store>,
    clock: Arc<ManualClock>,
}

impl World {
    async fn new() -> Self {
        Self::with(|_| {}, None).await
    }

    /// Exchanges temporary credentials of the consumer.
    async fn exchange(
        &self,
        request_token: &Token,
        verifier: &Secret,
    ) -> Result<IssuedToken, IssueError> {
        self.issuer
            .exchange_request_token(&key(), request_token, verifier, &ADMIN)
            .await
    }

    async fn with(
        change: impl FnOnce(&mut IssuerTerms),
        directory: Option<Arc<dyn Directory>>,
    ) -> Self {
        let mut config = Config::default();
        config.store.url = StoreUrl::Memory;
        let clock = Arc::new(ManualClock::at(NOW));
        let (ticking, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>) =
            (clock.clone(), Arc::new(CountingEntropy::default()));
        let store = open(
            &config.store,
            Path::new("."),
            ticking.clone(),
            entropy.clone(),
        )
        .await
        .unwrap();
        let mut terms = IssuerTerms::of(&config);
        (terms.password.memory_kib, terms.password.iterations) = (8, 1);
        change(&mut terms);
        let issuer = Issuer::new(store.clone(), ticking, entropy, terms, directory);
        Self {
            issuer,
            store,
            clock,
        }
    }

    /// Returns an issuer with other terms on the same records, like another replica.
    fn again(&self, change: impl FnOnce(&mut IssuerTerms)) -> Issuer {
        let mut terms = (*self.issuer.terms).clone();
        change(&mut terms);
        let Issuer {
            store,
            clock,
            entropy,
            ..
        } = &self.issuer;
        Issuer::new(store.clone(), clock.clone(), entropy.clone(), terms, None)
    }

    async fn consumer(&self) -> Consumer {
        self.issuer
            .create_consumer(&printer(), &ADMIN)
            .await
            .unwrap()
            .record
    }

    async fn user(&self, name: &str) -> User {
        let draft = UserDraft {
            user_id: Some(name.to_ascii_lowercase()),
            username: name.to_owned(),
            password: Some(secret(PASSWORD)),
        };
        self.issuer.create_user(&draft, &ADMIN).await.unwrap()
    }

    async fn token(&self, user: Option<&str>) -> AccessToken {
        self.issuer
            .create_token(&token_for(user), &ADMIN)
            .await
            .unwrap()
            .record
    }

    async fn request_token(&self, callback: &str) -> RequestToken {
        self.issuer
            .create_request_token(&asking_for(callback), &ADMIN)
            .await
            .unwrap()
    }

    fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }
}

const KEY: &str = "dpf43f3p2l4k3l03";

const CALLBACK: &str = "https://printer.example.com/ready";

const PASSWORD: &str = "correct horse";

fn printer() -> ConsumerDraft {
    ConsumerDraft {
        consumer_key: Some(KEY.to_owned()),
        consumer_secret: Some(secret("kd94hf93k423kf44")),
        attributes: ConsumerAttributes {
            name: "Printer".to_owned(),
            flows: texts(["three-legged", "xauth"]),
            callbacks: texts([CALLBACK, "oob"]),
            scopes: texts(["read", "write"]),
            ..ConsumerAttributes::default()
        },
        ..ConsumerDraft::default()
    }
}

fn token_for(user: Option<&str>) -> TokenDraft {
    TokenDraft {
        consumer_key: KEY.to_owned(),
        user_id: user.map(str::to_owned),
        ..TokenDraft::default()
    }
}

fn asking_for(callback: &str) -> RequestTokenDraft {
    RequestTokenDraft {
        consumer_key: key(),
        callback: callback.to_owned(),
        scopes: Vec::new(),
    }
}

fn consent(user: &str) -> Consent {
    Consent {
        user_id: id(user),
        screen_name: "Jane".to_owned(),
        scopes: Vec::new(),
    }
}

fn key() -> ConsumerKey {
    ConsumerKey::new(KEY).unwrap()
}

fn id(text: &str) -> UserId {
    UserId::new(text).unwrap()
}

fn name(text: &str) -> Username {
    Username::new(text).unwrap()
}

fn token(text: &str) -> Token {
    Token::new(text).unwrap()
}

fn secret(text: &str) -> Secret {
    Secret::new(text.as_bytes())
}

fn texts<const N: usize>(texts: [&str; N]) -> Vec<String> {
    texts.map(str::to_owned).into()
}

/// The fields that were wrong, and what is wrong with them.
fn problems<T: std::fmt::Debug>(outcome: Result<T, IssueError>) -> Vec<String> {
    let error = outcome.unwrap_err();
    let IssueError::Invalid(wrong) = error else {
        panic!("{error:?}")
    };
    wrong
        .iter()
        .map(|one| format!("{} {}", one.field, one.problem))
        .collect()
}

/// Asserts what an outcome failed with.
macro_rules! assert_err {
    ($outcome:expr, $pattern:pat) => {{
        let outcome = $outcome;
        assert!(matches!(outcome, Err($pattern)), "{outcome:?}");
    }};
}
use assert_err;
