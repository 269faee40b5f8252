//! The servers that the address leads to at the moment.

use std::sync::Arc;

use redis::cluster::ClusterClient;
use redis::{Client, ConnectionInfo};

use super::address::RedisAddress;
use super::cluster_watch::ClusterWatch;
use super::credentials::{Credentials, CurrentCredentials};
use super::error::CommandError;
use super::primary_watch::PrimaryWatch;
use super::recovery::Recovery;
use super::server_term::{ServerTerm, TermMark};

/// The servers, and the watch that follows them when they are replaced.
#[derive(Clone)]
pub(super) struct RedisServers {
    kind: ServerKind,
    term: Arc<ServerTerm>,
    credentials: Arc<Credentials>,
}

#[derive(Clone)]
enum ServerKind {
    Node(Arc<ConnectionInfo>),
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
    pub(super) fn follow(
        address: RedisAddress,
        credentials: Arc<Credentials>,
        recovery: &Arc<Recovery>,
    ) -> Self {
        let term = Arc::new(ServerTerm::default());
        let kind = match address {
            RedisAddress::Node(server) => ServerKind::Node(Arc::new(server)),
            RedisAddress::Sentinel(sentinels) => {
                let (term, recovery) = (Arc::clone(&term), Arc::clone(recovery));
                let watch = PrimaryWatch::start(sentinels, &credentials, term, recovery);
                ServerKind::Sentinel(Arc::new(watch))
            }
            RedisAddress::Cluster(cluster) => {
                let (credentials, term) = (Arc::clone(&credentials), Arc::clone(&term));
                let watch = ClusterWatch::start(cluster, credentials, term);
                ServerKind::Cluster(Arc::new(watch))
            }
        };
        let servers = Self {
            kind,
            term,
            credentials,
        };
        servers.watch_credentials();
        servers
    }

    /// Returns a mark of the current term. A connection needs the mark from before it was made.
    pub(super) fn term(&self) -> TermMark {
        self.term.mark()
    }

    /// Ends the current term.
    pub(super) fn end_term(&self) {
        self.term.end();
    }

    /// Returns `true` if the address names one server.
    pub(super) const fn is_one_server(&self) -> bool {
        matches!(self.kind, ServerKind::Node(_))
    }

    /// Returns `true` if commands must stay within one slot.
    pub(super) const fn is_cluster(&self) -> bool {
        matches!(self.kind, ServerKind::Cluster(_))
    }

    /// Returns the credentials of new connections.
    pub(super) const fn credentials(&self) -> &Arc<Credentials> {
        &self.credentials
    }

    /// Returns the target of a new connection with these credentials.
    pub(super) async fn target(
        &self,
        credentials: &CurrentCredentials,
    ) -> Result<Target, CommandError> {
        let node = |client| Target::Node(Box::new(client));
        match &self.kind {
            ServerKind::Node(server) => Ok(node(credentials.redis_client(server)?)),
            ServerKind::Sentinel(watch) => {
                let primary = watch.primary().await?;
                Ok(node(credentials.redis_client(&primary)?))
            }
            ServerKind::Cluster(watch) => {
                let client = watch.address().client(&watch.first_nodes(), credentials)?;
                Ok(Target::Cluster(Box::new(client)))
            }
        }
    }

    /// Returns a server to subscribe to: the primary, or the node of the Cluster whose `turn` it
    /// is, since all nodes receive the same messages.
    pub(super) async fn any_server(&self, turn: usize) -> Result<Client, CommandError> {
        let credentials = self.credentials.current();
        match &self.kind {
            ServerKind::Node(server) => Ok(credentials.redis_client(server)?),
            ServerKind::Sentinel(watch) => Ok(credentials.redis_client(&watch.primary().await?)?),
            ServerKind::Cluster(watch) => {
                let nodes = watch.first_nodes();
                let node = nodes.get(turn % nodes.len().max(1));
                Ok(credentials.redis_client(node.ok_or(CommandError::ClusterDown)?)?)
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

    /// Looks for another primary and for changed credentials at once, since a command failed in a
    /// way that these explain.
    pub(super) fn look_again(&self) {
        self.credentials.look_again();
        if let ServerKind::Sentinel(watch) = &self.kind {
            watch.ask_now();
        }
    }

    /// Follows the files of the credentials. The connection to a Cluster connects to its nodes by
    /// itself with those that it was made with, so it is replaced after a change.
    fn watch_credentials(&self) {
        let term = self.is_cluster().then(|| Arc::clone(&self.term));
        self.credentials.watch(move || {
            if let Some(term) = &term {
                term.end();
            }
        });
    }
}
