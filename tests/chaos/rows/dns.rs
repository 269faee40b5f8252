//! The name of Redis moves to another server. Needs root: each replica gets its own `/etc/hosts`.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::Instant;

use crate::redis_group::{Place, Server};
use crate::replica::{Replica, Settings};
use crate::row::Row;
use crate::rows::{FENCE, pause};
use crate::run::{Evidence, Run};

/// Returns the rows.
pub(crate) fn rows() -> Vec<Row> {
    vec![
        Row::new(
            "dns-dies",
            "the server dies, and its name moves to its copy",
            "follows within 5 s",
            || Box::pin(moved(Old::Dies)),
        )
        .recovers_while_it_lasts(5.0)
        .answers_within(CONNECTS),
        Row::new(
            "dns-lives",
            "the name moves, the old server lives, and one replica restarts",
            "no replay and no revoked credential from 3 s after the move",
            || Box::pin(moved(Old::Lives)),
        )
        .recovers_while_it_lasts(5.0)
        .answers_within(CONNECTS)
        // Credentials that were created on the old server after the move are lost, and refused.
        .admits(|admitted| (admitted.lost, admitted.refused) = (true, true)),
    ]
}

/// The fate of the old server.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Old {
    Dies,
    Lives,
}

async fn moved(old: Old) -> Evidence {
    let Some(hosts) = Hosts::create() else {
        return Evidence::not_run("an /etc/hosts for each replica needs root");
    };
    let mut first = Server::redis(&at(2), &[]);
    first.answers().await;
    let port = first.address.port();
    let of = format!("127.0.0.2 {port}");
    let following = ["--replicaof", &of, "--repl-diskless-sync-delay", "0"];
    let second = Server::redis_on(&at(3), port, &following);
    second.follows().await;
    hosts.point("127.0.0.2");
    let url = format!("redis://redis.test:{port}");
    let replicas = Replica::pair(hosts.seen_by(Settings::of(&url, FENCE))).await;
    let mut run = Run::start(replicas).await;
    run.fault_begins();
    if old == Old::Dies {
        first.kill();
    }
    second.run::<()>(&["REPLICAOF", "NO", "ONE"]).unwrap();
    hosts.point("127.0.0.3");
    run.excuse_until(Instant::now() + Duration::from_secs(3));
    if old == Old::Lives {
        run.replicas[1].restart().await;
    }
    pause(8.0).await;
    run.fault_ends();
    run.finish(2.0).await.revocations_hold()
}

fn at(last: u8) -> Place {
    Place {
        ip: [127, 0, 0, last].into(),
        wrapper: Vec::new(),
    }
}

/// The longest time for an answer in milliseconds: in a debug build, connecting to another server
/// holds a check thread.
const CONNECTS: u64 = 400;

/// A file that replicas see as `/etc/hosts`.
struct Hosts {
    directory: TempDir,
}

impl Hosts {
    /// Creates it; `None` without the permission.
    fn create() -> Option<Self> {
        let mounted = std::process::Command::new("unshare")
            .args(["-m", "true"])
            .status();
        mounted.is_ok_and(|status| status.success()).then(|| Self {
            directory: tempfile::tempdir().unwrap(),
        })
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("hosts")
    }

    /// Points the name at an address. The file stays the same, because it is mounted.
    fn point(&self, address: &str) {
        fs::write(
            self.path(),
            format!("127.0.0.1 localhost\n{address} redis.test\n"),
        )
        .unwrap();
    }

    fn seen_by(&self, settings: Settings) -> Settings {
        let path = self.path();
        let mount = format!(
            "mount --bind {} /etc/hosts && exec \"$0\" \"$@\"",
            path.display()
        );
        settings.below(&["unshare", "-m", "sh", "-c", &mount])
    }
}
