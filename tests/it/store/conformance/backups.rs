//! The fence of a restore, and records that move to another store.

use std::sync::Arc;

use countersign::store::{ClaimOutcome, RestorableRecord, ScanCursor, SealedRecord, Store};

use super::on_every_store;
use crate::store::bench::{NOW, claim, consumer, key, token, user};

on_every_store! {
    a_raised_fence_refuses_every_timestamp_up_to_now
    an_exported_record_opens_as_what_was_stored
    only_the_own_seal_of_a_digest_opens
}

async fn a_raised_fence_refuses_every_timestamp_up_to_now(store: Arc<dyn Store>) {
    let ck = key("ck");
    let fresh = store.claim_nonce(&claim(&ck, NOW, b"before")).await;
    assert_eq!(fresh.unwrap(), ClaimOutcome::Fresh);
    store.raise_fence().await.unwrap();
    let again = store.claim_nonce(&claim(&ck, NOW, b"before")).await;
    assert_ne!(again.unwrap(), ClaimOutcome::Fresh);
    let another = store.claim_nonce(&claim(&ck, NOW, b"another")).await;
    assert_eq!(another.unwrap(), ClaimOutcome::Fenced { not_before: NOW });
    let later = store.claim_nonce(&claim(&ck, NOW + 1, b"later")).await;
    assert_eq!(later.unwrap(), ClaimOutcome::Fresh);
}

async fn an_exported_record_opens_as_what_was_stored(store: Arc<dyn Store>) {
    store.create_consumer(&consumer("ck")).await.unwrap();
    store.create_user(&user("jane doe", "Jane")).await.unwrap();
    store.create_token(&token("ck", "t")).await.unwrap();
    let mut opened = Vec::new();
    for record in exported(&*store).await {
        opened.push(store.open_record(&record).unwrap());
        let changed = SealedRecord::exported(record.kind, b"other".to_vec(), record.bytes);
        let refused = store.open_record(&changed).unwrap_err();
        assert_eq!(refused.missing_key(), None, "{refused}");
    }
    for expected in [
        RestorableRecord::Consumer(consumer("ck")),
        RestorableRecord::User(user("jane doe", "Jane")),
        RestorableRecord::Token(token("ck", "t")),
    ] {
        assert!(opened.contains(&expected), "{expected:?}");
    }
    assert_eq!(opened.len(), 3);
}

async fn only_the_own_seal_of_a_digest_opens(store: Arc<dyn Store>) {
    let sealed = store.seal_digest(&[7; 32]).unwrap();
    assert_eq!(store.open_digest(&sealed).unwrap(), [7; 32]);
    let mut changed = sealed.clone();
    *changed.last_mut().unwrap() ^= 1;
    assert!(store.open_digest(&changed).is_err());
    let mut of_another_key = sealed;
    // The id begins after the version and its length.
    of_another_key[2] = if of_another_key[2] == b'x' {
        b'y'
    } else {
        b'x'
    };
    let refused = store.open_digest(&of_another_key).unwrap_err();
    assert!(refused.missing_key().is_some(), "{refused}");
}

/// Returns every record that an export has.
async fn exported(store: &dyn Store) -> Vec<SealedRecord> {
    let (mut from, mut records) = (Some(ScanCursor::default()), Vec::new());
    while let Some(cursor) = from {
        let page = store.scan(&cursor, 100).await.unwrap();
        let exported = page.records.into_iter();
        records.extend(exported.filter(|record| record.kind.is_exported()));
        from = page.next;
    }
    records
}
