//! The rotation of master keys, `countersign rekey`, with the real program on Redis.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use countersign::store::{RecordKind, SealedRecord, Store};
use countersign::v1;
use countersign::v1::store_service_client::StoreServiceClient;
use serde_json::Value;
use tokio::task::JoinSet;
use tonic::Streaming;

use super::bench::{Bench, consumer, key, name, token, with_redis, write_private};
use super::conformance::scan::{check_content, fill, scan};
use crate::service::replicas::{Answer, Replica, alice};
use crate::support::observer::Bearer;
use crate::support::process::eventually;
use crate::support::program::{Countersign, program};
use crate::support::redis::RedisServer;

#[tokio::test(flavor = "multi_thread")]
async fn every_record_is_sealed_again_while_checks_and_changes_go_on() {
    let rig = Rig::start().await;
    fill(&*rig.store().await).await;
    rig.add_many(1200).await;
    let (keys, rig) = rig.rotated().await;
    let store = rig.store().await;
    let before = scan(&*store, 250).await;

    let dry = rig.server.admin(&["rekey", "--dry-run"]).await;
    let count = before.len() as u64;
    // The server sealed the canary anew when it started.
    assert_eq!(
        counts(&dry),
        [(&*keys.new, 1, 1), (&*keys.old, count - 1, count - 1)]
    );
    assert_eq!(
        (&dry["resealed"], &dry["dry_run"]),
        (&0.into(), &true.into())
    );
    assert_eq!(sorted(scan(&*store, 250).await), sorted(before));
    rig.has_metric(count - 1).await;

    let changes = tokio::spawn(change(Arc::clone(&store)));
    let replica = Replica::of(rig.server.beside().await).await;
    let caller = rig.alice.clone();
    let checks = tokio::spawn(async move {
        loop {
            let allowed = Answer::Allowed("read write".into());
            assert_eq!(replica.check(&caller).await, allowed);
        }
    });
    let summary = rig.server.admin(&["rekey"]).await;
    assert!(!checks.is_finished(), "a check failed meanwhile");
    checks.abort();
    let (changed, deleted) = changes.await.unwrap();

    assert_eq!(summary["first_key"], *keys.new);
    assert_eq!(summary["unreadable"], 0);
    let after = scan(&*store, 250).await;
    assert!(
        after
            .iter()
            .all(|record| record.key_id() == Some(&keys.new))
    );
    let found = store.consumer(&key("many0")).await.unwrap().unwrap();
    assert_eq!(found.revision, changed, "a change is lost");
    for ck in &deleted {
        assert_eq!(store.consumer(&key(ck)).await.unwrap(), None, "{ck}");
    }
    rig.has_metric(0).await;
    rig.server.logs("\"action\":\"store.rekey\"").await;

    let rig = rig.with_keys(&keys.new_line).await;
    check_content(&*rig.store().await).await;
    let replica = Replica::of(rig.server.beside().await).await;
    assert_eq!(
        replica.check(&rig.alice).await,
        Answer::Allowed("read write".into())
    );
    rig.has_metric(0).await;
    let again = rig.server.admin_text(&["rekey"]).await;
    assert!(again.contains("nothing to do"), "{again}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_that_its_client_or_the_server_leaves_is_completed_by_the_next() {
    let rig = Rig::start().await;
    rig.add_many(3000).await;
    let (keys, mut rig) = rig.rotated().await;

    let client = rig.first_sealing().await;
    drop(client);
    eventually("the rotation stops", PATIENCE, async || {
        let log = rig.server.log();
        log.contains("\"outcome\":\"stopped\"").then_some(())
    })
    .await;
    let left = rig.under(&keys.old).await;
    assert!(left > 1000, "{left}");

    let _client = rig.first_sealing().await;
    rig.server.restart_killed().await;
    let before = rig.under(&keys.old).await;
    assert!(0 < before && before < left, "{before}");

    let summary = rig.server.admin(&["rekey"]).await;
    assert_eq!(summary["resealed"], before);
    assert_eq!(rig.under(&keys.old).await, 0);
    let again = rig.server.admin(&["rekey"]).await;
    assert_eq!(again["resealed"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_server_rotates_once_at_a_time() {
    let rig = Rig::start().await;
    rig.add_many(2000).await;
    let (_keys, rig) = rig.rotated().await;
    let _running = rig.first_sealing().await;
    let refused = rig.server.refused(&["rekey"]).await;
    assert!(
        refused.contains("rotates the master key already"),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_cannot_be_read_is_named_and_stays() {
    let rig = Rig::start().await;
    fill(&*rig.store().await).await;
    let (keys, rig) = rig.rotated().await;
    // Sealed with a key that nobody has, and no record at all.
    let sealed = {
        let (bench, _server) = with_redis();
        let store = bench.open().await;
        store.create_consumer(&consumer("lost")).await.unwrap();
        let listed = scan(&*store, 10).await;
        let record = listed.iter().find(|one| one.kind == RecordKind::Consumer);
        record.unwrap().bytes.clone()
    };
    rig.redis.set("countersign:{lost}:consumer", &sealed);
    rig.redis.set("countersign:{broken}:user", b"broken");

    let refused = rig.server.refused(&["rekey"]).await;
    let missing = "unreadable: consumer lost: it is sealed with the master key";
    assert!(refused.contains(missing), "{refused}");
    assert!(refused.contains("unreadable: user broken:"), "{refused}");
    assert_eq!(rig.under(&keys.old).await, 0, "the others are sealed");
    let kept: Vec<u8> = rig.redis.run(&["GET", "countersign:{lost}:consumer"]);
    assert_eq!(kept, sealed);
}

/// A server on Redis, with a caller.
struct Rig {
    redis: RedisServer,
    server: Countersign,
    alice: crate::support::caller::Caller,
}

/// The ids of both keys, and the line of the new one.
struct Keys {
    old: String,
    new: String,
    new_line: String,
}

impl Rig {
    async fn start() -> Self {
        let redis = RedisServer::start();
        let config = "check.timeout = \"5s\"\nstore.timeout = \"3s\"\n";
        let server = Countersign::start(&redis.url(), config).await;
        let alice = alice(&server).await;
        Self {
            redis,
            server,
            alice,
        }
    }

    fn key_file(&self) -> PathBuf {
        self.server.master_key_file()
    }

    /// Returns the rig with a new key in front of the old one.
    async fn rotated(self) -> (Keys, Self) {
        let old_line = fs::read_to_string(self.key_file()).unwrap();
        let new_line = String::from_utf8(program().arg("keygen").output().unwrap().stdout).unwrap();
        let id = |line: &str| line.split_once(':').unwrap().0.to_owned();
        let keys = Keys {
            old: id(&old_line),
            new: id(&new_line),
            new_line: new_line.clone(),
        };
        let rig = self.with_keys(&format!("{new_line}{old_line}")).await;
        (keys, rig)
    }

    /// Returns the rig with another key file.
    async fn with_keys(mut self, lines: &str) -> Self {
        write_private(&self.key_file(), lines);
        self.server.restart_killed().await;
        self
    }

    /// Opens the same store in this process, as another replica.
    async fn store(&self) -> Arc<dyn Store> {
        let mut bench = Bench::redis(self.redis.url());
        bench.config.master_key_file = Some(self.key_file());
        bench.config.timeout = Duration::from_secs(3);
        bench.open().await
    }

    async fn add_many(&self, count: usize) {
        let store = self.store().await;
        let mut creations = JoinSet::new();
        for at in 0..count {
            let store = Arc::clone(&store);
            creations.spawn(async move {
                let new = consumer(&format!("many{at}"));
                store.create_consumer(&new).await.unwrap();
            });
            if creations.len() > 50 {
                creations.join_next().await.unwrap().unwrap();
            }
        }
        while let Some(created) = creations.join_next().await {
            created.unwrap();
        }
    }

    /// Begins a rotation, and returns its stream after the first records were sealed.
    async fn first_sealing(&self) -> Streaming<v1::RekeyResponse> {
        let channel =
            tonic::transport::Endpoint::from_shared(format!("http://{}", self.server.api));
        let channel = channel.unwrap().connect().await.unwrap();
        let bearer = Bearer::of(&self.server);
        let mut client = StoreServiceClient::with_interceptor(channel, bearer);
        let request = v1::RekeyRequest { dry_run: false };
        let mut messages = client.rekey(request).await.unwrap().into_inner();
        while let Some(message) = messages.message().await.unwrap() {
            assert_eq!(message.summary, None, "it is done already");
            if message.resealed > 0 {
                return messages;
            }
        }
        panic!("the rotation ended")
    }

    /// Returns the number of records under a key.
    async fn under(&self, id: &str) -> usize {
        let listed = scan(&*self.store().await, 250).await;
        listed
            .iter()
            .filter(|record| record.key_id() == Some(id))
            .count()
    }

    async fn has_metric(&self, value: u64) {
        let wanted = format!("countersign_store_records_under_old_keys {value}\n");
        eventually(&wanted, PATIENCE, async || {
            let metrics = self.server.metrics().await;
            metrics.contains(&wanted).then_some(())
        })
        .await;
    }
}

/// Updates one consumer and deletes others until the rotation has had time to meet them; returns
/// the last revision and the keys of the deleted ones.
async fn change(store: Arc<dyn Store>) -> (u64, Vec<String>) {
    let (mut changed, mut deleted) = (consumer("many0"), Vec::new());
    for at in 1..400 {
        changed.revision += 1;
        store.update_consumer(&changed).await.unwrap();
        let gone = consumer(&format!("many{at}"));
        store.delete_consumer(&gone).await.unwrap();
        deleted.push(gone.key.to_string());
        let passing = token("many0", &format!("passing{at}"));
        store.create_token(&passing).await.unwrap();
        store.delete_token(&passing).await.unwrap();
        assert_eq!(
            store.token(&name(passing.token.as_str())).await.unwrap(),
            None
        );
    }
    (changed.revision, deleted)
}

fn counts(summary: &Value) -> Vec<(&str, u64, u64)> {
    let keys = summary["keys"].as_array().unwrap().iter();
    keys.map(|key| {
        let number = |field: &str| key[field].as_u64().unwrap();
        let id = key["key_id"].as_str().unwrap();
        (id, number("before"), number("after"))
    })
    .collect()
}

fn sorted(records: Vec<SealedRecord>) -> Vec<(String, Vec<u8>, Vec<u8>)> {
    let parts = |one: SealedRecord| (format!("{:?}", one.kind), one.name, one.bytes);
    let mut all: Vec<_> = records.into_iter().map(parts).collect();
    all.sort();
    all.dedup();
    all
}

/// Long enough for a machine with other tests.
const PATIENCE: Duration = Duration::from_secs(120);
