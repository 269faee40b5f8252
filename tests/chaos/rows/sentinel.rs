//! Faults of a primary with two replicas and three Sentinels.
//!
//! Requests that were sent until a second after the Sentinels switched count separately: until then,
//! a replica of Countersign may not know the new primary, and the former one accepts writes.

use std::time::Duration;

use tokio::time::Instant;

use crate::namespaces::Namespaces;
use crate::redis_group::{Group, Place};
use crate::replica::{Replica, Settings};
use crate::row::Row;
use crate::rows::{FENCE, NO_FENCE, pause};
use crate::run::{Evidence, Run};

/// Returns the rows.
pub(crate) fn rows() -> Vec<Row> {
    let bounded = |row: Row| row.recovers_while_it_lasts(5.0);
    // The replica that is cut off cannot know the primary before the partition ends.
    let partitions = partitions().map(|row| row.recovers_within(5.0));
    let (unplanned, planned) = (unplanned().map(bounded), planned().map(bounded));
    let failovers = unplanned.into_iter().chain(planned).chain(partitions);
    let none = Row::new(
        "sentinel-one-killed",
        "a Sentinel is killed, then another",
        "no error",
        || Box::pin(sentinels_killed()),
    );
    failovers.chain([none]).collect()
}

fn unplanned() -> [Row; 5] {
    [
        Row::new("sentinel-kill", "the primary is killed", FAILS_OVER, || {
            Box::pin(killed(NO_FENCE))
        }),
        Row::new(
            "sentinel-kill-fence",
            "the primary is killed, fence on",
            FAILS_OVER,
            || Box::pin(killed(FENCE)),
        ),
        Row::new(
            "sentinel-kill-behind",
            "the primary is killed while its replicas are 0.9 s behind",
            FAILS_OVER,
            || Box::pin(killed_with_replicas_behind()),
        ),
        Row::new(
            "sentinel-freeze",
            "the primary is frozen for 6 s",
            FAILS_OVER,
            || Box::pin(frozen()),
        ),
        Row::new(
            "sentinel-one-frozen",
            "a Sentinel is frozen, and the primary is killed",
            FAILS_OVER,
            || Box::pin(one_frozen()),
        ),
    ]
}

fn planned() -> [Row; 3] {
    [
        Row::new(
            "sentinel-failover",
            "`SENTINEL FAILOVER`, no fence",
            "as below, but what the former primary alone claimed can be replayed",
            || Box::pin(failed_over(NO_FENCE, &[])),
        )
        .admits(|admitted| admitted.replays = true),
        Row::new(
            "sentinel-failover-fence",
            "`SENTINEL FAILOVER`, fence on",
            SWITCHES,
            || Box::pin(failed_over(FENCE, &[])),
        ),
        Row::new(
            "sentinel-failover-min",
            "`SENTINEL FAILOVER`, fence on, `min-replicas-to-write 1`",
            SWITCHES,
            || Box::pin(failed_over(FENCE, &GUARDED)),
        ),
    ]
}

fn partitions() -> [Row; 2] {
    [
        Row::new(
            "sentinel-partition",
            "the primary and a replica of Countersign are cut off for 11 s, fence on",
            SWITCHES,
            || Box::pin(parted(&[])),
        ),
        Row::new(
            "sentinel-partition-min",
            "the same with `min-replicas-to-write 1`",
            SWITCHES,
            || Box::pin(parted(&GUARDED)),
        ),
    ]
}

async fn start(options: &[&str], config: &str) -> (Group, Run) {
    let group = Group::start(options).await;
    let replicas = Replica::pair(Settings::of(&group.url(), config)).await;
    (group, Run::start(replicas).await)
}

async fn killed(config: &str) -> Evidence {
    let (mut group, mut run) = start(&[], config).await;
    run.fault_begins();
    group.master.kill();
    switched(&group, &mut run).await;
    pause(6.0).await;
    finish(&mut run).await
}

async fn killed_with_replicas_behind() -> Evidence {
    let (mut group, mut run) = start(&[], FENCE).await;
    run.fault_begins();
    group
        .replicas
        .iter()
        .for_each(|replica| replica.signal("STOP"));
    pause(0.9).await;
    group.master.kill();
    group
        .replicas
        .iter()
        .for_each(|replica| replica.signal("CONT"));
    switched(&group, &mut run).await;
    pause(6.0).await;
    finish(&mut run).await
}

async fn frozen() -> Evidence {
    let (group, mut run) = start(&[], FENCE).await;
    run.fault_begins();
    group.master.signal("STOP");
    switched(&group, &mut run).await;
    pause(6.0).await;
    group.master.signal("CONT");
    pause(3.0).await;
    finish(&mut run).await
}

async fn one_frozen() -> Evidence {
    let (mut group, mut run) = start(&[], FENCE).await;
    run.fault_begins();
    group.sentinels[0].signal("STOP");
    group.master.kill();
    pause(7.0).await;
    let evidence = finish(&mut run).await;
    group.sentinels[0].signal("CONT");
    evidence
}

async fn sentinels_killed() -> Evidence {
    let (mut group, mut run) = start(&[], NO_FENCE).await;
    run.fault_begins();
    group.sentinels[0].kill();
    pause(3.0).await;
    group.sentinels[1].kill();
    pause(3.0).await;
    run.fault_ends();
    run.finish(2.0).await.at_most(0)
}

async fn failed_over(config: &str, options: &[&str]) -> Evidence {
    let (group, mut run) = start(options, config).await;
    run.fault_begins();
    group.fail_over();
    switched(&group, &mut run).await;
    // The former primary takes writes for about ten seconds.
    pause(13.0).await;
    finish(&mut run).await
}

/// The Sentinels, the other Redis servers and one replica of Countersign elect a new primary; the
/// driver reaches both replicas of Countersign all the time.
async fn parted(options: &[&str]) -> Evidence {
    let Some(hosts) = Namespaces::create() else {
        return Evidence::not_run("network namespaces need root");
    };
    let (left, right) = (hosts.left(), hosts.right());
    let group = Group::start_at(&left, &hosts.here(), options).await;
    let first = Replica::start(on(&left, Settings::of(&group.url(), ON_A_NETWORK))).await;
    let second = Replica::start(on(&right, first.settings())).await;
    let mut run = Run::start(vec![first, second]).await;
    run.fault_begins();
    hosts.part();
    switched(&group, &mut run).await;
    pause(11.0).await;
    hosts.join();
    run.fault_ends();
    pause(12.0).await;
    run.finish(2.0).await
}

fn on(place: &Place, settings: Settings) -> Settings {
    Settings {
        wrapper: place.wrapper.clone(),
        ip: Some(place.ip),
        ..settings
    }
}

/// Waits for the Sentinels' decision, and excuses the requests until a second later.
async fn switched(group: &Group, run: &mut Run) -> Instant {
    let switched = group.switched().await;
    run.excuse_until(switched + Duration::from_secs(1));
    switched
}

async fn finish(run: &mut Run) -> Evidence {
    run.fault_ends();
    run.finish(3.0).await
}

const FAILS_OVER: &str = "passes again within 5 s, no acknowledged write lost";
const SWITCHES: &str = "from a second after the switch no replay and no revoked credential; no acknowledged write lost";

/// The settings that docs/redis.md recommends for a primary.
const GUARDED: [&str; 4] = [
    "--min-replicas-to-write",
    "1",
    "--min-replicas-max-lag",
    "2",
];

/// The fence, and plaintext beyond loopback.
const ON_A_NETWORK: &str = "\
store.fence_on_restart = true
check.insecure_plaintext = true
api.insecure_plaintext = true
ops.insecure_plaintext = true
http.insecure_plaintext = true
";
