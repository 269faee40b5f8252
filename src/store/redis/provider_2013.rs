//! The consumers of the Python provider of 2013, as it stored them in Redis; read, never written.
//!
//! | key | field | value |
//! |---|---|---|
//! | `{namespace}-consumer_tokens` | a consumer key | its shared secret |
//! | `{namespace}-app_info` | a consumer key | JSON that describes the application |
//!
//! A key without a secret is no consumer. The import interprets the values. `{namespace}-nonces` is
//! ignored, since no request that was signed for the provider is valid for Countersign.

use std::fmt;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, ConnectionInfo, FromRedisValue, cmd};

use super::address::RedisAddress;
use super::connection::CONNECT_TIMEOUT;
use super::credentials::Credentials;
use super::error::CommandError;
use super::host_list::AddressError;
use crate::config::ConnectionFiles;
use crate::model::Secret;
use crate::store::{StoreError, StoreErrorKind};

/// A consumer as the provider stored it.
#[derive(Clone, Debug)]
pub struct ProviderConsumer {
    /// The consumer key.
    pub key: Vec<u8>,
    /// The shared secret.
    pub secret: Secret,
    /// The description of the application in JSON, if there is one.
    pub app_info: Option<Vec<u8>>,
}

/// Reads the provider's consumers, a page at a time.
pub struct ProviderConsumers {
    connection: MultiplexedConnection,
    namespace: String,
    /// The cursor of `HSCAN`; `None` at the end.
    cursor: Option<u64>,
}

/// A field of a hash, and its value.
type HashField = (Vec<u8>, Vec<u8>);

// === impl ProviderConsumers ===

impl ProviderConsumers {
    /// The default namespace of the provider.
    pub const DEFAULT_NAMESPACE: &str = "oauth1-redis";

    /// Connects to one Redis server of any version.
    ///
    /// # Errors
    /// If `url` is not the address of one server, or the server is unreachable.
    pub async fn open(url: &str, namespace: &str) -> Result<Self, StoreError> {
        let context = "connecting to the provider's Redis";
        let unusable =
            |error: AddressError| StoreError::new(StoreErrorKind::Unusable, context).because(error);
        let address = RedisAddress::parse(url).map_err(unusable)?;
        let is_tls = address.is_tls();
        let RedisAddress::Node(server) = address else {
            let error = StoreError::new(StoreErrorKind::Unusable, context);
            return Err(error.because("the URL must name one server: redis://HOST[:PORT][/DB]"));
        };
        let credentials = Credentials::load(&ConnectionFiles::default(), is_tls)
            .map_err(|error| StoreError::new(StoreErrorKind::Unusable, context).because(error))?;
        let connection = connect(&credentials, &server)
            .await
            .map_err(|error| CommandError::connecting_to(server.addr(), error))
            .map_err(|error| error.during(context))?;
        Ok(Self {
            connection,
            namespace: namespace.to_owned(),
            cursor: Some(0),
        })
    }

    /// Returns the number of consumers.
    ///
    /// # Errors
    /// If Redis does not answer, or the key has a value of another type.
    pub async fn count(&mut self) -> Result<u64, StoreError> {
        self.call(cmd("HLEN").arg(self.secrets_key())).await
    }

    /// Returns the next page; `None` at the end. A consumer may appear twice if the provider adds
    /// others at the same time.
    ///
    /// # Errors
    /// The errors of [`Self::count`].
    pub async fn next_page(&mut self) -> Result<Option<Vec<ProviderConsumer>>, StoreError> {
        let Some(cursor) = self.cursor else {
            return Ok(None);
        };
        let mut scan = cmd("HSCAN");
        scan.arg(self.secrets_key())
            .arg(cursor)
            .arg("COUNT")
            .arg(PAGE);
        let (next, found): (u64, Vec<HashField>) = self.call(&scan).await?;
        self.cursor = (next != 0).then_some(next);
        if found.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let mut read = cmd("HMGET");
        read.arg(format!("{}-app_info", self.namespace))
            .arg(found.iter().map(|(key, _)| key).collect::<Vec<_>>());
        let infos: Vec<Option<Vec<u8>>> = self.call(&read).await?;
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
            .map_err(|error| CommandError::from(error).during(context))
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

async fn connect(
    credentials: &Credentials,
    server: &ConnectionInfo,
) -> redis::RedisResult<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(Some(RESPONSE_TIMEOUT));
    let client = credentials.current().redis_client(server)?;
    client
        .get_multiplexed_async_connection_with_config(&config)
        .await
}

/// The approximate number of consumers on a page: small enough that Redis serves other clients in
/// between.
const PAGE: usize = 250;

/// Generous, since no check waits for the answer of a busy old server.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);
