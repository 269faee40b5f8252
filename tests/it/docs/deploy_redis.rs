//! The files in `deploy/redis` run as they are, except passwords, addresses and ports: a primary, a
//! replica, and a Sentinel that promotes it.

use std::fs;
use std::path::Path;
use std::process::Command;

use redis::{Cmd, FromRedisValue, Value};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::support::process::{Process, project};
use crate::support::program::Countersign;
use crate::support::redis::{free_port, wait_until};

#[tokio::test(flavor = "multi_thread")]
async fn the_redis_configuration_works_with_a_replica_and_a_sentinel() {
    let group = RedisGroup::start();
    let url = format!(
        "redis://countersign:{PASSWORD}@127.0.0.1:{}",
        group.ports[0]
    );
    let countersign =
        Countersign::start(&url, "store.min_replicas = 1\nstore.timeout = \"3s\"").await;
    countersign
        .admin(&["consumer", "create", "--name=Printer"])
        .await;
    let policy: Vec<String> = group.redis(PRIMARY, &["CONFIG", "GET", "maxmemory-policy"]);
    assert_eq!(policy, ["maxmemory-policy", "noeviction"]);
    // It has to know the replica first.
    wait_until("the Sentinel begins a failover", || {
        group.sentinel(&["SENTINEL", "FAILOVER", "primary"]).is_ok()
    });
    wait_until("the replica is promoted", || {
        let role: Vec<Value> = group.redis(REPLICA, &["ROLE"]);
        role[0] == Value::BulkString(b"master".to_vec())
    });
}

#[test]
fn redis_does_not_start_with_a_password_that_was_not_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let started = Command::new("redis-server")
        .arg(project("deploy/redis/redis.conf"))
        .args(["--port", &free_port().to_string(), "--dir"])
        .arg(directory.path())
        .arg("--aclfile")
        .arg(project("deploy/redis/users.acl"))
        .output()
        .unwrap();
    assert!(!started.status.success());
}

/// A primary, its replica, and their Sentinel.
struct RedisGroup {
    ports: [u16; 3],
    _processes: [Process; 3],
    _directory: TempDir,
}

impl RedisGroup {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let ports = [free_port(), free_port(), free_port()];
        let primary = format!("127.0.0.1 {}", ports[PRIMARY]);
        let redis = shipped("redis.conf");
        let replica = format!("{redis}\nreplicaof {primary}\n");
        let sentinel = shipped("sentinel.conf").replace("10.0.0.1 6379", &primary);
        let start = |at: usize, configuration: &str, mode: &str| {
            let own = directory.path().join(at.to_string());
            fs::create_dir(&own).unwrap();
            start(&own, ports[at], configuration, mode)
        };
        let processes = [
            start(PRIMARY, &redis, "--aclfile"),
            start(REPLICA, &replica, "--aclfile"),
            start(SENTINEL, &sentinel, "--sentinel"),
        ];
        let group = Self {
            ports,
            _processes: processes,
            _directory: directory,
        };
        wait_until("the replica follows", || {
            let info = group.try_redis::<String>(PRIMARY, &["INFO", "replication"]);
            info.is_ok_and(|info| info.contains("state=online"))
        });
        group
    }

    fn redis<T: FromRedisValue>(&self, server: usize, command: &[&str]) -> T {
        self.try_redis(server, command).unwrap()
    }

    fn try_redis<T: FromRedisValue>(
        &self,
        server: usize,
        command: &[&str],
    ) -> redis::RedisResult<T> {
        query(
            &format!("redis://observer:x@127.0.0.1:{}", self.ports[server]),
            command,
        )
    }

    fn sentinel(&self, command: &[&str]) -> redis::RedisResult<()> {
        let url = format!("redis://127.0.0.1:{}", self.ports[SENTINEL]);
        query(&url, command)
    }
}

/// Starts a server in its own directory; `mode` is the option that comes last.
fn start(own: &Path, port: u16, configuration: &str, mode: &str) -> Process {
    fs::write(own.join("server.conf"), configuration).unwrap();
    fs::write(own.join("users.acl"), users()).unwrap();
    let mut command = Command::new("redis-server");
    command.arg(own.join("server.conf"));
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1"]);
    command.arg("--dir").arg(own).arg(mode);
    if mode == "--aclfile" {
        command.arg(own.join("users.acl"));
    }
    Process::spawn("redis-server", &mut command)
}

/// Returns the shipped users with a password, and one with which the test observes the servers.
fn users() -> String {
    let digest = Sha256::digest(PASSWORD);
    let hash: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let users = shipped("users.acl").replace("SHA256_OF_THE_PASSWORD", &hash);
    format!("{users}user observer on nopass ~* &* +@all\n")
}

fn query<T: FromRedisValue>(url: &str, command: &[&str]) -> redis::RedisResult<T> {
    let mut connection = redis::Client::open(url)?.get_connection()?;
    Cmd::new().arg(command).query(&mut connection)
}

/// Returns a shipped file with a password.
fn shipped(name: &str) -> String {
    let file = project("deploy/redis").join(name);
    fs::read_to_string(file)
        .unwrap()
        .replace(" PASSWORD", &format!(" {PASSWORD}"))
}

const PASSWORD: &str = "pass-of-the-test";

const PRIMARY: usize = 0;
const REPLICA: usize = 1;
const SENTINEL: usize = 2;
