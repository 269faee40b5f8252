//! Sessions of browsers.

use super::*;
use crate::issue::DirectoryUser;
use crate::store::TokenHolder;

#[tokio::test]
async fn a_session_lasts_as_long_as_the_terms_say() {
    let world = World::new().await;
    world.user("jane").await;
    let opened = world
        .issuer
        .create_session(&jane(), b"cookie")
        .await
        .unwrap();
    assert_eq!(
        (opened.user_id.as_str(), opened.screen_name.as_str()),
        ("jane", "Jane")
    );
    assert_eq!(opened.expires_at, NOW.plus(Duration::from_secs(900)));
    assert_eq!(world.issuer.session(b"cookie").await.unwrap(), Some(opened));
    assert_eq!(world.issuer.session(b"another").await.unwrap(), None);
    world.pass(Duration::from_secs(900));
    assert_eq!(world.issuer.session(b"cookie").await.unwrap(), None);
}

#[tokio::test]
async fn a_closed_session_is_over() {
    let world = World::new().await;
    world
        .issuer
        .create_session(&jane(), b"cookie")
        .await
        .unwrap();
    world
        .issuer
        .create_session(&jane(), b"another")
        .await
        .unwrap();
    world.issuer.delete_session(b"cookie").await.unwrap();
    world.issuer.delete_session(b"cookie").await.unwrap();
    assert_eq!(world.issuer.session(b"cookie").await.unwrap(), None);
    assert!(world.issuer.session(b"another").await.unwrap().is_some());
}

#[tokio::test]
async fn a_session_that_a_disabled_user_closes_stays_closed() {
    let world = World::new().await;
    world.user("jane").await;
    let issuer = &world.issuer;
    issuer.create_session(&jane(), b"cookie").await.unwrap();
    issuer.disable_user(&id("jane"), &ADMIN).await.unwrap();
    issuer.delete_session(b"cookie").await.unwrap();
    issuer.enable_user(&id("jane"), &ADMIN).await.unwrap();
    assert_eq!(issuer.session(b"cookie").await.unwrap(), None);
}

#[tokio::test]
async fn a_new_password_ends_the_sessions_and_leaves_the_tokens() {
    let world = World::new().await;
    world.consumer().await;
    world.user("jane").await;
    let token = world.token(Some("jane")).await.token;
    world
        .issuer
        .create_session(&jane(), b"cookie")
        .await
        .unwrap();
    world
        .issuer
        .set_password(&id("jane"), &secret("another horse"), &ADMIN)
        .await
        .unwrap();
    assert_eq!(world.issuer.session(b"cookie").await.unwrap(), None);
    assert_eq!(
        world.issuer.token_with_state(&token).await.unwrap().state,
        crate::model::TokenState::Active
    );
    world
        .issuer
        .create_session(&jane(), b"cookie")
        .await
        .unwrap();
    assert!(world.issuer.session(b"cookie").await.unwrap().is_some());
}

#[tokio::test]
async fn disabling_deleting_or_revoking_ends_a_session() {
    let world = World::new().await;
    world.user("jane").await;
    let is_open = async || world.issuer.session(b"cookie").await.unwrap().is_some();
    world
        .issuer
        .create_session(&jane(), b"cookie")
        .await
        .unwrap();
    world
        .issuer
        .disable_user(&id("jane"), &ADMIN)
        .await
        .unwrap();
    assert!(!is_open().await);
    assert_err!(
        world.issuer.create_session(&jane(), b"other").await,
        IssueError::UserDisabled
    );
    world.issuer.enable_user(&id("jane"), &ADMIN).await.unwrap();
    world
        .issuer
        .create_session(&jane(), b"cookie")
        .await
        .unwrap();
    world
        .issuer
        .revoke_tokens(TokenHolder::User(&id("jane")), &ADMIN)
        .await
        .unwrap();
    assert!(!is_open().await);
    world
        .issuer
        .create_session(&jane(), b"cookie")
        .await
        .unwrap();
    world
        .issuer
        .delete_user(&id("jane"), None, &ADMIN)
        .await
        .unwrap();
    assert!(!is_open().await);
}

#[tokio::test]
async fn a_session_of_a_user_without_a_record_ends_with_the_tokens() {
    let world = World::new().await;
    world
        .issuer
        .create_session(&jane(), b"cookie")
        .await
        .unwrap();
    assert!(world.issuer.session(b"cookie").await.unwrap().is_some());
    world
        .issuer
        .revoke_tokens(TokenHolder::User(&id("jane")), &ADMIN)
        .await
        .unwrap();
    assert_eq!(world.issuer.session(b"cookie").await.unwrap(), None);
}

fn jane() -> DirectoryUser {
    DirectoryUser {
        id: id("jane"),
        screen_name: "Jane".to_owned(),
    }
}
