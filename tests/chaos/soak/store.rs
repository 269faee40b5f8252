//! A primary of Redis with two replicas and three Sentinels. Each server is behind a proxy, through
//! which everybody else reaches it.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::proxy::{Network, Proxy};
use crate::redis_group::{Place, Server, agree, url_of};
use crate::support::redis::free_port;

/// The servers; they end when dropped.
pub(crate) struct Store {
    nodes: Vec<Node>,
    sentinels: Vec<Server>,
}

/// A Redis and its proxy.
struct Node {
    server: Server,
    port: u16,
    proxy: Proxy,
}

impl Store {
    /// Starts the servers, and waits until the Sentinels could fail over.
    pub(crate) async fn start() -> Self {
        let primary = Node::start(None).await;
        let address = primary.proxy.address;
        let mut nodes = vec![primary];
        for _ in 0..2 {
            nodes.push(Node::start(Some(address.port())).await);
        }
        let place = Place::loopback();
        let sentinels = (0..3).map(|_| Server::sentinel(&place, address, NOTICED));
        let store = Self {
            nodes,
            sentinels: sentinels.collect(),
        };
        store.settle().await.unwrap();
        store
    }

    /// Returns the value of `store.url`.
    pub(crate) fn url(&self) -> String {
        url_of(&self.sentinels)
    }

    /// Returns the index of the primary that most Sentinels name.
    pub(crate) fn primary(&self) -> usize {
        let votes = |node: &Node| {
            let port = node.proxy.address.port();
            let of_it = self.sentinels.iter().filter(|it| named(it) == Some(port));
            of_it.count()
        };
        let nodes = 0..self.nodes.len();
        nodes.max_by_key(|&at| votes(&self.nodes[at])).unwrap_or(0)
    }

    /// Returns the index of a server that is not the primary.
    pub(crate) fn follower(&self) -> usize {
        (self.primary() + 1) % self.nodes.len()
    }

    /// Sends a signal to a server.
    pub(crate) fn signal(&self, at: usize, signal: &str) {
        self.nodes[at].server.signal(signal);
    }

    /// Kills a server.
    pub(crate) fn kill(&mut self, at: usize) {
        self.nodes[at].server.kill();
    }

    /// Starts a killed server as a replica of the primary, without its data.
    pub(crate) fn restart(&mut self, at: usize) {
        let of = self.nodes[self.primary()].proxy.address.port();
        let node = &mut self.nodes[at];
        node.server = redis(node.port, node.proxy.address.port(), Some(of));
    }

    /// Changes the network in front of a server.
    pub(crate) fn network(&self, at: usize, network: Network) {
        self.nodes[at].proxy.set(network);
    }

    /// Ends all connections of clients to a server.
    pub(crate) fn disconnect(&self, at: usize) {
        // Also ends the connection that asks for it.
        let _ = self.nodes[at]
            .server
            .run::<()>(&["CLIENT", "KILL", "TYPE", "normal"]);
    }

    /// Begins a planned failover.
    pub(crate) fn fail_over(&self) {
        let command = ["SENTINEL", "FAILOVER", "main"];
        self.sentinels[0].run::<()>(&command).unwrap();
    }

    /// Waits until a Sentinel names another primary.
    ///
    /// # Errors
    /// The Sentinels did not.
    pub(crate) async fn switched(&self, from: usize) -> Result<(), String> {
        let port = self.nodes[from].proxy.address.port();
        let other = |it: &Server| named(it).is_some_and(|named| named != port);
        let switched = || self.sentinels.iter().any(other);
        within(PATIENCE, "the Sentinels switch", switched).await
    }

    /// Waits until the Sentinels agree, and both replicas follow the primary.
    ///
    /// # Errors
    /// They do not.
    pub(crate) async fn settle(&self) -> Result<(), String> {
        let port = || self.nodes[self.primary()].proxy.address.port();
        let settled = || {
            let same = self.sentinels.iter().all(|it| named(it) == Some(port()));
            same && agree(&self.sentinels) && self.followers() == 2
        };
        within(PATIENCE, "the servers of Redis find each other", settled).await
    }

    fn followers(&self) -> usize {
        let primary = &self.nodes[self.primary()].server;
        let info = primary.run::<String>(&["INFO", "replication"]);
        info.map_or(0, |info| info.matches("state=online").count())
    }
}

impl Node {
    async fn start(of: Option<u16>) -> Self {
        let port = free_port();
        let proxy = Proxy::start(port).await;
        let server = redis(port, proxy.address.port(), of);
        server.answers().await;
        Self {
            server,
            port,
            proxy,
        }
    }
}

/// Starts a Redis that announces the port of its proxy.
fn redis(port: u16, announced: u16, of: Option<u16>) -> Server {
    let announced = announced.to_string();
    let mut options = RECOMMENDED.to_vec();
    options.extend(["--replica-announce-ip", "127.0.0.1"]);
    options.extend(["--replica-announce-port", &announced]);
    let primary = of.map(|port| format!("127.0.0.1 {port}"));
    if let Some(primary) = &primary {
        options.extend(["--replicaof", primary]);
    }
    Server::redis_on(&Place::loopback(), port, &options)
}

/// Returns the port of the primary that a Sentinel names.
fn named(sentinel: &Server) -> Option<u16> {
    let query = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main"];
    let named = sentinel.run::<(String, u16)>(&query);
    named.ok().map(|(_, port)| port)
}

async fn within(patience: Duration, what: &str, done: impl Fn() -> bool) -> Result<(), String> {
    let end = Instant::now() + patience;
    while !done() {
        if Instant::now() > end {
            return Err(format!("not in {} s: {what}", patience.as_secs()));
        }
        sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// The settings that docs/redis.md recommends, and a backlog for the load.
const RECOMMENDED: [&str; 8] = [
    "--min-replicas-to-write",
    "1",
    "--min-replicas-max-lag",
    "2",
    "--repl-diskless-sync-delay",
    "0",
    "--repl-backlog-size",
    "64mb",
];

/// The milliseconds after which the Sentinels notice the loss of the primary, as docs/redis.md
/// recommends.
const NOTICED: u32 = 2000;

/// The time for a failover, and for a server to become a replica again.
const PATIENCE: Duration = Duration::from_secs(45);
