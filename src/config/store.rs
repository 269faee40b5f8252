//! `[store]` and `[cache]`: the store of records and its cache.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::reader::Reader;
use super::value::{self, HOUR, MILLISECOND, TEN_SECONDS, ValueProblem};

/// `[store]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreConfig {
    /// The kind and address of the store.
    pub url: StoreUrl,
    /// The file with the master keys that seal secrets; without one, the embedded store creates
    /// its own.
    pub master_key_file: Option<PathBuf>,
    /// The longest time for one call to Redis.
    pub timeout: Duration,
    /// The number of multiplexed connections to Redis.
    pub connections: u32,
    /// The number of replicas of Redis that must confirm a change of a record.
    pub min_replicas: u32,
    /// Refuses timestamps from before a detected restart or replacement of Redis.
    pub fence_on_restart: bool,
    /// The largest difference between the clock of Redis and this host's with which nonces are
    /// claimed; zero accepts any.
    pub max_clock_skew: Duration,
}

/// `store.url`.
#[derive(Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// `embedded:PATH`; a relative path is below the data directory.
    Embedded(PathBuf),
    /// `memory:`.
    Memory,
    /// `redis://`, `rediss://`, `redis+sentinel://` or `redis+cluster://`. It may hold a password,
    /// so it is never shown.
    Redis(String),
}

/// `[cache]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheConfig {
    /// The oldest record that is used; zero switches the cache off.
    pub max_age: Duration,
    /// The oldest record that is used while Redis is unavailable; zero uses none.
    pub max_stale_age: Duration,
    /// The most memory for the cache, in bytes.
    pub max_bytes: u64,
}

// === impl StoreConfig ===

impl StoreConfig {
    pub(super) fn read(reader: &mut Reader) -> Self {
        Self {
            url: reader.text("store.url", store_url),
            master_key_file: reader.text("store.master_key_file", value::optional_path),
            timeout: reader.duration("store.timeout", MILLISECOND..=TEN_SECONDS),
            connections: reader.integer("store.connections", 1..=64),
            min_replicas: reader.integer("store.min_replicas", 0..=16),
            fence_on_restart: reader.boolean("store.fence_on_restart"),
            max_clock_skew: reader
                .duration("store.max_clock_skew", Duration::ZERO..=HALF_NONCE_MARGIN),
        }
    }
}

// === impl StoreUrl ===

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded(path) => write!(f, "embedded:{}", path.display()),
            Self::Memory => f.write_str("memory:"),
            Self::Redis(_) => f.write_str("redis (address redacted)"),
        }
    }
}

/// Parses `store.url`. The text may hold a password, so the problem does not repeat it.
fn store_url(text: &str) -> Result<StoreUrl, ValueProblem> {
    let parsed = match text.strip_prefix("embedded:") {
        Some("") => None,
        Some(path) => Some(StoreUrl::Embedded(path.into())),
        None if text == "memory:" => Some(StoreUrl::Memory),
        None => redis_url(text).map(StoreUrl::Redis),
    };
    parsed.ok_or(ValueProblem::SecretShape {
        expected: "\"embedded:FILE\", \"memory:\", or an address that begins with redis://, \
                   rediss://, redis+sentinel:// or redis+cluster://",
    })
}

/// Returns the address with its scheme in lower case, as the Redis client needs it.
fn redis_url(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let is_redis = REDIS_SCHEMES.contains(&scheme.as_str()) && !rest.is_empty();
    is_redis.then(|| format!("{scheme}://{rest}"))
}

// === impl CacheConfig ===

impl CacheConfig {
    pub(super) fn read(reader: &mut Reader) -> Self {
        Self {
            max_age: reader.duration("cache.max_age", Duration::ZERO..=HOUR),
            max_stale_age: reader.duration("cache.max_stale_age", Duration::ZERO..=HOUR),
            max_bytes: reader.integer("cache.max_bytes", 65_536..=u64::from(u32::MAX)),
        }
    }
}

/// Half of the time for which nonces are kept beyond the window (`verify`): two replicas may differ
/// from Redis in opposite directions.
const HALF_NONCE_MARGIN: Duration = Duration::from_secs(30);

const REDIS_SCHEMES: [&str; 4] = ["redis", "rediss", "redis+sentinel", "redis+cluster"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_embedded_in_memory_or_redis() {
        assert_eq!(
            store_url("embedded:a.redb"),
            Ok(StoreUrl::Embedded("a.redb".into()))
        );
        assert_eq!(store_url("memory:"), Ok(StoreUrl::Memory));
        for (text, url) in [
            ("redis+cluster://a,b", "redis+cluster://a,b"),
            ("REDISS://User@Host", "rediss://User@Host"),
        ] {
            assert_eq!(store_url(text), Ok(StoreUrl::Redis(url.to_owned())));
        }
    }

    #[test]
    fn a_store_address_that_is_wrong_is_not_repeated() {
        for wrong in [
            "",
            "embedded:",
            "memory:x",
            "redis://",
            "http://user:hunter2@host",
        ] {
            let problem = store_url(wrong).unwrap_err().to_string();
            assert!(!problem.contains("hunter2"), "{problem}");
        }
    }
}
