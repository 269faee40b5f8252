//! The [`ConsumerStore`] part of the Redis store: the record, and the index that lists it.

use async_trait::async_trait;

use super::index::Cursor;
use super::recent_changes::{ChangeKind, RecentChange};
use super::{CREATING, DELETING, RedisStore, UPDATING, keys, log_leftover, scripts};
use crate::model::{Consumer, ConsumerKey};
use crate::store::error::{again_if_resealed, check_follows, conflict};
use crate::store::record::RecordKind;
use crate::store::{ConsumerStore, RecordChange, StoreError};

#[async_trait]
impl ConsumerStore for RedisStore {
    async fn create_consumer(&self, consumer: &Consumer) -> Result<(), StoreError> {
        self.write_new_consumer(consumer, None).await
    }

    async fn update_consumer(&self, consumer: &Consumer) -> Result<(), StoreError> {
        again_if_resealed(|| async move {
            let key = keys::consumer(&consumer.key);
            let before = self
                .fetch_one(UPDATING, key.clone())
                .await?
                .ok_or_else(conflict)?;
            let stored = self.records.decode_consumer(&consumer.key, &before)?;
            check_follows(stored.revision, consumer.revision)?;
            let bytes = self.writer().await?.encode_consumer(consumer)?;
            self.replace_consumer(consumer, &before, &bytes).await
        })
        .await
    }

    /// Deletes the record and turns its tokens into orphans in one step. The consumer is deleted
    /// then; a failure of the steps that follow leaves only unused entries.
    async fn delete_consumer(&self, consumer: &Consumer) -> Result<(), StoreError> {
        again_if_resealed(|| async move {
            let (key, record) = (&consumer.key, keys::consumer(&consumer.key));
            let before = self
                .fetch_one(DELETING, record.clone())
                .await?
                .ok_or_else(conflict)?;
            let stored = self.records.decode_consumer(key, &before)?;
            if stored.revision != consumer.revision {
                return Err(conflict());
            }
            let id = format!("{:032x}", self.records.draw_id());
            // Before the deletion, so that a crash leaves no orphans unlisted, and after it, in case
            // they were removed from the list in between because there were none yet.
            self.list_orphans(key, &id).await?;
            let keys = [
                record,
                keys::deleted(key, &stored.id),
                keys::tokens(key),
                keys::orphans(key, &id),
            ];
            let mark = format!("{:032x}", self.records.draw_id());
            let delete =
                scripts::delete_consumer(keys.each_ref().map(String::as_str), &before, &mark);
            let kind = ChangeKind::ConsumerDeletion(key.clone());
            let made = RecentChange::new(kind, stored.revision, before);
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
        })
        .await
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
    /// Creates a consumer, unless there is a key `unless`.
    ///
    /// Writes the index entry before the record, since lists do not show a record without an entry;
    /// and again after it, in case the deletion of an earlier consumer removed the entry in
    /// between.
    pub(super) async fn write_new_consumer(
        &self,
        consumer: &Consumer,
        unless: Option<String>,
    ) -> Result<(), StoreError> {
        let key = &consumer.key;
        let bytes = self.writer().await?.encode_consumer(consumer)?;
        let id = format!("{:032x}", self.records.draw_id());
        let names = [
            keys::consumer(key),
            keys::tokens(key),
            keys::orphans(key, &id),
        ];
        let names: Vec<_> = names.into_iter().chain(unless).collect();
        let create = scripts::create_consumer(&names, &bytes);
        self.add_to_index(keys::CONSUMERS, key.as_str()).await?;
        let kind = ChangeKind::Consumer(key.clone());
        let made = RecentChange::new(kind, consumer.revision, bytes);
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

    /// Replaces the bytes of a consumer, `bytes` for the record, if they are still `before`.
    pub(super) async fn replace_consumer(
        &self,
        consumer: &Consumer,
        before: &[u8],
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        let key = &consumer.key;
        let kind = ChangeKind::Consumer(key.clone());
        let made = RecentChange::new(kind, consumer.revision, bytes).replacing(before);
        let record = keys::consumer(key);
        self.announce(
            RecordChange::Consumer(key.clone()),
            [made],
            self.update_record(&record, before, bytes),
        )
        .await
    }

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
