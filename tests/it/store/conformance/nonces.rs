//! Claims of nonces.

use std::sync::Arc;

use countersign::clock::UnixTime;
use countersign::model::Token;
use countersign::store::{ClaimOutcome, NonceClaim, Store};

use super::{on_every_store, race};
use crate::store::bench::{NOW, claim, key, ready};

on_every_store! {
    a_nonce_is_claimed_once
    of_a_hundred_racing_claims_one_is_fresh
    a_check_that_retries_its_claim_claims_once
    the_same_check_claims_once_also_when_it_races
    a_claim_dated_ahead_is_claimed_once
    an_answer_that_is_ready_at_once_has_claimed
    consumer_token_timestamp_and_nonce_are_a_scope_each
    a_claim_that_cannot_be_remembered_is_refused
    a_fence_refuses_up_to_its_second
}

async fn a_nonce_is_claimed_once(store: Arc<dyn Store>) {
    let ck = key("ck");
    assert_eq!(
        store.claim_nonce(&claim(&ck, NOW, b"n")).await.unwrap(),
        ClaimOutcome::Fresh
    );
    for _ in 0..3 {
        assert_eq!(
            store.claim_nonce(&claim(&ck, NOW, b"n")).await.unwrap(),
            ClaimOutcome::Replayed
        );
    }
}

async fn of_a_hundred_racing_claims_one_is_fresh(store: Arc<dyn Store>) {
    for timestamp in [NOW, NOW + 200] {
        let outcomes = race(100, &store, move |store, _| async move {
            store
                .claim_nonce(&claim(&key("ck"), timestamp, b"n"))
                .await
                .unwrap()
        });
        let outcomes = outcomes.await;
        assert_eq!(
            outcomes
                .iter()
                .filter(|outcome| **outcome == ClaimOutcome::Fresh)
                .count(),
            1
        );
        assert_eq!(
            outcomes
                .iter()
                .filter(|outcome| **outcome == ClaimOutcome::Replayed)
                .count(),
            99
        );
    }
}

async fn a_check_that_retries_its_claim_claims_once(store: Arc<dyn Store>) {
    let ck = key("ck");
    let first = claim(&ck, NOW, b"n");
    for _ in 0..3 {
        assert_eq!(
            store.claim_nonce(&first).await.unwrap(),
            ClaimOutcome::Fresh
        );
    }
    assert_eq!(
        store.claim_nonce(&claim(&ck, NOW, b"n")).await.unwrap(),
        ClaimOutcome::Replayed
    );
    assert_eq!(
        store.claim_nonce(&first).await.unwrap(),
        ClaimOutcome::Fresh
    );
}

async fn the_same_check_claims_once_also_when_it_races(store: Arc<dyn Store>) {
    let outcomes = race(20, &store, |store, _| async move {
        let ck = key("ck");
        let same = NonceClaim {
            check_id: [7; 16],
            ..claim(&ck, NOW + 200, b"n")
        };
        store.claim_nonce(&same).await.unwrap()
    });
    assert!(
        outcomes
            .await
            .iter()
            .all(|outcome| *outcome == ClaimOutcome::Fresh)
    );
    assert_eq!(
        store
            .claim_nonce(&claim(&key("ck"), NOW + 200, b"n"))
            .await
            .unwrap(),
        ClaimOutcome::Replayed
    );
}

async fn a_claim_dated_ahead_is_claimed_once(store: Arc<dyn Store>) {
    let ck = key("ck");
    assert_eq!(
        store
            .claim_nonce(&claim(&ck, NOW + 299, b"n"))
            .await
            .unwrap(),
        ClaimOutcome::Fresh
    );
    assert_eq!(
        store
            .claim_nonce(&claim(&ck, NOW + 299, b"n"))
            .await
            .unwrap(),
        ClaimOutcome::Replayed
    );
}

async fn an_answer_that_is_ready_at_once_has_claimed(store: Arc<dyn Store>) {
    let ck = key("ck");
    for timestamp in [NOW, NOW + 200] {
        let first = claim(&ck, timestamp, b"n");
        if let Some(outcome) = ready(store.claim_nonce(&first)) {
            assert_eq!(outcome, ClaimOutcome::Fresh);
        }
        assert_eq!(
            store.claim_nonce(&first).await.unwrap(),
            ClaimOutcome::Fresh
        );
        let second = ready(store.claim_nonce(&claim(&ck, timestamp, b"n")));
        assert!(second.is_none_or(|outcome| outcome == ClaimOutcome::Replayed));
        assert_eq!(
            store
                .claim_nonce(&claim(&ck, timestamp, b"n"))
                .await
                .unwrap(),
            ClaimOutcome::Replayed
        );
    }
}

async fn consumer_token_timestamp_and_nonce_are_a_scope_each(store: Arc<dyn Store>) {
    let (a, ab) = (key("a"), key("ab"));
    let (b, bc) = (Token::new("b").unwrap(), Token::new("bc").unwrap());
    let scopes = [
        claim(&a, NOW, b"bc"),
        claim(&ab, NOW, b"c"),
        NonceClaim {
            token: Some(&b),
            ..claim(&a, NOW, b"c")
        },
        NonceClaim {
            token: Some(&bc),
            ..claim(&a, NOW, b"")
        },
        claim(&a, NOW, b""),
        claim(&a, NOW + 1, b"bc"),
        claim(&a, NOW, b"\0bc"),
        claim(&a, NOW / 10, b"0bc"),
    ]
    .map(|scope| NonceClaim {
        expires_at: UnixTime::from_secs(NOW + 600),
        ..scope
    });
    for scope in &scopes {
        assert_eq!(
            store.claim_nonce(scope).await.unwrap(),
            ClaimOutcome::Fresh,
            "{scope:?}"
        );
    }
    for scope in scopes {
        let again = NonceClaim {
            check_id: [9; 16],
            ..scope
        };
        assert_eq!(
            store.claim_nonce(&again).await.unwrap(),
            ClaimOutcome::Replayed,
            "{scope:?}"
        );
    }
}

async fn a_claim_that_cannot_be_remembered_is_refused(store: Arc<dyn Store>) {
    let ck = key("ck");
    let now = UnixTime::from_secs(NOW);
    for expires_at in [now, UnixTime::from_secs(NOW - 1), UnixTime::default()] {
        let expired = NonceClaim {
            expires_at,
            ..claim(&ck, NOW - 700, b"n")
        };
        assert_eq!(
            store.claim_nonce(&expired).await.unwrap(),
            ClaimOutcome::Fenced {
                not_before: NOW - 700
            }
        );
    }
}

async fn a_fence_refuses_up_to_its_second(store: Arc<dyn Store>) {
    let ck = key("ck");
    let fenced = |timestamp| NonceClaim {
        not_before: NOW - 5,
        ..claim(&ck, timestamp, b"n")
    };
    for timestamp in [NOW - 100, NOW - 6, NOW - 5] {
        let outcome = store.claim_nonce(&fenced(timestamp)).await.unwrap();
        assert_eq!(
            outcome,
            ClaimOutcome::Fenced {
                not_before: NOW - 5
            }
        );
    }
    assert_eq!(
        store.claim_nonce(&fenced(NOW - 4)).await.unwrap(),
        ClaimOutcome::Fresh
    );
    assert_eq!(
        store.claim_nonce(&claim(&ck, NOW - 5, b"n")).await.unwrap(),
        ClaimOutcome::Fresh,
        "a refusal claims nothing"
    );
}
