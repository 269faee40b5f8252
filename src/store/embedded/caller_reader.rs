//! Lookups of callers for checks.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::blocking::{blocking, in_time};
use super::store_file::StoreFile;
use super::tables::{self, CONSUMERS, TOKENS, USERS};
use crate::model::{AccessToken, Consumer, ConsumerKey, Token, UserStanding};
use crate::store::record::Records;
use crate::store::{
    CallerRecords, StoreError, StoreErrorKind, StoreFuture, boxed_answer, ready_answer,
};

/// The reader of the records of callers.
#[derive(Clone)]
pub(super) struct CallerReader {
    records: Arc<Records>,
    file: Arc<StoreFile>,
    /// Places for lookups that wait for the disk; `None` if all pages are in memory.
    places: Option<Arc<Semaphore>>,
}

impl CallerReader {
    /// Returns a reader for a file on disk.
    pub(super) fn on_disk(records: Arc<Records>, file: Arc<StoreFile>) -> Self {
        Self {
            records,
            file,
            places: Some(Arc::new(Semaphore::new(MOST_LOOK_UPS))),
        }
    }

    /// Returns a reader for a file in memory, which never waits.
    pub(super) fn in_memory(records: Arc<Records>, file: Arc<StoreFile>) -> Self {
        Self {
            records,
            file,
            places: None,
        }
    }

    /// Looks up a consumer and, if one is given, a token of it with the standing of its user.
    pub(super) fn caller_records<'a>(
        &'a self,
        consumer: &'a ConsumerKey,
        token: Option<&'a Token>,
    ) -> StoreFuture<'a, CallerRecords> {
        match &self.places {
            None => ready_answer(self.read(consumer, token)),
            Some(places) => boxed_answer(self.read_from_disk(places, consumer, token)),
        }
    }

    /// Looks up a caller on a thread that may wait for the disk.
    async fn read_from_disk(
        &self,
        places: &Arc<Semaphore>,
        consumer: &ConsumerKey,
        token: Option<&Token>,
    ) -> Result<CallerRecords, StoreError> {
        let place = Arc::clone(places)
            .try_acquire_owned()
            .map_err(|_| crowded())?;
        let (reader, consumer, token) = (self.clone(), consumer.clone(), token.cloned());
        let read = move || {
            // Held until the disk responds, even if the caller gives up: the thread is in use until
            // then.
            let _place = place;
            reader.read(&consumer, token.as_ref())
        };
        in_time(LOOK_UP, blocking(LOOK_UP, read)).await
    }

    fn read(
        &self,
        consumer: &ConsumerKey,
        token: Option<&Token>,
    ) -> Result<CallerRecords, StoreError> {
        let stored_consumer = self.consumer(consumer)?.map(Arc::new);
        let Some(token) = token else {
            return Ok(CallerRecords {
                consumer: stored_consumer,
                ..CallerRecords::default()
            });
        };
        let token = self.token(token)?;
        let token = token.filter(|token| token.consumer_key == *consumer);
        let user = self.standing(token.as_ref())?;
        Ok(CallerRecords {
            consumer: stored_consumer,
            token: token.map(Arc::new),
            user,
            ..CallerRecords::default()
        })
    }

    fn consumer(&self, key: &ConsumerKey) -> Result<Option<Consumer>, StoreError> {
        let bytes = self
            .file
            .read(|transaction| tables::record(transaction, CONSUMERS, key.as_str()))?;
        self.records.found_consumer(key, bytes.as_deref())
    }

    fn token(&self, token: &Token) -> Result<Option<AccessToken>, StoreError> {
        let bytes = self
            .file
            .read(|transaction| tables::record(transaction, TOKENS, token.as_str()))?;
        self.records.found_token(token, bytes.as_deref())
    }

    /// Reads the standing of a token's user, and takes as long if there is no token or no user.
    fn standing(&self, token: Option<&AccessToken>) -> Result<UserStanding, StoreError> {
        let Some(id) = token.and_then(|token| token.user_id.as_ref()) else {
            return self.records.found_standing(None);
        };
        let bytes = self
            .file
            .read(|transaction| tables::record(transaction, USERS, id.as_str()))?;
        self.records
            .found_standing(bytes.as_deref().map(|bytes| (id, bytes)))
    }

    /// Waits until no lookup is in progress.
    #[cfg(test)]
    pub(super) async fn idle(&self) {
        let most = u32::try_from(MOST_LOOK_UPS).unwrap();
        let places = self.places.as_ref().unwrap();
        let _all = places.acquire_many(most).await.unwrap();
    }
}

fn crowded() -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, LOOK_UP).because(format!(
        "{MOST_LOOK_UPS} look-ups wait for the disk already"
    ))
}

const LOOK_UP: &str = "looking up a caller";

/// The most lookups that wait for the disk at a time: some milliseconds of a healthy disk, and
/// fewer than the threads that tokio has for blocking work.
pub(super) const MOST_LOOK_UPS: usize = 128;
