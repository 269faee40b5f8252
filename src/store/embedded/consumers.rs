//! The [`ConsumerStore`] part of the embedded store.

use async_trait::async_trait;

use super::rows::ListQuery;
use super::tables::{self, CONSUMERS};
use super::{CREATING, DELETING, EmbeddedStore, UPDATING};
use crate::model::{Consumer, ConsumerKey};
use crate::store::error::{again_if_resealed, check_follows, conflict};
use crate::store::record::{RecordKind, Records};
use crate::store::{ConsumerStore, RecordChange, StoreError};

#[async_trait]
impl ConsumerStore for EmbeddedStore {
    async fn create_consumer(&self, consumer: &Consumer) -> Result<(), StoreError> {
        let (key, bytes) = (
            consumer.key.to_string(),
            self.records.writer()?.encode_consumer(consumer)?,
        );
        let changed = RecordChange::Consumer(consumer.key.clone());
        self.change(CREATING, Some(changed), move |file| {
            tables::create_consumer(file, &key, &bytes)
        })
        .await
    }

    async fn update_consumer(&self, consumer: &Consumer) -> Result<(), StoreError> {
        again_if_resealed(|| async move {
            let key = consumer.key.to_string();
            let before = self.record(CONSUMERS, &key)?.ok_or_else(conflict)?;
            check_follows(
                self.records
                    .decode_consumer(&consumer.key, &before)?
                    .revision,
                consumer.revision,
            )?;
            let bytes = self.records.writer()?.encode_consumer(consumer)?;
            let changed = RecordChange::Consumer(consumer.key.clone());
            self.change(UPDATING, Some(changed), move |file| {
                tables::update(file, CONSUMERS, &key, &before, &bytes)
            })
            .await
        })
        .await
    }

    async fn delete_consumer(&self, consumer: &Consumer) -> Result<(), StoreError> {
        again_if_resealed(|| async move {
            let key = consumer.key.to_string();
            let before = self.record(CONSUMERS, &key)?.ok_or_else(conflict)?;
            if self
                .records
                .decode_consumer(&consumer.key, &before)?
                .revision
                != consumer.revision
            {
                return Err(conflict());
            }
            let changed = RecordChange::Consumer(consumer.key.clone());
            self.change(DELETING, Some(changed), move |file| {
                tables::delete_consumer(file, &key, &before)
            })
            .await
        })
        .await
    }

    async fn consumer(&self, key: &ConsumerKey) -> Result<Option<Consumer>, StoreError> {
        let bytes = self.record(CONSUMERS, key.as_str())?;
        bytes
            .map(|bytes| self.records.decode_consumer(key, &bytes))
            .transpose()
    }

    async fn consumers(
        &self,
        after: Option<&ConsumerKey>,
        limit: usize,
    ) -> Result<Vec<Consumer>, StoreError> {
        let read = |after: Option<&str>, limit| {
            self.file
                .read(|file| tables::page(file, CONSUMERS, after, limit))
        };
        let query = ListQuery {
            records: &self.records,
            kind: RecordKind::Consumer,
            after: after.map(ConsumerKey::as_str),
            limit,
        };
        query.run(read, ConsumerKey::new, Records::decode_consumer)
    }
}
