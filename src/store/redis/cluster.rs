//! The address of a Redis Cluster: some of its nodes, which know the others.

use std::time::Duration;

use redis::ConnectionInfo;
use redis::cluster::{ClusterClient, ClusterClientBuilder};

use super::credentials::CurrentCredentials;
use super::error::CommandError;
use super::host_list::{AddressError, HostList, parse_server, with_port};

/// Some nodes of a Cluster, which know the others.
#[derive(Clone)]
pub(super) struct ClusterAddress {
    nodes: Vec<ConnectionInfo>,
    response_timeout: Duration,
}

// === impl ClusterAddress ===

impl ClusterAddress {
    /// Parses the part of the URL after `://`.
    pub(super) fn parse(scheme: &str, rest: &str) -> Result<Self, AddressError> {
        let parts = HostList::parse(rest);
        let node = |host: &&str| {
            parse_server(&format!(
                "{scheme}://{}{}",
                parts.user,
                with_port(host, NODE_PORT)
            ))
        };
        let nodes = parts
            .hosts
            .iter()
            .map(node)
            .collect::<Result<Vec<_>, _>>()?;
        if parts.query.is_some() || !parts.path.is_empty() {
            return Err(AddressError::Redis(
                "a Cluster has neither databases nor options; remove the part after the hosts"
                    .into(),
            ));
        }
        Ok(Self {
            nodes,
            response_timeout: Duration::ZERO,
        })
    }

    /// Returns the nodes that the URL names.
    pub(super) fn nodes(&self) -> &[ConnectionInfo] {
        &self.nodes
    }

    /// Limits the time of a command.
    pub(super) const fn set_response_timeout(&mut self, response_timeout: Duration) {
        self.response_timeout = response_timeout;
    }

    /// Returns a client that begins with `nodes` and gives up within the limit of a command; by
    /// default it would retry for minutes.
    pub(super) fn client(
        &self,
        nodes: &[ConnectionInfo],
        credentials: &CurrentCredentials,
    ) -> Result<ClusterClient, CommandError> {
        let certificates = nodes
            .first()
            .and_then(|node| credentials.certificates(node));
        let nodes = nodes.iter().map(|node| credentials.redis_login(node));
        let builder = ClusterClientBuilder::new(nodes);
        let builder = match certificates {
            Some(certificates) => builder.certs(certificates),
            None => builder,
        };
        let client = builder
            .connection_timeout(NODE_CONNECT_TIMEOUT)
            .response_timeout(self.response_timeout)
            .overall_response_timeout(Some(self.response_timeout))
            .retries(RETRIES)
            .min_retry_wait(RETRY_WAIT_MS)
            .max_retry_wait(RETRY_WAIT_MS * 4)
            .build()?;
        Ok(client)
    }
}

const NODE_PORT: u16 = 6379;

/// The longest time to connect to one node: a frozen one must leave time for the others within the
/// limit for the whole connection.
const NODE_CONNECT_TIMEOUT: Duration = Duration::from_millis(400);

/// The number of retries of a command within its deadline, after a redirection or the loss of a
/// node.
const RETRIES: u32 = 3;

/// The shortest pause between two retries.
const RETRY_WAIT_MS: u64 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_is_reached_by_any_of_its_nodes() {
        let parsed = ClusterAddress::parse("redis", ":p@a:7000,b").unwrap();
        let hosts = parsed.nodes.iter().map(|node| node.addr().to_string());
        assert_eq!(hosts.collect::<Vec<_>>(), ["a:7000", "b:6379"]);
        assert!(
            parsed
                .nodes
                .iter()
                .all(|node| node.redis_settings().password() == Some("p"))
        );
        let credentials = CurrentCredentials::default();
        assert!(parsed.client(parsed.nodes(), &credentials).is_ok());
    }
}
