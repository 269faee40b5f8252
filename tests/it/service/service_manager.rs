//! The messages that the program sends to systemd, on a socket like that of systemd.

use std::net::TcpListener;

use tempfile::TempDir;
use tokio::net::UnixDatagram;
use tokio::process::Command;
use tokio::time::timeout;

use crate::support::http::Request;
use crate::support::process::START;
use crate::support::program::{Countersign, program};
use crate::support::redis::{RedisServer, free_port};

#[tokio::test(flavor = "multi_thread")]
async fn it_is_ready_once_checks_can_be_answered() {
    let manager = Manager::new();
    let port = free_port();
    let url = format!("redis://127.0.0.1:{port}");
    let countersign = Countersign::start_in(&manager.environment(), &url, "").await;
    let waiting = manager
        .until("STATUS=The store is unavailable: checks fail")
        .await;
    assert!(!waiting.contains("READY=1"), "{waiting}");
    let _redis = RedisServer::start_on(port, &[]);
    manager.until("READY=1").await;
    let readyz = Request::get("/readyz").send(countersign.ops).await;
    assert_eq!(readyz.status, 200);
    assert!(countersign.is_serving().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_fails_is_never_ready() {
    let manager = Manager::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut serve = Command::from(program());
    serve
        .args(["serve", "--store=memory:", "--check=127.0.0.1:0"])
        .args(["--api=127.0.0.1:0", "--http=127.0.0.1:0"])
        .arg(format!("--ops={}", taken.local_addr().unwrap()))
        .arg("--data-dir")
        .arg(manager.directory.path())
        .envs(manager.environment())
        .kill_on_drop(true);
    let output = timeout(START, serve.output()).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let received = manager.received();
    assert!(!received.contains("READY=1"), "{received}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_reports_reloads_and_the_drain() {
    let manager = Manager::new();
    let countersign = Countersign::start_in(&manager.environment(), "memory:", "").await;
    manager.until("READY=1").await;
    // One that is refused ends as well: the service goes on with the old configuration.
    for config in ["workers = 1", "nonsense"] {
        countersign.configure(config);
        countersign.hang_up();
        let begun = manager.until("RELOADING=1").await;
        let time = begun
            .lines()
            .find_map(|line| line.strip_prefix("MONOTONIC_USEC="));
        assert!(time.unwrap().parse::<u64>().unwrap() > 0);
        manager.until("READY=1").await;
    }
    countersign.terminate();
    let end = manager.until("STOPPING=1").await;
    assert!(end.contains("STATUS=Draining"), "{end}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_answers_the_watchdog() {
    let manager = Manager::new();
    let mut environment = manager.environment().to_vec();
    environment.push(("WATCHDOG_USEC", "200000"));
    let _countersign = Countersign::start_in(&environment, "memory:", "").await;
    for _ in 0..3 {
        manager.until("WATCHDOG=1").await;
    }
}

/// The side of systemd.
struct Manager {
    directory: TempDir,
    socket: UnixDatagram,
    path: String,
}

impl Manager {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        Self {
            socket: UnixDatagram::bind(&path).unwrap(),
            path: path.display().to_string(),
            directory,
        }
    }

    fn environment(&self) -> [(&str, &str); 1] {
        assert!(self.directory.path().exists());
        [("NOTIFY_SOCKET", &self.path)]
    }

    /// Returns the messages that have arrived.
    fn received(&self) -> String {
        let mut received = String::new();
        let mut message = [0; 4096];
        while let Ok(length) = self.socket.try_recv(&mut message) {
            received.push_str(std::str::from_utf8(&message[..length]).unwrap());
            received.push('\n');
        }
        received
    }

    /// Returns the messages up to the first with this line.
    async fn until(&self, line: &str) -> String {
        let mut received = String::new();
        let received = timeout(START, async {
            while !received.lines().any(|one| one == line) {
                let mut message = [0; 4096];
                let length = self.socket.recv(&mut message).await.unwrap();
                received.push_str(std::str::from_utf8(&message[..length]).unwrap());
                received.push('\n');
            }
            received
        });
        received
            .await
            .unwrap_or_else(|_| panic!("no {line} from the program"))
    }
}
