//! More requests than a replica can answer, and more connections than it can hold.

use std::process::Command;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::spawn_blocking;

use crate::admin::{Admin, Role};
use crate::driver::message;
use crate::flood::{Answers, Pace, flood};
use crate::ledger::Ledger;
use crate::replica::{Replica, Settings};
use crate::row::Row;
use crate::rows::{AOF, command, pause};
use crate::run::{Evidence, Load, Run};
use crate::support::caller::Caller;
use crate::support::http::Request;
use crate::support::process::Process;
use crate::support::redis::RedisServer;

/// Returns the rows.
pub(crate) fn rows() -> Vec<Row> {
    vec![
        Row::new(
            "overload-2x",
            "twice the requests that one core can answer, for 5 s, from a caller with a limit in flight",
            "85 % of the capacity is answered",
            || Box::pin(overload(2.0, 0.85)),
        ),
        Row::new(
            "overload-5x",
            "five times the requests that one core can answer, for 5 s, from a caller with a limit in flight",
            "70 % of the capacity is answered",
            || Box::pin(overload(5.0, 0.7)),
        ),
        Row::new(
            "overload-neighbour",
            "twice the requests, and another busy process on the core",
            "20 % of the capacity without it is answered",
            || Box::pin(beside_a_neighbour()),
        ),
        Row::new(
            "descriptors",
            "64 descriptors, 100 idle connections, `CLIENT KILL`",
            "degraded until they are closed",
            || Box::pin(descriptors()),
        ),
        Row::new(
            "idle-connections",
            "2,000 idle connections to one replica",
            "1,024 are accepted, and requests pass",
            || Box::pin(idle()),
        ),
    ]
}

/// The goal under overload.
#[derive(Clone, Copy)]
struct Goal {
    /// The goodput as a share of the capacity.
    share: f64,
    p99: Option<Duration>,
}

/// The neighbour takes half of the core, so that the caller's limit in flight is twice too high. Half
/// of the core would be 50 %; a replica that checks requests whose callers have given up answers 15 %.
async fn beside_a_neighbour() -> Evidence {
    let busy = ["-c", "0", "sh", "-c", "while :; do :; done"];
    let neighbour = || Process::spawn("taskset", Command::new("taskset").args(busy));
    let goal = Goal {
        share: 0.2,
        p99: None,
    };
    overload_beside(2.0, goal, neighbour).await
}

async fn overload(times: f64, share: f64) -> Evidence {
    let goal = Goal {
        share,
        p99: Some(CHECK_TIMEOUT),
    };
    overload_beside(times, goal, || ()).await
}

async fn overload_beside<N>(times: f64, goal: Goal, neighbour: impl FnOnce() -> N) -> Evidence {
    let redis = RedisServer::start();
    // One core for the replica, the other one for everything else.
    let settings = Settings::of(&redis.url(), "workers = 1\n").below(&["taskset", "-c", "0"]);
    let replica = Replica::start(settings).await;
    let _pinned = Pinned::to("1");
    assert!(
        replica.is_ready_within(Duration::from_secs(20)).await,
        "ready"
    );
    let replicas = [replica];
    let admin = Admin::of(&replicas, Ledger::default().into());
    admin.prepare().await;
    let caller = admin.pick(Role::Kept, 4).caller;
    let [replica] = replicas;
    drop(offer(&replica, &caller, Pace::Closed(16), WARM, 1_000).await);
    let capacity = offer(&replica, &caller, Pace::Closed(16), WARM, 20_000)
        .await
        .goodput();
    let before = replica.memory();
    let rate = capacity * times;
    let _neighbour = neighbour();
    let mut unready = 0;
    let answers = {
        let flooded = offer(
            &replica,
            &caller,
            Pace::Open(rate, (capacity * IN_FLIGHT) as usize),
            LENGTH,
            (rate * 6.0) as usize,
        );
        tokio::pin!(flooded);
        loop {
            tokio::select! {
                answers = &mut flooded => break answers,
                () = pause(0.3) => unready += usize::from(replica.readiness().await.0 != 200),
            }
        }
    };
    let grown = replica.memory().saturating_sub(before);
    let mut evidence = Evidence::without_traffic();
    judge(&mut evidence, &answers, capacity, goal);
    evidence.note(format!("memory +{grown} MiB"));
    evidence.must(grown < 64, "memory grows by less than 64 MiB");
    evidence.must(
        unready == 0,
        format!("`/readyz` 200, {unready} answers were not"),
    );
    evidence
}

fn judge(evidence: &mut Evidence, answers: &Answers, capacity: f64, goal: Goal) {
    let (goodput, p99) = (answers.goodput(), answers.p99());
    evidence.note(format!(
        "capacity {capacity:.0}/s, offered {:.0}/s, answered {goodput:.0}/s ({:.0} %), p99 {} ms, {} not sent, {} refused, {} expired, {} connections closed",
        answers.offered as f64 / answers.took.as_secs_f64(),
        goodput / capacity * 100.0,
        p99.as_millis(),
        answers.unsent,
        answers.refused,
        answers.expired,
        answers.closed,
    ));
    evidence.must(
        goodput >= capacity * goal.share,
        format!("at least {:.0} % of the capacity", goal.share * 100.0),
    );
    if let Some(most) = goal.p99 {
        evidence.must(
            p99 <= most,
            format!("a p99 of at most {} ms", most.as_millis()),
        );
    }
    evidence.must(answers.closed == 0, "no connection is closed");
}

/// Signs so many requests, and offers them.
async fn offer(
    replica: &Replica,
    caller: &Caller,
    pace: Pace,
    length: Duration,
    count: usize,
) -> Answers {
    let (to, caller) = (replica.check, caller.clone());
    let offered = spawn_blocking(move || {
        let request = Request::get("/photos?size=large");
        let signed = (0..count).map(|_| message(&caller.sign(&request)));
        flood(to, signed.collect(), pace, length)
    });
    offered.await.unwrap()
}

async fn descriptors() -> Evidence {
    let redis = RedisServer::start_with(&AOF);
    let settings = Settings::of(&redis.url(), "").below(&["prlimit", "--nofile=64:64"]);
    let replica = Replica::start(settings).await;
    let check = replica.check;
    let mut run = Run::start(vec![replica]).await;
    run.fault_begins();
    let idle = connections(check, 100).await;
    command(&redis, &["CLIENT", "KILL", "TYPE", "normal"]).await;
    pause(3.0).await;
    drop(idle);
    run.fault_ends();
    let mut evidence = run.finish(4.0).await;
    evidence.must(run.replicas[0].ended().is_none(), "the process lives");
    evidence
}

async fn idle() -> Evidence {
    let redis = RedisServer::start_with(&AOF);
    let replica = Replica::start(Settings::of(&redis.url(), "")).await;
    let check = replica.check;
    let mut run = Run::start_with(vec![replica], Load::default()).await;
    let before = run.replicas[0].memory();
    run.fault_begins();
    let idle = connections(check, 2_000).await;
    pause(3.0).await;
    let (open, grown) = (
        run.replicas[0].metric("connections").await,
        run.replicas[0].memory().saturating_sub(before),
    );
    drop(idle);
    run.fault_ends();
    let mut evidence = run.finish(2.0).await;
    evidence.note(format!("{open} connections, memory +{grown} MiB"));
    evidence.must(
        (1_024.0..=1_030.0).contains(&open),
        format!("1,024 idle connections and those of the traffic, not {open}"),
    );
    evidence.must(grown < 100, "memory grows by less than 100 MiB");
    evidence
}

async fn connections(to: std::net::SocketAddr, count: usize) -> Vec<TcpStream> {
    let mut open = Vec::new();
    for _ in 0..count {
        let connected = tokio::time::timeout(Duration::from_millis(500), TcpStream::connect(to));
        open.extend(connected.await.ok().and_then(Result::ok));
    }
    open
}

/// Keeps the threads of this process on one core until it is dropped.
struct Pinned;

impl Pinned {
    fn to(core: &str) -> Self {
        taskset(core);
        Self
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        let cores = std::thread::available_parallelism()
            .map_or(2, usize::from)
            .max(2);
        taskset(&format!("0-{}", cores - 1));
    }
}

fn taskset(cores: &str) {
    let process = std::process::id().to_string();
    let mut command = Command::new("taskset");
    // On a machine with one core, everything shares it.
    let _ = command.args(["-a", "-c", "-p", cores, &process]).output();
}

/// The seconds of the capacity that the caller has in flight at most: half of `check.timeout`, as
/// docs/operations.md recommends for Envoy.
const IN_FLIGHT: f64 = 0.09;

/// The default of `check.timeout`.
const CHECK_TIMEOUT: Duration = Duration::from_millis(180);

/// The length of the measurement of the capacity.
const WARM: Duration = Duration::from_secs(3);

/// The length of the flood.
const LENGTH: Duration = Duration::from_secs(5);
