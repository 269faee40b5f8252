//! The consumers of the Python provider of 2013, as it kept them in Redis; read, never written.
//!
//! | key | field | value |
//! |---|---|---|
//! | `{namespace}-consumer_tokens` | a consumer key | its shared secret |
//! | `{namespace}-app_info` | a consumer key | JSON: what is known of the application |
//!
//! A consumer is one that has a secret. What the values mean is left to whoever imports them; `{namespace}-nonces` is left
//! where it is, since nothing that was signed for the provider is signed for Countersign.

use std::fmt;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, FromRedisValue, cmd};

use super::address::{Address, AddressError};
use super::connection::CONNECT_TIMEOUT;
use super::fault::Fault;
use crate::model::Secret;
use crate::store::{StoreError, StoreErrorKind};

/// A consumer as the provider kept it.
#[derive(Clone, Debug)]
pub struct ProviderConsumer {
    /// Its key.
    pub key: Vec<u8>,
    /// Its shared secret.
    pub secret: Secret,
    /// What is known of the application, in JSON, if anything.
    pub app_info: Option<Vec<u8>>,
}

/// Reads the provider's consumers, a page at a time.
pub struct ProviderConsumers {
    connection: MultiplexedConnection,
    namespace: String,
    /// Where `HSCAN` goes on; `None` at the end.
    cursor: Option<u64>,
}

/// A field of a hash, and its value.
type Field = (Vec<u8>, Vec<u8>);

// === impl ProviderConsumers ===

impl ProviderConsumers {
    /// The namespace that the provider uses unless it is told another.
    pub const DEFAULT_NAMESPACE: &str = "oauth1-redis";

    /// Connects to one Redis server, of whatever version.
    ///
    /// # Errors
    /// When `url` is not the address of one server, or the server can not be reached.
    pub async fn open(url: &str, namespace: &str) -> Result<Self, StoreError> {
        let context = "connecting to the provider's Redis";
        let unusable =
            |error: AddressError| StoreError::new(StoreErrorKind::Unusable, context).because(error);
        let Address::Node(client) = Address::parse(url).map_err(unusable)? else {
            return Err(StoreError::new(
                StoreErrorKind::Unusable,
                "reading the provider's Redis needs redis://HOST",
            ));
        };
        let connection = connect(&client)
            .await
            .map_err(|error| Fault::from(error).during(context))?;
        Ok(Self {
            connection,
            namespace: namespace.to_owned(),
            cursor: Some(0),
        })
    }

    /// How many consumers there are.
    ///
    /// # Errors
    /// When Redis does not answer, or keeps something else under that name.
    pub async fn count(&mut self) -> Result<u64, StoreError> {
        self.call(cmd("HLEN").arg(self.secrets_key())).await
    }

    /// The next page; `None` at the end. A consumer may come twice when the provider adds others meanwhile.
    ///
    /// # Errors
    /// As [`Self::count`].
    pub async fn next_page(&mut self) -> Result<Option<Vec<ProviderConsumer>>, StoreError> {
        let Some(cursor) = self.cursor else {
            return Ok(None);
        };
        let mut scan = cmd("HSCAN");
        scan.arg(self.secrets_key())
            .arg(cursor)
            .arg("COUNT")
            .arg(PAGE);
        let (next, found): (u64, Vec<Field>) = self.call(&scan).await?;
        self.cursor = (next != 0).then_some(next);
        if found.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let mut ask = cmd("HMGET");
        ask.arg(format!("{}-app_info", self.namespace))
            .arg(found.iter().map(|(key, _)| key).collect::<Vec<_>>());
        let infos: Vec<Option<Vec<u8>>> = self.call(&ask).await?;
        let consumers = found.into_iter().zip(infos);
        let consumers = consumers.map(|((key, secret), app_info)| ProviderConsumer {
            key,
            secret: Secret::new(secret),
            app_info,
        });
        Ok(Some(consumers.collect()))
    }

    async fn call<T: FromRedisValue>(&mut self, command: &Cmd) -> Result<T, StoreError> {
        let context = "reading the provider's consumers";
        command
            .query_async(&mut self.connection)
            .await
            .map_err(|error| Fault::from(error).during(context))
    }

    fn secrets_key(&self) -> String {
        format!("{}-consumer_tokens", self.namespace)
    }
}

impl fmt::Debug for ProviderConsumers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderConsumers")
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

async fn connect(client: &Client) -> redis::RedisResult<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(Some(RESPONSE_TIMEOUT));
    client
        .get_multiplexed_async_connection_with_config(&config)
        .await
}

/// About how many consumers are asked for at once: few enough that Redis serves others in between.
const PAGE: usize = 250;

/// Nobody waits for a check here: a busy old server may take its time.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);
