//! Removes the tokens of deleted consumers in the background, a few at a time.
//!
//! They are void, since a new consumer with the same key has another generation; removing them only
//! frees memory and names. Every replica removes them, and several may remove the same ones at a
//! time.

use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::try_join_all;
use redis::cmd;
use tokio::sync::Notify;
use tokio::time::timeout;
use tracing::debug;

use super::{DELETING, RedisStore, keys, owner, scripts};
use crate::model::{AccessToken, ConsumerKey, Token};
use crate::store::{StoreError, StoreErrorKind};

/// Removes orphaned tokens on every notification and now and then, until the store is closed or
/// dropped.
pub(super) async fn remove_in_background(store: Weak<RedisStore>, orphaned: Arc<Notify>) {
    loop {
        // Without a notification, there may still be orphans of a process that ended.
        let _notified = timeout(PAUSE, orphaned.notified()).await;
        match store.upgrade() {
            Some(store) if !store.client.is_stopped() => store.remove_orphans().await,
            _ => return,
        }
    }
}

impl RedisStore {
    /// Lists orphaned tokens of a consumer, which are under `id`, for removal.
    pub(super) async fn list_orphans(
        &self,
        consumer: &ConsumerKey,
        id: &str,
    ) -> Result<(), StoreError> {
        self.add_to_index(keys::ORPHANS, &format!("{consumer} {id}"))
            .await
    }

    async fn remove_orphans(&self) {
        loop {
            match self.remove_some_orphans().await {
                Ok(true) if !self.client.is_stopped() => {}
                Ok(_) => return,
                Err(error) => {
                    debug!(
                        error = &error as &dyn std::error::Error,
                        "cannot remove the tokens of deleted consumers; retrying later"
                    );
                    return;
                }
            }
        }
    }

    /// Removes some tokens; returns whether there may be more.
    async fn remove_some_orphans(&self) -> Result<bool, StoreError> {
        let entries: Vec<String> = self
            .call(DELETING, cmd("ZRANGE").arg(keys::ORPHANS).arg(0).arg(0))
            .await?;
        let Some(entry) = entries.first() else {
            return Ok(false);
        };
        let (consumer, id) = entry
            .split_once(' ')
            .ok_or_else(|| StoreError::new(StoreErrorKind::Unreadable, DELETING))?;
        let consumer = owner(consumer.to_owned(), DELETING)?;
        let index = keys::orphans(&consumer, id);
        let names: Vec<String> = self
            .call(DELETING, cmd("ZRANGE").arg(&index).arg(0).arg(BATCH - 1))
            .await?;
        if names.is_empty() {
            self.remove_from_index(keys::ORPHANS, entry).await?;
            return Ok(true);
        }
        try_join_all(names.iter().map(|name| self.remove_orphan(&consumer, name))).await?;
        let _removed: u64 = self
            .call(DELETING, cmd("ZREM").arg(&index).arg(&names))
            .await?;
        Ok(true)
    }

    async fn remove_orphan(&self, consumer: &ConsumerKey, name: &str) -> Result<(), StoreError> {
        let Some(name) = Token::from_bytes(name.as_bytes()) else {
            return Ok(());
        };
        let record = keys::token(consumer, &name);
        let stored = self.orphan(&record, &name).await?;
        let delete = scripts::delete_orphan(&record, &keys::tokens(consumer), name.as_str());
        if !self.call::<bool>(DELETING, &delete).await? {
            return Ok(());
        }
        let user = stored.and_then(|token| token.user_id);
        self.release_token(&name, consumer, user.as_ref()).await
    }

    /// Reads an orphaned token; `None` if it is absent or cannot be read.
    async fn orphan(&self, record: &str, name: &Token) -> Result<Option<AccessToken>, StoreError> {
        match self.fetch_one(DELETING, record.to_owned()).await {
            Ok(bytes) => Ok(bytes.and_then(|bytes| self.records.decode_token(name, &bytes).ok())),
            Err(error) if error.kind() == StoreErrorKind::Unreadable => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The longest time for which orphans of a process that ended remain unnoticed.
const PAUSE: Duration = Duration::from_secs(60);

/// The number of tokens that are removed together.
const BATCH: usize = 100;
