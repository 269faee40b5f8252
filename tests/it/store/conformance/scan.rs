//! The scan of sealed records, and sealing them again.

use std::collections::BTreeSet;
use std::sync::Arc;

use countersign::model::RequestTokenState;
use countersign::store::{
    RecordKind, ResealOutcome, ScanCursor, SealedRecord, Store, StoreErrorKind,
};

use super::on_every_store;
use crate::store::bench::{
    Bench, authorized, consumer, key, name, request_token, session, token, user, with_redis,
    write_private,
};

on_every_store! {
    a_scan_lists_every_sealed_record_and_nothing_else
    a_scan_lists_what_exists_throughout_while_others_come_and_go
    a_page_is_bounded
    resealing_changes_nothing_but_the_seal
    resealing_neither_undoes_a_change_nor_brings_a_record_back
    an_unreadable_record_is_listed_and_stays
    a_change_that_races_with_resealing_is_made
}

async fn a_scan_lists_every_sealed_record_and_nothing_else(store: Arc<dyn Store>) {
    fill(&*store).await;
    let listed = scan(&*store, 7).await;
    let names: BTreeSet<_> = listed.iter().map(label).collect();
    assert_eq!(names, everything());
    assert!(listed.iter().all(|record| record.key_id().is_some()));
    let smallest: BTreeSet<_> = scan(&*store, 1).await.iter().map(label).collect();
    assert_eq!(smallest, everything());
}

async fn a_scan_lists_what_exists_throughout_while_others_come_and_go(store: Arc<dyn Store>) {
    fill(&*store).await;
    let (mut listed, mut from, mut at) = (Vec::new(), Some(ScanCursor::default()), 0);
    while let Some(cursor) = from {
        let page = store.scan(&cursor, 5).await.unwrap();
        listed.extend(page.records);
        from = page.next;
        let passing = consumer(&format!("passing{at:03}"));
        store.create_consumer(&passing).await.unwrap();
        if at % 2 == 1 {
            store.delete_consumer(&passing).await.unwrap();
        }
        at += 1;
        assert!(at < 1000, "the scan does not end");
    }
    let names: BTreeSet<_> = listed.iter().map(label).collect();
    assert!(names.is_superset(&everything()), "{names:?}");
}

async fn a_page_is_bounded(store: Arc<dyn Store>) {
    for at in 0..200 {
        let ck = format!("ck{at}");
        store.create_consumer(&consumer(&ck)).await.unwrap();
    }
    let mut from = Some(ScanCursor::default());
    while let Some(cursor) = from {
        let page = store.scan(&cursor, 10).await.unwrap();
        // Redis may return some keys more.
        assert!(page.records.len() <= 40, "{}", page.records.len());
        from = page.next;
    }
}

async fn resealing_changes_nothing_but_the_seal(store: Arc<dyn Store>) {
    fill(&*store).await;
    let before = scan(&*store, 100).await;
    let outcomes = store.reseal(&before).await.unwrap();
    assert_eq!(outcomes.len(), before.len());
    assert!(outcomes.iter().all(|one| *one == ResealOutcome::Resealed));
    let after = scan(&*store, 100).await;
    assert!(after.iter().all(|record| !before.contains(record)));
    assert_eq!(
        after.iter().map(label).collect::<BTreeSet<_>>(),
        everything()
    );
    check_content(&*store).await;
    store.ping().await.unwrap();
}

async fn resealing_neither_undoes_a_change_nor_brings_a_record_back(store: Arc<dyn Store>) {
    fill(&*store).await;
    let listed = scan(&*store, 100).await;
    let mut renamed = consumer("ck0");
    (renamed.revision, renamed.verified) = (2, false);
    store.update_consumer(&renamed).await.unwrap();
    store.delete_consumer(&consumer("ck1")).await.unwrap();
    store.delete_token(&token("ck0", "t0")).await.unwrap();
    store.delete_session(&session("cookie0").id).await.unwrap();
    let authorized = authorized(request_token("ck0", "r0"));
    store.update_request_token(&authorized).await.unwrap();

    let outcomes = store.reseal(&listed).await.unwrap();
    let left: Vec<_> = listed
        .iter()
        .zip(&outcomes)
        .filter(|(_, outcome)| **outcome == ResealOutcome::Changed)
        .map(|(record, _)| label(record))
        .collect();
    for changed in [
        "Consumer ck0",
        "Consumer ck1",
        "Token t0",
        "RequestToken r0",
    ] {
        assert!(left.contains(&changed.to_owned()), "{changed}: {left:?}");
    }
    assert_eq!(store.consumer(&key("ck0")).await.unwrap(), Some(renamed));
    assert_eq!(store.consumer(&key("ck1")).await.unwrap(), None);
    assert_eq!(store.token(&name("t0")).await.unwrap(), None);
    assert_eq!(store.session(&session("cookie0").id).await.unwrap(), None);
    assert_eq!(
        store.request_token(&name("r0")).await.unwrap(),
        Some(authorized)
    );
}

async fn an_unreadable_record_is_listed_and_stays(store: Arc<dyn Store>) {
    fill(&*store).await;
    let listed = scan(&*store, 100).await;
    let of = |kind| listed.iter().find(|record| record.kind == kind).unwrap();
    // The bytes of another record: an opened seal would belong to that one.
    let mut forged = of(RecordKind::User).clone();
    forged.bytes.clone_from(&of(RecordKind::Token).bytes);
    let problem = store.problem_of(&forged).unwrap();
    assert!(problem.contains("does not authenticate"), "{problem}");
    assert_eq!(store.problem_of(of(RecordKind::User)), None);
    let outcomes = store.reseal(&[forged]).await.unwrap();
    let ResealOutcome::Unreadable(reason) = &outcomes[0] else {
        panic!("{outcomes:?}")
    };
    assert!(reason.contains("does not authenticate"), "{reason}");
    check_content(&*store).await;
}

async fn a_change_that_races_with_resealing_is_made(store: Arc<dyn Store>) {
    store.create_consumer(&consumer("ck0")).await.unwrap();
    store
        .create_request_token(&request_token("ck0", "r0"))
        .await
        .unwrap();
    let (mut changed, mut refused) = (consumer("ck0"), request_token("ck0", "r0"));
    for revision in 2..60 {
        (changed.revision, refused.revision) = (revision, revision);
        let listed = scan(&*store, 100).await;
        let (sealed, one, other) = tokio::join!(
            store.reseal(&listed),
            store.update_consumer(&changed),
            store.update_request_token(&refused),
        );
        sealed.unwrap();
        one.unwrap();
        other.unwrap();
    }
    refused.revision += 1;
    refused.state = RequestTokenState::Used;
    let (listed, issued) = (scan(&*store, 100).await, token("ck0", "t0"));
    let (sealed, exchanged) = tokio::join!(
        store.reseal(&listed),
        store.exchange_request_token(&refused, &issued),
    );
    sealed.unwrap();
    exchanged.unwrap();
    let again = store.update_consumer(&changed).await.unwrap_err();
    assert_eq!(again.kind(), StoreErrorKind::Conflict);
    let listed = scan(&*store, 100).await;
    let (sealed, deleted) = tokio::join!(store.reseal(&listed), store.delete_consumer(&changed));
    sealed.unwrap();
    deleted.unwrap();
    assert_eq!(store.consumer(&key("ck0")).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn records_under_an_old_key_are_told_and_sealed_with_the_first_one() {
    let (redis, _server) = with_redis();
    for (mut bench, file) in [
        (Bench::embedded(), "master-key"),
        (redis, "shared-master-key"),
    ] {
        let path = bench.data_dir().join(file);
        let old = {
            let store = bench.open().await;
            fill(&*store).await;
            store.close().await.unwrap();
            std::fs::read_to_string(&path).unwrap()
        };
        let new = countersign::store::new_master_key(&countersign::clock::SystemEntropy);
        write_private(&path, &format!("{}\n{old}", *new));
        bench.config.master_key_file = Some(path.clone());
        let store = bench.open().await;
        let ids = store.master_key_ids();
        assert_eq!(ids.len(), 2);
        let listed = scan(&*store, 50).await;
        let (canary, others): (Vec<_>, Vec<_>) = listed
            .iter()
            .partition(|record| record.kind == RecordKind::Canary);
        assert!(others.iter().all(|one| one.key_id() == Some(&*ids[1])));
        assert_eq!(
            canary[0].key_id(),
            Some(&*ids[0]),
            "sealed anew at the start"
        );
        store.reseal(&listed).await.unwrap();
        let resealed = scan(&*store, 50).await;
        assert!(resealed.iter().all(|one| one.key_id() == Some(&*ids[0])));
        store.close().await.unwrap();
        drop(store);

        write_private(&path, &new);
        let store = bench.open().await;
        check_content(&*store).await;
        store.ping().await.unwrap();
        store.close().await.unwrap();
    }
}

/// Scans the whole store, `limit` records a page.
pub(crate) async fn scan(store: &dyn Store, limit: usize) -> Vec<SealedRecord> {
    let (mut listed, mut from) = (Vec::new(), Some(ScanCursor::default()));
    while let Some(cursor) = from {
        let page = store.scan(&cursor, limit).await.unwrap();
        listed.extend(page.records);
        from = page.next;
    }
    listed
}

/// Creates some records of every kind.
pub(crate) async fn fill(store: &dyn Store) {
    for at in 0..COUNT {
        let (ck, t) = (format!("ck{at}"), format!("t{at}"));
        store.create_consumer(&consumer(&ck)).await.unwrap();
        store.create_token(&token(&ck, &t)).await.unwrap();
        let jane = user(&format!("u{at}"), &format!("jane{at}"));
        store.create_user(&jane).await.unwrap();
        let temporary = request_token(&ck, &format!("r{at}"));
        store.create_request_token(&temporary).await.unwrap();
        let browser = session(&format!("cookie{at}"));
        store.create_session(&browser).await.unwrap();
    }
}

/// Checks that the records are as [`fill`] created them.
pub(crate) async fn check_content(store: &dyn Store) {
    for at in 0..COUNT {
        let (ck, t, r) = (format!("ck{at}"), format!("t{at}"), format!("r{at}"));
        let found = store.consumer(&key(&ck)).await.unwrap();
        assert_eq!(found, Some(consumer(&ck)));
        let found = store.caller_records(&key(&ck), Some(&name(&t))).await;
        assert_eq!(found.unwrap().token.as_deref(), Some(&token(&ck, &t)));
        let jane = user(&format!("u{at}"), &format!("jane{at}"));
        assert_eq!(store.user(&jane.id).await.unwrap(), Some(jane));
        let found = store.request_token(&name(&r)).await.unwrap();
        assert_eq!(found, Some(request_token(&ck, &r)));
        let browser = session(&format!("cookie{at}"));
        assert_eq!(store.session(&browser.id).await.unwrap(), Some(browser));
    }
}

/// Returns the labels of the records that [`fill`] creates, and of the canary.
pub(crate) fn everything() -> BTreeSet<String> {
    let mut all = BTreeSet::from(["Canary ".to_owned()]);
    for at in 0..COUNT {
        all.insert(format!("Consumer ck{at}"));
        all.insert(format!("Token t{at}"));
        all.insert(format!("User u{at}"));
        all.insert(format!("RequestToken r{at}"));
        let id = session(&format!("cookie{at}")).id;
        let id = String::from_utf8_lossy(id.as_bytes()).into_owned();
        all.insert(format!("Session {id}"));
    }
    all
}

/// Returns the kind and the name of a record.
pub(crate) fn label(record: &SealedRecord) -> String {
    let name = String::from_utf8_lossy(&record.name);
    format!("{:?} {name}", record.kind)
}

/// The number of records of each kind.
const COUNT: usize = 12;
