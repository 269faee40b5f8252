//! Two replicas behind `deploy/envoy`: the loss of one costs its clients nothing.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use crate::support::caller::Caller;
use crate::support::envoy::{Deadlines, Envoy, NEWEST, OLDEST, Peers, Shape, with_replicas};
use crate::support::load::{Load, Sent};
use crate::support::process::{START, eventually};
use crate::support::program::Countersign;
use crate::support::redis::RedisServer;
use crate::support::stack::{Parts, StoreKind, alice, config};
use crate::support::upstream::Upstream;

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_replica_costs_no_request() {
    for version in [NEWEST, OLDEST] {
        let mut pair = Pair::start(version, Way::Direct).await;
        let sent = pair.send_while(Countersign::kill).await;
        assert_eq!(sent.refused, 0, "{version}: {sent:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_replica_costs_no_request() {
    for version in [NEWEST, OLDEST] {
        let mut pair = Pair::start(version, Way::Direct).await;
        let sent = pair.send_while(Countersign::freeze).await;
        assert_eq!(sent.refused, 0, "{version}: {sent:?}");
    }
}

/// The first attempt claims the nonce, and its answer is lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_retry_of_a_check_is_the_same_claim() {
    for version in [NEWEST, OLDEST] {
        let answers = Answers::default();
        let mut pair = Pair::start(version, Way::Through(answers.clone())).await;
        let sent = pair.send_while(|_| answers.lose()).await;
        assert_eq!(sent.refused, 0, "{version}: {sent:?}");
        assert!(answers.were_lost(), "{version}: no answer was lost");
    }
}

/// Two replicas with one store behind an Envoy.
pub(super) struct Pair {
    pub(super) envoy: Envoy,
    pub(super) upstream: Upstream,
    pub(super) alice: Caller,
    /// The replica that is lost.
    pub(super) lost: Countersign,
    pub(super) kept: Countersign,
    #[expect(dead_code, reason = "ends the process when it is dropped")]
    redis: RedisServer,
}

/// The path of checks to the replica that is lost.
#[derive(Clone)]
pub(super) enum Way {
    Direct,
    Through(Answers),
}

impl Pair {
    pub(super) async fn start(version: &'static str, way: Way) -> Self {
        let parts = Parts {
            envoy: version,
            shape: Shape::Deploy,
            store: StoreKind::Redis,
            // A busy machine must not look like a frozen replica.
            deadlines: Deadlines::Patient,
        };
        let (redis, upstream) = (RedisServer::start(), Upstream::start().await);
        let kept = Countersign::start(&redis.url(), &config(parts)).await;
        let lost = kept.beside().await;
        let (alice, _) = alice(&kept).await;
        let second = match way {
            Way::Direct => lost.check,
            Way::Through(answers) => answers.listen_before(lost.check).await,
        };
        let peers = Peers {
            countersign: kept.check,
            http: kept.http,
            upstream: upstream.address,
            deadlines: parts.deadlines,
        };
        let text = with_replicas(&parts.shape.configuration(peers), kept.check, &[second]);
        let envoy = Envoy::start_as(version, &text).await;
        Self {
            envoy,
            upstream,
            alice,
            lost,
            kept,
            redis,
        }
    }

    /// Sends requests, loses the replica while they go on, and returns what became of them.
    async fn send_while(&mut self, lose: impl FnOnce(&mut Countersign)) -> Sent {
        self.both_are_healthy().await;
        self.upstream.received();
        let load = Load::start(self.envoy.address, &vec![self.alice.clone(); SENDERS]);
        sleep(BEFORE).await;
        lose(&mut self.lost);
        sleep(AFTER).await;
        let sent = load.stop().await;
        assert_eq!(
            self.upstream.received().len(),
            sent.allowed,
            "each allowed request arrives once"
        );
        sent
    }

    pub(super) async fn both_are_healthy(&self) {
        eventually("both replicas are healthy", START, async || {
            let healthy = self.envoy.counter("cluster.countersign.membership_healthy");
            (healthy.await == 2).then_some(())
        })
        .await;
    }
}

/// A proxy before a replica that can lose its answers.
#[derive(Clone, Default)]
pub(super) struct Answers {
    are_lost: Arc<AtomicBool>,
    were_lost: Arc<AtomicBool>,
}

impl Answers {
    async fn listen_before(self, replica: SocketAddr) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (from_client, to_client) = client.into_split();
                let server = TcpStream::connect(replica).await.unwrap();
                let (from_server, to_server) = server.into_split();
                tokio::spawn(copy(from_client, to_server));
                tokio::spawn(self.clone().forward(from_server, to_client));
            }
        });
        address
    }

    /// Closes each connection from now on instead of forwarding an answer.
    fn lose(&self) {
        self.are_lost.store(true, Ordering::SeqCst);
    }

    fn were_lost(&self) -> bool {
        self.were_lost.load(Ordering::SeqCst)
    }

    async fn forward(self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
        let mut bytes = vec![0; 65536];
        while let Ok(read @ 1..) = from.read(&mut bytes).await {
            if self.are_lost.load(Ordering::SeqCst) {
                self.were_lost.store(true, Ordering::SeqCst);
                return;
            }
            if to.write_all(&bytes[..read]).await.is_err() {
                return;
            }
        }
    }
}

async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    // Either end may be gone.
    let _ = tokio::io::copy(&mut from, &mut to).await;
}

const SENDERS: usize = 4;

/// The time with both replicas.
const BEFORE: Duration = Duration::from_millis(500);

/// The time with one replica: longer than Envoy needs to notice a frozen one.
const AFTER: Duration = Duration::from_secs(4);
