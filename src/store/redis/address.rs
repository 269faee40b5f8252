//! The address of Redis: parses `store.url` and finds the server that it leads to.
//!
//! | URL | address |
//! |---|---|
//! | `redis://[user:password@]host[:port][/db]`, `rediss://` with TLS | one server |
//! | `unix:///path[?db=0&user=…&pass=…]`, `redis+unix://` | one server, over a Unix socket |
//! | `redis+sentinel://[user:password@]host[:port],…/primary[/db]`, `rediss+sentinel://` | the primary that Sentinels name |
//! | `redis+cluster://[user:password@]host[:port],…`, `rediss+cluster://` | a Redis Cluster |
//!
//! User and password are those of Redis. The Sentinels need a password only if the URL ends in
//! `?sentinel_password=…`, percent-encoded.
//!
//! The list of hosts is split by hand, since `http::Uri` refuses an authority with several ports.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::join_all;
use percent_encoding::percent_decode_str;
use redis::cluster::{ClusterClient, ClusterClientBuilder};
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _, cmd,
};
use tokio::time::timeout;

use super::error::CommandError;

/// The address of Redis.
#[derive(Clone)]
pub(super) enum RedisAddress {
    Node(Client),
    Sentinel(SentinelAddress),
    Cluster(ClusterAddress),
}

/// The Sentinels of a primary.
#[derive(Clone)]
pub(super) struct SentinelAddress {
    sentinels: Vec<Client>,
    /// The name under which the Sentinels monitor the primary.
    name: String,
    /// The connection to the primary, except its host and port.
    primary: ConnectionInfo,
}

/// Some nodes of a Cluster, which know the others.
#[derive(Clone)]
pub(super) struct ClusterAddress {
    nodes: Vec<ConnectionInfo>,
    response_timeout: Duration,
}

/// The reason why a URL is no address of Redis; never carries any part of it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum AddressError {
    #[error(
        "the URL has an unknown scheme; use redis://, rediss://, unix://, redis+sentinel://, rediss+sentinel://, redis+cluster:// or rediss+cluster://"
    )]
    Scheme,
    #[error("the URL is not an address of Redis: {0}")]
    Redis(String),
    #[error(
        "the URL has no name of a primary; write redis+sentinel://host:26379,host:26379/primary"
    )]
    NoPrimary,
    #[error(
        "the URL has an unknown option; only sentinel_password= is allowed after the question mark"
    )]
    Option,
}

/// The parts of a URL with a list of hosts.
struct HostList<'u> {
    user: &'u str,
    hosts: Vec<&'u str>,
    path: &'u str,
    query: Option<&'u str>,
}

// === impl RedisAddress ===

impl RedisAddress {
    /// Parses `store.url`.
    pub(super) fn parse(url: &str) -> Result<Self, AddressError> {
        let (scheme, rest) = url.split_once("://").ok_or(AddressError::Scheme)?;
        match scheme {
            "redis" | "rediss" | "unix" | "redis+unix" => {
                Client::open(url).map(Self::Node).map_err(unreadable)
            }
            "redis+sentinel" => SentinelAddress::parse("redis", rest).map(Self::Sentinel),
            "rediss+sentinel" => SentinelAddress::parse("rediss", rest).map(Self::Sentinel),
            "redis+cluster" => ClusterAddress::parse("redis", rest).map(Self::Cluster),
            "rediss+cluster" => ClusterAddress::parse("rediss", rest).map(Self::Cluster),
            _ => Err(AddressError::Scheme),
        }
    }

    /// Returns a server to subscribe to: the primary, or the node of the Cluster whose `turn` it
    /// is, since all nodes receive the same messages.
    pub(super) async fn any_server(
        &self,
        turn: usize,
        config: &AsyncConnectionConfig,
    ) -> Result<Client, CommandError> {
        match self {
            Self::Node(client) => Ok(client.clone()),
            Self::Sentinel(sentinels) => sentinels.primary(config).await,
            Self::Cluster(cluster) => {
                let node = cluster
                    .nodes
                    .iter()
                    .cycle()
                    .nth(turn % cluster.nodes.len().max(1));
                Ok(Client::open(
                    node.ok_or(CommandError::ClusterDown)?.clone(),
                )?)
            }
        }
    }

    /// Limits the time of a command, for the kinds of address that carry that limit.
    pub(super) fn with_response_timeout(mut self, response_timeout: Duration) -> Self {
        if let Self::Cluster(cluster) = &mut self {
            cluster.response_timeout = response_timeout;
        }
        self
    }
}

// === impl SentinelAddress ===

impl SentinelAddress {
    fn parse(scheme: &str, rest: &str) -> Result<Self, AddressError> {
        let parts = HostList::parse(rest);
        let (name, db) = parts.path.split_once('/').unwrap_or((parts.path, ""));
        if name.is_empty() {
            return Err(AddressError::NoPrimary);
        }
        let password = match parts.query.map(|query| query.split_once('=')) {
            None => "",
            Some(Some(("sentinel_password", password))) => password,
            Some(_) => return Err(AddressError::Option),
        };
        let sentinel = |host: &&str| {
            let host = with_port(host, SENTINEL_PORT);
            Client::open(format!("{scheme}://:{password}@{host}").replace("://:@", "://"))
                .map_err(unreadable)
        };
        let name = percent_decode_str(name)
            .decode_utf8()
            .map_err(|_| AddressError::NoPrimary)?
            .into_owned();
        Ok(Self {
            sentinels: parts.hosts.iter().map(sentinel).collect::<Result<_, _>>()?,
            name,
            primary: format!("{scheme}://{}primary.invalid/{db}", parts.user)
                .into_connection_info()
                .map_err(unreadable)?,
        })
    }

    /// Queries all Sentinels at once and returns the primary with the most votes, so that neither a
    /// dead Sentinel nor an isolated one, which knows only the old primary, stands in the way.
    pub(super) async fn primary(
        &self,
        config: &AsyncConnectionConfig,
    ) -> Result<Client, CommandError> {
        let queries = self
            .sentinels
            .iter()
            .map(|sentinel| timeout(SENTINEL_TIMEOUT, self.query(sentinel, config)));
        let mut votes: HashMap<(String, u16), usize> = HashMap::new();
        let mut unknown = CommandError::PrimaryUnknown;
        for answer in join_all(queries).await.into_iter().flatten() {
            match answer {
                Ok(Some(primary)) => *votes.entry(primary).or_default() += 1,
                Err(CommandError::AuthenticationFailed) => unknown = CommandError::SentinelPassword,
                Ok(None) | Err(_) => {}
            }
        }
        let (host, port) = votes
            .into_iter()
            .max_by_key(|(_, count)| *count)
            .map(|(primary, _)| primary)
            .ok_or(unknown)?;
        let address = if let ConnectionAddr::TcpTls {
            insecure,
            tls_params,
            ..
        } = self.primary.addr()
        {
            ConnectionAddr::TcpTls {
                host,
                port,
                insecure: *insecure,
                tls_params: tls_params.clone(),
            }
        } else {
            ConnectionAddr::Tcp(host, port)
        };
        Ok(Client::open(self.primary.clone().set_addr(address))?)
    }

    async fn query(
        &self,
        sentinel: &Client,
        config: &AsyncConnectionConfig,
    ) -> Result<Option<(String, u16)>, CommandError> {
        let mut connection = sentinel
            .get_multiplexed_async_connection_with_config(config)
            .await?;
        let query = cmd("SENTINEL")
            .arg("GET-MASTER-ADDR-BY-NAME")
            .arg(&self.name)
            .to_owned();
        Ok(query.query_async(&mut connection).await?)
    }
}

// === impl ClusterAddress ===

impl ClusterAddress {
    fn parse(scheme: &str, rest: &str) -> Result<Self, AddressError> {
        let parts = HostList::parse(rest);
        let node = |host: &&str| {
            format!("{scheme}://{}{}", parts.user, with_port(host, NODE_PORT))
                .into_connection_info()
                .map_err(unreadable)
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

    /// Returns a client that gives up within the limit of a command; by default it would retry for
    /// minutes.
    pub(super) fn client(
        &self,
        connection_timeout: Duration,
    ) -> Result<ClusterClient, CommandError> {
        let client = ClusterClientBuilder::new(self.nodes.clone())
            .connection_timeout(connection_timeout)
            .response_timeout(self.response_timeout)
            .overall_response_timeout(Some(self.response_timeout))
            .retries(CLUSTER_RETRIES)
            .min_retry_wait(CLUSTER_RETRY_WAIT_MS)
            .max_retry_wait(CLUSTER_RETRY_WAIT_MS * 4)
            .build()?;
        Ok(client)
    }
}

// === impl HostList ===

impl<'u> HostList<'u> {
    /// Splits the part after `://`.
    fn parse(rest: &'u str) -> Self {
        let (rest, query) = rest
            .split_once('?')
            .map_or((rest, None), |(rest, query)| (rest, Some(query)));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        // The user info keeps its @, so that it can precede each host.
        let (user, hosts) = authority.split_at(authority.rfind('@').map_or(0, |at| at + 1));
        Self {
            user,
            hosts: hosts.split(',').collect(),
            path,
            query,
        }
    }
}

fn with_port(host: &str, port: u16) -> String {
    let after_address = host.rfind(']').map_or(host, |end| &host[end..]);
    if after_address.contains(':') {
        host.to_owned()
    } else {
        format!("{host}:{port}")
    }
}

/// Returns the problem without its detail, which may repeat a part of the URL.
fn unreadable(error: redis::RedisError) -> AddressError {
    let text = error.to_string();
    let problem = error
        .detail()
        .and_then(|detail| text.strip_suffix(detail))
        .unwrap_or(&text);
    AddressError::Redis(problem.trim_end_matches(": ").to_owned())
}

const SENTINEL_PORT: u16 = 26379;
const NODE_PORT: u16 = 6379;

/// The longest time to wait for one Sentinel: well below the limit for a connection.
const SENTINEL_TIMEOUT: Duration = Duration::from_millis(300);

/// The number of retries of a command within its deadline, after a redirection or the loss of a
/// node.
const CLUSTER_RETRIES: u32 = 3;

/// The shortest pause between two retries.
const CLUSTER_RETRY_WAIT_MS: u64 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_server_is_reached_by_tcp_tls_or_socket() {
        for url in [
            "redis://h",
            "redis://u:p@h:1/2",
            "rediss://h:6380",
            "unix:///run/redis.sock",
            "redis+unix:///s",
        ] {
            assert!(
                matches!(RedisAddress::parse(url), Ok(RedisAddress::Node(_))),
                "{url}"
            );
        }
    }

    #[test]
    fn sentinels_have_their_own_port_and_password() {
        let url = "redis+sentinel://u:p%40@a,b:5000,[::1]/my%20primary/3?sentinel_password=s";
        let Ok(RedisAddress::Sentinel(parsed)) = RedisAddress::parse(url) else {
            panic!("{url}")
        };
        assert_eq!(parsed.name, "my primary");
        let hosts = parsed
            .sentinels
            .iter()
            .map(|client| client.get_connection_info().addr().to_string());
        assert_eq!(
            hosts.collect::<Vec<_>>(),
            ["a:26379", "b:5000", "::1:26379"]
        );
        let sentinel = parsed.sentinels[0].get_connection_info().redis_settings();
        assert_eq!(
            (sentinel.username(), sentinel.password()),
            (None, Some("s"))
        );
        let primary = parsed.primary.redis_settings();
        assert_eq!(
            (primary.username(), primary.password(), primary.db()),
            (Some("u"), Some("p@"), 3)
        );
        let Ok(RedisAddress::Sentinel(plain)) = RedisAddress::parse("rediss+sentinel://a/p") else {
            panic!("plain")
        };
        assert_eq!(
            plain.sentinels[0]
                .get_connection_info()
                .redis_settings()
                .password(),
            None
        );
        assert!(matches!(
            plain.primary.addr(),
            ConnectionAddr::TcpTls { .. }
        ));
    }

    #[test]
    fn a_cluster_is_reached_by_any_of_its_nodes() {
        let Ok(RedisAddress::Cluster(parsed)) = RedisAddress::parse("redis+cluster://:p@a:7000,b")
        else {
            panic!("cluster")
        };
        let hosts = parsed.nodes.iter().map(|node| node.addr().to_string());
        assert_eq!(hosts.collect::<Vec<_>>(), ["a:7000", "b:6379"]);
        assert!(
            parsed
                .nodes
                .iter()
                .all(|node| node.redis_settings().password() == Some("p"))
        );
        assert!(parsed.client(Duration::from_secs(1)).is_ok());
    }

    #[test]
    fn a_bad_address_is_refused_without_showing_its_password() {
        for (url, expected) in [
            ("http://u:s3cr3t@h", Some(AddressError::Scheme)),
            ("s3cr3t", Some(AddressError::Scheme)),
            ("redis+sentinel://u:s3cr3t@h", Some(AddressError::NoPrimary)),
            (
                "redis+sentinel://u:s3cr3t@h/p?s3cr3t=1",
                Some(AddressError::Option),
            ),
            ("redis://u:s3cr3t@h/notanumber", None),
            ("redis://u:s3cr3t@h:port", None),
            ("redis://u@h/0?protocol=s3cr3t", None),
            ("redis://u:s3cr3t@", None),
            ("redis+cluster://u:s3cr3t@h/1", None),
            ("redis+cluster://u:s3cr3t@,h", None),
        ] {
            let Err(error) = RedisAddress::parse(url) else {
                panic!("{url} was accepted")
            };
            assert!(!format!("{error} {error:?}").contains("s3cr3t"), "{error}");
            if let Some(expected) = expected {
                assert_eq!(error, expected, "{url}");
            }
        }
    }
}
