//! The name of Redis: resolved again each second, since it may move to another server while the
//! old one lives and keeps its connections.
//!
//! Each connection is made to one address. When the name no longer has the address of a connection,
//! all connections are replaced (`server_term`).

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt as _;
use redis::io::AsyncDNSResolver;
use redis::{ConnectionAddr, RedisFuture};
use tokio::net::lookup_host;
use tracing::warn;

use super::error::CommandError;

/// Resolves the name of Redis.
pub(super) struct NameWatch {
    resolver: Arc<dyn AsyncDNSResolver>,
    used: Mutex<Option<UsedName>>,
}

/// A name, and the addresses that connections of this term were made to.
#[derive(Clone)]
struct UsedName {
    host: String,
    port: u16,
    addresses: Vec<SocketAddr>,
}

/// The resolver of the system.
#[derive(Clone, Copy, Debug)]
pub(super) struct SystemResolver;

/// A resolver that knows one address.
#[derive(Clone, Copy, Debug)]
pub(super) struct FixedAddress(pub(super) SocketAddr);

// === impl NameWatch ===

impl NameWatch {
    /// Returns a watch of names that `resolver` resolves.
    pub(super) fn new(resolver: Arc<dyn AsyncDNSResolver>) -> Self {
        Self {
            resolver,
            used: Mutex::default(),
        }
    }

    /// Returns the addresses of a server to try, one after the other: first those that other
    /// connections have. Returns none for a server without a name.
    pub(super) async fn addresses(
        &self,
        server: &ConnectionAddr,
    ) -> Result<Vec<SocketAddr>, CommandError> {
        let Some((host, port)) = name(server) else {
            return Ok(Vec::new());
        };
        let resolved = self.resolver.resolve(host, port).await;
        let resolved = resolved.map_err(|error| CommandError::connecting_to(server, error))?;
        let mut addresses: Vec<_> = resolved.collect();
        let used = self.used().clone();
        addresses.sort_by_key(|address| {
            !used
                .as_ref()
                .is_some_and(|used| used.addresses.contains(address))
        });
        Ok(addresses)
    }

    /// Notes that a connection was made to one of the addresses of a server.
    pub(super) fn note_use(&self, server: &ConnectionAddr, address: SocketAddr) {
        let Some((host, port)) = name(server) else {
            return;
        };
        let mut used = self.used();
        match &mut *used {
            Some(used) if used.host == host && used.port == port => {
                if !used.addresses.contains(&address) {
                    used.addresses.push(address);
                }
            }
            _ => {
                *used = Some(UsedName {
                    host: host.to_owned(),
                    port,
                    addresses: vec![address],
                });
            }
        }
    }

    /// Resolves the name again; returns `true` if it has moved. A name that cannot be resolved has
    /// not moved.
    pub(super) async fn has_moved(&self) -> bool {
        let Some(used) = self.used().clone() else {
            return false;
        };
        let Ok(resolved) = self.resolver.resolve(&used.host, used.port).await else {
            return false;
        };
        let now: Vec<_> = resolved.collect();
        let left = used.addresses.iter().find(|address| !now.contains(address));
        let (Some(left), false) = (left, now.is_empty()) else {
            return false;
        };
        warn!(
            name = used.host,
            was = %left,
            is = ?now,
            "the name of Redis leads to another address; replacing every connection"
        );
        *self.used() = None;
        true
    }

    fn used(&self) -> std::sync::MutexGuard<'_, Option<UsedName>> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the name and port of a server that has a name.
fn name(server: &ConnectionAddr) -> Option<(&str, u16)> {
    let (ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. }) = server
    else {
        return None;
    };
    host.parse::<IpAddr>().is_err().then_some((host, *port))
}

// === impl AsyncDNSResolver ===

type Addresses<'a> = Box<dyn Iterator<Item = SocketAddr> + Send + 'a>;

impl AsyncDNSResolver for SystemResolver {
    fn resolve<'a, 'b: 'a>(&'a self, host: &'b str, port: u16) -> RedisFuture<'a, Addresses<'a>> {
        let resolved = lookup_host((host, port));
        async move { Ok(Box::new(resolved.await?.collect::<Vec<_>>().into_iter()) as Addresses<'a>) }
            .boxed()
    }
}

impl AsyncDNSResolver for FixedAddress {
    fn resolve<'a, 'b: 'a>(&'a self, _host: &'b str, _port: u16) -> RedisFuture<'a, Addresses<'a>> {
        async move { Ok(Box::new(std::iter::once(self.0)) as Addresses<'a>) }.boxed()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use redis::cmd;
    use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::{Instant, sleep};

    use super::super::address::RedisAddress;
    use super::super::client::RedisClient;
    use super::super::clock_skew::ClockSkew;
    use super::super::connection::RedisConnector;
    use super::super::credentials::Credentials;
    use super::super::inspection::ServerInspector;
    use super::super::recovery::Recovery;
    use super::super::restarts::RestartDetector;
    use super::super::servers::RedisServers;
    use super::*;
    use crate::clock::{SystemClock, SystemEntropy};

    #[tokio::test(flavor = "multi_thread")]
    async fn a_name_that_moves_takes_every_connection_along() {
        let one = Server::start("127.0.0.2", 0).await.0;
        let other = Server::start("127.0.0.3", one.port()).await.0;
        let name = Arc::new(MovingName(Mutex::new(one)));
        let client = client_of(Arc::clone(&name), one.port()).await;
        // Nobody ends the recovery here.
        let reader = client.past_gate();
        assert_eq!(address_seen_by(&client).await.as_deref(), Some("127.0.0.2"));
        *name.0.lock().unwrap() = other;
        let deadline = Instant::now() + Duration::from_secs(20);
        while address_seen_by(&reader).await.as_deref() != Some("127.0.0.3") {
            assert!(Instant::now() < deadline, "the connections did not move");
            sleep(Duration::from_millis(20)).await;
        }
        for _ in 0..20 {
            assert_eq!(address_seen_by(&reader).await.as_deref(), Some("127.0.0.3"));
        }
        assert_eq!(client.restarts_seen(), 1);
    }

    #[tokio::test]
    async fn a_name_that_still_has_the_address_or_cannot_be_resolved_moves_nothing() {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        let name = Arc::new(MovingName(Mutex::new(address("127.0.0.2:1"))));
        let watch = NameWatch::new(Arc::clone(&name) as Arc<dyn AsyncDNSResolver>);
        let server = ConnectionAddr::Tcp("redis.test".into(), 1);
        assert!(!watch.has_moved().await);
        watch.note_use(&server, address("127.0.0.2:1"));
        assert!(!watch.has_moved().await);
        *name.0.lock().unwrap() = address("127.0.0.3:1");
        assert!(watch.has_moved().await);
        assert!(!watch.has_moved().await, "no connection has an address yet");
        let by_address = ConnectionAddr::Tcp("127.0.0.1".into(), 1);
        assert_eq!(watch.addresses(&by_address).await, Ok(Vec::new()));
    }

    async fn client_of(name: Arc<MovingName>, port: u16) -> Arc<RedisClient> {
        let (clock, recovery) = (Arc::new(SystemClock), Arc::<Recovery>::default());
        let restarts =
            RestartDetector::new(clock.clone(), true, Arc::clone(&recovery), Arc::default());
        let inspector = ServerInspector::new(
            clock,
            restarts,
            ClockSkew::new(Duration::ZERO),
            &SystemEntropy,
        );
        let address = RedisAddress::parse(&format!("redis://redis.test:{port}")).unwrap();
        let connector = RedisConnector::new(
            RedisServers::follow(address, Credentials::none(), &recovery),
            Duration::from_secs(2),
            Arc::new(inspector),
            name,
        );
        RedisClient::open_with(connector, 4, recovery)
            .await
            .unwrap()
    }

    /// Returns the address of the server that answers.
    async fn address_seen_by(client: &RedisClient) -> Option<String> {
        let mut get = cmd("GET");
        let answer = client.call(get.arg("address")).await.ok()?;
        redis::from_redis_value(answer).ok()
    }

    struct MovingName(Mutex<SocketAddr>);

    impl AsyncDNSResolver for MovingName {
        fn resolve<'a, 'b: 'a>(
            &'a self,
            _host: &'b str,
            _port: u16,
        ) -> RedisFuture<'a, Addresses<'a>> {
            let address = *self.0.lock().unwrap();
            async move { Ok(Box::new(std::iter::once(address)) as Addresses<'a>) }.boxed()
        }
    }

    /// Something that answers as a Redis does, on an address that it tells for every `GET`.
    struct Server(SocketAddr);

    impl Server {
        /// Listens; port 0 means a free one.
        async fn start(host: &str, port: u16) -> Self {
            let listener = TcpListener::bind((host, port)).await.unwrap();
            let address = listener.local_addr().unwrap();
            tokio::spawn(async move {
                while let Ok((client, _)) = listener.accept().await {
                    tokio::spawn(serve(client, address.ip().to_string()));
                }
            });
            Self(address)
        }
    }

    async fn serve(client: TcpStream, own: String) {
        let (asks, mut answers) = client.into_split();
        let mut lines = BufReader::new(asks).lines();
        while let Ok(Some(count)) = lines.next_line().await {
            let count: usize = count[1..].parse().unwrap();
            let mut words = Vec::new();
            // A text may have several lines.
            while words.len() < count {
                let length = lines.next_line().await.unwrap().unwrap();
                let length: usize = length[1..].parse().unwrap();
                let mut text = lines.next_line().await.unwrap().unwrap();
                while text.len() < length {
                    text.push('\n');
                    text.push_str(&lines.next_line().await.unwrap().unwrap());
                }
                words.push(text);
            }
            let answer = answer(&words[0], &own);
            answers.write_all(answer.as_bytes()).await.unwrap();
        }
    }

    fn answer(command: &str, own: &str) -> String {
        let text = |text: &str| format!("${}\r\n{text}\r\n", text.len());
        match command {
            "INFO" => text(&format!(
                "redis_version:7.0.15\r\nrun_id:{own}\r\nrole:master"
            )),
            "TIME" => format!("*2\r\n{}{}", text("1700000000"), text("0")),
            "EVAL" => {
                let (id, never) = (text(own), text("0"));
                format!("*5\r\n{id}{never}{}{id}{never}", text("restart"))
            }
            "GET" => text(own),
            _ => "+OK\r\n".to_owned(),
        }
    }
}
