//! The promises of the embedded store beyond the contract, as seen from `store::open`.

use std::os::unix::fs::PermissionsExt as _;

use countersign::store::StoreErrorKind;

use super::bench::{Bench, CONSUMER_SECRET, TOKEN_SECRET, causes, consumer, key, token};

#[tokio::test]
async fn the_first_start_creates_a_key_file_that_only_the_owner_may_read() {
    let bench = Bench::embedded();
    let store = bench.open().await;
    let mode = std::fs::metadata(bench.data_dir().join("master-key"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    store.create_consumer(&consumer("ck")).await.unwrap();
    store.close().await.unwrap();
    let found = bench
        .open()
        .await
        .caller_records(&key("ck"), None)
        .await
        .unwrap();
    assert_eq!(found.consumer.as_deref(), Some(&consumer("ck")));
}

#[tokio::test]
async fn a_lost_key_file_is_not_replaced_by_a_new_one() {
    let bench = Bench::embedded();
    bench.open().await.close().await.unwrap();
    std::fs::remove_file(bench.data_dir().join("master-key")).unwrap();
    let error = bench.try_open().await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unusable);
    assert!(
        causes(&error).contains("restore the key file"),
        "{}",
        causes(&error)
    );
    assert!(!bench.data_dir().join("master-key").exists());
}

#[tokio::test]
async fn a_key_file_that_others_may_read_is_refused() {
    let bench = Bench::embedded();
    bench.open().await.close().await.unwrap();
    let path = bench.data_dir().join("master-key");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let error = bench.try_open().await.unwrap_err();
    assert!(causes(&error).contains("chmod 600"), "{}", causes(&error));
}

#[tokio::test]
async fn a_store_written_with_a_missing_key_is_refused_and_the_error_names_the_key() {
    let bench = Bench::embedded();
    let store = bench.open().await;
    store.create_consumer(&consumer("ck")).await.unwrap();
    store.close().await.unwrap();
    let path = bench.data_dir().join("master-key");
    let old = std::fs::read_to_string(&path).unwrap();
    let new = countersign::store::new_master_key(&countersign::clock::SystemEntropy);
    super::bench::write_private(&path, &new);
    let error = bench.try_open().await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::WrongMasterKey);
    let (id, secret) = old.trim().split_once(':').unwrap();
    assert!(
        causes(&error).contains(id) && !causes(&error).contains(secret),
        "{}",
        causes(&error)
    );
    super::bench::write_private(&path, &format!("{}\n{old}", *new));
    assert!(
        bench
            .open()
            .await
            .caller_records(&key("ck"), None)
            .await
            .unwrap()
            .consumer
            .is_some()
    );
}

#[tokio::test]
async fn no_field_of_a_record_is_in_the_file() {
    let bench = Bench::embedded();
    let store = bench.open().await;
    store.create_consumer(&consumer("ck")).await.unwrap();
    store.create_token(&token("ck", "t")).await.unwrap();
    store.close().await.unwrap();
    let file = std::fs::read(bench.data_dir().join("countersign.redb")).unwrap();
    let key_id = std::fs::read(bench.data_dir().join("master-key")).unwrap();
    assert!(
        contains(&file, &key_id[..8]),
        "the file does not contain the record"
    );
    for field in [CONSUMER_SECRET, TOKEN_SECRET, b"Printer Example"] {
        assert!(!contains(&file, field), "{}", field.escape_ascii());
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack
        .windows(needle.len())
        .any(|window| window == needle)
}
