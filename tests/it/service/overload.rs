//! More checks than a thread can answer: some are answered in time, the others are refused, and the
//! service stays ready.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request};

use crate::support::process::eventually;
use crate::support::program::Countersign;
use crate::support::redis::RedisServer;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_overloaded_thread_refuses_checks_and_answers_others() {
    let redis = RedisServer::start();
    let countersign = Countersign::start(&redis.url(), OVERLOADED_SOON).await;
    let channels = connect(countersign.check, 6).await;
    let (mut answered, mut refused) = (0, 0);
    let before = {
        flood(&channels, &mut answered, &mut refused).await;
        countersign.peak_memory()
    };
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(3) || answered.min(refused) < 64 {
        assert!(
            began.elapsed() < PATIENCE,
            "{answered} answered, {refused} refused"
        );
        flood(&channels, &mut answered, &mut refused).await;
        assert!(countersign.is_serving().await);
    }
    let grown = countersign.peak_memory().saturating_sub(before);
    assert!(grown < 64 << 20, "memory has grown by {grown} bytes");

    let metrics = countersign.metrics().await;
    let counted = "countersign_decisions_total{result=\"error\",reason=\"overloaded\"} ";
    assert!(metrics.contains(counted), "{metrics}");
    let lines = countersign.log();
    let lines = lines.lines().filter(|line| line.contains("\"refused\":"));
    let lines = u64::try_from(lines.count()).unwrap();
    assert!(
        (1..=began.elapsed().as_secs() + 10).contains(&lines),
        "{lines} lines about {refused} refusals"
    );

    eventually("a check is answered again", PATIENCE, async || {
        (check(channels[0].clone()).await == Code::Ok).then_some(())
    })
    .await;
}

/// Sends far more checks at once than may wait, and counts their ends.
async fn flood(channels: &[Channel], answered: &mut u32, refused: &mut u32) {
    let mut checks = JoinSet::new();
    for channel in channels {
        for _ in 0..500 {
            checks.spawn(timeout(PATIENCE, check(channel.clone())));
        }
    }
    while let Some(code) = checks.join_next().await {
        let code = code.unwrap().expect("every check ends");
        if code == Code::Ok {
            *answered += 1;
        } else if code == Code::ResourceExhausted {
            *refused += 1;
        } else {
            assert_eq!(code, Code::Unavailable, "held up by other programs");
        }
    }
}

/// Sends an unsigned check, whose denial is OK for gRPC.
async fn check(channel: Channel) -> Code {
    let mut client = Grpc::new(channel);
    client.ready().await.unwrap();
    let path = "/envoy.service.auth.v3.Authorization/Check";
    let answered = client
        .unary::<_, Vec<u8>, _>(
            Request::new(Vec::<u8>::new()),
            path.parse().unwrap(),
            tonic_prost::ProstCodec::default(),
        )
        .await;
    answered.map_or_else(|status| status.code(), |_| Code::Ok)
}

async fn connect(address: SocketAddr, count: usize) -> Vec<Channel> {
    let mut channels = Vec::new();
    for _ in 0..count {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        channels.push(endpoint.connect().await.unwrap());
    }
    channels
}

/// One thread, which refuses a check after it has waited for 45 ms: fewer checks than a fast thread
/// answers before the callers have sent all of theirs.
const OVERLOADED_SOON: &str = "workers = 1
[check]
timeout = \"60ms\"
[store]
timeout = \"20ms\"
";

const PATIENCE: Duration = Duration::from_secs(60);
