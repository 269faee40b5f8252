//! The lookup of a caller, and how lookups that arrive together share their commands
//! (`batching`).
//!
//! A consumer and its token are in one slot and are read together; the token's user is known, and
//! read, only after that. A lookup of absent records takes the same two steps. The first is an
//! `MGET` for all waiting lookups, and an `EXISTS` of the same keys at the same time: `MGET` reports
//! a value of another type as absent, and such a value is a failure of ours. The second step is a
//! `GET` for each lookup, all at once, which reports such a value itself. A script that follows a
//! token to its user would save a round trip, but cost more of Redis, which all replicas share.

use std::sync::Arc;

use futures_util::future::{join, join_all};
use redis::cmd;
use tokio::time::Instant;

use super::batching::{BatchItem, Batcher, PendingItem};
use super::client::RedisClient;
use super::error::CommandError;
use super::link::read;
use super::{LOOKING_UP, keys, owned};
use crate::model::{AccessToken, ConsumerKey, Token, UserStanding};
use crate::store::record::Records;
use crate::store::{CallerRecords, StoreError};

/// Looks up callers in Redis.
pub(super) struct CallerLookup {
    batcher: Arc<Batcher<RecordKeys>>,
    records: Arc<Records>,
}

/// The keys of records in one slot; at least one.
struct RecordKeys(Vec<String>);

/// The value of a key, or the reason why it has none that can be read.
type KeyOutcome = Result<Option<Vec<u8>>, CommandError>;

// === impl CallerLookup ===

impl CallerLookup {
    /// Looks up `records` over `client`.
    pub(super) fn new(client: Arc<RedisClient>, records: Arc<Records>) -> Self {
        Self {
            batcher: Batcher::new(client),
            records,
        }
    }

    /// Looks up a consumer and, if one is named, its token and the standing of that token's user.
    pub(super) async fn caller_records(
        &self,
        consumer: &ConsumerKey,
        token: Option<&Token>,
    ) -> Result<CallerRecords, StoreError> {
        let mut keys = vec![keys::consumer(consumer)];
        keys.extend(token.map(|token| keys::token(consumer, token)));
        let mut found = self.read(keys).await?.into_iter();
        let mut next = || found.next().transpose().map(Option::flatten);
        let failed = |error: CommandError| error.during(LOOKING_UP);
        let stored_consumer = next().map_err(failed)?;
        let stored_token = next().map_err(failed)?;
        let consumer_record = self
            .records
            .found_consumer(consumer, stored_consumer.as_deref())?
            .map(Arc::new);
        let Some(name) = token else {
            return Ok(CallerRecords {
                consumer: consumer_record,
                ..CallerRecords::default()
            });
        };
        let token = self.records.found_token(name, stored_token.as_deref())?;
        let token = token.map(|token| owned(consumer, token)).transpose()?;
        let user = self.standing(name, token.as_ref()).await?;
        Ok(CallerRecords {
            consumer: consumer_record,
            token: token.map(Arc::new),
            user,
            ..CallerRecords::default()
        })
    }

    /// Looks up the standing of a token's user.
    ///
    /// # Security
    /// For a token that is absent or has no user, it reads as much: the time that it takes must not
    /// reveal which tokens exist.
    async fn standing(
        &self,
        name: &Token,
        token: Option<&AccessToken>,
    ) -> Result<UserStanding, StoreError> {
        let user = token.and_then(|token| token.user_id.as_ref());
        let key = user.map_or_else(|| keys::nobody(name), keys::user);
        let answer = self.batcher.client().call(cmd("GET").arg(key)).await;
        let answer = answer.and_then(read);
        let bytes: Option<Vec<u8>> = answer.map_err(|error| error.during(LOOKING_UP))?;
        self.records.found_standing(user.zip(bytes.as_deref()))
    }

    async fn read(&self, keys: Vec<String>) -> Result<Vec<KeyOutcome>, StoreError> {
        self.batcher
            .send(RecordKeys(keys))
            .await
            .map_err(|error| error.during(LOOKING_UP))
    }
}

// === impl RecordKeys ===

impl BatchItem for RecordKeys {
    /// The outcome for each key.
    type Answer = Vec<KeyOutcome>;

    fn slot_key(&self) -> &str {
        &self.0[0]
    }

    async fn send_all(
        client: &RedisClient,
        pending: &[PendingItem<Self>],
        deadline: Instant,
    ) -> Result<Vec<Self::Answer>, CommandError> {
        let keys: Vec<&str> = pending
            .iter()
            .flat_map(|pending| &pending.item.0)
            .map(String::as_str)
            .collect();
        let (mut mget, mut count) = (cmd("MGET"), cmd("EXISTS"));
        mget.arg(&keys);
        count.arg(&keys);
        let (values, existing) = join(
            client.call_by(&mget, deadline, pending.len()),
            // The first command counts the lookups that fail.
            client.call_by(&count, deadline, 0),
        )
        .await;
        let values: Vec<Option<Vec<u8>>> = read(values?)?;
        if values.len() != keys.len() {
            return Err(CommandError::UnexpectedAnswer);
        }
        let found = values.iter().flatten().count();
        let outcomes = if read::<usize>(existing?)? > found {
            read_each(client, deadline, keys.into_iter().zip(values)).await
        } else {
            values.into_iter().map(Ok).collect()
        };
        let mut found = outcomes.into_iter();
        Ok(pending
            .iter()
            .map(|pending| found.by_ref().take(pending.item.0.len()).collect())
            .collect())
    }
}

/// Reads each key that has no value by itself, so that a value of another type is reported.
async fn read_each<'k>(
    client: &RedisClient,
    deadline: Instant,
    values: impl Iterator<Item = (&'k str, Option<Vec<u8>>)>,
) -> Vec<KeyOutcome> {
    let reads = values.map(|(key, value)| async move {
        if value.is_some() {
            return Ok(value);
        }
        read(client.call_by(cmd("GET").arg(key), deadline, 0).await?)
    });
    join_all(reads).await
}
