//! Faults of a replica behind an Envoy with the configuration in `deploy/envoy`.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::driver::Target;
use crate::replica::{Replica, Settings};
use crate::row::Row;
use crate::rows::pause;
use crate::run::{Evidence, Load, Run};
use crate::support::envoy::{Deadlines, Envoy, NEWEST, Peers, Shape, replace_once, with_replicas};
use crate::support::redis::RedisServer;
use crate::support::upstream::Upstream;

/// Returns the rows.
pub(crate) fn rows() -> Vec<Row> {
    // Envoy makes two attempts of 0.2 s within 0.45 s.
    let bounded = |row: Row| row.answers_within(700);
    failures().into_iter().map(bounded).collect()
}

fn failures() -> Vec<Row> {
    vec![
        Row::new("envoy-kill", "Envoy, a replica is killed", FEW, || {
            Box::pin(killed())
        })
        .short()
        .recovers_while_it_lasts(1.0),
        Row::new(
            "envoy-freeze",
            "Envoy, a replica is frozen for 8 s",
            FEW,
            || Box::pin(frozen()),
        )
        .recovers_while_it_lasts(1.0),
        Row::new(
            "envoy-rolling",
            "Envoy, 8 replicas in turn get SIGTERM and are replaced",
            "no 503",
            || Box::pin(rolled()),
        ),
        Row::new(
            "envoy-balancer",
            "a replica starts behind a TCP load balancer",
            "gets checks within 7 s, with a `max_connection_duration` of 5 s",
            || Box::pin(balanced()),
        ),
    ]
}

/// An Envoy before two replicas.
struct Stack {
    run: Run,
    #[expect(dead_code, reason = "these end when they are dropped")]
    parts: (RedisServer, Envoy, Upstream),
}

impl Stack {
    async fn start() -> Self {
        let redis = RedisServer::start();
        let replicas = Replica::pair(Settings::of(&redis.url(), RETRIED)).await;
        let upstream = Upstream::start().await;
        let endpoints: Vec<_> = replicas.iter().map(|replica| replica.check).collect();
        let text = configuration(&endpoints, &upstream);
        let envoy = Envoy::start_as(NEWEST, &text).await;
        let run = Run::start_with(replicas, through(&envoy)).await;
        Self {
            run,
            parts: (redis, envoy, upstream),
        }
    }
}

async fn killed() -> Evidence {
    let mut stack = Stack::start().await;
    stack.run.fault_begins();
    stack.run.replicas[1].kill();
    pause(6.0).await;
    stack.run.fault_ends();
    stack.run.finish(1.0).await.at_most(3)
}

async fn frozen() -> Evidence {
    let mut stack = Stack::start().await;
    stack.run.fault_begins();
    stack.run.replicas[1].signal("STOP");
    pause(8.0).await;
    stack.run.replicas[1].signal("CONT");
    stack.run.fault_ends();
    stack.run.finish(3.0).await.at_most(3)
}

async fn rolled() -> Evidence {
    let mut stack = Stack::start().await;
    stack.run.fault_begins();
    for turn in 0..8 {
        let replica = &mut stack.run.replicas[turn % 2];
        replica.signal("TERM");
        let end = Instant::now() + Duration::from_secs(30);
        while replica.ended().is_none() && Instant::now() < end {
            sleep(Duration::from_millis(20)).await;
        }
        replica.restart().await;
        replica.is_ready_within(Duration::from_secs(20)).await;
        // Envoy's next health check.
        pause(1.2).await;
    }
    stack.run.fault_ends();
    stack.run.finish(1.0).await.at_most(0)
}

async fn balanced() -> Evidence {
    let redis = RedisServer::start();
    let replicas = Replica::pair(Settings::of(&redis.url(), RETRIED)).await;
    let (first, second) = (replicas[0].check, replicas[1].check);
    let (upstream, balancer) = (Upstream::start().await, Balancer::before(first).await);
    let text = configuration(&[balancer.address], &upstream);
    let text = replace_once(
        &text,
        "max_connection_duration: 60s",
        "max_connection_duration: 5s",
    );
    let envoy = Envoy::start_as(NEWEST, &text).await;
    let mut run = Run::start_with(replicas, through(&envoy)).await;
    run.fault_begins();
    balancer.add(second);
    pause(7.0).await;
    let checks = run.replicas[1].metric("decisions_total").await;
    // The next connections also end after 5 s.
    pause(6.0).await;
    run.fault_ends();
    let mut evidence = run.finish(1.0).await.at_most(0);
    evidence.note(format!(
        "the new replica decided {checks} checks within 7 s"
    ));
    evidence.must(checks > 0.0, "the new replica gets checks");
    evidence
}

fn configuration(endpoints: &[SocketAddr], upstream: &Upstream) -> String {
    let peers = Peers {
        countersign: endpoints[0],
        // No row uses the token endpoints.
        http: upstream.address,
        upstream: upstream.address,
        deadlines: Deadlines::Shipped,
    };
    with_replicas(
        &Shape::Deploy.configuration(peers),
        endpoints[0],
        &endpoints[1..],
    )
}

fn through(envoy: &Envoy) -> Load {
    Load {
        targets: vec![Target::envoy(envoy.address)],
        ..Load::default()
    }
}

/// A load balancer that chooses a replica for each connection.
struct Balancer {
    address: SocketAddr,
    replicas: Arc<Mutex<Vec<SocketAddr>>>,
    task: JoinHandle<()>,
}

impl Balancer {
    async fn before(replica: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let replicas = Arc::new(Mutex::new(vec![replica]));
        let chosen_from = Arc::clone(&replicas);
        let task = tokio::spawn(async move {
            for turn in 0.. {
                let Ok((mut client, _)) = listener.accept().await else {
                    return;
                };
                let chosen = {
                    let replicas = chosen_from.lock().unwrap();
                    replicas[turn % replicas.len()]
                };
                tokio::spawn(async move {
                    if let Ok(mut server) = TcpStream::connect(chosen).await {
                        // Either end may close.
                        let _ = copy_bidirectional(&mut client, &mut server).await;
                    }
                });
            }
        });
        Self {
            address,
            replicas,
            task,
        }
    }

    fn add(&self, replica: SocketAddr) {
        self.replicas.lock().unwrap().push(replica);
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

const FEW: &str = "at most 3 requests with 503";

/// The settings of Countersign that deploy/envoy expects.
const RETRIED: &str = "\
nonce.trust_envoy_request_id = true
check.envoy_sends_whole_bodies = true
";
