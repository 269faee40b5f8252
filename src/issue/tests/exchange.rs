//! The exchange of temporary credentials and of passwords for tokens.

use super::*;
use crate::issue::{ConsentOutcome, ConsumerAttributes, Login};
use crate::model::{Flow, TokenState};
use crate::store::TokenHolder;

#[tokio::test]
async fn authorized_credentials_are_exchanged_for_a_token_of_the_user() {
    let world = World::new().await;
    world.consumer().await;
    let asked = world.request_token(CALLBACK).await.token;
    let given = Consent {
        scopes: texts(["read"]),
        ..consent("jane")
    };
    let verifier = world
        .issuer
        .authorize_request_token(&asked, &given, &ADMIN)
        .await
        .unwrap()
        .verifier;
    let issued = world.exchange(&asked, &verifier).await.unwrap();
    assert_eq!(
        (issued.token.user_id, issued.screen_name.as_str()),
        (Some(id("jane")), "Jane")
    );
    assert_eq!(
        (
            issued.token.scopes.to_string().as_str(),
            issued.token.expires_at
        ),
        ("read", None)
    );
    let shown = world
        .issuer
        .token_with_state(&issued.token.token)
        .await
        .unwrap();
    assert_eq!(shown.state, TokenState::Active);
    assert_err!(
        world.exchange(&asked, &verifier).await,
        IssueError::RequestTokenUsed
    );
}

#[tokio::test]
async fn a_token_is_valid_as_long_as_the_terms_say() {
    let world = World::with(
        |terms| terms.issue.access_token_ttl = Some(Duration::from_secs(60)),
        None,
    )
    .await;
    world.consumer().await;
    let (asked, verifier) = authorized(&world).await;
    let issued = world.exchange(&asked, &verifier).await.unwrap();
    assert_eq!(
        issued.token.expires_at,
        Some(NOW.plus(Duration::from_secs(60)))
    );
}

#[tokio::test]
async fn a_pin_is_accepted_in_the_groups_of_the_page() {
    let world = World::new().await;
    world.consumer().await;
    for gap in ["", " ", "-"] {
        let (asked, verifier) = authorized_at(&world, "oob").await;
        let (first, second) = verifier.expose().split_at(4);
        let typed = secret(&String::from_utf8([first, gap.as_bytes(), second].concat()).unwrap());
        world.exchange(&asked, &typed).await.unwrap();
    }
}

#[tokio::test]
async fn a_wrong_pin_counts_once_however_it_is_typed() {
    let world = World::new().await;
    world.consumer().await;
    let (asked, verifier) = authorized_at(&world, "oob").await;
    for wrong in ["9999 9999", "99999999", "9999-9999", "", " - "] {
        assert_err!(
            world.exchange(&asked, &secret(wrong)).await,
            IssueError::VerifierRefused
        );
    }
    assert_err!(
        world.exchange(&asked, &verifier).await,
        IssueError::RequestTokenRefused
    );
}

#[tokio::test]
async fn a_verifier_of_a_callback_has_no_gaps() {
    let world = World::new().await;
    world.consumer().await;
    let (asked, verifier) = authorized(&world).await;
    let (first, second) = verifier.expose().split_at(4);
    let typed = secret(&String::from_utf8([first, b" ", second].concat()).unwrap());
    assert_err!(
        world.exchange(&asked, &typed).await,
        IssueError::VerifierRefused
    );
}

#[tokio::test]
async fn of_two_exchanges_at_once_one_gets_a_token() {
    let world = World::new().await;
    world.consumer().await;
    let (asked, verifier) = authorized(&world).await;
    let exchange = || {
        let (issuer, asked, verifier) = (world.issuer.clone(), asked.clone(), verifier.clone());
        tokio::spawn(async move {
            issuer
                .exchange_request_token(&key(), &asked, &verifier, &ADMIN)
                .await
        })
    };
    let racing: Vec<_> = (0..8).map(|_| exchange()).collect();
    let mut issued = 0;
    for outcome in racing {
        match outcome.await.unwrap() {
            Ok(_) => issued += 1,
            Err(error) => assert!(matches!(error, IssueError::RequestTokenUsed), "{error:?}"),
        }
    }
    assert_eq!(issued, 1);
    assert_eq!(
        world
            .issuer
            .tokens(TokenHolder::Consumer(&key()), None, 9)
            .await
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn a_wrong_verifier_is_counted_and_the_fifth_refuses() {
    let world = World::new().await;
    world.consumer().await;
    let (asked, verifier) = authorized(&world).await;
    for _ in 0..4 {
        let wrong = world.exchange(&asked, &secret("wrong")).await;
        assert_err!(wrong, IssueError::VerifierRefused);
    }
    let (second, right) = authorized(&world).await;
    assert_err!(
        world.exchange(&second, &secret("")).await,
        IssueError::VerifierRefused
    );
    assert!(world.exchange(&second, &right).await.is_ok());

    assert_err!(
        world.exchange(&asked, &secret("wrong")).await,
        IssueError::VerifierRefused
    );
    assert_err!(
        world.exchange(&asked, &verifier).await,
        IssueError::RequestTokenRefused
    );
}

#[tokio::test]
async fn wrong_verifiers_that_race_are_all_counted() {
    let world = World::new().await;
    world.consumer().await;
    let (asked, verifier) = authorized(&world).await;
    let guess = || {
        let (issuer, asked) = (world.issuer.clone(), asked.clone());
        tokio::spawn(async move {
            issuer
                .exchange_request_token(&key(), &asked, &secret("wrong"), &ADMIN)
                .await
        })
    };
    let racing: Vec<_> = (0..20).map(|_| guess()).collect();
    let mut told = 0;
    for outcome in racing {
        told += usize::from(matches!(
            outcome.await.unwrap(),
            Err(IssueError::VerifierRefused)
        ));
    }
    assert_eq!(told, 5);
    assert_err!(
        world.exchange(&asked, &verifier).await,
        IssueError::RequestTokenRefused
    );
}

#[tokio::test]
async fn unauthorized_credentials_are_not_exchanged() {
    let world = World::new().await;
    world.consumer().await;
    let exchange = async |asked: &Token| world.exchange(asked, &secret("v")).await;
    assert_err!(
        exchange(&token("unknown")).await,
        IssueError::UnknownRequestToken(_)
    );
    let asked = world.request_token(CALLBACK).await.token;
    assert_err!(exchange(&asked).await, IssueError::RequestTokenUndecided);
    world
        .issuer
        .refuse_request_token(&asked, &ADMIN)
        .await
        .unwrap();
    assert_err!(exchange(&asked).await, IssueError::RequestTokenRefused);
}

#[tokio::test]
async fn another_consumer_can_neither_exchange_nor_burn_temporary_credentials() {
    let world = World::new().await;
    world.consumer().await;
    let other = ConsumerDraft {
        consumer_key: Some("other".to_owned()),
        ..printer()
    };
    let other = world
        .issuer
        .create_consumer(&other, &ADMIN)
        .await
        .unwrap()
        .record
        .key;
    let (asked, verifier) = authorized(&world).await;
    for _ in 0..6 {
        let stolen = world
            .issuer
            .exchange_request_token(&other, &asked, &verifier, &ADMIN)
            .await;
        assert_err!(stolen, IssueError::UnknownRequestToken(_));
    }
    assert!(world.exchange(&asked, &verifier).await.is_ok());
}

#[tokio::test]
async fn changes_after_the_consent_count() {
    let world = World::new().await;
    world.consumer().await;
    world.user("jane").await;
    let (asked, verifier) = authorized(&world).await;
    let exchange = async || world.exchange(&asked, &verifier).await;

    world
        .issuer
        .disable_user(&id("jane"), &ADMIN)
        .await
        .unwrap();
    assert_err!(exchange().await, IssueError::UserDisabled);
    world.issuer.enable_user(&id("jane"), &ADMIN).await.unwrap();
    world.issuer.disable_consumer(&key(), &ADMIN).await.unwrap();
    assert_err!(exchange().await, IssueError::ConsumerDisabled(_));
    world.issuer.enable_consumer(&key(), &ADMIN).await.unwrap();
    let flows = |flows: Vec<String>| {
        move |consumer: &mut ConsumerAttributes| {
            consumer.flows.clone_from(&flows);
            consumer.scopes = texts(["write"]);
        }
    };
    world
        .issuer
        .update_consumer(&key(), &flows(texts(["xauth"])), None, &ADMIN)
        .await
        .unwrap();
    assert_err!(
        exchange().await,
        IssueError::FlowNotAllowed {
            flow: Flow::ThreeLegged,
            ..
        }
    );
    world
        .issuer
        .update_consumer(&key(), &flows(texts(["three-legged"])), None, &ADMIN)
        .await
        .unwrap();
    assert_eq!(exchange().await.unwrap().token.scopes.to_string(), "write");
}

#[tokio::test]
async fn revoking_a_users_tokens_ends_the_authorization() {
    let world = World::new().await;
    world.consumer().await;
    let (asked, verifier) = authorized(&world).await;
    world
        .issuer
        .revoke_tokens(TokenHolder::User(&id("jane")), &ADMIN)
        .await
        .unwrap();
    assert_err!(
        world.exchange(&asked, &verifier).await,
        IssueError::RequestTokenRefused
    );
    world
        .issuer
        .revoke_tokens(TokenHolder::Consumer(&key()), &ADMIN)
        .await
        .unwrap();
    assert_err!(
        world.exchange(&asked, &verifier).await,
        IssueError::UnknownRequestToken(_)
    );
}

#[tokio::test]
async fn an_exchange_that_comes_too_late_gets_nothing() {
    let world = World::new().await;
    world.consumer().await;
    let (asked, verifier) = authorized(&world).await;
    world.pass(Duration::from_secs(600));
    assert_err!(
        world.exchange(&asked, &verifier).await,
        IssueError::RequestTokenExpired
    );
}

#[tokio::test]
async fn a_password_is_exchanged_for_a_token_of_the_user() {
    let world = World::new().await;
    world.consumer().await;
    world.user("Jane").await;
    let issued = world
        .issuer
        .exchange_password(&login("jane", PASSWORD), &[], &ADMIN)
        .await
        .unwrap();
    assert_eq!(
        (issued.token.user_id, issued.screen_name.as_str()),
        (Some(id("jane")), "Jane")
    );
    assert_eq!(issued.token.scopes.to_string(), "read write");
    assert_eq!(
        world
            .issuer
            .token_with_state(&issued.token.token)
            .await
            .unwrap()
            .state,
        TokenState::Active
    );
    let some = world
        .issuer
        .exchange_password(&login("jane", PASSWORD), &texts(["read"]), &ADMIN)
        .await
        .unwrap();
    assert_eq!(some.token.scopes.to_string(), "read");
    assert_eq!(
        problems(
            world
                .issuer
                .exchange_password(&login("jane", PASSWORD), &texts(["admin"]), &ADMIN)
                .await
        ),
        ["scopes has \"admin\", which its consumer does not have"]
    );
}

#[tokio::test]
async fn only_a_consumer_with_the_flow_may_try_a_password() {
    let world = World::new().await;
    let attempt = async || {
        world
            .issuer
            .exchange_password(&login("jane", PASSWORD), &[], &ADMIN)
            .await
    };
    world.user("jane").await;
    assert_err!(attempt().await, IssueError::UnknownConsumer(_));
    world.consumer().await;
    world.issuer.disable_consumer(&key(), &ADMIN).await.unwrap();
    assert_err!(attempt().await, IssueError::ConsumerDisabled(_));
    world.issuer.enable_consumer(&key(), &ADMIN).await.unwrap();
    let change = |consumer: &mut ConsumerAttributes| {
        consumer.flows = Vec::new();
    };
    world
        .issuer
        .update_consumer(&key(), &change, None, &ADMIN)
        .await
        .unwrap();
    assert_err!(
        attempt().await,
        IssueError::FlowNotAllowed {
            flow: Flow::XAuth,
            ..
        }
    );
}

async fn authorized(world: &World) -> (Token, Secret) {
    authorized_at(world, CALLBACK).await
}

async fn authorized_at(world: &World, callback: &str) -> (Token, Secret) {
    let asked = world.request_token(callback).await.token;
    let ConsentOutcome { verifier, .. } = world
        .issuer
        .authorize_request_token(&asked, &consent("jane"), &ADMIN)
        .await
        .unwrap();
    (asked, verifier)
}

fn login(username: &str, password: &str) -> Login {
    Login {
        username: username.to_owned(),
        password: secret(password),
        consumer_key: key(),
        client_address: None,
    }
}
