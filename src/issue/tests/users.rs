//! Users.

use super::*;
use crate::issue::etag;
use crate::model::{Generation, TokenState, UserStatus};
use crate::store::TokenHolder;

#[tokio::test]
async fn a_user_is_found_by_id_and_by_name_whatever_its_case() {
    let world = World::new().await;
    let jane = world.user("Jane").await;
    assert_eq!(world.issuer.user(&id("jane")).await.unwrap(), jane);
    assert_eq!(world.issuer.user_named(&name("JANE")).await.unwrap(), jane);
    assert_eq!(world.issuer.users(None, 9).await.unwrap(), [jane]);
    assert_err!(
        world.issuer.user(&id("joe")).await,
        IssueError::UnknownUser(_)
    );
    assert_err!(
        world.issuer.user_named(&name("joe")).await,
        IssueError::UnknownUser(_)
    );
}

#[tokio::test]
async fn no_two_users_have_one_name_or_one_id() {
    let world = World::new().await;
    world.user("Jane").await;
    for (user_id, username) in [(Some("jane"), "joe"), (Some("joe"), "JANE"), (None, "jane")] {
        let draft = UserDraft {
            user_id: user_id.map(str::to_owned),
            username: username.to_owned(),
            ..UserDraft::default()
        };
        assert_err!(
            world.issuer.create_user(&draft, &ADMIN).await,
            IssueError::UserExists
        );
    }
    assert_eq!(world.issuer.users(None, 9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_error_lists_every_mistake_in_a_user() {
    let world = World::new().await;
    let draft = UserDraft {
        user_id: Some(String::new()),
        username: "a b".to_owned(),
        password: Some(secret("short")),
    };
    assert_eq!(
        problems(world.issuer.create_user(&draft, &ADMIN).await),
        [
            "user_id must not be empty",
            "username has the character ' ' at byte 1; allowed are visible ASCII characters",
            "password is too short, the minimum is 8 bytes",
        ]
    );
    assert!(world.issuer.users(None, 9).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_password_has_8_to_1024_bytes_and_no_line_break() {
    let world = World::new().await;
    world.user("jane").await;
    let set = async |password: String| {
        world
            .issuer
            .set_password(&id("jane"), &secret(&password), &ADMIN)
            .await
    };
    assert_eq!(
        problems(set("1234567".to_owned()).await),
        ["password is too short, the minimum is 8 bytes"]
    );
    assert_eq!(
        problems(set("p".repeat(1025)).await),
        ["password is 1025 bytes long, the limit is 1024"]
    );
    assert_eq!(
        problems(set("12345678\n".to_owned()).await),
        ["password has a control character, perhaps a line break at its end"]
    );
    for right in [
        "12345678".to_owned(),
        "p".repeat(1024),
        "pässwörd".to_owned(),
    ] {
        assert!(set(right).await.is_ok());
    }
}

#[tokio::test]
async fn a_password_is_stored_as_argon2id_with_the_configured_cost_and_its_own_salt() {
    let world = World::new().await;
    let hash = |user: User| user.password.unwrap().expose().to_owned();
    let (one, two) = (
        hash(world.user("jane").await),
        hash(world.user("joe").await),
    );
    assert!(one.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{one}");
    assert_ne!(one, two);
}

#[tokio::test]
async fn creating_a_user_leaves_tokens_good_that_were_issued_before() {
    let world = World::new().await;
    world.consumer().await;
    let issued = world.token(Some("jane")).await;
    assert_eq!(world.user("jane").await.generation, Generation::default());
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
async fn a_new_user_keeps_the_standing_of_its_record() {
    let world = World::new().await;
    world.consumer().await;
    let old = world.token(Some("jane")).await;
    world
        .issuer
        .revoke_tokens(TokenHolder::User(&id("jane")), &ADMIN)
        .await
        .unwrap();
    let standing = world
        .issuer
        .disable_user(&id("jane"), &ADMIN)
        .await
        .unwrap();
    assert_eq!(
        problems(
            world
                .issuer
                .set_password(&id("jane"), &secret(PASSWORD), &ADMIN)
                .await
        )
        .len(),
        1
    );
    let jane = world.user("jane").await;
    assert_eq!(
        (jane.generation, jane.status),
        (standing.generation, UserStatus::Disabled)
    );
    assert_eq!(
        world
            .issuer
            .token_with_state(&old.token)
            .await
            .unwrap()
            .state,
        TokenState::Revoked
    );
}

#[tokio::test]
async fn a_deleted_user_is_gone_and_the_next_of_that_id_shares_nothing_with_it() {
    let world = World::new().await;
    world.consumer().await;
    world.user("jane").await;
    let old = world.token(Some("jane")).await;
    world
        .issuer
        .delete_user(&id("jane"), None, &ADMIN)
        .await
        .unwrap();
    assert_err!(
        world.issuer.user(&id("jane")).await,
        IssueError::UnknownUser(_)
    );
    assert_err!(
        world.issuer.user_named(&name("jane")).await,
        IssueError::UnknownUser(_)
    );
    assert_err!(
        world.issuer.delete_user(&id("jane"), None, &ADMIN).await,
        IssueError::UnknownUser(_)
    );
    assert!(world.issuer.users(None, 9).await.unwrap().is_empty());
    assert_eq!(
        world
            .issuer
            .token_with_state(&old.token)
            .await
            .unwrap()
            .state,
        TokenState::Revoked
    );

    let next = world.user("jane").await;
    assert_eq!(next.status, UserStatus::Active);
    assert_eq!(
        world
            .issuer
            .token_with_state(&old.token)
            .await
            .unwrap()
            .state,
        TokenState::Revoked
    );
    assert_eq!(
        world
            .issuer
            .token_with_state(&world.token(Some("jane")).await.token)
            .await
            .unwrap()
            .state,
        TokenState::Active
    );
}

#[tokio::test]
async fn an_etag_deletes_only_the_user_that_has_it() {
    let world = World::new().await;
    let read = world.user("jane").await;
    world
        .issuer
        .set_password(&id("jane"), &secret("another horse"), &ADMIN)
        .await
        .unwrap();
    let read = etag(read.generation, read.revision);
    assert_err!(
        world
            .issuer
            .delete_user(&id("jane"), Some(&read), &ADMIN)
            .await,
        IssueError::Conflict
    );
    let read = world.issuer.user(&id("jane")).await.unwrap();
    let read = etag(read.generation, read.revision);
    assert!(
        world
            .issuer
            .delete_user(&id("jane"), Some(&read), &ADMIN)
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn an_unknown_user_cannot_be_enabled_or_disabled() {
    let world = World::new().await;
    assert_err!(
        world.issuer.disable_user(&id("joe"), &ADMIN).await,
        IssueError::UnknownUser(_)
    );
    assert_err!(
        world.issuer.enable_user(&id("joe"), &ADMIN).await,
        IssueError::UnknownUser(_)
    );
}
