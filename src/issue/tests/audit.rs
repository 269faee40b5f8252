//! What the audit log says, and what it must not.

use std::future::pending;
use std::io;
use std::sync::{Mutex, PoisonError};

use futures_util::FutureExt as _;

use super::*;
use crate::issue::Login;
use crate::issue::audit::{Event, Subject, audited};
use crate::model::{ConsumerStatus, UserStatus};
use crate::store::{StoreError, TokenHolder};

#[tokio::test]
async fn every_change_leaves_an_event_that_names_what_was_changed_and_by_whom() {
    let log = Log::default();
    let _listening = log.listen();
    let world = World::new().await;
    world.consumer().await;
    world.user("jane").await;
    let issued = world.token(Some("jane")).await.token;
    let asked = world.request_token(CALLBACK).await.token;
    let issuer = &world.issuer;
    let verifier = issuer
        .authorize(&asked, &consent("jane"), &Actor::User(id("jane")))
        .await
        .unwrap()
        .verifier;
    issuer
        .exchange(&key(), &asked, &secret("wrong"), &Actor::Consumer(key()))
        .await
        .unwrap_err();
    issuer
        .exchange(&key(), &asked, &verifier, &Actor::Consumer(key()))
        .await
        .unwrap();
    let refused = world.request_token(CALLBACK).await.token;
    issuer.refuse(&refused, &ADMIN).await.unwrap();
    issuer
        .revoke_token(&issued, None, &Actor::Issuer(None))
        .await
        .unwrap();
    issuer
        .rotate_consumer_secret(&key(), None, Duration::ZERO, &ADMIN)
        .await
        .unwrap();
    issuer
        .set_consumer_status(&key(), ConsumerStatus::Disabled, &ADMIN)
        .await
        .unwrap();
    issuer
        .set_user_status(&id("jane"), UserStatus::Disabled, &ADMIN)
        .await
        .unwrap();
    issuer
        .set_password(&id("jane"), &secret("another horse"), &ADMIN)
        .await
        .unwrap();
    issuer
        .revoke_tokens(TokenHolder::User(&id("jane")), &ADMIN)
        .await
        .unwrap();
    issuer.delete_user(&id("jane"), None, &ADMIN).await.unwrap();
    issuer.delete_consumer(&key(), None, &ADMIN).await.unwrap();

    let said = log.said();
    for event in [
        "actor=\"admin\" action=\"consumer.create\" consumer_key=\"dpf43f3p2l4k3l03\"".to_owned(),
        "actor=\"admin\" action=\"user.create\" user_id=\"jane\"".to_owned(),
        format!(
            "action=\"token.create\" consumer_key=\"{KEY}\" token=\"{issued}\" user_id=\"jane\""
        ),
        format!("action=\"request_token.create\" consumer_key=\"{KEY}\" token=\"{asked}\""),
        "actor=\"user jane\" action=\"request_token.authorize\"".to_owned(),
        format!("actor=\"consumer {KEY}\" action=\"request_token.wrong_verifier\""),
        format!("actor=\"consumer {KEY}\" action=\"token.exchange\""),
        format!("action=\"request_token.refuse\" consumer_key=\"{KEY}\" token=\"{refused}\""),
        "actor=\"issuer\" action=\"token.revoke\"".to_owned(),
        "action=\"consumer.rotate_secret\"".to_owned(),
        "action=\"consumer.disable\"".to_owned(),
        "action=\"user.disable\"".to_owned(),
        "action=\"user.set_password\"".to_owned(),
        "action=\"user.revoke_tokens\"".to_owned(),
        "action=\"user.delete\"".to_owned(),
        "action=\"consumer.delete\"".to_owned(),
    ] {
        assert!(said.contains(&event), "{event} is not in\n{said}");
    }
    let verifier = String::from_utf8_lossy(verifier.expose()).into_owned();
    for secret in [
        "kd94hf93k423kf44",
        PASSWORD,
        "another horse",
        "$argon2id",
        &verifier,
    ] {
        assert!(!said.contains(secret), "{secret} in\n{said}");
    }
}

#[tokio::test]
async fn a_log_in_leaves_an_event_without_the_name_that_was_typed() {
    let log = Log::default();
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
    let said = log.said();
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
fn a_change_whose_caller_went_away_leaves_its_event() {
    let log = Log::default();
    let _listening = log.listen();
    let subject = Subject {
        user_id: Some("jane"),
        ..Subject::default()
    };
    let event = Event {
        actor: &ADMIN,
        action: "user.disable",
        subject,
    };
    assert!(
        audited(event, pending::<Result<(), StoreError>>())
            .now_or_never()
            .is_none()
    );
    let said = log.said();
    assert!(
        said.trim_end().ends_with(
            "actor=\"admin\" action=\"user.disable\" user_id=\"jane\" outcome=\"unknown\""
        ),
        "{said}"
    );
}

#[tokio::test]
async fn a_change_that_may_have_been_made_leaves_its_event_and_one_that_was_refused_does_not() {
    let log = Log::default();
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

    let said = log.said();
    let events: Vec<_> = said
        .lines()
        .filter(|line| line.contains("consumer.create"))
        .collect();
    assert_eq!(events.len(), 2, "{said}");
    assert!(!events[0].contains("outcome"), "{said}");
    assert!(events[1].ends_with("outcome=\"unknown\""), "{said}");
}

/// What was logged on this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn listen(&self) -> (tracing::Dispatch, tracing::subscriber::DefaultGuard) {
        let writer = self.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        // While there is one dispatcher alone, another thread that comes first to an event has it switched off for all.
        let other = tracing::Dispatch::new(tracing_subscriber::registry());
        (other, tracing::subscriber::set_default(subscriber))
    }

    fn said(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl io::Write for Log {
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
