//! A real Redis, as `scripts/test` installs it.

use std::net::{SocketAddr, TcpListener};
use std::process::Command;

use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::process::{Process, START, eventually};

/// A running redis-server that writes everything down at once; stops when dropped.
#[derive(Debug)]
pub(crate) struct RedisServer {
    address: SocketAddr,
    process: Process,
    directory: TempDir,
}

impl RedisServer {
    pub(crate) async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let process = run(address, &directory).await;
        Self { address, process, directory }
    }

    /// Its `store.url`.
    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// Kills it.
    pub(crate) fn stop(&mut self) {
        self.process.kill();
    }

    /// Starts it again at the same address, with what it had written down.
    pub(crate) async fn restart(&mut self) {
        self.process = run(self.address, &self.directory).await;
    }
}

async fn run(address: SocketAddr, directory: &TempDir) -> Process {
    let mut command = Command::new("redis-server");
    command.args(["--bind", "127.0.0.1", "--port", &address.port().to_string(), "--save", ""]);
    command.args(["--appendonly", "yes", "--appendfsync", "always", "--dir"]).arg(directory.path());
    let process = Process::spawn("redis-server", &mut command);
    eventually("Redis listens", START, async || TcpStream::connect(address).await.ok()).await;
    process
}
