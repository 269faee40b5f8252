//! The contents of the audit log, and the secrets that stay out of it.

use std::future::pending;
use std::io;
use std::sync::{Mutex, PoisonError};

use futures_util::FutureExt as _;

use super::*;
use crate::issue::Login;
use crate::issue::audit::{AuditEvent, audited};
use crate::store::{StoreError, TokenHolder};

#[tokio::test]
async fn every_change_logs_an_event_with_its_subject_and_actor() {
    let log = AuditLog::default();
    let _listening = log.listen();
    let changes = Changes::make().await;
    let logged = log.text();
    for event in changes.events() {
        assert!(logged.contains(&event), "{event} is not in\n{logged}");
    }
    let verifier = String::from_utf8_lossy(changes.verifier.expose()).into_owned();
    for secret in [
        "kd94hf93k423kf44",
        PASSWORD,
        "another horse",
        "$argon2id",
        &verifier,
    ] {
        assert!(!logged.contains(secret), "{secret} in\n{logged}");
    }
}

/// One change of each kind, and the values that the events name.
struct Changes {
    access_token: Token,
    request_token: Token,
    refused_token: Token,
    verifier: Secret,
}

impl Changes {
    async fn make() -> Self {
        let world = World::new().await;
        world.consumer().await;
        world.user("jane").await;
        let access_token = world.token(Some("jane")).await.token;
        let request_token = world.request_token(CALLBACK).await.token;
        let verifier = Self::exchange(&world.issuer, &request_token).await;
        let refused_token = world.request_token(CALLBACK).await.token;
        Self::administer(&world.issuer, &refused_token, &access_token).await;
        Self {
            access_token,
            request_token,
            refused_token,
            verifier,
        }
    }

    async fn exchange(issuer: &Issuer, token: &Token) -> Secret {
        let consumer = Actor::Consumer(key());
        let verifier = issuer
            .authorize_request_token(token, &consent("jane"), &Actor::User(id("jane")))
            .await
            .unwrap()
            .verifier;
        for (verifier, is_right) in [(&secret("wrong"), false), (&verifier, true)] {
            let exchanged = issuer
                .exchange_request_token(&key(), token, verifier, &consumer)
                .await;
            assert_eq!(exchanged.is_ok(), is_right);
        }
        verifier
    }

    async fn administer(issuer: &Issuer, refused: &Token, revoked: &Token) {
        let jane = id("jane");
        issuer.refuse_request_token(refused, &ADMIN).await.unwrap();
        let token_actor = Actor::Issuer(None);
        issuer
            .revoke_token(revoked, None, &token_actor)
            .await
            .unwrap();
        issuer
            .rotate_consumer_secret(&key(), None, Duration::ZERO, &ADMIN)
            .await
            .unwrap();
        issuer.disable_consumer(&key(), &ADMIN).await.unwrap();
        issuer.disable_user(&jane, &ADMIN).await.unwrap();
        issuer
            .set_password(&jane, &secret("another horse"), &ADMIN)
            .await
            .unwrap();
        issuer
            .revoke_tokens(TokenHolder::User(&jane), &ADMIN)
            .await
            .unwrap();
        issuer.delete_user(&jane, None, &ADMIN).await.unwrap();
        issuer.delete_consumer(&key(), None, &ADMIN).await.unwrap();
    }

    fn events(&self) -> Vec<String> {
        let Self {
            access_token,
            request_token,
            refused_token,
            verifier: _,
        } = self;
        vec![
            format!("actor=\"admin\" action=\"consumer.create\" consumer_key=\"{KEY}\""),
            "actor=\"admin\" action=\"user.create\" user_id=\"jane\"".to_owned(),
            format!(
                "action=\"token.create\" consumer_key=\"{KEY}\" token=\"{access_token}\" user_id=\"jane\""
            ),
            format!(
                "action=\"request_token.create\" consumer_key=\"{KEY}\" token=\"{request_token}\""
            ),
            format!(
                "actor=\"user jane\" action=\"request_token.authorize\" consumer_key=\"{KEY}\" \
                 token=\"{request_token}\" user_id=\"jane\""
            ),
            format!("actor=\"consumer {KEY}\" action=\"request_token.wrong_verifier\""),
            format!("actor=\"consumer {KEY}\" action=\"token.exchange\""),
            format!(
                "action=\"request_token.refuse\" consumer_key=\"{KEY}\" token=\"{refused_token}\""
            ),
            "actor=\"issuer\" action=\"token.revoke\"".to_owned(),
            "action=\"consumer.rotate_secret\"".to_owned(),
            "action=\"consumer.disable\"".to_owned(),
            "action=\"user.disable\"".to_owned(),
            "action=\"user.set_password\"".to_owned(),
            "action=\"user.revoke_tokens\"".to_owned(),
            "action=\"user.delete\"".to_owned(),
            "action=\"consumer.delete\"".to_owned(),
        ]
    }
}

#[tokio::test]
async fn a_log_in_is_logged_without_the_typed_name() {
    let log = AuditLog::default();
    let _listening = log.listen();
    let world = World::new().await;
    world.user("jane").await;
    let typed = |username: &str, password: &str| Login {
        username: username.to_owned(),
        password: secret(password),
        consumer_key: key(),
        client_address: Some([192, 0, 2, 1].into()),
    };
    world
        .issuer
        .log_in(&typed("hunter42hunter42", "jane"))
        .await
        .unwrap_err();
    world.issuer.log_in(&typed("jane", PASSWORD)).await.unwrap();
    let said = log.text();
    assert!(
        said.contains(
            "action=\"log_in.refused\" consumer_key=\"dpf43f3p2l4k3l03\" client_address=192.0.2.1"
        ),
        "{said}"
    );
    assert!(
        said.contains("action=\"log_in\" consumer_key=\"dpf43f3p2l4k3l03\""),
        "{said}"
    );
    assert!(
        !said.contains("hunter42") && !said.contains(PASSWORD),
        "{said}"
    );
}

#[test]
fn a_change_whose_caller_went_away_is_logged() {
    let log = AuditLog::default();
    let _listening = log.listen();
    let jane = id("jane");
    let event = AuditEvent::of_user(&ADMIN, "user.disable", &jane);
    assert!(
        audited(event, pending::<Result<(), StoreError>>())
            .now_or_never()
            .is_none()
    );
    let said = log.text();
    assert!(
        said.trim_end().ends_with(
            "actor=\"admin\" action=\"user.disable\" user_id=\"jane\" outcome=\"unknown\""
        ),
        "{said}"
    );
}

#[tokio::test]
async fn a_change_with_unknown_result_is_logged_and_a_refused_one_is_not() {
    let log = AuditLog::default();
    let _listening = log.listen();
    let world = World::new().await;
    world.consumer().await;
    world
        .issuer
        .create_consumer(&printer(), &ADMIN)
        .await
        .unwrap_err();
    world.store.close().await.unwrap();
    world
        .issuer
        .create_consumer(&printer(), &ADMIN)
        .await
        .unwrap_err();

    let said = log.text();
    let events: Vec<_> = said
        .lines()
        .filter(|line| line.contains("consumer.create"))
        .collect();
    assert_eq!(events.len(), 2, "{said}");
    assert!(!events[0].contains("outcome"), "{said}");
    assert!(events[1].ends_with("outcome=\"unknown\""), "{said}");
}

/// The log of this thread.
#[derive(Clone, Default)]
struct AuditLog(Arc<Mutex<Vec<u8>>>);

impl AuditLog {
    fn listen(&self) -> (tracing::Dispatch, tracing::subscriber::DefaultGuard) {
        let writer = self.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        // With a single dispatcher, an event that another thread reaches first is disabled for all.
        let other = tracing::Dispatch::new(tracing_subscriber::registry());
        (other, tracing::subscriber::set_default(subscriber))
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl io::Write for AuditLog {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
