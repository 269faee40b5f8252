//! A real Redis for one test, on a free port and killed when dropped: alone, with Sentinels or as a
//! Cluster.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ::redis::{Cmd, Connection, FromRedisValue, RedisResult, Value};
use tokio::time::Instant;

/// A running `redis-server`, with its own directory.
pub(crate) struct RedisServer {
    child: Child,
    port: u16,
    directory: tempfile::TempDir,
    options: Vec<String>,
}

impl RedisServer {
    /// Starts a server without persistence, and waits until it responds.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a server with more options, for example `["--requirepass", "x"]`.
    pub(crate) fn start_with(options: &[&str]) -> Self {
        Self::start_on(free_port(), options)
    }

    /// Starts a server on a given port.
    pub(crate) fn start_on(port: u16, options: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let options: Vec<String> = options.iter().map(|&option| option.to_owned()).collect();
        let child = spawn(port, directory.path(), &options);
        let server = Self {
            child,
            port,
            directory,
            options,
        };
        server.wait_until_it_answers();
        server
    }

    fn start_sentinel(primary: u16) -> Self {
        let watch = [
            format!("sentinel monitor main 127.0.0.1 {primary} 2"),
            "sentinel down-after-milliseconds main 500".into(),
            "sentinel failover-timeout main 3000".into(),
        ];
        Self::start_sentinel_with(&watch)
    }

    /// Starts a Sentinel with these lines of configuration.
    pub(crate) fn start_sentinel_with(lines: &[String]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let port = free_port();
        std::fs::write(directory.path().join("sentinel.conf"), lines.join("\n")).unwrap();
        let child = Command::new("redis-server")
            .arg(directory.path().join("sentinel.conf"))
            .args([
                "--sentinel",
                "--port",
                &port.to_string(),
                "--bind",
                "127.0.0.1",
            ])
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is installed (scripts/test does that)");
        let server = Self {
            child,
            port,
            directory,
            options: Vec::new(),
        };
        server.wait_until_it_answers();
        server
    }

    /// Returns its address for `store.url`.
    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Returns its port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Returns the directory of its files.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Kills it, as a crash would.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Restarts it on the same port and directory, and waits until it responds.
    pub(crate) fn restart(&mut self) {
        self.restart_with(&[]);
        self.wait_until_it_answers();
    }

    /// Restarts it with more options, and does not wait.
    pub(crate) fn restart_with(&mut self, options: &[&str]) {
        let all: Vec<_> = self
            .options
            .iter()
            .cloned()
            .chain(options.iter().map(|&option| option.to_owned()))
            .collect();
        self.child = spawn(self.port, self.directory.path(), &all);
    }

    /// Freezes it: it keeps its connections and does not respond.
    pub(crate) fn stop(&self) {
        self.signal("-STOP");
    }

    /// Resumes it after a freeze.
    pub(crate) fn cont(&self) {
        self.signal("-CONT");
    }

    /// Runs a command on it, for example `["CLIENT", "KILL", "TYPE", "normal"]`.
    pub(crate) fn run<T: FromRedisValue>(&self, command: &[&str]) -> T {
        self.try_run(command).unwrap()
    }

    /// Writes bytes to a key.
    pub(crate) fn set(&self, key: &str, bytes: &[u8]) {
        let mut set = Cmd::new();
        set.arg("SET").arg(key).arg(bytes);
        let _ok: String = set.query(&mut self.connect().unwrap()).unwrap();
    }

    /// Returns the calls of each command since `CONFIG RESETSTAT`, as the server counts them.
    pub(crate) fn command_counts(&self) -> BTreeMap<String, u64> {
        let stats: String = self.run(&["INFO", "commandstats"]);
        let count = |line: &str| {
            let (name, counts) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
            Some((name.to_owned(), counts.split(',').next()?.parse().ok()?))
        };
        stats.lines().filter_map(count).collect()
    }

    /// Waits until its replica has every write so far. `WAIT` would cover only the writes of its
    /// own connection.
    pub(crate) fn wait_until_replicated(&self) {
        let number = |info: &str, name: &str| -> u64 {
            let after = &info[info.find(name).unwrap() + name.len()..];
            after
                .split(|c: char| !c.is_ascii_digit())
                .next()
                .unwrap()
                .parse()
                .unwrap()
        };
        let written = number(
            &self.run::<String>(&["INFO", "replication"]),
            "master_repl_offset:",
        );
        wait_until("the replica has every write", || {
            number(&self.run::<String>(&["INFO", "replication"]), ",offset=") >= written
        });
    }

    /// Runs a command that may fail.
    pub(crate) fn try_run<T: FromRedisValue>(&self, command: &[&str]) -> RedisResult<T> {
        let mut sent = Cmd::new();
        sent.arg(command);
        sent.query(&mut self.connect()?)
    }

    fn connect(&self) -> RedisResult<Connection> {
        let password = self
            .options
            .iter()
            .skip_while(|option| *option != "--requirepass")
            .nth(1);
        let user = password
            .map(|password| format!(":{password}@"))
            .unwrap_or_default();
        ::redis::Client::open(format!("redis://{user}127.0.0.1:{}", self.port))?
            .get_connection_with_timeout(Duration::from_secs(5))
    }

    fn wait_until_it_answers(&self) {
        wait_until("redis-server responds", || self.connect().is_ok());
    }

    fn signal(&self, signal: &str) {
        let done = Command::new("kill")
            .args([signal, &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(done.success(), "kill {signal} failed");
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // It may be dead already; the signal ends a frozen one too.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Three Sentinels for a primary with one replica, under the name `main`.
pub(crate) struct Sentinels {
    pub(crate) primary: RedisServer,
    pub(crate) replica: RedisServer,
    sentinels: Vec<RedisServer>,
}

impl Sentinels {
    /// Starts all of them, and waits until the Sentinels know each other and could fail over.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts all of them, the primary with more options.
    pub(crate) fn start_with(options: &[&str]) -> Self {
        let primary = RedisServer::start_with(options);
        let of = format!("127.0.0.1 {}", primary.port());
        let replica =
            RedisServer::start_with(&["--replicaof", &of, "--repl-diskless-sync-delay", "0"]);
        let sentinels: Vec<_> = (0..3)
            .map(|_| RedisServer::start_sentinel(primary.port()))
            .collect();
        let all = Self {
            primary,
            replica,
            sentinels,
        };
        wait_until("the Sentinels agree", || {
            all.sentinels.iter().all(|sentinel| {
                let known: Vec<Value> = sentinel.run(&["SENTINEL", "SENTINELS", "main"]);
                let replicas: Vec<Value> = sentinel.run(&["SENTINEL", "REPLICAS", "main"]);
                known.len() == 2 && replicas.len() == 1
            })
        });
        wait_until("the replica follows", || {
            all.replica
                .run::<String>(&["INFO", "replication"])
                .contains("master_link_status:up")
        });
        all
    }

    /// Returns their address for `store.url`.
    pub(crate) fn url(&self) -> String {
        Self::url_through(&self.ports())
    }

    /// Returns their address for `store.url`, if these ports lead to the Sentinels.
    pub(crate) fn url_through(ports: &[u16]) -> String {
        let hosts: Vec<_> = ports
            .iter()
            .map(|port| format!("127.0.0.1:{port}"))
            .collect();
        format!("redis+sentinel://{}/main", hosts.join(","))
    }

    /// Returns the ports of the Sentinels.
    pub(crate) fn ports(&self) -> Vec<u16> {
        self.sentinels.iter().map(RedisServer::port).collect()
    }

    /// Kills some of the Sentinels.
    pub(crate) fn kill_some(&mut self, count: usize) {
        self.sentinels
            .iter_mut()
            .take(count)
            .for_each(RedisServer::kill);
    }

    /// Begins a planned failover. The former primary stays, and takes writes for about ten seconds.
    pub(crate) fn fail_over(&self) {
        self.sentinels[0].run::<()>(&["SENTINEL", "FAILOVER", "main"]);
    }

    /// Returns the port of the primary that the first Sentinel names.
    pub(crate) fn named_primary(&self) -> u16 {
        let query = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main"];
        self.sentinels[0].run::<(String, u16)>(&query).1
    }
}

/// Three primaries with one replica each.
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<RedisServer>,
}

impl Cluster {
    /// Starts all of them, and waits until every slot is served.
    pub(crate) fn start() -> Self {
        let options = [
            "--cluster-enabled",
            "yes",
            "--cluster-node-timeout",
            "500",
            "--cluster-require-full-coverage",
            "no",
            // A replica of a frozen primary may be elected however long that takes.
            "--cluster-replica-validity-factor",
            "0",
        ];
        let nodes: Vec<_> = (0..6).map(|_| RedisServer::start_with(&options)).collect();
        let hosts = nodes
            .iter()
            .map(|node| format!("127.0.0.1:{}", node.port()));
        let created = Command::new("redis-cli")
            .args(["--cluster", "create"])
            .args(hosts)
            .args(["--cluster-replicas", "1", "--cluster-yes"])
            .stdout(Stdio::null())
            .status()
            .expect("redis-cli is installed (scripts/test does that)");
        assert!(created.success(), "redis-cli --cluster create failed");
        wait_until("the Cluster serves every slot", || {
            nodes.iter().all(|node| {
                let info: String = node.run(&["CLUSTER", "INFO"]);
                let replication: String = node.run(&["INFO", "replication"]);
                info.contains("cluster_state:ok")
                    && info.contains("cluster_known_nodes:6")
                    && (replication.contains("connected_slaves:1")
                        || replication.contains("master_link_status:up"))
            })
        });
        Self { nodes }
    }

    /// Returns its address for `store.url`, with only some of its nodes.
    pub(crate) fn url(&self) -> String {
        let hosts: Vec<_> = self
            .nodes
            .iter()
            .take(3)
            .map(|node| format!("127.0.0.1:{}", node.port()))
            .collect();
        format!("redis+cluster://{}", hosts.join(","))
    }

    /// Returns the index of the primary that serves a key.
    pub(crate) fn owner_of(&self, key: &str) -> usize {
        let reaches = |node: &RedisServer| {
            let primary = node
                .run::<String>(&["INFO", "replication"])
                .contains("role:master");
            let got: RedisResult<Option<Vec<u8>>> = node.try_run(&["GET", key]);
            primary && got.is_ok()
        };
        let mut owner = None;
        wait_until("a primary serves the key", || {
            owner = self.nodes.iter().position(reaches);
            owner.is_some()
        });
        owner.unwrap()
    }
}

/// Waits for the effect of another process.
pub(crate) fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !done() {
        assert!(Instant::now() < deadline, "timed out: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Returns a free port.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

fn spawn(port: u16, directory: &Path, options: &[String]) -> Child {
    Command::new("redis-server")
        .args([
            "--port",
            &port.to_string(),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
        ])
        .args(["--rdbcompression", "no", "--dir"])
        .arg(directory)
        .args(options)
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server is installed (scripts/test does that)")
}
