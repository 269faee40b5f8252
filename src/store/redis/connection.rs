//! One multiplexed connection, and the connector with which bb8 makes and checks connections.
//!
//! A failed call marks its connection as broken, and a check-out looks at that mark alone: no round
//! trip. A server that takes no writes (a replica, or one that is loading) also breaks the
//! connection, since a failover leaves connections to a server that still answers `PING`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bb8_redis::bb8;
use futures_util::future::select_ok;
use redis::{AsyncConnectionConfig, Client, Cmd, Value};
use tokio::time::{Instant, sleep, timeout};

use super::address::RedisAddress;
use super::error::CommandError;
use super::inspection::ServerInspector;
use super::link::Link;
use super::resolution::{FixedAddress, NameWatch};
use super::restarts::RestartDetector;

/// A connection. Its clones share the link and the mark.
#[derive(Clone)]
pub(super) struct RedisConnection {
    link: Link,
    broken: Arc<AtomicBool>,
    generation: u64,
    /// The generation of connections that may be used.
    current_generation: Arc<AtomicU64>,
}

/// Makes connections, and checks that their server can be used.
#[derive(Clone)]
pub(super) struct RedisConnector {
    address: RedisAddress,
    response_timeout: Duration,
    config: AsyncConnectionConfig,
    inspector: Arc<ServerInspector>,
    names: Arc<NameWatch>,
}

// === impl RedisConnection ===

impl RedisConnection {
    /// Runs a command until `deadline`; marks the connection as broken if the error demands it.
    pub(super) async fn run(
        &mut self,
        command: &Cmd,
        deadline: Instant,
    ) -> Result<Value, CommandError> {
        let outcome = self.link.run(command, deadline).await;
        if let Err(error) = &outcome
            && error.breaks_connection()
            // The connection to a Cluster replaces broken connections to its nodes by itself.
            && !self.link.is_cluster()
        {
            self.mark_broken();
        }
        outcome
    }

    /// Returns the link below.
    pub(super) const fn link(&self) -> &Link {
        &self.link
    }

    /// Marks the connection as broken, so that it is not used again.
    pub(super) fn mark_broken(&self) {
        self.broken.store(true, Ordering::Relaxed);
    }

    fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
            || self.current_generation.load(Ordering::Relaxed) != self.generation
    }
}

// === impl RedisConnector ===

impl RedisConnector {
    /// Connects to `address`; a command on a connection may take `response_timeout`.
    pub(super) fn new(
        address: RedisAddress,
        response_timeout: Duration,
        inspector: Arc<ServerInspector>,
        names: NameWatch,
    ) -> Self {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(response_timeout));
        let address = address.with_response_timeout(response_timeout);
        Self {
            address,
            response_timeout,
            config,
            inspector,
            names: Arc::new(names),
        }
    }

    /// Returns the longest time that a command may take.
    pub(super) const fn response_timeout(&self) -> Duration {
        self.response_timeout
    }

    /// Returns the detector of restarts of the servers behind the connections.
    pub(super) fn restarts(&self) -> &RestartDetector {
        self.inspector.restarts()
    }

    /// Returns the inspector of these servers.
    pub(super) fn inspector(&self) -> &ServerInspector {
        &self.inspector
    }

    /// Returns the watch of the name of Redis.
    pub(super) fn names(&self) -> &NameWatch {
        &self.names
    }

    /// Inspects the servers behind a link. If it leads to another server than before, other
    /// connections may lead to the old one: then all are replaced, and it returns `true`.
    pub(super) async fn inspect(
        &self,
        link: &Link,
        deadline: Instant,
        saw_skew: bool,
    ) -> Result<bool, CommandError> {
        let replaced = self.inspector.inspect(link, deadline, saw_skew).await?;
        // A Cluster has several servers, and each connection to it knows them all.
        let renews = replaced && !link.is_cluster();
        if renews {
            self.names.renew();
        }
        Ok(renews)
    }

    /// Returns `true` if commands must stay within one slot.
    pub(super) const fn is_cluster(&self) -> bool {
        matches!(self.address, RedisAddress::Cluster(_))
    }

    async fn dial(&self) -> Result<Link, CommandError> {
        match &self.address {
            RedisAddress::Node(client) => self.dial_node(client).await,
            RedisAddress::Sentinel(sentinels) => {
                self.dial_node(&sentinels.primary(&self.config).await?)
                    .await
            }
            RedisAddress::Cluster(cluster) => {
                let client = cluster.client(CONNECT_TIMEOUT)?;
                Ok(Link::Cluster(client.get_async_connection().await?))
            }
        }
    }

    /// Connects to a server: if it is named, to one of its addresses. Later addresses wait a
    /// moment for the earlier ones.
    async fn dial_node(&self, client: &Client) -> Result<Link, CommandError> {
        let server = client.get_connection_info().addr();
        let addresses = self.names.addresses(server).await?;
        if addresses.is_empty() {
            return self.dial_with(client, &self.config).await;
        }
        let dials = (0..).zip(addresses).map(|(turn, address)| {
            let dial = async move {
                sleep(NEXT_ADDRESS_AFTER * turn).await;
                let config = self.config.clone().set_dns_resolver(FixedAddress(address));
                let link = self.dial_with(client, &config).await;
                link.map(|link| (address, link))
            };
            Box::pin(dial)
        });
        let ((address, link), _) = select_ok(dials).await?;
        self.names.note_use(server, address);
        Ok(link)
    }

    async fn dial_with(
        &self,
        client: &Client,
        config: &AsyncConnectionConfig,
    ) -> Result<Link, CommandError> {
        let connected = client
            .get_multiplexed_async_connection_with_config(config)
            .await;
        let address = client.get_connection_info().addr();
        connected
            .map(Link::Node)
            .map_err(|error| CommandError::connecting_to(address, error))
    }
}

impl bb8::ManageConnection for RedisConnector {
    type Connection = RedisConnection;
    type Error = CommandError;

    /// Connects, and hands the connection out only after its server was inspected: so a restart is
    /// noticed before the first command.
    async fn connect(&self) -> Result<RedisConnection, CommandError> {
        let connect = async {
            let current = self.names.generation();
            let generation = current.load(Ordering::SeqCst);
            let link = self.dial().await?;
            let deadline = Instant::now() + CONNECT_TIMEOUT;
            // The connection that leads to the new server is the first of the next generation.
            let renewed = self.inspect(&link, deadline, false).await?;
            Ok(RedisConnection {
                link,
                broken: Arc::default(),
                generation: generation + u64::from(renewed),
                current_generation: Arc::clone(current),
            })
        };
        timeout(CONNECT_TIMEOUT, connect)
            .await
            .unwrap_or(Err(CommandError::Timeout))
    }

    async fn is_valid(&self, connection: &mut RedisConnection) -> Result<(), CommandError> {
        if connection.is_broken() {
            Err(CommandError::ConnectionBroken)
        } else {
            Ok(())
        }
    }

    fn has_broken(&self, connection: &mut RedisConnection) -> bool {
        connection.is_broken()
    }
}

/// The longest time that connecting may take, TLS included. Calls wait only until their own
/// deadline.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// The time after which the next address of a name is tried, beside the earlier ones.
const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(20);
