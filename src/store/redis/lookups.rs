//! Look-ups of credentials: how they are read, and how those that come at once share their commands (`batches`).
//!
//! A consumer and its token are in one slot and read together; the user of the token is known, and read, only after that.
//! What is asked for without being there takes the same two steps. The first is an `MGET`, which reads for all who wait. The
//! second is a `GET` for each, which they send at once: a user who is not there stands as one who is active, so what is no
//! record must be an error there, and `MGET` calls a value of another type missing. A script that follows a token to its user
//! would spare a round trip, and cost Redis, which all replicas share, more.

use std::sync::Arc;

use redis::cmd;
use tokio::time::Instant;

use super::batches::{Batches, Question, Waiting};
use super::client::Client;
use super::fault::Fault;
use super::{LOOKING_UP, keys, owned};
use crate::model::{AccessToken, ConsumerKey, Token, UserStanding};
use crate::store::record::Records;
use crate::store::{Credentials, StoreError};

/// Looks credentials up in Redis.
pub(super) struct Lookups {
    batches: Arc<Batches<Reading>>,
    records: Arc<Records>,
}

/// Keys of one slot whose values are read; at least one.
struct Reading(Vec<String>);

// === impl Lookups ===

impl Lookups {
    /// Look-ups of `records` that go to Redis by `client`.
    pub(super) fn new(client: Arc<Client>, records: Arc<Records>) -> Self {
        Self {
            batches: Batches::new(client),
            records,
        }
    }

    /// Looks up a consumer and, if one is asked for, its token and the standing of that token's user.
    pub(super) async fn credentials(
        &self,
        consumer: &ConsumerKey,
        token: Option<&Token>,
    ) -> Result<Credentials, StoreError> {
        let mut keys = vec![keys::consumer(consumer)];
        keys.extend(token.map(|token| keys::token(consumer, token)));
        let mut found = self.read(keys).await?.into_iter();
        let stored_consumer = found.next().flatten();
        let stored_token = found.next().flatten();
        let consumer_record = self
            .records
            .found_consumer(consumer, stored_consumer.as_deref())?
            .map(Arc::new);
        let Some(asked) = token else {
            return Ok(Credentials {
                consumer: consumer_record,
                ..Credentials::default()
            });
        };
        let token = self.records.found_token(asked, stored_token.as_deref())?;
        let token = token.map(|token| owned(consumer, token)).transpose()?;
        let user = self.standing(asked, token.as_ref()).await?;
        Ok(Credentials {
            consumer: consumer_record,
            token: token.map(Arc::new),
            user,
        })
    }

    /// The standing of the user of a token. Of a token that is not there, or acts for nobody, as much is read: how long it
    /// takes must not tell which tokens there are.
    async fn standing(
        &self,
        asked: &Token,
        token: Option<&AccessToken>,
    ) -> Result<UserStanding, StoreError> {
        let user = token.and_then(|token| token.user_id.as_ref());
        let key = user.map_or_else(|| keys::nobody(asked), keys::user);
        let answer = self.batches.client().call(cmd("GET").arg(key)).await;
        let answer =
            answer.and_then(|value| redis::from_redis_value(value).map_err(|_| Fault::Unexpected));
        let bytes: Option<Vec<u8>> = answer.map_err(|fault| fault.during(LOOKING_UP))?;
        self.records.found_standing(user.zip(bytes.as_deref()))
    }

    async fn read(&self, keys: Vec<String>) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.batches
            .ask(Reading(keys))
            .await
            .map_err(|fault| fault.during(LOOKING_UP))
    }
}

// === impl Reading ===

impl Question for Reading {
    /// What is kept under each key.
    type Answer = Vec<Option<Vec<u8>>>;

    fn key(&self) -> &str {
        &self.0[0]
    }

    async fn ask(
        client: &Client,
        waiting: &[Waiting<Self>],
        deadline: Instant,
    ) -> Result<Vec<Self::Answer>, Fault> {
        let mut read = cmd("MGET");
        waiting
            .iter()
            .flat_map(|waiting| &waiting.question.0)
            .for_each(|key| {
                read.arg(key);
            });
        let answer = client.call_by(&read, deadline, waiting.len()).await?;
        let found: Vec<Option<Vec<u8>>> =
            redis::from_redis_value(answer).map_err(|_| Fault::Unexpected)?;
        let asked: usize = waiting.iter().map(|waiting| waiting.question.0.len()).sum();
        if found.len() != asked {
            return Err(Fault::Unexpected);
        }
        let mut found = found.into_iter();
        Ok(waiting
            .iter()
            .map(|waiting| found.by_ref().take(waiting.question.0.len()).collect())
            .collect())
    }
}
