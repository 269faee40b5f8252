//! Temporary credentials, and their exchange.

use std::sync::Arc;

use countersign::model::{Callback, RequestToken, RequestTokenState};
use countersign::store::{Store, StoreErrorKind, TokenHolder};

use super::{on_every_store, race};
use crate::store::bench::{authorized, key, name, request_token, token};

on_every_store! {
    temporary_credentials_are_found_as_they_were_created
    a_taken_name_of_temporary_credentials_is_refused_for_every_consumer
    an_access_token_may_have_the_same_name
    an_update_of_temporary_credentials_needs_the_next_revision
    of_racing_decisions_one_succeeds
    of_racing_exchanges_one_succeeds_and_leaves_one_token
    an_exchange_needs_the_next_revision
    an_exchange_for_a_taken_name_changes_nothing
    temporary_credentials_of_another_consumer_are_not_exchanged
}

async fn temporary_credentials_are_found_as_they_were_created(store: Arc<dyn Store>) {
    let pending = request_token("ck", "r");
    store.create_request_token(&pending).await.unwrap();
    assert_eq!(
        store.request_token(&name("r")).await.unwrap(),
        Some(pending.clone())
    );
    let oob = RequestToken {
        callback: Callback::OutOfBand,
        wrong_verifiers: 4,
        ..authorized(pending)
    };
    store.update_request_token(&oob).await.unwrap();
    assert_eq!(
        store.request_token(&name("r")).await.unwrap(),
        Some(oob.clone())
    );
    let refused = RequestToken {
        state: RequestTokenState::Refused,
        revision: 3,
        ..oob
    };
    store.update_request_token(&refused).await.unwrap();
    assert_eq!(
        store.request_token(&name("r")).await.unwrap(),
        Some(refused)
    );
    assert_eq!(store.request_token(&name("other")).await.unwrap(), None);
}

async fn a_taken_name_of_temporary_credentials_is_refused_for_every_consumer(
    store: Arc<dyn Store>,
) {
    store
        .create_request_token(&request_token("ck", "r"))
        .await
        .unwrap();
    for ck in ["ck", "mallory"] {
        let error = store
            .create_request_token(&request_token(ck, "r"))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::AlreadyExists);
    }
    assert_eq!(
        store.request_token(&name("r")).await.unwrap(),
        Some(request_token("ck", "r"))
    );
}

async fn an_access_token_may_have_the_same_name(store: Arc<dyn Store>) {
    store.create_token(&token("ck", "t")).await.unwrap();
    store
        .create_request_token(&request_token("other", "t"))
        .await
        .unwrap();
    assert_eq!(
        store.token(&name("t")).await.unwrap(),
        Some(token("ck", "t"))
    );
    assert_eq!(
        store.request_token(&name("t")).await.unwrap(),
        Some(request_token("other", "t"))
    );
}

async fn an_update_of_temporary_credentials_needs_the_next_revision(store: Arc<dyn Store>) {
    let absent = store
        .update_request_token(&authorized(request_token("ck", "r")))
        .await
        .unwrap_err();
    assert_eq!(absent.kind(), StoreErrorKind::Conflict);
    store
        .create_request_token(&request_token("ck", "r"))
        .await
        .unwrap();
    for revision in [0, 1, 3, u64::MAX] {
        let stale = RequestToken {
            revision,
            ..authorized(request_token("ck", "r"))
        };
        assert_eq!(
            store.update_request_token(&stale).await.unwrap_err().kind(),
            StoreErrorKind::Conflict
        );
    }
    let stolen = authorized(request_token("mallory", "r"));
    assert_eq!(
        store
            .update_request_token(&stolen)
            .await
            .unwrap_err()
            .kind(),
        StoreErrorKind::Conflict
    );
    assert_eq!(
        store.request_token(&name("r")).await.unwrap(),
        Some(request_token("ck", "r"))
    );
}

async fn of_racing_decisions_one_succeeds(store: Arc<dyn Store>) {
    store
        .create_request_token(&request_token("ck", "r"))
        .await
        .unwrap();
    let outcomes = race(10, &store, |store, at| async move {
        let allow = authorized(request_token("ck", "r"));
        let refuse = RequestToken {
            state: RequestTokenState::Refused,
            ..allow.clone()
        };
        store
            .update_request_token(if at % 2 == 0 { &allow } else { &refuse })
            .await
            .is_ok()
    });
    assert_eq!(
        outcomes
            .await
            .iter()
            .filter(|succeeded| **succeeded)
            .count(),
        1
    );
}

async fn of_racing_exchanges_one_succeeds_and_leaves_one_token(store: Arc<dyn Store>) {
    store
        .create_request_token(&authorized_at_creation("r"))
        .await
        .unwrap();
    let outcomes = race(20, &store, |store, at| async move {
        let issued = token("ck", &format!("t{at}"));
        store
            .exchange_request_token(&used("r"), &issued)
            .await
            .map_err(|error| error.kind())
    })
    .await;
    assert_eq!(
        outcomes.iter().filter(|outcome| outcome.is_ok()).count(),
        1,
        "{outcomes:?}"
    );
    assert_eq!(
        outcomes
            .iter()
            .filter(|outcome| **outcome == Err(StoreErrorKind::Conflict))
            .count(),
        19
    );
    let winner = token(
        "ck",
        &format!("t{}", outcomes.iter().position(Result::is_ok).unwrap()),
    );
    assert_eq!(
        store.request_token(&name("r")).await.unwrap(),
        Some(used("r"))
    );
    let (ck, user) = (key("ck"), winner.user_id.clone().unwrap());
    for holder in [TokenHolder::Consumer(&ck), TokenHolder::User(&user)] {
        assert_eq!(
            store.tokens(holder, None, 30).await.unwrap(),
            std::slice::from_ref(&winner)
        );
    }
    let found = store
        .caller_records(&key("ck"), Some(&winner.token))
        .await
        .unwrap();
    assert_eq!(found.token.as_deref(), Some(&winner));
    for at in 0..20 {
        let loser = name(&format!("t{at}"));
        assert_eq!(
            store.token(&loser).await.unwrap().is_some(),
            loser == winner.token
        );
    }
}

async fn an_exchange_needs_the_next_revision(store: Arc<dyn Store>) {
    let absent = store
        .exchange_request_token(&used("r"), &token("ck", "t"))
        .await
        .unwrap_err();
    assert_eq!(absent.kind(), StoreErrorKind::Conflict);
    store
        .create_request_token(&authorized_at_creation("r"))
        .await
        .unwrap();
    for revision in [0, 1, 3, u64::MAX] {
        let stale = RequestToken {
            revision,
            ..used("r")
        };
        let error = store
            .exchange_request_token(&stale, &token("ck", "t"))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Conflict);
    }
    assert_eq!(
        store.request_token(&name("r")).await.unwrap(),
        Some(authorized_at_creation("r"))
    );
    assert_eq!(store.token(&name("t")).await.unwrap(), None);
    store
        .exchange_request_token(&used("r"), &token("ck", "t"))
        .await
        .unwrap();
    assert_eq!(
        store.token(&name("t")).await.unwrap(),
        Some(token("ck", "t"))
    );
    let again = store
        .exchange_request_token(&used("r"), &token("ck", "t2"))
        .await
        .unwrap_err();
    assert_eq!(again.kind(), StoreErrorKind::Conflict);
}

async fn an_exchange_for_a_taken_name_changes_nothing(store: Arc<dyn Store>) {
    store
        .create_request_token(&authorized_at_creation("r"))
        .await
        .unwrap();
    store.create_token(&token("ck", "mine")).await.unwrap();
    store.create_token(&token("other", "theirs")).await.unwrap();
    for taken in ["mine", "theirs"] {
        let error = store
            .exchange_request_token(&used("r"), &token("ck", taken))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::AlreadyExists);
    }
    assert_eq!(
        store.request_token(&name("r")).await.unwrap(),
        Some(authorized_at_creation("r"))
    );
    assert_eq!(
        store.token(&name("theirs")).await.unwrap(),
        Some(token("other", "theirs"))
    );
    store
        .exchange_request_token(&used("r"), &token("ck", "t"))
        .await
        .unwrap();
}

async fn temporary_credentials_of_another_consumer_are_not_exchanged(store: Arc<dyn Store>) {
    store
        .create_request_token(&authorized_at_creation("r"))
        .await
        .unwrap();
    let stolen = RequestToken {
        consumer_key: key("mallory"),
        ..used("r")
    };
    for issued in [token("mallory", "t"), token("ck", "t")] {
        let error = store
            .exchange_request_token(&stolen, &issued)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Conflict);
    }
    let given_away = store
        .exchange_request_token(&used("r"), &token("mallory", "t"))
        .await
        .unwrap_err();
    assert_eq!(given_away.kind(), StoreErrorKind::Conflict);
    assert_eq!(store.token(&name("t")).await.unwrap(), None);
}

/// Returns authorized temporary credentials of revision 1.
fn authorized_at_creation(token: &str) -> RequestToken {
    RequestToken {
        revision: 1,
        ..authorized(request_token("ck", token))
    }
}

fn used(token: &str) -> RequestToken {
    RequestToken {
        state: RequestTokenState::Used,
        revision: 2,
        ..request_token("ck", token)
    }
}
