//! Faults of the embedded store.

use std::fs;
use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use crate::disk::Disk;
use crate::replica::{Replica, Settings};
use crate::row::Row;
use crate::rows::pause;
use crate::run::{Evidence, Load, Run};

/// Returns the rows.
pub(crate) fn rows() -> Vec<Row> {
    vec![
        Row::new(
            "embedded-kill",
            "the process is killed and restarted four times",
            "no acknowledged write is lost; timestamps from before are refused",
            || Box::pin(kill()),
        )
        .recovers_within(2.5)
        .short(),
        Row::new(
            "embedded-disk-full",
            "the disk is full until 3 s after the first failed write",
            "503; passes again within a second of being freed",
            || Box::pin(disk_full()),
        )
        .recovers_within(1.0)
        .short(),
        Row::new(
            "embedded-file-limit",
            "the limit on the size of files is reached for 4 s (`ulimit -f`)",
            "503, and the process lives",
            || Box::pin(file_limit()),
        )
        .recovers_within(1.0),
        Row::new(
            "embedded-damaged",
            "a corrupt, truncated or empty file, an empty key file, a second process, an open directory",
            "refuses to start, and says why",
            || Box::pin(damaged()),
        ),
    ]
}

async fn kill() -> Evidence {
    let mut run = on_file(&[], 60).await;
    run.fault_begins();
    for _ in 0..4 {
        pause(0.7).await;
        run.replicas[0].kill();
        run.replicas[0].restart().await;
    }
    run.fault_ends();
    run.finish(5.0).await
}

/// The disk is a tmpfs in the mount namespace of the process. Writes succeed until the store needs
/// more of it.
async fn disk_full() -> Evidence {
    let disk = Disk::new("6m");
    let wrapper = disk.wrapper();
    let wrapper: Vec<_> = wrapper.iter().map(String::as_str).collect();
    let settings = embedded(Path::new(&disk.path())).below(&wrapper);
    let replica = Replica::start(settings).await;
    let mut run = Run::start_with(vec![replica], busy()).await;
    run.fault_begins();
    disk.fill(run.replicas[0].id());
    let end = Instant::now() + Duration::from_secs(20);
    while run.replicas[0].readiness().await.0 == 200 && Instant::now() < end {
        pause(0.1).await;
    }
    pause(3.0).await;
    let (status, text) = run.replicas[0].readiness().await;
    disk.free(run.replicas[0].id());
    run.fault_ends();
    let mut evidence = run.finish(4.0).await;
    evidence.note(format!("`/readyz` {status}: {}", text.trim()));
    evidence.must(status == 503, "not ready while the disk is full");
    evidence.must(run.replicas[0].ended().is_none(), "the process lives");
    evidence
}

async fn file_limit() -> Evidence {
    let mut run = on_file(&[], 150).await;
    let size = fs::metadata(run.replicas[0].settings().data_dir.join(FILE))
        .unwrap()
        .len();
    let process = run.replicas[0].id().to_string();
    let limit = |limit: &str| {
        let set = std::process::Command::new("prlimit")
            .args(["--pid", &process, &format!("--fsize={limit}:unlimited")])
            .status();
        assert!(set.unwrap().success(), "prlimit failed");
    };
    run.fault_begins();
    limit(&(size / 2).to_string());
    pause(4.0).await;
    let ended = run.replicas[0].ended();
    if ended.is_none() {
        limit("unlimited");
    }
    run.fault_ends();
    let mut evidence = run.finish(4.0).await;
    evidence.must(ended.is_none(), format!("the process lives ({ended:?})"));
    evidence
}

async fn damaged() -> Evidence {
    let mut evidence = Evidence::without_traffic();
    let damages: [(&str, &str, Damage); 5] = [
        ("corrupt", "is damaged", |directory| {
            let file = directory.join(FILE);
            let mut bytes = fs::read(&file).unwrap();
            let middle = bytes.len() / 2;
            bytes[..4096].fill(0xab);
            bytes[middle..].fill(0xab);
            fs::write(file, bytes).unwrap();
        }),
        ("truncated", "is damaged", |directory| {
            let file = fs::OpenOptions::new()
                .write(true)
                .open(directory.join(FILE));
            file.unwrap().set_len(5000).unwrap();
        }),
        ("empty", "is damaged", |directory| {
            fs::write(directory.join(FILE), "").unwrap()
        }),
        ("without a key", "has no key", |directory| {
            fs::write(directory.join("master-key"), "").unwrap();
        }),
        ("open to all", "chmod go-w", |directory| {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(directory, fs::Permissions::from_mode(0o777)).unwrap();
        }),
    ];
    for (name, reason, damage) in damages {
        let directory = tempfile::tempdir().unwrap();
        let mut settings = embedded(directory.path());
        settings.master_key = crate::replica::master_key(directory.path());
        drop(started(settings.clone()).await);
        damage(directory.path());
        refuses(&mut evidence, (name, reason), settings).await;
    }
    let directory = tempfile::tempdir().unwrap();
    let first = started(embedded(directory.path())).await;
    let in_use = ("in use", "is locked by another process");
    refuses(&mut evidence, in_use, first.settings()).await;
    evidence
}

async fn started(settings: Settings) -> Replica {
    let replica = Replica::start(settings).await;
    assert!(
        replica.is_ready_within(Duration::from_secs(10)).await,
        "ready"
    );
    replica
}

/// Fails the row unless the replica does not start, and its log contains the reason.
async fn refuses(evidence: &mut Evidence, (name, reason): (&str, &str), settings: Settings) {
    match Replica::try_start(settings).await {
        Ok(_) => evidence.must(false, format!("refuses a store that is {name}")),
        Err(log) => {
            let panicked = log.contains("panicked");
            evidence.must(!panicked, format!("no panic on a store that is {name}"));
            let says = log.contains(reason);
            evidence.must(says, format!("\"{reason}\" for a store that is {name}"));
        }
    }
}

/// Starts one replica under traffic on a store file, with a pause between writes in milliseconds.
async fn on_file(wrapper: &[&str], writes: u64) -> Run {
    let replica = Replica::start(embedded(Path::new("")).below(wrapper)).await;
    let load = Load {
        writes: Duration::from_millis(writes),
        ..Load::default()
    };
    Run::start_with(vec![replica], load).await
}

fn busy() -> Load {
    Load {
        writes: Duration::from_millis(60),
        ..Load::default()
    }
}

fn embedded(directory: &Path) -> Settings {
    Settings {
        data_dir: directory.to_owned(),
        ..Settings::of(&format!("embedded:{FILE}"), "")
    }
}

/// Damages a data directory.
type Damage = fn(&Path);

const FILE: &str = "countersign.redb";
