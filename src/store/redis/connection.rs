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
use redis::aio::MultiplexedConnection;
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{MultipleNodeRoutingInfo, RoutingInfo};
use redis::{AsyncConnectionConfig, Cmd, Value, cmd};
use tokio::time::{Instant, timeout, timeout_at};

use super::circuit_breaker::is_overdue;
use super::error::CommandError;
use super::restarts::RestartDetector;
use super::server_info::ServerInfo;
use super::server_term::TermMark;
use super::servers::{RedisServers, Target};

/// A connection. Its clones share the link and the mark.
#[derive(Clone)]
pub(super) struct RedisConnection {
    link: Link,
    broken: Arc<AtomicBool>,
    term: TermMark,
}

#[derive(Clone)]
enum Link {
    Node(MultiplexedConnection),
    Cluster(ClusterConnection),
}

/// Makes connections, and checks that their server can be used.
#[derive(Clone)]
pub(super) struct RedisConnector {
    servers: RedisServers,
    response_timeout: Duration,
    config: AsyncConnectionConfig,
    restarts: Arc<RestartDetector>,
}

// === impl RedisConnection ===

impl RedisConnection {
    /// Runs a command until `deadline`; marks the connection as broken if the error demands it.
    pub(super) async fn run(
        &mut self,
        command: &Cmd,
        deadline: Instant,
    ) -> Result<Value, CommandError> {
        let outcome = match &mut self.link {
            Link::Node(node) => timeout_at(deadline, command.query_async(node)).await,
            Link::Cluster(cluster) => timeout_at(deadline, command.query_async(cluster)).await,
        };
        let outcome = outcome.map_or(Err(CommandError::Timeout), |answer| {
            answer.map_err(CommandError::from)
        });
        if matches!(self.link, Link::Node(_)) && self.term.has_ended() {
            return Err(CommandError::PrimaryReplaced);
        }
        if let Err(error) = &outcome
            && error.breaks_connection()
            && !is_overdue(error, deadline)
            // The connection to a Cluster replaces broken connections to its nodes by itself.
            && matches!(self.link, Link::Node(_))
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
        let mut pipeline = redis::Pipeline::with_capacity(commands.len());
        for command in commands {
            pipeline.add_command(command.clone());
        }
        let work = async {
            match &mut self.link {
                Link::Node(node) => pipeline.query_async(node).await,
                // The keys of the commands decide the node.
                Link::Cluster(cluster) => pipeline.query_async(cluster).await,
            }
        };
        let outcome = timeout_at(deadline, work).await;
        let outcome = outcome.map_or(Err(CommandError::Timeout), |answer| {
            answer.map_err(CommandError::from)
        });
        // Even a late answer would be mistaken for that of the next command.
        if outcome.is_err() {
            self.mark_broken();
        }
        outcome
    }

    /// Reads `INFO` of every server behind the connection, and checks that it can be used.
    pub(super) async fn inspect(
        &mut self,
        deadline: Instant,
    ) -> Result<Vec<ServerInfo>, CommandError> {
        let infos = match &mut self.link {
            Link::Node(_) => vec![info(self.run(&cmd("INFO"), deadline).await?)?],
            Link::Cluster(cluster) => {
                let primaries = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
                let answer =
                    timeout_at(deadline, cluster.route_command(cmd("INFO"), primaries)).await;
                let Value::Map(answers) = answer.map_err(|_| CommandError::Timeout)?? else {
                    return Err(CommandError::UnexpectedAnswer);
                };
                answers
                    .into_iter()
                    .map(|(_, answer)| info(answer))
                    .collect::<Result<_, _>>()?
            }
        };
        let in_cluster = matches!(self.link, Link::Cluster(_));
        infos.iter().try_for_each(|info| info.check(in_cluster))?;
        Ok(infos)
    }

    /// Marks the connection as broken, so that it is not used again.
    pub(super) fn mark_broken(&self) {
        self.broken.store(true, Ordering::Relaxed);
    }

    /// Returns `true` if the connection leads to a Cluster, and so to several servers.
    pub(super) const fn is_to_cluster(&self) -> bool {
        matches!(self.link, Link::Cluster(_))
    }

    fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed) || self.term.has_ended()
    }
}

fn info(answer: Value) -> Result<ServerInfo, CommandError> {
    let text: String =
        redis::from_redis_value(answer).map_err(|_| CommandError::UnexpectedAnswer)?;
    Ok(ServerInfo::parse(&text))
}

// === impl RedisConnector ===

impl RedisConnector {
    /// Connects to `servers`; a command on a connection may take `response_timeout`.
    pub(super) fn new(
        servers: RedisServers,
        response_timeout: Duration,
        restarts: Arc<RestartDetector>,
    ) -> Self {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(response_timeout));
        Self {
            servers,
            response_timeout,
            config,
            restarts,
        }
    }

    /// Returns the longest time that a command may take.
    pub(super) const fn response_timeout(&self) -> Duration {
        self.response_timeout
    }

    /// Returns the detector of restarts of the servers behind the connections.
    pub(super) fn restarts(&self) -> &RestartDetector {
        &self.restarts
    }

    /// Returns the servers behind the connections.
    pub(super) const fn servers(&self) -> &RedisServers {
        &self.servers
    }

    async fn dial(&self) -> Result<Link, CommandError> {
        match self.servers.target().await? {
            Target::Node(client) => self.dial_node(&client).await,
            Target::Cluster(client) => Ok(Link::Cluster(client.get_async_connection().await?)),
        }
    }

    async fn dial_node(&self, client: &redis::Client) -> Result<Link, CommandError> {
        let connected = client
            .get_multiplexed_async_connection_with_config(&self.config)
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
            let mut connection = RedisConnection {
                link: self.dial().await?,
                broken: Arc::default(),
                term,
            };
            let infos = connection.inspect(Instant::now() + CONNECT_TIMEOUT).await?;
            self.restarts.observe(&infos);
            Ok(connection)
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
