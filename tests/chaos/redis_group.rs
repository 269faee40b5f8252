//! A primary of Redis with two replicas and three Sentinels, at addresses that a row may choose.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::process::Command;
use std::time::Duration;

use ::redis::{Cmd, FromRedisValue, RedisResult, Value};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::support::process::Process;
use crate::support::redis::free_port;

/// The servers; they end when dropped.
pub(crate) struct Group {
    pub(crate) master: Server,
    pub(crate) replicas: Vec<Server>,
    pub(crate) sentinels: Vec<Server>,
}

/// A running `redis-server`.
pub(crate) struct Server {
    process: Process,
    pub(crate) address: SocketAddr,
    #[expect(dead_code, reason = "removes the directory when it is dropped")]
    directory: TempDir,
}

/// The place of a server: an address, and a command in front of the program that puts it there.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) ip: IpAddr,
    pub(crate) wrapper: Vec<String>,
}

impl Group {
    /// Starts all servers on loopback, each Redis with these options.
    pub(crate) async fn start(options: &[&str]) -> Self {
        Self::start_at(&Place::loopback(), &Place::loopback(), options).await
    }

    /// Starts the primary at one place and the others at another, and waits until the Sentinels
    /// could fail over.
    pub(crate) async fn start_at(of_master: &Place, of_others: &Place, options: &[&str]) -> Self {
        let master = Server::redis(of_master, options);
        master.answers().await;
        let of = format!("{} {}", master.address.ip(), master.address.port());
        let following = ["--replicaof", &of, "--repl-diskless-sync-delay", "0"];
        let replicas: Vec<_> = (0..2)
            .map(|_| Server::redis(of_others, &[options, &following[..]].concat()))
            .collect();
        let sentinels: Vec<_> = (0..3)
            .map(|_| Server::sentinel(of_others, master.address, NOTICED))
            .collect();
        let group = Self {
            master,
            replicas,
            sentinels,
        };
        for replica in &group.replicas {
            replica.follows().await;
        }
        wait_for("the Sentinels agree", || agree(&group.sentinels)).await;
        group
    }

    /// Returns the value of `store.url`.
    pub(crate) fn url(&self) -> String {
        url_of(&self.sentinels)
    }

    /// Begins a planned failover. The former primary takes writes for about ten more seconds.
    pub(crate) fn fail_over(&self) {
        self.sentinels[0]
            .run::<()>(&["SENTINEL", "FAILOVER", "main"])
            .unwrap();
    }

    /// Returns the moment when a Sentinel names another primary.
    pub(crate) async fn switched(&self) -> Instant {
        let first = self.master.address.to_string();
        let query = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main"];
        wait_for("the Sentinels switch", || {
            self.sentinels.iter().any(|sentinel| {
                let named = sentinel.run::<(String, u16)>(&query);
                named.is_ok_and(|(ip, port)| format!("{ip}:{port}") != first)
            })
        })
        .await;
        Instant::now()
    }
}

impl Server {
    /// Starts a Redis.
    pub(crate) fn redis(place: &Place, options: &[&str]) -> Self {
        Self::redis_on(place, free_port(), options)
    }

    /// Starts a Redis on a port of choice.
    pub(crate) fn redis_on(place: &Place, port: u16, options: &[&str]) -> Self {
        let quiet = ["--save", "", "--appendonly", "no"];
        Self::start(place, port, &[], &[&quiet[..], options].concat())
    }

    /// Starts a Sentinel that notices the loss of a primary after some milliseconds.
    pub(crate) fn sentinel(place: &Place, master: SocketAddr, notices_after: u32) -> Self {
        let watch = [
            format!("sentinel monitor main {} {} 2", master.ip(), master.port()),
            format!("sentinel down-after-milliseconds main {notices_after}"),
            format!("sentinel failover-timeout main {}", notices_after * 6),
        ];
        Self::start(place, free_port(), &watch, &["--sentinel"])
    }

    fn start(place: &Place, port: u16, config: &[String], options: &[&str]) -> Self {
        let (directory, ip) = (tempfile::tempdir().unwrap(), place.ip.to_string());
        let file = directory.path().join("redis.conf");
        fs::write(&file, config.join("\n")).unwrap();
        let program = ["redis-server".to_owned()];
        let mut words = place.wrapper.iter().chain(&program);
        let mut command = Command::new(words.next().unwrap());
        command.args(words).arg(file).args(options);
        command.args(["--port", &port.to_string(), "--bind", &ip]);
        // Its own connections come from its address too, so that a partition cuts them.
        command.args(["--bind-source-addr", &ip, "--protected-mode", "no"]);
        command.arg("--dir").arg(directory.path());
        Self {
            process: Process::spawn("redis-server", &mut command),
            address: (place.ip, port).into(),
            directory,
        }
    }

    /// Runs a command.
    pub(crate) fn run<T: FromRedisValue>(&self, words: &[&str]) -> RedisResult<T> {
        let mut command = Cmd::new();
        command.arg(words);
        let client = ::redis::Client::open(format!("redis://{}", self.address))?;
        let mut connection = client.get_connection_with_timeout(ANSWER)?;
        connection.set_read_timeout(Some(ANSWER))?;
        command.query(&mut connection)
    }

    /// Waits until it answers.
    pub(crate) async fn answers(&self) {
        wait_for("redis-server answers", || self.run::<()>(&["PING"]).is_ok()).await;
    }

    /// Waits until it has a copy of its primary.
    pub(crate) async fn follows(&self) {
        wait_for("the replica follows", || {
            let info = self.run::<String>(&["INFO", "replication"]);
            info.is_ok_and(|info| info.contains("master_link_status:up"))
        })
        .await;
    }

    /// Kills it with SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// Sends a signal, for example `STOP`.
    pub(crate) fn signal(&self, signal: &str) {
        self.process.signal(signal);
    }
}

impl Place {
    /// Returns the place of everything that no row puts elsewhere.
    pub(crate) fn loopback() -> Self {
        Self {
            ip: [127, 0, 0, 1].into(),
            wrapper: Vec::new(),
        }
    }
}

/// Returns the value of `store.url` for the Sentinels.
pub(crate) fn url_of(sentinels: &[Server]) -> String {
    let hosts: Vec<_> = sentinels.iter().map(|it| it.address.to_string()).collect();
    format!("redis+sentinel://{}/main", hosts.join(","))
}

/// Returns whether all Sentinels know each other and both replicas.
pub(crate) fn agree(sentinels: &[Server]) -> bool {
    let count = |sentinel: &Server, what: &str| {
        let listed = sentinel.run::<Vec<Value>>(&["SENTINEL", what, "main"]);
        listed.map_or(0, |listed| listed.len())
    };
    sentinels
        .iter()
        .all(|it| count(it, "SENTINELS") == 2 && count(it, "REPLICAS") == 2)
}

async fn wait_for(what: &str, done: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < end, "not in time: {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

/// The milliseconds after which the Sentinels notice the loss of the primary.
const NOTICED: u32 = 500;

/// The time in which a server answers a command.
const ANSWER: Duration = Duration::from_millis(500);

/// The time for the servers to find each other.
const PATIENCE: Duration = Duration::from_secs(30);
