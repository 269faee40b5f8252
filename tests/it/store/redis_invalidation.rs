//! The invalidation channel: changes of one process reach the others through Redis, or count as
//! missed.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use countersign::clock::UnixTime;
use countersign::model::{
    AccessToken, Consumer, Generation, TokenStatus, User, UserId, UserStatus,
};
use countersign::store::{ChangeObserver, RecordChange, Store};
use tokio::time::timeout;

use super::bench::{Bench, NOW, consumer, key, token, with_redis};
use crate::support::process::eventually;
use crate::support::redis::{Cluster, RedisServer, Sentinels, wait_until};

#[tokio::test(flavor = "multi_thread")]
async fn every_change_reaches_the_other_replicas() {
    let (bench, _server) = with_redis();
    let (here, there) = (bench.open().await, Replica::open(&bench).await);
    let of_consumer = RecordChange::Consumer(key("ck"));
    let changed = Consumer {
        revision: 2,
        ..consumer("ck")
    };
    there
        .hears(&of_consumer, here.create_consumer(&consumer("ck")))
        .await;
    there
        .hears(&of_consumer, here.update_consumer(&changed))
        .await;
    there
        .hears(&of_consumer, here.delete_consumer(&changed))
        .await;
    let of_token = RecordChange::Token(token("ck", "t").token);
    let revoked = AccessToken {
        status: TokenStatus::Revoked,
        revision: 2,
        ..token("ck", "t")
    };
    there
        .hears(&of_token, here.create_token(&token("ck", "t")))
        .await;
    there.hears(&of_token, here.update_token(&revoked)).await;
    there.hears(&of_token, here.delete_token(&revoked)).await;
    let of_user = RecordChange::User(jane().id);
    there.hears(&of_user, here.create_user(&jane())).await;
    there
        .hears(
            &of_user,
            here.update_user(&User {
                status: UserStatus::Deleted,
                revision: 2,
                ..jane()
            }),
        )
        .await;
    assert_eq!(here.status().untold, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_connection_was_lost_everything_counts_as_changed() {
    let (bench, server) = with_redis();
    let (here, there) = (bench.open().await, Replica::open(&bench).await);
    assert!(server.run::<u64>(&["CLIENT", "KILL", "TYPE", "pubsub"]) > 0);
    there.waits_for(&RecordChange::Everything).await;
    there
        .hears(
            &RecordChange::Consumer(key("ck")),
            here.create_consumer(&consumer("ck")),
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_connection_is_noticed_and_replaced() {
    let (bench, server) = with_redis();
    let there = Replica::open(&bench).await;
    server.stop();
    eventually("the stalled connection is detected", PATIENCE, async || {
        there.store.status().cut_off.then_some(())
    })
    .await;
    server.cont();
    there.waits_for(&RecordChange::Everything).await;
    there.is_connected().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_message_means_everything() {
    let (bench, server) = with_redis();
    let there = Replica::open(&bench).await;
    for message in ["", "c", "from a newer version"] {
        assert_eq!(
            server.run::<u64>(&["PUBLISH", "countersign:changes", message]),
            1
        );
        there.waits_for(&RecordChange::Everything).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_cannot_be_announced_is_made_and_counted() {
    let (bench, server) = with_redis();
    let (here, there) = (bench.open().await, Replica::open(&bench).await);
    server.run::<()>(&["ACL", "SETUSER", "default", "resetchannels"]);
    here.create_consumer(&consumer("ck")).await.unwrap();
    assert_eq!(here.status().untold, 1);
    assert!(here.consumer(&key("ck")).await.unwrap().is_some());
    eventually("the loss is noticed", PATIENCE, async || {
        there.store.status().cut_off.then_some(())
    })
    .await;
    server.run::<()>(&["ACL", "SETUSER", "default", "allchannels"]);
    there.waits_for(&RecordChange::Everything).await;
    there.is_connected().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missed_announcement_becomes_everything_once_redis_answers_again() {
    let (bench, server) = with_redis();
    let (here, there) = (bench.open().await, Replica::open(&bench).await);
    eventually("it is subscribed", PATIENCE, async || {
        (!here.status().cut_off).then_some(())
    })
    .await;
    there.heard.0.lock().unwrap().clear();
    let connections: String = server.run(&["CLIENT", "LIST", "TYPE", "pubsub"]);
    server.stop();
    here.delete_token(&token("ck", "t")).await.unwrap_err();
    eventually("the announcement fails", PATIENCE, async || {
        (here.status().untold > 0).then_some(())
    })
    .await;
    server.cont();
    there.waits_for(&RecordChange::Everything).await;
    // Not because of a new connection, which means everything too.
    assert_eq!(
        ids(&connections),
        ids(&server.run::<String>(&["CLIENT", "LIST", "TYPE", "pubsub"]))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_whose_caller_gives_up_is_announced_all_the_same() {
    let (bench, server) = with_redis();
    let (here, there) = (bench.open().await, Replica::open(&bench).await);
    let change = RecordChange::Consumer(key("ck"));
    there
        .hears(&change, here.create_consumer(&consumer("ck")))
        .await;
    let own = Heard::of(&*here);
    server.run::<()>(&["CLIENT", "PAUSE", "200", "WRITE"]);
    let changed = Consumer {
        revision: 2,
        ..consumer("ck")
    };
    timeout(Duration::from_millis(50), here.update_consumer(&changed))
        .await
        .unwrap_err();
    assert!(own.take(&change), "it is announced in this process at once");
    there.waits_for(&change).await;
    assert!(
        own.take(&change),
        "and again when the command can no longer be on its way"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_may_be_made_late_is_announced_twice_in_its_own_process() {
    let (mut bench, server) = with_redis();
    bench.config.timeout = Duration::from_millis(150);
    let here = bench.open().await;
    here.create_consumer(&consumer("ck")).await.unwrap();
    server.run::<()>(&["ACL", "SETUSER", "default", "resetchannels"]);
    eventually("the loss is noticed", PATIENCE, async || {
        here.status().cut_off.then_some(())
    })
    .await;
    let (own, change) = (Heard::of(&*here), RecordChange::Consumer(key("ck")));
    // Longer than the deadline of a call, so that Redis makes the change after it.
    server.run::<()>(&["CLIENT", "PAUSE", "200", "WRITE"]);
    here.update_consumer(&Consumer {
        revision: 2,
        ..consumer("ck")
    })
    .await
    .unwrap_err();
    assert!(own.take(&change), "at once");
    eventually("and again", PATIENCE, async || {
        own.take(&change).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_store_unsubscribes() {
    let (bench, server) = with_redis();
    let there = Replica::open(&bench).await;
    there.store.close().await.unwrap();
    wait_until("nobody is subscribed", || listeners(&server) == 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_store_unsubscribes() {
    let (bench, server) = with_redis();
    drop(Replica::open(&bench).await);
    wait_until("nobody is subscribed", || listeners(&server) == 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_cluster_a_subscription_to_any_node_suffices() {
    let cluster = Cluster::start();
    let mut bench = Bench::redis(cluster.url());
    bench.config.timeout = Duration::from_secs(1);
    let here = bench.open().await;
    let there = Replica::open(&bench).await;
    // Keys on each primary.
    for name in ["a", "b", "c", "d", "e", "f"] {
        there
            .hears(
                &RecordChange::Consumer(key(name)),
                here.create_consumer(&consumer(name)),
            )
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_failover_the_subscription_moves_to_the_new_primary() {
    let mut sentinels = Sentinels::start();
    let bench = Bench::redis(sentinels.url());
    let (here, there) = (bench.open().await, Replica::open(&bench).await);
    sentinels.primary.kill();
    there.waits_for(&RecordChange::Everything).await;
    eventually("the new primary takes writes", FAILOVER, async || {
        here.create_consumer(&consumer("ck")).await.ok()
    })
    .await;
    there.waits_for(&RecordChange::Consumer(key("ck"))).await;
}

/// Another replica as Redis sees it, and the changes that it learns of.
struct Replica {
    store: Arc<dyn Store>,
    heard: Arc<Heard>,
}

impl Replica {
    /// Opens a store, and waits until it is subscribed.
    async fn open(bench: &Bench) -> Self {
        let store = bench.open().await;
        let replica = Self {
            heard: Heard::of(&*store),
            store,
        };
        replica.is_connected().await;
        replica.heard.0.lock().unwrap().clear();
        replica
    }

    async fn is_connected(&self) {
        eventually("it is subscribed", PATIENCE, async || {
            (!self.store.status().cut_off).then_some(())
        })
        .await;
    }

    /// Waits until this replica learns of a change that another one makes.
    async fn hears(
        &self,
        change: &RecordChange,
        made: impl Future<Output = Result<(), countersign::store::StoreError>>,
    ) {
        made.await.unwrap();
        self.waits_for(change).await;
    }

    async fn waits_for(&self, change: &RecordChange) {
        let what = format!("{change:?} is heard");
        eventually(&what, FAILOVER, async || {
            self.heard.take(change).then_some(())
        })
        .await;
    }
}

/// The announced changes that the test has not taken yet.
#[derive(Debug, Default)]
struct Heard(Mutex<Vec<RecordChange>>);

impl Heard {
    fn of(store: &dyn Store) -> Arc<Self> {
        let heard = Arc::<Self>::default();
        let observer: std::sync::Weak<Self> = Arc::downgrade(&heard);
        store.changes().subscribe(observer);
        heard
    }

    fn take(&self, change: &RecordChange) -> bool {
        let mut heard = self.0.lock().unwrap();
        let at = heard.iter().position(|heard| heard == change);
        at.map(|at| heard.remove(at)).is_some()
    }
}

impl ChangeObserver for Heard {
    fn on_change(&self, change: &RecordChange) {
        self.0.lock().unwrap().push(change.clone());
    }
}

/// Returns the ids in a list of connections.
fn ids(connections: &str) -> BTreeSet<&str> {
    connections
        .split_whitespace()
        .filter(|word| word.starts_with("id="))
        .collect()
}

/// Returns the number of subscribed processes.
fn listeners(server: &RedisServer) -> u64 {
    let (_, count): (String, u64) = server.run(&["PUBSUB", "NUMSUB", "countersign:changes"]);
    count
}

fn jane() -> User {
    User {
        id: UserId::new("jane doe").unwrap(),
        username: None,
        password: None,
        status: UserStatus::Active,
        generation: Generation::from_number(1),
        created_at: UnixTime::from_secs(NOW),
        updated_at: UnixTime::from_secs(NOW),
        revision: 1,
    }
}

/// The longest time until a dead connection is detected and replaced.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest time until Sentinels promote a replica.
const FAILOVER: Duration = Duration::from_secs(20);
