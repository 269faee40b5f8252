//! The address of Redis: parses `store.url`.
//!
//! | URL | address |
//! |---|---|
//! | `redis://[user:password@]host[:port][/db]`, `rediss://` with TLS | one server |
//! | `unix:///path[?db=0&user=…&pass=…]`, `redis+unix://` | one server, over a Unix socket |
//! | `redis+sentinel://[user:password@]host[:port],…/primary[/db]`, `rediss+sentinel://` | the primary that Sentinels name |
//! | `redis+cluster://[user:password@]host[:port],…`, `rediss+cluster://` | a Redis Cluster |
//!
//! User and password are those of Redis. The Sentinels need a password only if the URL ends in
//! `?sentinel_password=…`, percent-encoded. Files may hold all of them instead (`credentials`).

use std::time::Duration;

use redis::{ConnectionAddr, ConnectionInfo};

use super::cluster::ClusterAddress;
use super::host_list::{AddressError, parse_server};
use super::sentinel::SentinelAddress;

/// The address of Redis.
#[derive(Clone)]
pub(super) enum RedisAddress {
    Node(ConnectionInfo),
    Sentinel(SentinelAddress),
    Cluster(ClusterAddress),
}

// === impl RedisAddress ===

impl RedisAddress {
    /// Parses `store.url`.
    pub(super) fn parse(url: &str) -> Result<Self, AddressError> {
        let (scheme, rest) = url.split_once("://").ok_or(AddressError::Scheme)?;
        match scheme {
            "redis" | "rediss" | "unix" | "redis+unix" => parse_server(url).map(Self::Node),
            "redis+sentinel" => SentinelAddress::parse("redis", rest).map(Self::Sentinel),
            "rediss+sentinel" => SentinelAddress::parse("rediss", rest).map(Self::Sentinel),
            "redis+cluster" => ClusterAddress::parse("redis", rest).map(Self::Cluster),
            "rediss+cluster" => ClusterAddress::parse("rediss", rest).map(Self::Cluster),
            _ => Err(AddressError::Scheme),
        }
    }

    /// Returns `true` if the connections use TLS.
    pub(super) fn is_tls(&self) -> bool {
        let server = match self {
            Self::Node(server) => Some(server),
            Self::Sentinel(sentinels) => Some(sentinels.primary()),
            Self::Cluster(cluster) => cluster.nodes().first(),
        };
        server.is_some_and(|server| matches!(server.addr(), ConnectionAddr::TcpTls { .. }))
    }

    /// Limits the time of a command, for the kinds of address that carry that limit.
    pub(super) fn with_response_timeout(mut self, response_timeout: Duration) -> Self {
        if let Self::Cluster(cluster) = &mut self {
            cluster.set_response_timeout(response_timeout);
        }
        self
    }
}

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
    fn a_bad_address_is_refused_without_showing_its_password() {
        for (url, expected) in [
            ("http://u:s3cr3t@h", Some(AddressError::Scheme)),
            ("s3cr3t", Some(AddressError::Scheme)),
            ("redis+sentinel://u:s3cr3t@h", Some(AddressError::NoPrimary)),
            (
                "redis+sentinel://u:s3cr3t@h/p?s3cr3t=1",
                Some(AddressError::Option),
            ),
            (
                "rediss://u:s3cr3t@h/0#insecure",
                Some(AddressError::Insecure),
            ),
            (
                "rediss+sentinel://u:s3cr3t@h/p/0#insecure",
                Some(AddressError::Insecure),
            ),
            (
                "rediss+cluster://u:s3cr3t@h:1#insecure",
                Some(AddressError::Insecure),
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
