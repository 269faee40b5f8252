//! Acknowledged changes that Redis loses in a crash, and changes that replicas must confirm.

use std::sync::Arc;
use std::time::Duration;

use countersign::clock::SystemEntropy;
use countersign::model::{
    AccessToken, Consumer, ConsumerId, ConsumerSecret, ConsumerStatus, Generation, RequestToken,
    RequestTokenState, Secret, TokenStatus, User, UserStatus,
};
use countersign::store::{Store, StoreErrorKind, new_master_key, read_keys, rekey};

use super::bench::{
    Bench, authorized, causes, claim_anything, consumer, key, name, request_token, session, token,
    user, user_id, with_redis, write_private,
};
use super::conformance::scan::scan;
use super::frozen_proxy::Frozen;
use crate::support::process::eventually;
use crate::support::redis::{Cluster, RedisServer, wait_until};

#[tokio::test(flavor = "multi_thread")]
async fn changes_that_a_crash_loses_are_made_again_before_the_next_answer() {
    let (bench, mut server) = with_redis();
    let store = bench.open().await;
    prepare(&*store).await;
    server.run::<()>(&["SAVE"]);
    change_everything(&*store).await;
    crash(&mut server);
    let found = first_answer(&*store).await;
    assert_eq!(found, TokenStatus::Revoked);
    check_everything(&*store).await;
    let remade = store.status().remade;
    assert_eq!(
        remade, 7,
        "of 8 changes, that of the session is not counted"
    );
    // The changes that were made again may be lost again.
    crash(&mut server);
    assert_eq!(first_answer(&*store).await, TokenStatus::Revoked);
    check_everything(&*store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_that_loses_nothing_changes_nothing() {
    let (bench, mut server) = with_redis();
    let store = bench.open().await;
    prepare(&*store).await;
    change_everything(&*store).await;
    server.run::<()>(&["SAVE"]);
    crash(&mut server);
    assert_eq!(first_answer(&*store).await, TokenStatus::Revoked);
    check_everything(&*store).await;
    assert_eq!(store.status().remade, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_change_of_another_replica_stays() {
    let (bench, mut server) = with_redis();
    let (one, other) = (bench.open().await, bench.open().await);
    one.create_consumer(&consumer("ck")).await.unwrap();
    one.create_consumer(&consumer("gone")).await.unwrap();
    one.create_token(&token("gone", "t")).await.unwrap();
    one.update_consumer(&renamed("ck", 2)).await.unwrap();
    other.update_consumer(&renamed("ck", 3)).await.unwrap();
    other.delete_consumer(&consumer("gone")).await.unwrap();
    server.run::<()>(&["SAVE"]);
    crash(&mut server);
    for store in [&one, &other] {
        until_it_answers(&**store).await;
    }
    assert_eq!(
        one.consumer(&key("ck")).await.unwrap(),
        Some(renamed("ck", 3))
    );
    assert_eq!(one.consumer(&key("gone")).await.unwrap(), None);
    eventually(
        "its token is removed and stays so",
        Duration::from_secs(20),
        async || one.token(&name("t")).await.unwrap().is_none().then_some(()),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_a_crash_loses_wins_over_the_creation_before_it() {
    let (bench, mut server) = with_redis();
    let (one, other) = (bench.open().await, bench.open().await);
    server.run::<()>(&["SAVE"]);
    one.create_consumer(&consumer("gone")).await.unwrap();
    other.delete_consumer(&consumer("gone")).await.unwrap();
    crash(&mut server);
    for store in [&one, &other] {
        until_it_answers(&**store).await;
    }
    eventually("both have recovered", Duration::from_secs(10), async || {
        let found = other.consumer(&key("gone")).await;
        matches!(found, Ok(None)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_revocation_is_undone_by_a_replica_that_learns_of_the_loss_last() {
    let (bench, mut server) = with_redis();
    let one = CutOff::open(&bench, &server).await;
    let other = bench.open().await;
    for ck in ["early", "late", "voided", "rotated"] {
        other.create_consumer(&consumer(ck)).await.unwrap();
    }
    other.create_token(&token("early", "t")).await.unwrap();
    other.create_user(&user("jane doe", "jane")).await.unwrap();
    server.run::<()>(&["SAVE"]);
    // Redis loses these changes.
    update_twice(&*one.store, "early").await;
    one.store
        .update_consumer(&disabled("late", 2))
        .await
        .unwrap();
    one.store
        .update_consumer(&voided("voided", 2))
        .await
        .unwrap();
    one.store
        .update_consumer(&rotated("rotated", 2))
        .await
        .unwrap();
    one.store.update_token(&revoked("t", 2)).await.unwrap();
    one.store.update_user(&disabled_user(2)).await.unwrap();
    one.cut();
    crash(&mut server);
    until_it_answers(&*other).await;
    other.update_consumer(&disabled("early", 2)).await.unwrap();
    for ck in ["late", "voided", "rotated"] {
        update_twice(&*other, ck).await;
    }
    for revision in [2, 3] {
        let (mut used, mut seen) = (token("early", "t"), user("jane doe", "janet"));
        (used.revision, seen.revision) = (revision, revision);
        other.update_token(&used).await.unwrap();
        other.update_user(&seen).await.unwrap();
    }
    one.restore();
    until_it_answers(&*one.store).await;
    for store in [&one.store, &other] {
        check_revocations(&**store).await;
    }
    assert_eq!(one.store.status().remade, 5, "all except the first");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_made_again_after_another_replica_created_the_record_again() {
    let (bench, mut server) = with_redis();
    let one = CutOff::open(&bench, &server).await;
    let other = bench.open().await;
    server.run::<()>(&["SAVE"]);
    other.create_consumer(&consumer("ck")).await.unwrap();
    other.create_user(&user("jane doe", "jane")).await.unwrap();
    one.store.update_consumer(&renamed("ck", 2)).await.unwrap();
    let renamed_user = User {
        revision: 2,
        ..user("jane doe", "janet")
    };
    one.store.update_user(&renamed_user).await.unwrap();
    one.cut();
    crash(&mut server);
    until_it_answers(&*other).await;
    assert_eq!(other.status().remade, 2);
    one.restore();
    until_it_answers(&*one.store).await;
    let found = other.consumer(&key("ck")).await.unwrap();
    assert_eq!(found, Some(renamed("ck", 2)));
    let found = other.user(&user_id("jane doe")).await.unwrap();
    assert_eq!(found, Some(renamed_user));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_was_answered_with_an_error_is_not_made_again() {
    let (mut bench, mut server) = with_redis();
    let store = bench.open().await;
    store.create_consumer(&consumer("ck")).await.unwrap();
    bench.config.min_replicas = 1;
    let demanding = bench.open().await;
    server.run::<()>(&["SAVE"]);
    let error = demanding.update_consumer(&disabled("ck", 2)).await;
    assert_eq!(error.unwrap_err().kind(), StoreErrorKind::Unavailable);
    crash(&mut server);
    until_it_answers(&*demanding).await;
    let found = demanding.consumer(&key("ck")).await.unwrap();
    assert_eq!(found, Some(consumer("ck")));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_deletions_that_a_crash_loses_none_is_undone() {
    let (bench, mut server) = with_redis();
    let (one, other) = (bench.open().await, bench.open().await);
    server.run::<()>(&["SAVE"]);
    let names: Vec<_> = (0..60).map(|at| format!("gone{at}")).collect();
    for ck in &names {
        one.create_consumer(&consumer(ck)).await.unwrap();
        other.delete_consumer(&consumer(ck)).await.unwrap();
    }
    crash(&mut server);
    for store in [&one, &other] {
        until_it_answers(&**store).await;
    }
    assert_eq!(one.consumers(None, 100).await.unwrap(), []);
    // The key is free for another consumer.
    let anew = Consumer {
        id: ConsumerId::new("another").unwrap(),
        ..consumer("gone0")
    };
    one.create_consumer(&anew).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_acknowledged_when_enough_replicas_have_it() {
    let primary = RedisServer::start();
    let of = format!("127.0.0.1 {}", primary.port());
    let options = ["--replicaof", &*of, "--repl-diskless-sync-delay", "0"];
    let replica = RedisServer::start_with(&options);
    wait_until("the replica follows", || {
        let info: String = replica.run(&["INFO", "replication"]);
        info.contains("master_link_status:up")
    });
    let mut bench = Bench::redis(primary.url());
    bench.config.timeout = Duration::from_secs(2);
    bench.config.min_replicas = 1;
    let store = bench.open().await;
    prepare(&*store).await;
    change_everything(&*store).await;
    check_everything(&*store).await;
    replica.stop();
    let error = store.create_consumer(&consumer("unconfirmed")).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    assert!(
        causes(&error).contains("fewer replicas than store.min_replicas confirmed it"),
        "{}",
        causes(&error)
    );
    assert!(claim_anything(&*store).await.is_ok());
    let repeated = store.create_consumer(&consumer("unconfirmed")).await;
    assert_eq!(
        repeated.unwrap_err().kind(),
        StoreErrorKind::AlreadyExists,
        "it was made"
    );
    replica.cont();
    store.create_consumer(&consumer("confirmed")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_in_every_slot_of_a_cluster_are_confirmed() {
    let redis = Cluster::start();
    let mut bench = Bench::redis(redis.url());
    bench.config.timeout = Duration::from_secs(2);
    bench.config.min_replicas = 1;
    let store = bench.open().await;
    for at in 0..12 {
        let ck = format!("ck{at}");
        store.create_consumer(&consumer(&ck)).await.unwrap();
        store.update_consumer(&disabled(&ck, 2)).await.unwrap();
    }
    bench.config.min_replicas = 2;
    let demanding = bench.open().await;
    let error = demanding.create_consumer(&consumer("ck")).await;
    assert!(causes(&error.unwrap_err()).contains("(1 of 2)"));
}

async fn prepare(store: &dyn Store) {
    store.create_consumer(&consumer("ck")).await.unwrap();
    store.create_consumer(&consumer("gone")).await.unwrap();
    store.create_token(&token("ck", "t")).await.unwrap();
    store.create_user(&user("jane doe", "jane")).await.unwrap();
    store.create_session(&session("cookie")).await.unwrap();
    let requested = request_token("ck", "r");
    store.create_request_token(&requested).await.unwrap();
    store
        .update_request_token(&authorized(requested))
        .await
        .unwrap();
}

/// Makes eight changes.
async fn change_everything(store: &dyn Store) {
    store.update_consumer(&disabled("ck", 2)).await.unwrap();
    store.create_consumer(&consumer("new")).await.unwrap();
    store.delete_consumer(&consumer("gone")).await.unwrap();
    let mut revoked = token("ck", "t");
    (revoked.status, revoked.revision) = (TokenStatus::Revoked, 2);
    store.update_token(&revoked).await.unwrap();
    let deleted = User {
        status: UserStatus::Deleted,
        username: None,
        revision: 2,
        ..user("jane doe", "jane")
    };
    store.update_user(&deleted).await.unwrap();
    store.delete_session(&session("cookie").id).await.unwrap();
    store
        .exchange_request_token(&used("ck", "r"), &token("ck", "issued"))
        .await
        .unwrap();
}

async fn check_everything(store: &dyn Store) {
    let found = store.consumer(&key("ck")).await.unwrap();
    assert_eq!(found, Some(disabled("ck", 2)));
    let found = store.consumer(&key("new")).await.unwrap();
    assert_eq!(found, Some(consumer("new")));
    assert_eq!(store.consumer(&key("gone")).await.unwrap(), None);
    let listed = store.consumers(None, 10).await.unwrap();
    assert_eq!(listed.len(), 2);
    let found = store.token(&name("t")).await.unwrap().unwrap();
    assert_eq!(found.status, TokenStatus::Revoked);
    let found = store.user(&user_id("jane doe")).await.unwrap().unwrap();
    assert_eq!(found.status, UserStatus::Deleted);
    assert_eq!(store.session(&session("cookie").id).await.unwrap(), None);
    let found = store.request_token(&name("r")).await.unwrap().unwrap();
    assert_eq!(found.state, RequestTokenState::Used);
    let found = store.token(&name("issued")).await.unwrap();
    assert_eq!(found, Some(token("ck", "issued")));
}

/// Kills the server and restarts it with what it saved last.
fn crash(server: &mut RedisServer) {
    server.kill();
    server.restart();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_a_rotation_sealed_again_is_no_change_of_another_replica() {
    let (bench, mut server) = with_redis();
    let (one, other) = (bench.open().await, bench.open().await);
    one.create_consumer(&consumer("ck")).await.unwrap();
    let pending = request_token("ck", "r");
    one.create_request_token(&pending).await.unwrap();
    server.run::<()>(&["SAVE"]);
    // Redis loses these seals, and the changes of the sealed records.
    let listed = scan(&*other, 100).await;
    other.reseal(&listed).await.unwrap();
    one.update_consumer(&renamed("ck", 2)).await.unwrap();
    let authorized = authorized(pending);
    one.update_request_token(&authorized).await.unwrap();
    crash(&mut server);
    for store in [&one, &other] {
        until_it_answers(&**store).await;
    }
    eventually("both have recovered", Duration::from_secs(10), async || {
        (one.status().remade == 2).then_some(())
    })
    .await;
    let found = one.request_token(&name("r")).await.unwrap();
    assert_eq!(found, Some(authorized));
    let found = other.consumer(&key("ck")).await.unwrap();
    assert_eq!(found, Some(renamed("ck", 2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_outlasts_the_removal_of_the_key_that_sealed_it() {
    let (bench, mut server) = with_redis();
    let store = bench.open().await;
    store.create_consumer(&consumer("ck")).await.unwrap();
    store.update_consumer(&renamed("ck", 2)).await.unwrap();
    let path = bench.config.master_key_file.clone().unwrap();
    let (old, new) = (
        std::fs::read_to_string(&path).unwrap(),
        new_master_key(&SystemEntropy),
    );
    let use_keys = |lines: &str| {
        write_private(&path, lines);
        let keys = read_keys(&bench.config, bench.data_dir());
        store.use_keys(keys.unwrap().unwrap());
    };
    use_keys(&format!("{}\n{old}", *new));
    rekey(&*store, |_| {}).await.unwrap();
    use_keys(&new);
    let _deleted: u64 = server.run(&["DEL", "countersign:{ck}:consumer"]);
    server.run::<()>(&["SAVE"]);
    crash(&mut server);
    until_it_answers(&*store).await;
    let found = store.consumer(&key("ck")).await.unwrap();
    assert_eq!(found, Some(renamed("ck", 2)));
}

/// Returns the status of the token in the first answer after a crash.
async fn first_answer(store: &dyn Store) -> TokenStatus {
    eventually("the store answers", Duration::from_secs(20), async || {
        let found = store.caller_records(&key("ck"), Some(&name("t"))).await;
        Some(found.ok()?.token.unwrap().status)
    })
    .await
}

/// A store whose connections can be cut, so that it learns of a crash later than others.
struct CutOff {
    store: Arc<dyn Store>,
    cable: Frozen,
}

impl CutOff {
    async fn open(bench: &Bench, server: &RedisServer) -> Self {
        let cable = Frozen::before(server.port()).await;
        let store = bench.open_at(cable.url()).await;
        Self { store, cable }
    }

    fn cut(&self) {
        self.cable.cut();
    }

    fn restore(&self) {
        self.cable.restore();
    }
}

async fn update_twice(store: &dyn Store, ck: &str) {
    for revision in [2, 3] {
        store.update_consumer(&renamed(ck, revision)).await.unwrap();
    }
}

async fn check_revocations(store: &dyn Store) {
    let found = async |ck| store.consumer(&key(ck)).await.unwrap().unwrap();
    assert_eq!(found("early").await.status, ConsumerStatus::Disabled);
    let late = found("late").await;
    assert_eq!(late.status, ConsumerStatus::Disabled);
    assert_eq!(late.profile, renamed("late", 3).profile);
    let generation = voided("voided", 2).generation;
    assert_eq!(found("voided").await.generation, generation);
    let secrets = rotated("rotated", 2).secrets;
    assert_eq!(found("rotated").await.secrets, secrets);
    let found = store.token(&name("t")).await.unwrap().unwrap();
    assert_eq!(found.status, TokenStatus::Revoked);
    let found = store.user(&user_id("jane doe")).await.unwrap().unwrap();
    assert_eq!(found.status, UserStatus::Disabled);
}

async fn until_it_answers(store: &dyn Store) {
    eventually("the store answers", Duration::from_secs(20), async || {
        claim_anything(store).await.ok().map(drop)
    })
    .await;
}

fn renamed(ck: &str, revision: u64) -> Consumer {
    let mut changed = consumer(ck);
    changed.profile.description = format!("version {revision}");
    changed.revision = revision;
    changed
}

fn disabled(ck: &str, revision: u64) -> Consumer {
    Consumer {
        status: ConsumerStatus::Disabled,
        revision,
        ..consumer(ck)
    }
}

fn voided(ck: &str, revision: u64) -> Consumer {
    Consumer {
        generation: Generation::from_number(1234),
        revision,
        ..consumer(ck)
    }
}

fn rotated(ck: &str, revision: u64) -> Consumer {
    let new = ConsumerSecret {
        secret: Secret::new(*b"another-consumer-secret"),
        expires_at: None,
    };
    Consumer {
        secrets: vec![new],
        revision,
        ..consumer(ck)
    }
}

fn revoked(name: &str, revision: u64) -> AccessToken {
    AccessToken {
        status: TokenStatus::Revoked,
        revision,
        ..token("early", name)
    }
}

fn disabled_user(revision: u64) -> User {
    User {
        status: UserStatus::Disabled,
        revision,
        ..user("jane doe", "jane")
    }
}

fn used(ck: &str, name: &str) -> RequestToken {
    RequestToken {
        state: RequestTokenState::Used,
        revision: 3,
        ..request_token(ck, name)
    }
}
