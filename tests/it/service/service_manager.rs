//! The messages that the program sends to systemd, on a socket like that of systemd.

use tempfile::TempDir;
use tokio::net::UnixDatagram;
use tokio::time::timeout;

use crate::support::http::Request;
use crate::support::process::START;
use crate::support::program::Countersign;
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
