//! Users, their names, and their standing at a check.

use std::sync::Arc;

use countersign::model::{Generation, User, UserStanding, UserStatus, Username};
use countersign::store::{Store, StoreErrorKind};

use super::{on_every_store, race};
use crate::store::bench::{consumer, key, name, token, user, user_id};

on_every_store! {
    a_user_is_found_as_created
    a_user_is_found_by_username_regardless_of_case
    a_user_without_a_username_is_found_without_one
    a_taken_user_id_is_refused_and_nothing_is_changed
    a_taken_username_is_refused_regardless_of_case_and_nothing_is_changed
    a_user_equal_to_a_stored_one_is_refused
    of_racing_creations_with_one_username_one_succeeds
    of_racing_updates_to_one_username_one_succeeds
    an_update_of_a_user_needs_the_next_revision
    of_racing_updates_of_a_user_one_succeeds
    a_username_that_was_given_up_is_free
    a_username_can_be_set_and_changed_in_case
    the_username_of_another_user_is_refused
    users_are_listed_in_the_order_of_their_ids_without_deleted_ones
    a_deleted_user_is_still_stored_and_can_be_restored
    a_check_sees_the_standing_of_a_tokens_user
    a_check_without_a_user_sees_the_default_standing
}

async fn a_user_is_found_as_created(store: Arc<dyn Store>) {
    store.create_user(&user("u 1", "Jane")).await.unwrap();
    assert_eq!(
        store.user(&user_id("u 1")).await.unwrap(),
        Some(user("u 1", "Jane"))
    );
    assert_eq!(store.user(&user_id("u")).await.unwrap(), None);
}

async fn a_user_is_found_by_username_regardless_of_case(store: Arc<dyn Store>) {
    store.create_user(&user("u1", "Jane")).await.unwrap();
    for spelling in ["Jane", "jane", "JANE"] {
        assert_eq!(
            named(&store, spelling).await,
            Some(user("u1", "Jane")),
            "{spelling}"
        );
    }
    assert_eq!(named(&store, "jan").await, None);
    assert_eq!(named(&store, "u1").await, None);
}

async fn a_user_without_a_username_is_found_without_one(store: Arc<dyn Store>) {
    for id in ["u1", "u2"] {
        store.create_user(&nameless(id)).await.unwrap();
    }
    assert_eq!(
        store.user(&user_id("u2")).await.unwrap(),
        Some(nameless("u2"))
    );
}

async fn a_taken_user_id_is_refused_and_nothing_is_changed(store: Arc<dyn Store>) {
    store.create_user(&user("u1", "Jane")).await.unwrap();
    for again in [user("u1", "other"), user("u1", "Jane"), nameless("u1")] {
        assert_eq!(
            store.create_user(&again).await.unwrap_err().kind(),
            StoreErrorKind::AlreadyExists
        );
    }
    assert_eq!(named(&store, "jane").await, Some(user("u1", "Jane")));
    assert_eq!(named(&store, "other").await, None);
    store.create_user(&user("u2", "other")).await.unwrap();
}

async fn a_taken_username_is_refused_regardless_of_case_and_nothing_is_changed(
    store: Arc<dyn Store>,
) {
    store.create_user(&user("u1", "Jane")).await.unwrap();
    for spelling in ["Jane", "jAnE"] {
        let error = store.create_user(&user("u2", spelling)).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::AlreadyExists);
    }
    assert_eq!(store.user(&user_id("u2")).await.unwrap(), None);
    assert_eq!(named(&store, "jane").await, Some(user("u1", "Jane")));
    assert_eq!(store.users(None, 10).await.unwrap(), [user("u1", "Jane")]);
}

/// Uses a user without a secret, so that the same bytes would be written each time, except for the
/// mark.
async fn a_user_equal_to_a_stored_one_is_refused(store: Arc<dyn Store>) {
    store.create_user(&nameless("u1")).await.unwrap();
    assert_eq!(
        store.create_user(&nameless("u1")).await.unwrap_err().kind(),
        StoreErrorKind::AlreadyExists
    );
    let change = User {
        revision: 2,
        ..nameless("u1")
    };
    store.update_user(&change).await.unwrap();
    assert_eq!(
        store.update_user(&change).await.unwrap_err().kind(),
        StoreErrorKind::Conflict
    );
}

async fn of_racing_creations_with_one_username_one_succeeds(store: Arc<dyn Store>) {
    let outcomes = race(10, &store, |store, at| async move {
        store
            .create_user(&user(&format!("u{at}"), "Jane"))
            .await
            .map_err(|error| error.kind())
    })
    .await;
    only_one_succeeded(&outcomes, StoreErrorKind::AlreadyExists);
    let winner = outcomes.iter().position(Result::is_ok).unwrap();
    assert_eq!(
        named(&store, "jane").await,
        Some(user(&format!("u{winner}"), "Jane"))
    );
    assert_eq!(store.users(None, 20).await.unwrap().len(), 1);
}

async fn of_racing_updates_to_one_username_one_succeeds(store: Arc<dyn Store>) {
    for at in 0..10 {
        store
            .create_user(&nameless(&format!("u{at}")))
            .await
            .unwrap();
    }
    let outcomes = race(10, &store, |store, at| async move {
        let taking = User {
            revision: 2,
            ..user(&format!("u{at}"), "Jane")
        };
        store
            .update_user(&taking)
            .await
            .map_err(|error| error.kind())
    })
    .await;
    only_one_succeeded(&outcomes, StoreErrorKind::AlreadyExists);
    let winner = outcomes.iter().position(Result::is_ok).unwrap();
    assert_eq!(
        named(&store, "jane").await.unwrap().id,
        user_id(&format!("u{winner}"))
    );
}

async fn an_update_of_a_user_needs_the_next_revision(store: Arc<dyn Store>) {
    assert_eq!(
        store
            .update_user(&user("u1", "Jane"))
            .await
            .unwrap_err()
            .kind(),
        StoreErrorKind::Conflict
    );
    store.create_user(&user("u1", "Jane")).await.unwrap();
    let change = |revision| User {
        status: UserStatus::Disabled,
        revision,
        ..user("u1", "Jane")
    };
    for stale in [0, 1, 3, u64::MAX] {
        assert_eq!(
            store.update_user(&change(stale)).await.unwrap_err().kind(),
            StoreErrorKind::Conflict
        );
    }
    assert_eq!(
        store.user(&user_id("u1")).await.unwrap(),
        Some(user("u1", "Jane"))
    );
    store.update_user(&change(2)).await.unwrap();
    assert_eq!(store.user(&user_id("u1")).await.unwrap(), Some(change(2)));
}

async fn of_racing_updates_of_a_user_one_succeeds(store: Arc<dyn Store>) {
    store.create_user(&nameless("u1")).await.unwrap();
    let outcomes = race(10, &store, |store, _| async move {
        store
            .update_user(&User {
                revision: 2,
                ..nameless("u1")
            })
            .await
            .map_err(|error| error.kind())
    });
    only_one_succeeded(&outcomes.await, StoreErrorKind::Conflict);
}

async fn a_username_that_was_given_up_is_free(store: Arc<dyn Store>) {
    store.create_user(&user("u1", "Jane")).await.unwrap();
    store
        .update_user(&User {
            revision: 2,
            ..nameless("u1")
        })
        .await
        .unwrap();
    assert_eq!(named(&store, "jane").await, None);
    store.create_user(&user("u2", "jane")).await.unwrap();
    assert_eq!(named(&store, "jane").await, Some(user("u2", "jane")));
    let back = User {
        revision: 3,
        ..user("u1", "Jane")
    };
    assert_eq!(
        store.update_user(&back).await.unwrap_err().kind(),
        StoreErrorKind::AlreadyExists
    );
}

async fn a_username_can_be_set_and_changed_in_case(store: Arc<dyn Store>) {
    store.create_user(&nameless("u1")).await.unwrap();
    for (revision, spelling) in [
        (2, "jane"),
        (3, "Jane"),
        (4, "Jane"),
        (5, "joan"),
        (6, "JANE"),
    ] {
        let change = User {
            revision,
            ..user("u1", spelling)
        };
        store.update_user(&change).await.unwrap();
        assert_eq!(named(&store, spelling).await, Some(change));
    }
    assert_eq!(named(&store, "joan").await, None);
}

async fn the_username_of_another_user_is_refused(store: Arc<dyn Store>) {
    store.create_user(&user("u1", "Jane")).await.unwrap();
    store.create_user(&user("u2", "Joan")).await.unwrap();
    let thief = User {
        revision: 2,
        ..user("u2", "jane")
    };
    assert_eq!(
        store.update_user(&thief).await.unwrap_err().kind(),
        StoreErrorKind::AlreadyExists
    );
    assert_eq!(named(&store, "joan").await, Some(user("u2", "Joan")));
    assert_eq!(named(&store, "jane").await, Some(user("u1", "Jane")));
}

async fn users_are_listed_in_the_order_of_their_ids_without_deleted_ones(store: Arc<dyn Store>) {
    for id in ["b", "a", "c d", "c", "Z", "gone", "c!"] {
        store.create_user(&nameless(id)).await.unwrap();
    }
    let gone = User {
        status: UserStatus::Deleted,
        revision: 2,
        ..nameless("gone")
    };
    store.update_user(&gone).await.unwrap();
    for limit in 1..=7 {
        let (mut listed, mut after) = (Vec::new(), None);
        while let Some(last) = {
            let page = store.users(after.as_ref(), limit).await.unwrap();
            assert!(page.len() <= limit);
            listed.extend(page.iter().map(|user| user.id.to_string()));
            page.last().map(|user| user.id.clone())
        } {
            after = Some(last);
        }
        assert_eq!(
            listed,
            ["Z", "a", "b", "c", "c d", "c!"],
            "pages of {limit}"
        );
    }
}

async fn a_deleted_user_is_still_stored_and_can_be_restored(store: Arc<dyn Store>) {
    store.create_user(&user("u1", "Jane")).await.unwrap();
    let gone = User {
        status: UserStatus::Deleted,
        username: None,
        password: None,
        revision: 2,
        ..user("u1", "Jane")
    };
    store.update_user(&gone).await.unwrap();
    assert_eq!(store.user(&gone.id).await.unwrap(), Some(gone));
    assert!(store.users(None, 10).await.unwrap().is_empty());
    assert_eq!(
        store
            .create_user(&user("u1", "Jane"))
            .await
            .unwrap_err()
            .kind(),
        StoreErrorKind::AlreadyExists
    );
    let back = User {
        revision: 3,
        ..user("u1", "Jane")
    };
    store.update_user(&back).await.unwrap();
    assert_eq!(store.users(None, 10).await.unwrap(), [back]);
}

async fn a_check_sees_the_standing_of_a_tokens_user(store: Arc<dyn Store>) {
    store.create_consumer(&consumer("ck")).await.unwrap();
    store.create_token(&token("ck", "t")).await.unwrap();
    let mut jane = user("jane doe", "Jane");
    store.create_user(&jane).await.unwrap();
    for status in [
        UserStatus::Active,
        UserStatus::Disabled,
        UserStatus::Deleted,
    ] {
        jane.revision += 1;
        jane.status = status;
        jane.generation = Generation::from_number(jane.revision);
        store.update_user(&jane).await.unwrap();
        let found = store
            .caller_records(&key("ck"), Some(&name("t")))
            .await
            .unwrap();
        assert_eq!(
            found.user,
            UserStanding {
                status,
                generation: jane.generation
            }
        );
    }
}

async fn a_check_without_a_user_sees_the_default_standing(store: Arc<dyn Store>) {
    store.create_consumer(&consumer("ck")).await.unwrap();
    store.create_token(&token("ck", "t")).await.unwrap();
    let mut of_nobody = token("ck", "of-nobody");
    of_nobody.user_id = None;
    store.create_token(&of_nobody).await.unwrap();
    let default = UserStanding::default();
    assert_eq!(
        store
            .caller_records(&key("ck"), Some(&name("t")))
            .await
            .unwrap()
            .user,
        default,
        "there is no record of the user"
    );
    let disabled = User {
        status: UserStatus::Disabled,
        ..nameless("of-nobody")
    };
    store.create_user(&disabled).await.unwrap();
    store
        .create_user(&User {
            id: user_id("absent"),
            ..disabled
        })
        .await
        .unwrap();
    for token in [Some("of-nobody"), Some("absent"), None] {
        let found = store
            .caller_records(&key("ck"), token.map(name).as_ref())
            .await
            .unwrap();
        assert_eq!(found.user, default, "{token:?}");
    }
}

fn nameless(id: &str) -> User {
    User {
        username: None,
        password: None,
        ..user(id, "nobody")
    }
}

async fn named(store: &Arc<dyn Store>, username: &str) -> Option<User> {
    store
        .user_named(&Username::new(username).unwrap())
        .await
        .unwrap()
}

fn only_one_succeeded(outcomes: &[Result<(), StoreErrorKind>], others: StoreErrorKind) {
    assert_eq!(
        outcomes.iter().filter(|outcome| outcome.is_ok()).count(),
        1,
        "{outcomes:?}"
    );
    assert!(
        outcomes
            .iter()
            .all(|outcome| outcome.is_ok() || *outcome == Err(others)),
        "{outcomes:?}"
    );
}
