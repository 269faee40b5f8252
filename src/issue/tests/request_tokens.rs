//! Temporary credentials, until the user has decided.

use super::*;
use crate::issue::ConsumerAttributes;
use crate::model::{Callback, Flow, RequestTokenState};
use crate::store::TokenHolder;

#[tokio::test]
async fn temporary_credentials_are_for_an_active_consumer_with_the_flow() {
    let world = World::new().await;
    let ask = || async {
        world
            .issuer
            .create_request_token(&asking_for(CALLBACK), &ADMIN)
            .await
    };
    assert_err!(ask().await, IssueError::UnknownConsumer(_));
    world.consumer().await;
    world.issuer.disable_consumer(&key(), &ADMIN).await.unwrap();
    assert_err!(ask().await, IssueError::ConsumerDisabled(_));
    world.issuer.enable_consumer(&key(), &ADMIN).await.unwrap();
    let change = |consumer: &mut ConsumerAttributes| {
        consumer.flows = texts(["two-legged"]);
    };
    world
        .issuer
        .update_consumer(&key(), &change, None, &ADMIN)
        .await
        .unwrap();
    assert_err!(
        ask().await,
        IssueError::FlowNotAllowed {
            flow: Flow::ThreeLegged,
            ..
        }
    );
}

#[tokio::test]
async fn temporary_credentials_have_only_scopes_of_the_consumer() {
    let world = World::new().await;
    world.consumer().await;
    let all = world.request_token(CALLBACK).await;
    assert_eq!(
        (all.scopes.to_string().as_str(), &all.state),
        ("read write", &RequestTokenState::Pending)
    );
    assert_eq!(all.expires_at, NOW.plus(Duration::from_secs(600)));
    let some = RequestTokenDraft {
        scopes: texts(["read"]),
        ..asking_for(CALLBACK)
    };
    assert_eq!(
        world
            .issuer
            .create_request_token(&some, &ADMIN)
            .await
            .unwrap()
            .scopes
            .to_string(),
        "read"
    );

    let wrong = RequestTokenDraft {
        scopes: texts(["admin"]),
        ..asking_for("https://evil.example/ready")
    };
    assert_eq!(
        problems(world.issuer.create_request_token(&wrong, &ADMIN).await),
        [
            "callback is not a registered callback of the consumer: scheme, host, port and path must match a registered \
             one, except for the port on 127.0.0.1 and [::1], and the query must start with its query",
            "scopes has \"admin\", which its consumer does not have",
        ]
    );
    assert_eq!(
        problems(
            world
                .issuer
                .create_request_token(&asking_for(""), &ADMIN)
                .await
        ),
        ["callback must not be empty"]
    );
}

#[tokio::test]
async fn a_request_shows_the_scopes_that_the_consumer_still_has() {
    let world = World::new().await;
    world.consumer().await;
    let asked = world.request_token(CALLBACK).await.token;
    let change = |consumer: &mut ConsumerAttributes| {
        consumer.scopes = texts(["read"]);
    };
    world
        .issuer
        .update_consumer(&key(), &change, None, &ADMIN)
        .await
        .unwrap();
    let asking = world.issuer.authorization_request(&asked).await.unwrap();
    assert_eq!(
        (
            asking.consumer.name.as_str(),
            asking.request_token.scopes.to_string().as_str()
        ),
        ("Printer", "read")
    );
    assert_err!(
        world.issuer.authorization_request(&token("unknown")).await,
        IssueError::UnknownRequestToken(_)
    );
    world
        .issuer
        .delete_consumer(&key(), None, &ADMIN)
        .await
        .unwrap();
    assert_err!(
        world.issuer.authorization_request(&asked).await,
        IssueError::UnknownRequestToken(_)
    );
}

#[tokio::test]
async fn nobody_is_sent_to_a_callback_that_was_taken_back() {
    let world = World::new().await;
    world.consumer().await;
    let asked = world.request_token(CALLBACK).await.token;
    let change = |consumer: &mut ConsumerAttributes| {
        consumer.callbacks = texts(["oob"]);
    };
    world
        .issuer
        .update_consumer(&key(), &change, None, &ADMIN)
        .await
        .unwrap();
    assert_err!(
        world.issuer.authorization_request(&asked).await,
        IssueError::UnknownRequestToken(_)
    );
    assert_err!(
        world
            .issuer
            .authorize_request_token(&asked, &consent("jane"), &ADMIN)
            .await,
        IssueError::UnknownRequestToken(_)
    );
    assert_err!(
        world.issuer.refuse_request_token(&asked, &ADMIN).await,
        IssueError::UnknownRequestToken(_)
    );
}

#[tokio::test]
async fn a_redirected_user_brings_a_long_verifier_and_a_typing_one_a_pin() {
    let world = World::new().await;
    world.consumer().await;
    let sent = world
        .request_token(&format!("{CALLBACK}?state=1"))
        .await
        .token;
    let authorized = world
        .issuer
        .authorize_request_token(&sent, &consent("jane"), &ADMIN)
        .await
        .unwrap();
    let verifier = String::from_utf8(authorized.verifier.expose().to_vec()).unwrap();
    assert_eq!(verifier.len(), 64);
    assert_eq!(
        authorized.redirect,
        Some(format!(
            "{CALLBACK}?state=1&oauth_token={sent}&oauth_verifier={verifier}"
        ))
    );

    let typed = world.request_token("oob").await;
    assert_eq!(typed.callback, Callback::OutOfBand);
    let authorized = world
        .issuer
        .authorize_request_token(&typed.token, &consent("jane"), &ADMIN)
        .await
        .unwrap();
    assert_eq!(authorized.redirect, None);
    assert!(
        authorized.verifier.expose().len() == 8
            && authorized.verifier.expose().iter().all(u8::is_ascii_digit)
    );
}

#[tokio::test]
async fn a_user_gives_no_more_than_was_asked_for() {
    let world = World::new().await;
    world.consumer().await;
    let draft = RequestTokenDraft {
        scopes: texts(["read"]),
        ..asking_for(CALLBACK)
    };
    let asked = world
        .issuer
        .create_request_token(&draft, &ADMIN)
        .await
        .unwrap()
        .token;
    let more = Consent {
        screen_name: "a\nb".to_owned(),
        scopes: texts(["write"]),
        ..consent("jane")
    };
    assert_eq!(
        problems(
            world
                .issuer
                .authorize_request_token(&asked, &more, &ADMIN)
                .await
        ),
        [
            "screen_name has a control character at byte 1",
            "scopes has \"write\", which its consumer does not have"
        ]
    );
    assert_eq!(
        world
            .issuer
            .authorization_request(&asked)
            .await
            .unwrap()
            .request_token
            .state,
        RequestTokenState::Pending
    );
}

#[tokio::test]
async fn a_user_decides_once() {
    let world = World::new().await;
    world.consumer().await;
    let (allowed, refused) = (
        world.request_token(CALLBACK).await.token,
        world.request_token(CALLBACK).await.token,
    );
    world
        .issuer
        .authorize_request_token(&allowed, &consent("jane"), &ADMIN)
        .await
        .unwrap();
    let redirect = world
        .issuer
        .refuse_request_token(&refused, &ADMIN)
        .await
        .unwrap();
    assert_eq!(
        redirect,
        Some(format!(
            "{CALLBACK}?oauth_token={refused}&oauth_problem=user_refused"
        ))
    );
    for decided in [&allowed, &refused] {
        assert_err!(
            world
                .issuer
                .authorize_request_token(decided, &consent("joe"), &ADMIN)
                .await,
            IssueError::RequestTokenDecided
        );
        assert_err!(
            world.issuer.refuse_request_token(decided, &ADMIN).await,
            IssueError::RequestTokenDecided
        );
    }
    let typed = world.request_token("oob").await.token;
    assert_eq!(
        world
            .issuer
            .refuse_request_token(&typed, &ADMIN)
            .await
            .unwrap(),
        None
    );
}

#[tokio::test]
async fn of_two_decisions_at_once_one_is_made() {
    let world = World::new().await;
    world.consumer().await;
    let asked = world.request_token(CALLBACK).await.token;
    let (jane, joe) = (consent("jane"), consent("joe"));
    let (one, two) = tokio::join!(
        world.issuer.authorize_request_token(&asked, &jane, &ADMIN),
        world.issuer.authorize_request_token(&asked, &joe, &ADMIN)
    );
    assert_eq!(
        usize::from(one.is_ok()) + usize::from(two.is_ok()),
        1,
        "{one:?} {two:?}"
    );
}

#[tokio::test]
async fn no_decision_is_possible_too_late_or_if_disabled() {
    let world = World::new().await;
    world.consumer().await;
    world.user("jane").await;
    let asked = world.request_token(CALLBACK).await.token;
    let authorize = || async {
        world
            .issuer
            .authorize_request_token(&asked, &consent("jane"), &ADMIN)
            .await
    };
    world
        .issuer
        .disable_user(&id("jane"), &ADMIN)
        .await
        .unwrap();
    assert_err!(authorize().await, IssueError::UserDisabled);
    world.issuer.enable_user(&id("jane"), &ADMIN).await.unwrap();
    world.issuer.disable_consumer(&key(), &ADMIN).await.unwrap();
    assert_err!(authorize().await, IssueError::ConsumerDisabled(_));
    assert_err!(
        world.issuer.refuse_request_token(&asked, &ADMIN).await,
        IssueError::ConsumerDisabled(_)
    );
    world.issuer.enable_consumer(&key(), &ADMIN).await.unwrap();
    world.pass(Duration::from_secs(600));
    assert_err!(authorize().await, IssueError::RequestTokenExpired);
    assert_err!(
        world.issuer.refuse_request_token(&asked, &ADMIN).await,
        IssueError::RequestTokenExpired
    );
}

#[tokio::test]
async fn revoking_a_consumers_tokens_ends_its_temporary_credentials() {
    let world = World::new().await;
    world.consumer().await;
    let asked = world.request_token(CALLBACK).await.token;
    world
        .issuer
        .revoke_tokens(TokenHolder::Consumer(&key()), &ADMIN)
        .await
        .unwrap();
    assert_err!(
        world
            .issuer
            .authorize_request_token(&asked, &consent("jane"), &ADMIN)
            .await,
        IssueError::UnknownRequestToken(_)
    );
}
