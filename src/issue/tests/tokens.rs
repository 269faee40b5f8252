//! Access tokens that an administrator creates.

use super::*;
use crate::issue::Expiry;
use crate::model::TokenState;
use crate::store::TokenHolder;

#[tokio::test]
async fn a_token_has_the_generations_of_its_consumer_and_its_user() {
    let world = World::new().await;
    let consumer = world.consumer().await;
    world
        .issuer
        .revoke_tokens(TokenHolder::User(&id("jane")), &ADMIN)
        .await
        .unwrap();
    let user = world.issuer.user(&id("jane")).await.unwrap();
    let issued = world.token(Some("jane")).await;
    assert_eq!(
        (issued.consumer_generation, issued.user_generation),
        (consumer.generation, user.generation)
    );
    assert_eq!(
        world
            .issuer
            .token_with_state(&issued.token)
            .await
            .unwrap()
            .state,
        TokenState::Active
    );
}

#[tokio::test]
async fn no_token_is_issued_for_a_disabled_or_deleted_user() {
    let world = World::new().await;
    assert_err!(
        world.issuer.create_token(&token_for(None), &ADMIN).await,
        IssueError::UnknownConsumer(_)
    );
    world.consumer().await;
    world.user("jane").await;
    world
        .issuer
        .disable_user(&id("jane"), &ADMIN)
        .await
        .unwrap();
    assert_err!(
        world
            .issuer
            .create_token(&token_for(Some("jane")), &ADMIN)
            .await,
        IssueError::UserDisabled
    );
    world
        .issuer
        .delete_user(&id("jane"), None, &ADMIN)
        .await
        .unwrap();
    assert_err!(
        world
            .issuer
            .create_token(&token_for(Some("jane")), &ADMIN)
            .await,
        IssueError::UserDisabled
    );
    world.issuer.disable_consumer(&key(), &ADMIN).await.unwrap();
    assert_err!(
        world.issuer.create_token(&token_for(None), &ADMIN).await,
        IssueError::ConsumerDisabled(_)
    );
    assert!(
        world
            .issuer
            .tokens(TokenHolder::Consumer(&key()), None, 9)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn a_token_asks_for_no_scope_that_its_consumer_lacks() {
    let world = World::new().await;
    world.consumer().await;
    let draft = TokenDraft {
        scopes: texts(["admin"]),
        ..token_for(None)
    };
    assert_eq!(
        problems(world.issuer.create_token(&draft, &ADMIN).await),
        ["scopes has \"admin\", which its consumer does not have"]
    );
}

#[tokio::test]
async fn the_same_token_may_be_created_twice_where_that_is_allowed() {
    let world = World::new().await;
    world.consumer().await;
    let draft = TokenDraft {
        token: Some("t".to_owned()),
        token_secret: Some(secret("s")),
        expiry: Expiry::After(Duration::from_secs(60)),
        ..token_for(Some("jane"))
    };
    let first = world
        .issuer
        .create_token(&draft, &ADMIN)
        .await
        .unwrap()
        .record;
    world.pass(Duration::from_secs(5));
    assert_err!(
        world.issuer.create_token(&draft, &ADMIN).await,
        IssueError::TokenExists(_)
    );
    let again = TokenDraft {
        allow_existing: true,
        ..draft
    };
    let second = world.issuer.create_token(&again, &ADMIN).await.unwrap();
    assert_eq!((second.existed, &second.record), (true, &first));

    for differing in [
        TokenDraft {
            token_secret: Some(secret("other")),
            ..again.clone()
        },
        TokenDraft {
            token_secret: None,
            ..again.clone()
        },
        TokenDraft {
            user_id: None,
            ..again.clone()
        },
        TokenDraft {
            scopes: texts(["read"]),
            ..again.clone()
        },
        TokenDraft {
            expiry: Expiry::Never,
            ..again.clone()
        },
        TokenDraft {
            expiry: Expiry::After(Duration::from_secs(61)),
            ..again.clone()
        },
    ] {
        assert_err!(
            world.issuer.create_token(&differing, &ADMIN).await,
            IssueError::TokenExists(_)
        );
    }
}

#[tokio::test]
async fn a_new_creation_does_not_restore_a_revoked_token() {
    let world = World::new().await;
    world.consumer().await;
    let draft = TokenDraft {
        token: Some("t".to_owned()),
        token_secret: Some(secret("s")),
        allow_existing: true,
        ..token_for(None)
    };
    world.issuer.create_token(&draft, &ADMIN).await.unwrap();
    world
        .issuer
        .revoke_token(&token("t"), None, &ADMIN)
        .await
        .unwrap();
    assert!(
        world
            .issuer
            .create_token(&draft, &ADMIN)
            .await
            .unwrap()
            .existed
    );
    assert_eq!(
        world
            .issuer
            .token_with_state(&token("t"))
            .await
            .unwrap()
            .state,
        TokenState::Revoked
    );
}

#[tokio::test]
async fn a_validated_token_is_not_created() {
    let world = World::new().await;
    world.consumer().await;
    let draft = TokenDraft {
        token: Some("t".to_owned()),
        validate_only: true,
        ..token_for(None)
    };
    assert!(
        !world
            .issuer
            .create_token(&draft, &ADMIN)
            .await
            .unwrap()
            .existed
    );
    assert_err!(
        world.issuer.token(&token("t")).await,
        IssueError::UnknownToken(_)
    );
    let lacking = TokenDraft {
        scopes: texts(["admin"]),
        ..draft.clone()
    };
    assert_eq!(
        problems(world.issuer.create_token(&lacking, &ADMIN).await).len(),
        1
    );
    let created = TokenDraft {
        validate_only: false,
        ..draft.clone()
    };
    world.issuer.create_token(&created, &ADMIN).await.unwrap();
    assert_err!(
        world.issuer.create_token(&draft, &ADMIN).await,
        IssueError::TokenExists(_)
    );
}

#[tokio::test]
async fn the_state_of_a_token_follows_its_consumer_and_user() {
    let world = World::new().await;
    world.consumer().await;
    world.user("jane").await;
    let draft = TokenDraft {
        expiry: Expiry::After(Duration::from_secs(60)),
        ..token_for(Some("jane"))
    };
    let issued = world
        .issuer
        .create_token(&draft, &ADMIN)
        .await
        .unwrap()
        .record
        .token;
    let state = async || world.issuer.token_with_state(&issued).await.unwrap().state;
    assert_eq!(state().await, TokenState::Active);
    world
        .issuer
        .disable_user(&id("jane"), &ADMIN)
        .await
        .unwrap();
    assert_eq!(state().await, TokenState::UserDisabled);
    world.issuer.enable_user(&id("jane"), &ADMIN).await.unwrap();
    world.pass(Duration::from_secs(60));
    assert_eq!(state().await, TokenState::Expired);
    world
        .issuer
        .delete_consumer(&key(), None, &ADMIN)
        .await
        .unwrap();
    let found = world.issuer.introspect_token(&issued).await.unwrap();
    assert!(found.consumer.is_none());
    assert!(
        found
            .token
            .is_none_or(|shown| shown.state == TokenState::Revoked)
    );
}

#[tokio::test]
async fn a_token_is_introspected_with_its_consumer_and_an_unknown_one_without_an_error() {
    let world = World::new().await;
    let consumer = world.consumer().await;
    let issued = world.token(None).await;
    let found = world.issuer.introspect_token(&issued.token).await.unwrap();
    assert_eq!(found.consumer, Some(consumer));
    assert_eq!(found.token.map(|shown| shown.token), Some(issued));
    let found = world.issuer.introspect_token(&token("t")).await.unwrap();
    assert!(found.token.is_none() && found.consumer.is_none());
    assert_err!(
        world.issuer.token_with_state(&token("t")).await,
        IssueError::UnknownToken(_)
    );
}

#[tokio::test]
async fn all_tokens_of_a_consumer_or_a_user_are_revoked_in_one_step_and_later_ones_are_not() {
    let world = World::new().await;
    world.consumer().await;
    let (own, janes, joes) = (
        world.token(None).await,
        world.token(Some("jane")).await,
        world.token(Some("joe")).await,
    );
    let state = async |one: &AccessToken| {
        world
            .issuer
            .token_with_state(&one.token)
            .await
            .unwrap()
            .state
    };

    world
        .issuer
        .revoke_tokens(TokenHolder::User(&id("jane")), &ADMIN)
        .await
        .unwrap();
    assert_eq!(
        [state(&own).await, state(&janes).await, state(&joes).await],
        [TokenState::Active, TokenState::Revoked, TokenState::Active]
    );
    assert_eq!(
        state(&world.token(Some("jane")).await).await,
        TokenState::Active
    );

    world
        .issuer
        .revoke_tokens(TokenHolder::Consumer(&key()), &ADMIN)
        .await
        .unwrap();
    assert_eq!(
        [state(&own).await, state(&joes).await],
        [TokenState::Revoked; 2]
    );
    assert_eq!(state(&world.token(None).await).await, TokenState::Active);
    let unknown = ConsumerKey::new("unknown").unwrap();
    assert_err!(
        world
            .issuer
            .revoke_tokens(TokenHolder::Consumer(&unknown), &ADMIN)
            .await,
        IssueError::UnknownConsumer(_)
    );
}

#[tokio::test]
async fn the_tokens_of_a_user_are_listed_with_their_states() {
    let world = World::new().await;
    world.consumer().await;
    world.token(None).await;
    let (one, two) = (
        world.token(Some("jane")).await,
        world.token(Some("jane")).await,
    );
    world
        .issuer
        .revoke_token(&one.token, None, &ADMIN)
        .await
        .unwrap();
    let janes = world
        .issuer
        .tokens(TokenHolder::User(&id("jane")), None, 9)
        .await
        .unwrap();
    let state_of = |token: &Token| {
        janes
            .iter()
            .find(|shown| shown.token.token == *token)
            .map(|shown| shown.state)
    };
    assert_eq!(janes.len(), 2);
    assert_eq!(
        [state_of(&one.token), state_of(&two.token)],
        [Some(TokenState::Revoked), Some(TokenState::Active)]
    );
    world.user("joe").await;
    world.token(Some("joe")).await;
    world.issuer.disable_user(&id("joe"), &ADMIN).await.unwrap();
    let joes = world
        .issuer
        .tokens(TokenHolder::User(&id("joe")), None, 9)
        .await
        .unwrap();
    assert!(joes.len() == 1 && joes[0].state == TokenState::UserDisabled);
    let after = world
        .issuer
        .tokens(
            TokenHolder::Consumer(&key()),
            Some(&janes[0].token.token),
            1,
        )
        .await
        .unwrap();
    assert!(after.len() == 1 && after[0].token.token > janes[0].token.token);
}

#[tokio::test]
async fn a_token_is_revoked_only_as_its_own_consumers() {
    let world = World::new().await;
    world.consumer().await;
    let issued = world.token(None).await.token;
    let other = ConsumerKey::new("other").unwrap();
    assert_err!(
        world
            .issuer
            .revoke_token(&issued, Some(&other), &ADMIN)
            .await,
        IssueError::UnknownToken(_)
    );
    for _ in 0..2 {
        assert_eq!(
            world
                .issuer
                .revoke_token(&issued, Some(&key()), &ADMIN)
                .await
                .unwrap()
                .revision,
            2
        );
    }
}
