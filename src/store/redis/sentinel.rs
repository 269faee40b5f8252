//! The Sentinels of a primary: their addresses, and what each of them knows.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use redis::aio::{MultiplexedConnection, PubSubStream};
use redis::{AsyncConnectionConfig, ConnectionAddr, ConnectionInfo};
use tokio::time::timeout;

use super::credentials::Credentials;
use super::error::CommandError;
use super::host_list::{AddressError, HostList, parse_server, with_port};

/// The Sentinels of a primary.
#[derive(Clone)]
pub(super) struct SentinelAddress {
    sentinels: Vec<ConnectionInfo>,
    /// The name under which the Sentinels monitor the primary.
    name: String,
    /// The connection to the primary, except its host and port.
    primary: ConnectionInfo,
}

/// The host and port of a server.
pub(super) type HostPort = (String, u16);

/// The fields of the answer to `SENTINEL MASTER`.
type PrimaryState = HashMap<String, String>;

/// A primary as a Sentinel names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NamedPrimary {
    /// Its address.
    pub(super) address: HostPort,
    /// The number of the configuration: each authorized failover has a higher one.
    pub(super) epoch: u64,
}

/// The answer of one Sentinel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SentinelAnswer {
    /// The primary that it knows.
    Primary(NamedPrimary),
    /// It does not know the primary, or refuses to tell.
    NoPrimary,
    /// It wants a password, or another one.
    PasswordRefused,
    /// Its host is reachable, and no Sentinel runs there.
    Dead,
    /// There is no answer.
    Unreachable,
}

/// A connection to one Sentinel, made again whenever it fails.
#[derive(Clone)]
pub(super) struct SentinelLink {
    server: ConnectionInfo,
    credentials: Arc<Credentials>,
    connection: Option<MultiplexedConnection>,
}

// === impl SentinelAddress ===

impl SentinelAddress {
    /// Parses the part of the URL after `://`.
    pub(super) fn parse(scheme: &str, rest: &str) -> Result<Self, AddressError> {
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
            parse_server(&format!("{scheme}://:{password}@{host}").replace("://:@", "://"))
        };
        let name = percent_decode_str(name)
            .decode_utf8()
            .map_err(|_| AddressError::NoPrimary)?
            .into_owned();
        Ok(Self {
            sentinels: parts.hosts.iter().map(sentinel).collect::<Result<_, _>>()?,
            name,
            primary: parse_server(&format!("{scheme}://{}primary.invalid/{db}", parts.user))?,
        })
    }

    /// Returns a link to each Sentinel.
    pub(super) fn links(&self, credentials: &Arc<Credentials>) -> Vec<SentinelLink> {
        let link = |server: &ConnectionInfo| SentinelLink {
            server: server.clone(),
            credentials: Arc::clone(credentials),
            connection: None,
        };
        self.sentinels.iter().map(link).collect()
    }

    /// Returns the number of Sentinels.
    pub(super) fn len(&self) -> usize {
        self.sentinels.len()
    }

    /// Returns the name under which the Sentinels monitor the primary.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Returns the connection to the primary, except its host and port.
    pub(super) const fn primary(&self) -> &ConnectionInfo {
        &self.primary
    }

    /// Returns the server at an address.
    pub(super) fn server_at(&self, address: &HostPort) -> ConnectionInfo {
        moved_to(&self.primary, address)
    }
}

// === impl SentinelLink ===

impl SentinelLink {
    /// Asks for the primary of that name. A connection that broke is replaced at once, so that a
    /// Sentinel that was restarted answers, and one that was killed counts as dead.
    pub(super) async fn ask(&mut self, name: &str) -> SentinelAnswer {
        let had_connection = self.connection.is_some();
        match in_time(self.ask_once(name)).await {
            Some(Err(error)) if had_connection && !error.is_timeout() => {
                let again = in_time(self.ask_once(name)).await;
                self.answer(again)
            }
            outcome => self.answer(outcome),
        }
    }

    /// Subscribes to the messages about failovers.
    pub(super) async fn subscribe(&self) -> Result<PubSubStream, CommandError> {
        let subscribe = async {
            let client = self.credentials.current().sentinel_client(&self.server)?;
            let (mut subscriptions, messages) = client.get_async_pubsub().await?.split();
            subscriptions.subscribe(&FAILOVER_CHANNELS).await?;
            Ok(messages)
        };
        timeout(SUBSCRIBE_TIMEOUT, subscribe)
            .await
            .unwrap_or(Err(CommandError::Timeout))
    }

    fn answer(&mut self, outcome: Option<redis::RedisResult<SentinelAnswer>>) -> SentinelAnswer {
        match outcome {
            Some(Ok(answer)) => answer,
            Some(Err(error)) if error.is_connection_refusal() => SentinelAnswer::Dead,
            Some(Err(error)) if !error.is_io_error() => refusal(error),
            Some(Err(_)) | None => {
                self.connection = None;
                SentinelAnswer::Unreachable
            }
        }
    }

    /// Asks for the address and then for the number of its configuration. If a failover comes
    /// between the two, the address has too high a number until the next answer.
    async fn ask_once(&mut self, name: &str) -> redis::RedisResult<SentinelAnswer> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let mut query = redis::pipe();
        query
            .cmd("SENTINEL")
            .arg("GET-MASTER-ADDR-BY-NAME")
            .arg(name)
            .cmd("SENTINEL")
            .arg("MASTER")
            .arg(name);
        let answer: redis::RedisResult<(Option<HostPort>, PrimaryState)> =
            query.query_async(&mut connection).await;
        if answer
            .as_ref()
            .err()
            .is_none_or(|error| !error.is_io_error())
        {
            self.connection = Some(connection);
        }
        let (address, state) = answer?;
        let epoch = state
            .get("config-epoch")
            .and_then(|epoch| epoch.parse().ok());
        Ok(match address.zip(epoch) {
            Some((address, epoch)) => SentinelAnswer::Primary(NamedPrimary { address, epoch }),
            None => SentinelAnswer::NoPrimary,
        })
    }

    async fn connect(&self) -> redis::RedisResult<MultiplexedConnection> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(ANSWER_TIMEOUT + GRACE))
            .set_response_timeout(Some(ANSWER_TIMEOUT + GRACE));
        let client = self.credentials.current().sentinel_client(&self.server)?;
        let connected = client.get_multiplexed_async_connection_with_config(&config);
        connected
            .await
            .inspect_err(|_| self.credentials.look_again())
    }
}

/// Waits for an answer. If this process itself was delayed, the answer may have arrived with the end
/// of the time, and gets another moment to be read.
async fn in_time<T>(work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    match timeout(ANSWER_TIMEOUT, &mut work).await {
        Ok(answer) => Some(answer),
        Err(_) => timeout(GRACE, work).await.ok(),
    }
}

fn refusal(error: redis::RedisError) -> SentinelAnswer {
    if CommandError::from(error) == CommandError::AuthenticationFailed {
        SentinelAnswer::PasswordRefused
    } else {
        SentinelAnswer::NoPrimary
    }
}

/// Returns the same connection to the server at another address.
pub(super) fn moved_to(connection: &ConnectionInfo, (host, port): &HostPort) -> ConnectionInfo {
    let (host, port) = (host.clone(), *port);
    let address = if let ConnectionAddr::TcpTls {
        insecure,
        tls_params,
        ..
    } = connection.addr()
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
    connection.clone().set_addr(address)
}

/// The channels on which a Sentinel reports that the primary was replaced, and that it is about to
/// be.
const FAILOVER_CHANNELS: [&str; 2] = ["+switch-master", "+promoted-slave"];

/// The longest time to wait for the answer of a Sentinel.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(300);

/// The time to read an answer that arrived in time.
const GRACE: Duration = Duration::from_millis(50);

/// The longest time for a subscription.
const SUBSCRIBE_TIMEOUT: Duration = Duration::from_secs(1);

const SENTINEL_PORT: u16 = 26379;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentinels_have_their_own_port_and_password() {
        let url = "u:p%40@a,b:5000,[::1]/my%20primary/3?sentinel_password=s";
        let parsed = SentinelAddress::parse("redis", url).unwrap();
        assert_eq!(parsed.name, "my primary");
        let hosts = parsed
            .sentinels
            .iter()
            .map(|server| server.addr().to_string());
        assert_eq!(
            hosts.collect::<Vec<_>>(),
            ["a:26379", "b:5000", "::1:26379"]
        );
        let sentinel = parsed.sentinels[0].redis_settings();
        assert_eq!(
            (sentinel.username(), sentinel.password()),
            (None, Some("s"))
        );
        let primary = parsed.primary.redis_settings();
        assert_eq!(
            (primary.username(), primary.password(), primary.db()),
            (Some("u"), Some("p@"), 3)
        );
        let plain = SentinelAddress::parse("rediss", "a/p").unwrap();
        assert_eq!(plain.sentinels[0].redis_settings().password(), None);
        assert!(matches!(
            plain.primary.addr(),
            ConnectionAddr::TcpTls { .. }
        ));
    }
}
