//! The servers that the address leads to at the moment.

use std::sync::Arc;

use redis::Client;
use redis::cluster::ClusterClient;

use super::address::RedisAddress;
use super::cluster_watch::ClusterWatch;
use super::error::CommandError;
use super::primary_watch::PrimaryWatch;
use super::recovery::Recovery;
use super::server_term::{ServerTerm, TermMark};

/// The servers, and the watch that follows them when they are replaced.
#[derive(Clone)]
pub(super) struct RedisServers {
    kind: ServerKind,
    term: Arc<ServerTerm>,
}

#[derive(Clone)]
enum ServerKind {
    Node(Arc<Client>),
    Sentinel(Arc<PrimaryWatch>),
    Cluster(Arc<ClusterWatch>),
}

/// A server, or the nodes of a Cluster, to connect to.
pub(super) enum Target {
    Node(Box<Client>),
    Cluster(Box<ClusterClient>),
}

// === impl RedisServers ===

impl RedisServers {
    /// Starts following the servers behind `address`. Needs a tokio runtime.
    pub(super) fn follow(address: RedisAddress, recovery: &Arc<Recovery>) -> Self {
        let term = Arc::new(ServerTerm::default());
        let kind = match address {
            RedisAddress::Node(client) => ServerKind::Node(Arc::new(client)),
            RedisAddress::Sentinel(sentinels) => {
                let watch = PrimaryWatch::start(sentinels, Arc::clone(&term), Arc::clone(recovery));
                ServerKind::Sentinel(Arc::new(watch))
            }
            RedisAddress::Cluster(cluster) => {
                ServerKind::Cluster(Arc::new(ClusterWatch::start(cluster, Arc::clone(&term))))
            }
        };
        Self { kind, term }
    }

    /// Returns a mark of the current term. A connection needs the mark from before it was made.
    pub(super) fn term(&self) -> TermMark {
        self.term.mark()
    }

    /// Returns `true` if commands must stay within one slot.
    pub(super) const fn is_cluster(&self) -> bool {
        matches!(self.kind, ServerKind::Cluster(_))
    }

    /// Returns the target of a new connection.
    pub(super) async fn target(&self) -> Result<Target, CommandError> {
        match &self.kind {
            ServerKind::Node(client) => Ok(Target::Node(Box::new(Client::clone(client)))),
            ServerKind::Sentinel(watch) => watch
                .primary()
                .await
                .map(|client| Target::Node(Box::new(client))),
            ServerKind::Cluster(watch) => {
                let client = watch.address().client(watch.first_nodes())?;
                Ok(Target::Cluster(Box::new(client)))
            }
        }
    }

    /// Returns a server to subscribe to: the primary, or the node of the Cluster whose `turn` it
    /// is, since all nodes receive the same messages.
    pub(super) async fn any_server(&self, turn: usize) -> Result<Client, CommandError> {
        match &self.kind {
            ServerKind::Node(client) => Ok(Client::clone(client)),
            ServerKind::Sentinel(watch) => watch.primary().await,
            ServerKind::Cluster(watch) => {
                let nodes = watch.first_nodes();
                let node = nodes.get(turn % nodes.len().max(1));
                Ok(Client::open(
                    node.ok_or(CommandError::ClusterDown)?.clone(),
                )?)
            }
        }
    }

    /// Checks that this process is not cut off with an old primary.
    pub(super) async fn confirm(&self) -> Result<(), CommandError> {
        match &self.kind {
            ServerKind::Sentinel(watch) => watch.confirm().await,
            ServerKind::Node(_) | ServerKind::Cluster(_) => Ok(()),
        }
    }

    /// Looks for another primary at once, since a command failed in a way that a failover explains.
    pub(super) fn look_again(&self) {
        if let ServerKind::Sentinel(watch) = &self.kind {
            watch.ask_now();
        }
    }
}
