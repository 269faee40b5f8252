//! The files in `deploy/redis` run as they are, except passwords, addresses, ports and paths: a
//! primary, a replica, and a Sentinel that promotes it, in plaintext and over TLS.

use std::fs;
use std::path::Path;
use std::process::Command;

use redis::{ClientTlsConfig, Cmd, FromRedisValue, TlsCertificates, Value};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::support::certificates::Certificates;
use crate::support::process::{Process, START, eventually, project};
use crate::support::program::Countersign;
use crate::support::redis::{free_port, wait_until};
use crate::support::redis_tls::Mount;

#[tokio::test(flavor = "multi_thread")]
async fn the_redis_configuration_works_with_a_replica_and_a_sentinel() {
    let group = RedisGroup::start(None);
    let url = format!(
        "redis://countersign:{PASSWORD}@127.0.0.1:{}",
        group.ports[PRIMARY]
    );
    let countersign = Countersign::start(&url, SETTINGS).await;
    group.works_and_fails_over(&countersign).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_configuration_of_tls_works_for_redis_and_the_sentinel() {
    let authority = Certificates::create();
    let mount = Mount::new(&authority, PASSWORD);
    let group = RedisGroup::start(Some(authority));
    let url = format!(
        "rediss+sentinel://countersign@127.0.0.1:{}/primary",
        group.ports[SENTINEL]
    );
    let environment = mount.environment();
    let environment: Vec<_> = environment
        .iter()
        .map(|(name, path)| (*name, path.as_str()))
        .collect();
    let countersign = Countersign::start_in(&environment, &url, SETTINGS).await;
    group.works_and_fails_over(&countersign).await;
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
    authority: Option<Certificates>,
    _processes: [Process; 3],
    _directory: TempDir,
}

impl RedisGroup {
    fn start(authority: Option<Certificates>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let ports = [free_port(), free_port(), free_port()];
        let primary = format!("127.0.0.1 {}", ports[PRIMARY]);
        let redis = shipped("redis.conf");
        let replica = format!("{redis}\nreplicaof {primary}\n");
        let sentinel = shipped("sentinel.conf").replace("10.0.0.1 6379", &primary);
        let start = |at: usize, configuration: &str, mode: &str| {
            let own = directory.path().join(at.to_string());
            fs::create_dir(&own).unwrap();
            let listening = listening(ports[at], authority.as_ref());
            start(&own, &format!("{configuration}\n{listening}"), mode)
        };
        let processes = [
            start(PRIMARY, &redis, "--aclfile"),
            start(REPLICA, &replica, "--aclfile"),
            start(SENTINEL, &sentinel, "--sentinel"),
        ];
        let group = Self {
            ports,
            authority,
            _processes: processes,
            _directory: directory,
        };
        wait_until("the replica follows", || {
            let info = group.try_redis::<String>(PRIMARY, &["INFO", "replication"]);
            info.is_ok_and(|info| info.contains("state=online"))
        });
        group
    }

    async fn works_and_fails_over(&self, countersign: &Countersign) {
        eventually("the store reaches Redis", START, async || {
            countersign.is_serving().await.then_some(())
        })
        .await;
        let create = ["consumer", "create", "--name=Printer"];
        countersign.admin(&create).await;
        let policy: Vec<String> = self.redis(PRIMARY, &["CONFIG", "GET", "maxmemory-policy"]);
        assert_eq!(policy, ["maxmemory-policy", "noeviction"]);
        // It has to know the replica first.
        wait_until("the Sentinel begins a failover", || {
            self.sentinel(&["SENTINEL", "FAILOVER", "primary"]).is_ok()
        });
        wait_until("the replica is promoted", || {
            // The Sentinel closes the connections of a server that it promotes.
            let role = self.try_redis::<Vec<Value>>(REPLICA, &["ROLE"]);
            role.is_ok_and(|role| role[0] == Value::BulkString(b"master".to_vec()))
        });
    }

    fn redis<T: FromRedisValue>(&self, server: usize, command: &[&str]) -> T {
        self.try_redis(server, command).unwrap()
    }

    fn try_redis<T: FromRedisValue>(
        &self,
        server: usize,
        command: &[&str],
    ) -> redis::RedisResult<T> {
        self.query("observer:x@", server, command)
    }

    fn sentinel(&self, command: &[&str]) -> redis::RedisResult<()> {
        self.query("", SENTINEL, command)
    }

    fn query<T: FromRedisValue>(
        &self,
        user: &str,
        server: usize,
        command: &[&str],
    ) -> redis::RedisResult<T> {
        let address = format!("{user}127.0.0.1:{}", self.ports[server]);
        let client = match &self.authority {
            Some(authority) => redis::Client::build_with_tls(
                format!("rediss://{address}"),
                client_certificates(authority),
            ),
            None => redis::Client::open(format!("redis://{address}")),
        };
        Cmd::new()
            .arg(command)
            .query(&mut client?.get_connection()?)
    }
}

/// Returns the settings of the port: in plaintext, or the shipped ones of TLS.
fn listening(port: u16, authority: Option<&Certificates>) -> String {
    let Some(authority) = authority else {
        return format!("port {port}");
    };
    let (certificate, key) = authority.issue(&["ip:127.0.0.1"]);
    let certificate = authority.file(&format!("{port}.pem"), &certificate);
    let key = authority.file(&format!("{port}.key"), &key);
    let paths = [
        ("/etc/redis/tls/tls.crt", certificate),
        ("/etc/redis/tls/tls.key", key),
        ("/etc/redis/tls/ca.crt", authority.path("ca.pem")),
    ];
    let shipped = shipped("tls.conf").replace("tls-port 6379", &format!("tls-port {port}"));
    paths.iter().fold(shipped, |text, (path, file)| {
        text.replace(path, file.to_str().unwrap())
    })
}

fn client_certificates(authority: &Certificates) -> TlsCertificates {
    let (certificate, key) = authority.issue(&["dns:observer.test"]);
    TlsCertificates {
        client_tls: Some(ClientTlsConfig {
            client_cert: certificate.into_bytes(),
            client_key: key.into_bytes(),
        }),
        root_cert: Some(authority.authority().into_bytes()),
    }
}

/// Starts a server in its own directory; `mode` is the option that comes last.
fn start(own: &Path, configuration: &str, mode: &str) -> Process {
    fs::write(own.join("server.conf"), configuration).unwrap();
    fs::write(own.join("users.acl"), users()).unwrap();
    let mut command = Command::new("redis-server");
    command.arg(own.join("server.conf"));
    command.args(["--bind", "127.0.0.1"]);
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

/// Returns a shipped file with a password.
fn shipped(name: &str) -> String {
    let file = project("deploy/redis").join(name);
    fs::read_to_string(file)
        .unwrap()
        .replace(" PASSWORD", &format!(" {PASSWORD}"))
}

const PASSWORD: &str = "pass-of-the-test";

const SETTINGS: &str = "store.min_replicas = 1\nstore.timeout = \"3s\"";

const PRIMARY: usize = 0;
const REPLICA: usize = 1;
const SENTINEL: usize = 2;
