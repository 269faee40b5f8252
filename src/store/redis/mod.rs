//! The Redis store, shared by every replica of the service.
//!
//! # Keys
//!
//! | key | value |
//! |---|---|
//! | `countersign:{C}:consumer` | the record of a consumer |
//! | `countersign:{C}:deleted:ID` | a mark that the consumer with that id was deleted, for ten minutes |
//! | `countersign:{C}:token:T` | the record of a token |
//! | `countersign:{C}:tokens` | the index of the consumer's tokens |
//! | `countersign:{C}:orphans:ID` | an index of tokens that a deleted consumer of that key left |
//! | `countersign:{C}:request:T` | the record of temporary credentials, until it expires |
//! | `countersign:{C}:nonces:SECOND:PART` | claims with that timestamp, until they expire (`nonces`) |
//! | `countersign:{T}:owner` | the consumer key of a token, to find a token by its name alone |
//! | `countersign:{T}:request-owner` | the consumer key of temporary credentials |
//! | `countersign:{U}:user` | the record of a user |
//! | `countersign:{U}:user-tokens` | the index of the tokens that act for the user: `T`, a space, `C`, not encoded |
//! | `countersign:{U}:barred:N` | a mark that the user may not take that username, for a minute |
//! | `countersign:{N}:username` | the id of the user with that username, if the user's record agrees |
//! | `countersign:{S}:session` | a session, until it expires |
//! | `countersign:{A}:attempts` | a number of attempts, until their window ends |
//! | `countersign:{A}:uncounted:ID` | a mark that attempts were subtracted, for a minute |
//! | `countersign:{epoch}` | the marker of the epoch (`epoch`) |
//! | `countersign:{NUMBER}:epoch` | such a marker in a Cluster, one for each primary |
//! | `countersign:{probe}` | what the probe writes |
//! | `countersign:consumers` | the index of consumer keys |
//! | `countersign:users` | the index of the ids of users, without deleted ones |
//! | `countersign:orphans` | the index of orphaned tokens: `C`, a space, `ID` |
//! | `countersign:{canary}` | a record that proves the master key (`readiness`) |
//!
//! `C`, `T`, `U` and `N` are the percent-encoded consumer key, token, user id and lower-case
//! username; `S` and `A` are hashes. All keys that a check needs have the hash tag of the consumer,
//! so that every step stays within one slot of a Redis Cluster. The exception is the standing of a
//! user: consumers share users, so its lookup is a separate step. An index is a sorted set whose
//! members have one score, so that they are in byte order.
//!
//! # Changes in more than one slot
//!
//! Such a change is a sequence of writes, ordered so that a crash between two of them does no harm.
//! The record alone decides; readers compare everything else with it:
//!
//! - Lists skip an index entry without a record. The entry is written before the record, and again
//!   after it if a removal may have happened in between. Every removal of an entry is followed by a
//!   check whether the record is back.
//! - The owner of a token is a reservation until there is a record; the same consumer can still
//!   fill it.
//! - A username that is reserved for a user whose record does not have it is free. Another user who
//!   takes it first bars the reserved user from it, in the slot of that user's record, so that one
//!   of the two gets it (`users`).
//! - The tokens of a deleted consumer become orphans in one step with the deletion of its record,
//!   and are removed later, a few at a time (`orphans`).
//!
//! # Loss of nonces
//!
//! A nonce that Redis loses can be used again while its timestamp is within the window. Redis loses
//! nonces when it restarts without having written them to disk, when a replica takes over that did
//! not have them yet, when somebody deletes them, when its clock jumps ahead, and when a
//! `maxmemory-policy` other than `noeviction` evicts them. The first two show as a change of the
//! server's run id or of its replication history, the loss of everything as a change of the marker
//! of the epoch (`epoch`), a jump against the monotonic clock (`clock_skew`). All are logged and
//! counted; with `fence_on_restart`, timestamps up to that moment are refused. That fence does not
//! cover requests dated ahead of the clock. The restore of a backup, which has no nonces, replaces
//! the marker, so that every replica raises the fence, with and without that option.

mod address;
mod attempts;
mod backup;
mod batching;
mod caller_lookup;
mod changes;
mod check;
mod circuit_breaker;
mod client;
mod clock_skew;
mod cluster;
mod cluster_slots;
mod cluster_watch;
mod connection;
mod consumers;
mod credential_files;
mod credentials;
mod epoch;
mod error;
mod gate;
mod host_list;
mod index;
mod inspection;
mod invalidation;
mod keys;
mod link;
mod merge;
mod nonces;
mod orphans;
mod primary_watch;
mod provider_2013;
mod readiness;
mod reapply;
mod recent_changes;
mod record_key;
mod recovery;
mod replication;
mod request_tokens;
mod resolution;
mod restarts;
mod scan;
mod scripts;
mod sentinel;
mod server_info;
mod server_term;
mod servers;
mod sessions;
mod tls_failure;
mod tokens;
mod users;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use redis::{Cmd, FromRedisValue, cmd};
use tokio::sync::Notify;
use tracing::debug;

use self::address::RedisAddress;
use self::caller_lookup::CallerLookup;
use self::client::RedisClient;
use self::clock_skew::ClockSkew;
use self::credential_files::CredentialFileError;
use self::credentials::Credentials;
use self::error::CommandError;
use self::host_list::AddressError;
use self::inspection::ServerInspector;
use self::invalidation::InvalidationChannel;
use self::nonces::NonceClaims;
use self::recovery::Recovery;
use self::replication::ReplicatedWrites;
use self::restarts::RestartDetector;
use self::servers::RedisServers;
use super::record::{Records, unreadable};
use super::seal::key_id_of;
use super::{
    ChangeFeed, ReplacementKeys, StoreError, StoreErrorKind, StoreHealth, StoreLifecycle,
    StoreStatus,
};
use crate::clock::{Clock, Entropy, UnixTime};
use crate::config::StoreConfig;
use crate::model::{AccessToken, ConsumerKey};

pub use self::provider_2013::{ProviderConsumer, ProviderConsumers};

/// The store in Redis.
pub(super) struct RedisStore {
    records: Arc<Records>,
    client: Arc<RedisClient>,
    nonces: NonceClaims,
    callers: CallerLookup,
    invalidation: Arc<InvalidationChannel>,
    /// The connections for changes that replicas must confirm, if any must.
    replicated: Option<ReplicatedWrites>,
    clock: Arc<dyn Clock>,
    /// Notified when tokens became orphans.
    orphaned: Arc<Notify>,
    /// The number of changes that Redis lost and this process made again.
    remade: Arc<AtomicU64>,
}

// === impl RedisStore ===

impl RedisStore {
    /// Connects to Redis; it is no error if Redis is unreachable.
    ///
    /// # Errors
    /// If `url` is no address of Redis, the server cannot be used, or the master key is not the one
    /// that the records in it were written with.
    pub(super) async fn open(
        url: &str,
        config: &StoreConfig,
        records: Records,
        clock: Arc<dyn Clock>,
        entropy: &dyn Entropy,
    ) -> Result<Arc<Self>, StoreError> {
        let (address, credentials) = read_inputs(url, config)?;
        let (changes, recovery) = (Arc::<ChangeFeed>::default(), Arc::<Recovery>::default());
        let inspector = ServerInspector::new(
            Arc::clone(&clock),
            RestartDetector::new(
                Arc::clone(&clock),
                config.fence_on_restart,
                Arc::clone(&recovery),
                Arc::clone(&changes),
            ),
            ClockSkew::new(config.max_clock_skew),
            entropy,
        );
        let servers = RedisServers::follow(
            address.with_response_timeout(config.timeout),
            credentials,
            &recovery,
        );
        let client = RedisClient::open(servers, config, inspector, recovery)
            .await
            .map_err(|error| error.during("connecting to Redis"))?;
        let records = Arc::new(records);
        let store = Arc::new(Self {
            nonces: NonceClaims::new(Arc::clone(&client)),
            callers: CallerLookup::new(Arc::clone(&client), Arc::clone(&records)),
            invalidation: Arc::new(InvalidationChannel::open(&client, changes, entropy)),
            replicated: ReplicatedWrites::new(&client, config.min_replicas),
            records,
            client,
            clock,
            orphaned: Arc::default(),
            remade: Arc::default(),
        });
        tokio::spawn(reapply::recover_in_background(
            Arc::downgrade(&store),
            Arc::clone(store.client.recovery()),
        ));
        store.refuse_other_key().await?;
        tokio::spawn(orphans::remove_in_background(
            Arc::downgrade(&store),
            Arc::clone(&store.orphaned),
        ));
        Ok(store)
    }

    /// Returns the same store, except that its calls pass while the gate is closed, and wait for no
    /// replica.
    fn past_gate(&self) -> Self {
        let client = self.client.past_gate();
        Self {
            records: Arc::clone(&self.records),
            nonces: NonceClaims::new(Arc::clone(&client)),
            callers: CallerLookup::new(Arc::clone(&client), Arc::clone(&self.records)),
            invalidation: Arc::clone(&self.invalidation),
            client,
            replicated: None,
            clock: Arc::clone(&self.clock),
            orphaned: Arc::clone(&self.orphaned),
            remade: Arc::clone(&self.remade),
        }
    }

    async fn call<T: FromRedisValue>(
        &self,
        context: &'static str,
        command: &Cmd,
    ) -> Result<T, StoreError> {
        let value = self
            .client
            .call(command)
            .await
            .map_err(|error| error.during(context))?;
        redis::from_redis_value(value).map_err(|_| CommandError::UnexpectedAnswer.during(context))
    }

    /// Reads a record. A value of another type is an error, as `MGET` would not report it.
    async fn fetch_one(
        &self,
        context: &'static str,
        key: String,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        self.call(context, cmd("GET").arg(key)).await
    }

    /// Writes a value if the key has none, and returns the value that was there.
    async fn reserve(&self, key: &str, value: &str) -> Result<Option<String>, StoreError> {
        let mut set = cmd("SET");
        set.arg(key).arg(value).arg("NX").arg("GET");
        self.call(CREATING, &set).await
    }

    /// Returns the time from now until `end` in milliseconds, at least 1, since Redis refuses 0.
    fn millis_until(&self, end: UnixTime) -> u64 {
        u64::try_from(end.since(self.clock.now()).as_millis())
            .unwrap_or(u64::MAX)
            .clamp(1, MAX_MILLIS)
    }
}

#[async_trait]
impl StoreHealth for RedisStore {
    async fn ping(&self) -> Result<(), StoreError> {
        match self.check_synthetically().await {
            // Once more while the circuit is closed: this thread may have been late, and not Redis.
            Err(error) if error.is_transient() && self.client.check().is_ok() => {
                self.check_synthetically().await
            }
            outcome => outcome,
        }
    }

    fn status(&self) -> StoreStatus {
        StoreStatus {
            restarts_seen: self.client.restarts_seen(),
            clock_skew_millis: self.client.clock_skew_millis(),
            cut_off: self.invalidation.is_cut_off(),
            untold: self.invalidation.untold(),
            remade: self.remade.load(Ordering::Relaxed),
            unreadable_records: self.records.skipped(),
            records_under_old_keys: self.records.under_old_keys(),
            ..StoreStatus::default()
        }
    }
}

#[async_trait]
impl StoreLifecycle for RedisStore {
    fn changes(&self) -> &ChangeFeed {
        self.invalidation.changes()
    }

    fn check_keys(&self, keys: &ReplacementKeys) -> Result<(), StoreError> {
        self.records.check_keys(&keys.0)
    }

    fn use_keys(&self, keys: ReplacementKeys) {
        self.records.use_keys(keys.0);
        let first = self.records.master_key_ids().into_iter().next();
        let changes = self.client.recovery().changes();
        changes.reseal(|kind, name, bytes| {
            let is_current = key_id_of(bytes) == first.as_deref();
            let resealed = (!is_current).then(|| self.records.resealed(kind, name, bytes));
            resealed?.ok()
        });
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.client.stop();
        self.invalidation.stop();
        self.orphaned.notify_one();
        Ok(())
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").finish_non_exhaustive()
    }
}

/// Checks the address and the files of connections, without a connection.
///
/// # Errors
/// If one of them cannot be used.
pub(super) fn check_inputs(url: &str, config: &StoreConfig) -> Result<(), StoreError> {
    read_inputs(url, config).map(drop)
}

/// Reads the address and the files of connections.
fn read_inputs(
    url: &str,
    config: &StoreConfig,
) -> Result<(RedisAddress, Arc<Credentials>), StoreError> {
    let unusable = |context| StoreError::new(StoreErrorKind::Unusable, context);
    let address =
        RedisAddress::parse(url).map_err(|error| unusable("reading store.url").because(error))?;
    let credentials = Credentials::load(&config.files, address.is_tls())
        .map_err(|error| unusable("reading the files of connections to Redis").because(error))?;
    Ok((address, credentials))
}

/// Returns `true` if the cause of an error is `store.url` or a file of connections to Redis.
pub(super) fn is_configuration_mistake(cause: &(dyn std::error::Error + 'static)) -> bool {
    cause.is::<AddressError>() || cause.is::<CredentialFileError>()
}

/// Checks that a token names the consumer under which it is stored.
fn owned(consumer: &ConsumerKey, token: AccessToken) -> Result<AccessToken, StoreError> {
    if token.consumer_key == *consumer {
        return Ok(token);
    }
    Err(unreadable(
        "the record of a token is stored under a consumer that it was not issued to",
    ))
}

/// Reads the consumer key that is stored as the owner of a token.
fn owner(text: String, context: &'static str) -> Result<ConsumerKey, StoreError> {
    ConsumerKey::new(text)
        .map_err(|error| StoreError::new(StoreErrorKind::Unreadable, context).because(error))
}

/// Logs a failure that leaves nothing behind except an entry or a reservation that nobody will use.
fn log_leftover(outcome: Result<(), StoreError>) {
    if let Err(error) = outcome {
        debug!(
            error = &error as &dyn std::error::Error,
            "an unused entry remains in Redis"
        );
    }
}

const LOOKING_UP: &str = "looking up a caller";
const CREATING: &str = "creating a record";
const UPDATING: &str = "updating a record";
const DELETING: &str = "deleting a record";
const LISTING: &str = "listing records";

/// A century: Redis cannot represent much longer times.
const MAX_MILLIS: u64 = 100 * 366 * 24 * 60 * 60 * 1000;
