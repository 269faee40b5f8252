//! One multiplexed connection, and how bb8 makes and judges it.
//!
//! A connection is marked broken by whoever sees it fail, and only that mark is asked when it is checked out: no round
//! trip. A server that can not be written (a replica, one that loads) breaks the connection too, since a failover
//! leaves connections to a server that still answers `PING`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bb8_redis::bb8;
use redis::aio::MultiplexedConnection;
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{MultipleNodeRoutingInfo, RoutingInfo};
use redis::{AsyncConnectionConfig, Cmd, Value, cmd};
use tokio::time::{Instant, timeout, timeout_at};

use super::address::Address;
use super::fault::Fault;
use super::server::{Info, Servers};

/// A connection; its clones share what it is and whether it is broken.
#[derive(Clone)]
pub(super) struct Connection {
    link: Link,
    broken: Arc<AtomicBool>,
}

#[derive(Clone)]
enum Link {
    Node(MultiplexedConnection),
    Cluster(ClusterConnection),
}

/// Makes connections to a server that can be used.
#[derive(Clone)]
pub(super) struct Connector {
    address: Address,
    response_timeout: Duration,
    config: AsyncConnectionConfig,
    servers: Arc<Servers>,
}

// === impl Connection ===

impl Connection {
    /// Runs a command until `deadline`; marks the connection broken if its failure says so.
    pub(super) async fn run(&mut self, command: &Cmd, deadline: Instant) -> Result<Value, Fault> {
        let outcome = match &mut self.link {
            Link::Node(node) => timeout_at(deadline, command.query_async(node)).await,
            Link::Cluster(cluster) => timeout_at(deadline, command.query_async(cluster)).await,
        };
        let outcome = outcome.map_or(Err(Fault::Timeout), |answer| answer.map_err(Fault::from));
        if let Err(fault) = &outcome
            && fault.breaks_connection()
            // The connection to a Cluster replaces those to its nodes by itself; one node's fault is not the others'.
            && matches!(self.link, Link::Node(_))
        {
            self.mark_broken();
        }
        outcome
    }

    /// Asks every server behind it what it is, and whether it can be used.
    pub(super) async fn inspect(&mut self, deadline: Instant) -> Result<Vec<Info>, Fault> {
        let infos = match &mut self.link {
            Link::Node(_) => vec![info(self.run(&cmd("INFO"), deadline).await?)?],
            Link::Cluster(cluster) => {
                let primaries = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
                let answer =
                    timeout_at(deadline, cluster.route_command(cmd("INFO"), primaries)).await;
                let Value::Map(answers) = answer.map_err(|_| Fault::Timeout)?? else {
                    return Err(Fault::Unexpected);
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

    /// Says that it is not to be used again.
    pub(super) fn mark_broken(&self) {
        self.broken.store(true, Ordering::Relaxed);
    }

    fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }
}

fn info(answer: Value) -> Result<Info, Fault> {
    let text: String = redis::from_redis_value(answer).map_err(|_| Fault::Unexpected)?;
    Ok(Info::parse(&text))
}

// === impl Connector ===

impl Connector {
    /// Connects to `address`; a command on a connection may take `response_timeout`.
    pub(super) fn new(address: Address, response_timeout: Duration, servers: Arc<Servers>) -> Self {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(response_timeout));
        let address = address.with_response_timeout(response_timeout);
        Self {
            address,
            response_timeout,
            config,
            servers,
        }
    }

    /// The longest that a command may take.
    pub(super) const fn response_timeout(&self) -> Duration {
        self.response_timeout
    }

    /// What is known of the servers behind the connections.
    pub(super) fn servers(&self) -> &Servers {
        &self.servers
    }

    /// Whether commands must stay within one slot.
    pub(super) const fn is_cluster(&self) -> bool {
        matches!(self.address, Address::Cluster(_))
    }

    async fn dial(&self) -> Result<Link, Fault> {
        match &self.address {
            Address::Node(client) => self.dial_node(client).await,
            Address::Sentinel(sentinels) => {
                self.dial_node(&sentinels.primary(&self.config).await?)
                    .await
            }
            Address::Cluster(cluster) => {
                let client = cluster.client(CONNECT_TIMEOUT)?;
                Ok(Link::Cluster(client.get_async_connection().await?))
            }
        }
    }

    async fn dial_node(&self, client: &redis::Client) -> Result<Link, Fault> {
        Ok(Link::Node(
            client
                .get_multiplexed_async_connection_with_config(&self.config)
                .await?,
        ))
    }
}

impl bb8::ManageConnection for Connector {
    type Connection = Connection;
    type Error = Fault;

    /// A new connection is handed out only after its server was found usable, and known or noted as a new one.
    async fn connect(&self) -> Result<Connection, Fault> {
        let connect = async {
            let mut connection = Connection {
                link: self.dial().await?,
                broken: Arc::default(),
            };
            let infos = connection.inspect(Instant::now() + CONNECT_TIMEOUT).await?;
            self.servers.observe(&infos);
            Ok(connection)
        };
        timeout(CONNECT_TIMEOUT, connect)
            .await
            .unwrap_or(Err(Fault::Timeout))
    }

    async fn is_valid(&self, connection: &mut Connection) -> Result<(), Fault> {
        if connection.is_broken() {
            Err(Fault::Broken)
        } else {
            Ok(())
        }
    }

    fn has_broken(&self, connection: &mut Connection) -> bool {
        connection.is_broken()
    }
}

/// The longest that connecting may take, with TLS and all. Calls do not wait for it longer than for their own deadline.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
