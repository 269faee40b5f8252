//! Wrong clocks of Redis and of a replica.

use std::process::Command;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::clock::FakeClock;
use crate::driver::Target;
use crate::ledger::Verdict;
use crate::replica::{Replica, Settings};
use crate::row::Row;
use crate::rows::{AOF, FENCE, command, pause};
use crate::run::{Evidence, Load, Run};
use crate::support::caller::now;
use crate::support::http::Request;
use crate::support::process::Process;
use crate::support::redis::{RedisServer, free_port, wait_until};

/// Returns the rows.
pub(crate) fn rows() -> Vec<Row> {
    vec![
        Row::new(
            "clock-redis-ahead",
            "the clock of Redis' host is ten minutes ahead for 5 s",
            "no replay; refusals until it is right",
            || Box::pin(redis_jumps(600)),
        )
        .recovers_within(3.0)
        .short(),
        Row::new(
            "clock-redis-behind",
            "the clock of Redis' host is ten minutes behind for 5 s",
            "no replay; refusals until it is right",
            || Box::pin(redis_jumps(-600)),
        )
        .recovers_within(3.0),
        Row::new(
            "clock-replica-jumps",
            "the clock of one replica is ten minutes ahead for 5 s",
            "that replica refuses and says why",
            || Box::pin(replica_jumps()),
        )
        .recovers_within(3.0),
        Row::new(
            "clock-replica-behind",
            "one replica is 90 s behind, `timestamp_window = \"20s\"`",
            "no replay at that replica, although Redis has forgotten the nonces",
            || Box::pin(replica_behind()),
        ),
    ]
}

async fn redis_jumps(offset: i64) -> Evidence {
    let clock = FakeClock::at(0);
    let port = free_port();
    let directory = tempfile::tempdir().unwrap();
    let _redis = redis_with(&clock, port, directory.path());
    let store = format!("redis://127.0.0.1:{port}");
    let replicas = Replica::pair(Settings::of(&store, FENCE)).await;
    let mut run = Run::start(replicas).await;
    run.fault_begins();
    clock.set(offset);
    pause(5.0).await;
    clock.set(0);
    run.fault_ends();
    run.finish(5.0).await
}

fn redis_with(clock: &FakeClock, port: u16, directory: &std::path::Path) -> Process {
    let mut command = Command::new("redis-server");
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1"]);
    command.args(["--save", "", "--appendonly", "yes"]);
    command
        .arg("--dir")
        .arg(directory)
        .envs(clock.environment());
    let redis = Process::spawn("redis-server", &mut command);
    wait_until("redis-server responds", || {
        let client = ::redis::Client::open(format!("redis://127.0.0.1:{port}")).unwrap();
        client.get_connection().is_ok()
    });
    redis
}

async fn replica_jumps() -> Evidence {
    let clock = FakeClock::at(0);
    let redis = RedisServer::start_with(&AOF);
    let settings = Settings::of(&redis.url(), FENCE);
    let right = Replica::start(settings).await;
    let mut settings = right.settings();
    settings.environment = clock.environment();
    let wrong = Replica::start(settings).await;
    let mut run = Run::start(vec![right, wrong]).await;
    run.fault_begins();
    clock.set(600);
    pause(5.0).await;
    let (status, text) = run.replicas[1].readiness().await;
    let (other, _) = run.replicas[0].readiness().await;
    clock.set(0);
    run.fault_ends();
    let mut evidence = run.finish(5.0).await;
    evidence.note(format!("its `/readyz` {status}: {}", text.trim()));
    evidence.must(status == 503, "not ready while its clock is wrong");
    evidence.must(other == 200, "the other replica stays ready");
    evidence
}

/// Signs at the edge of the window, so that Redis forgets the nonces first.
async fn replica_behind() -> Evidence {
    let clock = FakeClock::at(-90);
    let redis = RedisServer::start_with(&AOF);
    // As if no nonce was lost for a minute: in a new Redis, older timestamps are refused.
    let since = (now() - 60).to_string();
    let marker = ["HSET", "countersign:{epoch}", "id", "0", "run_id", ""];
    let rest = ["promoted_from", "", "since", &since, "why", "lost"];
    command(&redis, &[marker.as_slice(), rest.as_slice()].concat()).await;
    let window = "verify.timestamp_window = \"20s\"\n";
    let right = Replica::start(Settings::of(&redis.url(), window)).await;
    let mut settings = right.settings();
    settings.environment = clock.environment();
    let mut evidence = Evidence::without_traffic();
    let behind = Replica::start(settings).await;
    let quiet = Load {
        rate: 1.0,
        writes: Duration::ZERO,
        targets: vec![Target::check(right.check)],
    };
    let mut run = Run::start_with(vec![right], quiet).await;
    let caller = run.admin.pick(crate::admin::Role::Kept, 5).caller;
    let at = Target::check(run.replicas[0].check);
    let other = Target::check(behind.check);
    let request = Request::get("/photos");
    let signed: Vec<_> = (0..20)
        .map(|_| caller.signing().at(now() - 18).in_header(&request))
        .collect();
    let mut allowed = 0;
    for request in &signed {
        allowed += usize::from(at.ask(request).await == Verdict::Allowed);
    }
    let begun = Instant::now();
    let mut replayed = 0;
    let mut last = Verdict::Allowed;
    while begun.elapsed() < Duration::from_secs(68) {
        sleep(Duration::from_millis(3400)).await;
        for request in &signed {
            last = other.ask(request).await;
            replayed += usize::from(last == Verdict::Allowed);
        }
    }
    let (status, _) = behind.readiness().await;
    run.fault_begins();
    drop(run.finish(0.0).await);
    evidence.must(
        allowed == 20,
        format!("20 of 20 requests allowed first, not {allowed}"),
    );
    evidence.must(replayed == 0, format!("no replay allowed, not {replayed}"));
    evidence.must(status == 503, "the replica that is behind is not ready");
    evidence.note(format!("its `/readyz` {status}, last answer {last:?}"));
    evidence
}
