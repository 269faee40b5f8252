//! `[store]` and `[cache]`: the store of records and its cache.

use std::path::PathBuf;
use std::time::Duration;

use super::connection_files::ConnectionFiles;
use super::reader::Reader;
use super::store_url::StoreUrl;
use super::value::{self, HOUR, MILLISECOND, TEN_SECONDS};

/// `[store]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreConfig {
    /// The kind and address of the store.
    pub url: StoreUrl,
    /// The file with the master keys that seal secrets; without one, the embedded store creates
    /// its own.
    pub master_key_file: Option<PathBuf>,
    /// The files of connections to Redis.
    pub files: ConnectionFiles,
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
        let url = reader.text("store.url", StoreUrl::parse);
        Self {
            files: ConnectionFiles::read(reader, &url),
            url,
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
