//! One multiplexed connection, and the connector with which bb8 makes and checks connections.
//!
//! A failed call marks its connection as broken, and a check-out looks at that mark alone: no round
//! trip. A server that takes no writes (a replica, or one that is loading) also breaks the
//! connection, since a failover leaves connections to a server that still answers `PING`. The end
//! of the servers' term breaks it too (`server_term`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bb8_redis::bb8;
use futures_util::future::select_ok;
use redis::io::AsyncDNSResolver;
use redis::{AsyncConnectionConfig, Client, Cmd, Value};
use tokio::time::{Instant, sleep, timeout};

use super::circuit_breaker::is_overdue;
use super::credentials::CurrentCredentials;
use super::error::CommandError;
use super::inspection::ServerInspector;
use super::link::Link;
use super::resolution::{FixedAddress, NameWatch};
use super::restarts::RestartDetector;
use super::server_term::TermMark;
use super::servers::{RedisServers, Target};

/// A connection. Its clones share the link and the mark.
#[derive(Clone)]
pub(super) struct RedisConnection {
    link: Link,
    broken: Arc<AtomicBool>,
    term: TermMark,
}

/// Makes connections, and checks that their server can be used.
#[derive(Clone)]
pub(super) struct RedisConnector {
    servers: RedisServers,
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
        if !self.link.is_cluster() && self.term.has_ended() {
            return Err(CommandError::PrimaryReplaced);
        }
        if let Err(error) = &outcome
            && error.breaks_connection()
            && !is_overdue(error, deadline)
            // The connection to a Cluster replaces broken connections to its nodes by itself.
            && !self.link.is_cluster()
        {
            self.mark_broken();
        }
        outcome
    }

    /// Runs commands one after the other, at the node that has the slot of their keys. No other call
    /// may use the connection meanwhile.
    pub(super) async fn run_in_turn(
        &mut self,
        commands: &[Cmd],
        deadline: Instant,
    ) -> Result<Vec<Value>, CommandError> {
        let outcome = self.link.run_in_turn(commands, deadline).await;
        // Even a late answer would be mistaken for that of the next command.
        if outcome.is_err() {
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

    /// Returns `true` if the connection leads to a Cluster, and so to several servers.
    pub(super) const fn is_to_cluster(&self) -> bool {
        self.link.is_cluster()
    }

    fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed) || self.term.has_ended()
    }
}

// === impl RedisConnector ===

impl RedisConnector {
    /// Connects to `servers`; a command on a connection may take `response_timeout`.
    pub(super) fn new(
        servers: RedisServers,
        response_timeout: Duration,
        inspector: Arc<ServerInspector>,
        resolver: Arc<dyn AsyncDNSResolver>,
    ) -> Self {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(response_timeout));
        Self {
            servers,
            response_timeout,
            config,
            inspector,
            names: Arc::new(NameWatch::new(resolver)),
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

    /// Resolves the name of Redis again. If it has moved, replaces all connections and returns `true`.
    pub(super) async fn follow_name(&self) -> bool {
        let has_moved = self.names.has_moved().await;
        if has_moved {
            self.servers.end_term();
        }
        has_moved
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
        // Sentinels say themselves when they replace the primary; a Cluster has several servers, and
        // each connection to it knows them all.
        let renews = replaced && self.servers.is_one_server();
        if renews {
            self.servers.end_term();
        }
        Ok(renews)
    }

    /// Returns the servers behind the connections.
    pub(super) const fn servers(&self) -> &RedisServers {
        &self.servers
    }

    /// Connects; once more if the credentials have changed.
    async fn dial(&self) -> Result<Link, CommandError> {
        let credentials = self.servers.credentials();
        let used = credentials.current();
        match self.dial_as(&used).await {
            Err(error) if error.hints_at_credentials() => {
                if credentials.have_changed_since(&used).await {
                    self.dial_as(&credentials.current()).await
                } else {
                    Err(error)
                }
            }
            outcome => outcome,
        }
    }

    async fn dial_as(&self, credentials: &CurrentCredentials) -> Result<Link, CommandError> {
        match self.servers.target(credentials).await? {
            Target::Node(client) => self.dial_node(&client).await,
            Target::Cluster(client) => {
                let connected = client.get_async_connection().await;
                connected
                    .map(Link::Cluster)
                    .map_err(CommandError::connecting_to_cluster)
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
            // Before the address is known, so that a failover in between is noticed.
            let term = self.servers.term();
            let link = self.dial().await?;
            let deadline = Instant::now() + CONNECT_TIMEOUT;
            // The connection that leads to the new server is the first of the next term.
            let renewed = self.inspect(&link, deadline, false).await?;
            Ok(RedisConnection {
                link,
                broken: Arc::default(),
                term: if renewed { term.next() } else { term },
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
