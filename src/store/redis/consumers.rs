//! Consumers: the record, and the index that lists it.

use redis::cmd;
use tracing::debug;

use super::{CHANGING, DELETING, KEEPING, RedisStore, conflict, follows, keys, scripts};
use crate::model::{Consumer, ConsumerKey};
use crate::store::{Change, StoreError, StoreErrorKind};

impl RedisStore {
    /// Keeps a new consumer: first in the index, since a record without an entry would be hidden; then there once more, in
    /// case the deletion of an earlier one took the entry away in between.
    pub(super) async fn keep_consumer(&self, consumer: &Consumer) -> Result<(), StoreError> {
        let (key, bytes) = (&consumer.key, self.records.encode_consumer(consumer)?);
        let id = format!("{:032x}", self.records.draw_id());
        let create = scripts::create_consumer(
            &keys::consumer(key),
            &keys::tokens(key),
            &keys::aside(key, &id),
            &bytes,
        );
        self.enlist(keys::CONSUMERS, key.as_str()).await?;
        let outcome = self
            .changing(
                Change::Consumer(key.clone()),
                self.call::<u8>(KEEPING, &create),
            )
            .await?;
        if outcome == 2 {
            return Err(StoreError::new(StoreErrorKind::AlreadyExists, KEEPING));
        }
        self.tidied(self.enlist(keys::CONSUMERS, key.as_str()).await);
        if outcome == 3 {
            self.tidied(self.enlist_aside(key, &id).await);
            self.put_aside.notify_one();
        }
        Ok(())
    }

    /// Replaces a consumer.
    pub(super) async fn swap_consumer(&self, consumer: &Consumer) -> Result<(), StoreError> {
        let key = keys::consumer(&consumer.key);
        let before = self
            .fetch_one(CHANGING, key.clone())
            .await?
            .ok_or_else(conflict)?;
        follows(
            self.records
                .decode_consumer(&consumer.key, &before)?
                .revision,
            consumer.revision,
        )?;
        let bytes = self.records.encode_consumer(consumer)?;
        self.changing(
            Change::Consumer(consumer.key.clone()),
            self.swap(&key, &before, &bytes),
        )
        .await
    }

    /// Deletes a consumer and puts its tokens aside. Once its record is gone it is deleted; what fails after that is tidied
    /// up another time.
    pub(super) async fn drop_consumer(&self, consumer: &Consumer) -> Result<(), StoreError> {
        let (key, record) = (&consumer.key, keys::consumer(&consumer.key));
        let before = self
            .fetch_one(DELETING, record.clone())
            .await?
            .ok_or_else(conflict)?;
        if self.records.decode_consumer(key, &before)?.revision != consumer.revision {
            return Err(conflict());
        }
        let id = format!("{:032x}", self.records.draw_id());
        // Before, so that a crash leaves nothing behind, and after, in case it was found empty in between.
        self.enlist_aside(key, &id).await?;
        let places = [
            record,
            keys::deleted(key),
            keys::tokens(key),
            keys::aside(key, &id),
        ];
        let delete = scripts::delete_consumer(places.each_ref().map(String::as_str), &before, &id);
        self.changing(
            Change::Consumer(key.clone()),
            self.change(DELETING, &delete),
        )
        .await?;
        self.tidied(self.enlist_aside(key, &id).await);
        self.put_aside.notify_one();
        self.tidied(self.delist_consumer(key).await);
        Ok(())
    }

    /// Takes a consumer that was deleted out of the index, unless it is back.
    async fn delist_consumer(&self, key: &ConsumerKey) -> Result<(), StoreError> {
        self.delist(keys::CONSUMERS, key.as_str()).await?;
        if self
            .fetch_one(DELETING, keys::consumer(key))
            .await?
            .is_some()
        {
            self.enlist(keys::CONSUMERS, key.as_str()).await?;
        }
        Ok(())
    }

    /// Puts an entry into an index.
    pub(super) async fn enlist(&self, index: &str, entry: &str) -> Result<(), StoreError> {
        let _added: u64 = self
            .call(KEEPING, cmd("ZADD").arg(index).arg(0).arg(entry))
            .await?;
        Ok(())
    }

    /// Takes an entry out of an index.
    pub(super) async fn delist(&self, index: &str, entry: &str) -> Result<(), StoreError> {
        let _removed: u64 = self
            .call(DELETING, cmd("ZREM").arg(index).arg(entry))
            .await?;
        Ok(())
    }

    /// Notes a failure that leaves nothing but an entry or a reservation that nobody will use.
    pub(super) fn tidied(&self, outcome: Result<(), StoreError>) {
        if let Err(error) = outcome {
            debug!(
                error = &error as &dyn std::error::Error,
                "something stays in Redis that is not needed"
            );
        }
    }
}
