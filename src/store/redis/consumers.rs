//! The [`ConsumerStore`] part of the Redis store: the record, and the index that lists it.

use async_trait::async_trait;

use super::index::Cursor;
use super::reapply::deletion_mark;
use super::recent_changes::{ChangeKind, RecentChange};
use super::{CREATING, DELETING, RedisStore, UPDATING, keys, log_leftover, scripts};
use crate::model::{Consumer, ConsumerKey};
use crate::store::error::{check_follows, conflict};
use crate::store::record::RecordKind;
use crate::store::{ConsumerStore, RecordChange, StoreError};

#[async_trait]
impl ConsumerStore for RedisStore {
    /// Writes the index entry before the record, since lists do not show a record without an entry;
    /// and again after it, in case the deletion of an earlier consumer removed the entry in
    /// between.
    async fn create_consumer(&self, consumer: &Consumer) -> Result<(), StoreError> {
        let (key, bytes) = (
            &consumer.key,
            self.writer().await?.encode_consumer(consumer)?,
        );
        let id = format!("{:032x}", self.records.draw_id());
        let create = scripts::create_consumer(
            &keys::consumer(key),
            &keys::tokens(key),
            &keys::orphans(key, &id),
            &bytes,
        );
        self.add_to_index(keys::CONSUMERS, key.as_str()).await?;
        let made = RecentChange::new(ChangeKind::Consumer(key.clone()), bytes);
        let outcome = self
            .announce(
                RecordChange::Consumer(key.clone()),
                [made],
                self.run_script(CREATING, &create),
            )
            .await?;
        log_leftover(self.add_to_index(keys::CONSUMERS, key.as_str()).await);
        if outcome == scripts::DONE_WITH_ORPHANS {
            log_leftover(self.list_orphans(key, &id).await);
            self.orphaned.notify_one();
        }
        Ok(())
    }

    async fn update_consumer(&self, consumer: &Consumer) -> Result<(), StoreError> {
        let key = keys::consumer(&consumer.key);
        let before = self
            .fetch_one(UPDATING, key.clone())
            .await?
            .ok_or_else(conflict)?;
        let stored = self.records.decode_consumer(&consumer.key, &before)?;
        check_follows(stored.revision, consumer.revision)?;
        let bytes = self.writer().await?.encode_consumer(consumer)?;
        let made = RecentChange::new(ChangeKind::Consumer(consumer.key.clone()), &*bytes);
        self.announce(
            RecordChange::Consumer(consumer.key.clone()),
            [made],
            self.update_record(&key, &before, &bytes),
        )
        .await
    }

    /// Deletes the record and turns its tokens into orphans in one step. The consumer is deleted
    /// then; a failure of the steps that follow leaves only unused entries.
    async fn delete_consumer(&self, consumer: &Consumer) -> Result<(), StoreError> {
        let (key, record) = (&consumer.key, keys::consumer(&consumer.key));
        let before = self
            .fetch_one(DELETING, record.clone())
            .await?
            .ok_or_else(conflict)?;
        if self.records.decode_consumer(key, &before)?.revision != consumer.revision {
            return Err(conflict());
        }
        let id = format!("{:032x}", self.records.draw_id());
        // Before the deletion, so that a crash leaves no orphans unlisted, and after it, in case
        // they were removed from the list in between because there were none yet.
        self.list_orphans(key, &id).await?;
        let keys = [
            record,
            keys::deleted(key),
            keys::tokens(key),
            keys::orphans(key, &id),
        ];
        let mark = deletion_mark(self.records.draw_id(), consumer);
        let delete = scripts::delete_consumer(keys.each_ref().map(String::as_str), &before, &mark);
        let made = RecentChange::new(ChangeKind::ConsumerDeletion(key.clone()), before);
        self.announce(
            RecordChange::Consumer(key.clone()),
            [made],
            self.run(DELETING, &delete),
        )
        .await?;
        log_leftover(self.list_orphans(key, &id).await);
        self.orphaned.notify_one();
        log_leftover(self.unlist_consumer(key).await);
        Ok(())
    }

    async fn consumer(&self, key: &ConsumerKey) -> Result<Option<Consumer>, StoreError> {
        let bytes = self
            .fetch_one("looking up a consumer", keys::consumer(key))
            .await?;
        bytes
            .map(|bytes| self.records.decode_consumer(key, &bytes))
            .transpose()
    }

    async fn consumers(
        &self,
        after: Option<&ConsumerKey>,
        limit: usize,
    ) -> Result<Vec<Consumer>, StoreError> {
        let mut page = Vec::new();
        let mut cursor = Cursor::after(after.map(ConsumerKey::as_str));
        while let Some(entries) = self
            .index_page(keys::CONSUMERS, &mut cursor, limit - page.len())
            .await?
        {
            let names = self.names(RecordKind::Consumer, entries, ConsumerKey::new)?;
            let decode = |key: &ConsumerKey, bytes: &[u8]| self.records.decode_consumer(key, bytes);
            page.extend(
                self.listed(RecordKind::Consumer, names, keys::consumer, decode)
                    .await?,
            );
        }
        Ok(page)
    }
}

impl RedisStore {
    /// Removes a deleted consumer from the index, unless it was created again.
    async fn unlist_consumer(&self, key: &ConsumerKey) -> Result<(), StoreError> {
        self.remove_from_index(keys::CONSUMERS, key.as_str())
            .await?;
        let record = self.fetch_one(DELETING, keys::consumer(key)).await?;
        if record.is_some() {
            self.add_to_index(keys::CONSUMERS, key.as_str()).await?;
        }
        Ok(())
    }
}
