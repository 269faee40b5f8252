//! Removes the tokens of deleted consumers, some at a time, behind what is asked for.
//!
//! They are good for nothing any more, since a consumer that is created anew has another generation: removing them only
//! gives back memory and names. Every replica does it, and several may do the same at a time.

use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::try_join_all;
use redis::cmd;
use tokio::sync::Notify;
use tokio::time::timeout;
use tracing::debug;

use super::{DELETING, RedisStore, keys, owner, scripts};
use crate::model::{ConsumerKey, Token};
use crate::store::record::Records;
use crate::store::{StoreError, StoreErrorKind};

/// Removes what was put aside, when the bell rings and now and then, until the store is gone.
pub(super) async fn keep_clean(store: Weak<RedisStore>, bell: Arc<Notify>) {
    loop {
        // Without a bell there may still be what a process that ended has left.
        let _rang = timeout(PAUSE, bell.notified()).await;
        match store.upgrade() {
            Some(store) if !store.client.is_stopped() => store.clean().await,
            _ => return,
        }
    }
}

impl RedisStore {
    /// Notes that tokens of a consumer are put aside under an id.
    pub(super) async fn enlist_aside(
        &self,
        consumer: &ConsumerKey,
        id: &str,
    ) -> Result<(), StoreError> {
        self.enlist(keys::ASIDE, &format!("{consumer} {id}")).await
    }

    async fn clean(&self) {
        loop {
            match self.clean_some().await {
                Ok(true) if !self.client.is_stopped() => {}
                Ok(_) => return,
                Err(error) => {
                    debug!(
                        error = &error as &dyn std::error::Error,
                        "tokens of deleted consumers stay for now"
                    );
                    return;
                }
            }
        }
    }

    /// Removes some tokens; gives whether there may be more.
    async fn clean_some(&self) -> Result<bool, StoreError> {
        let entries: Vec<String> = self
            .call(DELETING, cmd("ZRANGE").arg(keys::ASIDE).arg(0).arg(0))
            .await?;
        let Some(entry) = entries.first() else {
            return Ok(false);
        };
        let (consumer, id) = entry
            .split_once(' ')
            .ok_or_else(|| StoreError::new(StoreErrorKind::Unreadable, DELETING))?;
        let consumer = owner(consumer.to_owned(), DELETING)?;
        let index = keys::aside(&consumer, id);
        let names: Vec<String> = self
            .call(DELETING, cmd("ZRANGE").arg(&index).arg(0).arg(AT_ONCE - 1))
            .await?;
        if names.is_empty() {
            self.delist(keys::ASIDE, entry).await?;
            return Ok(true);
        }
        try_join_all(names.iter().map(|name| self.remove_old(&consumer, name))).await?;
        let _removed: u64 = self
            .call(DELETING, cmd("ZREM").arg(&index).arg(&names))
            .await?;
        Ok(true)
    }

    async fn remove_old(&self, consumer: &ConsumerKey, name: &str) -> Result<(), StoreError> {
        let Some(name) = Token::from_bytes(name.as_bytes()) else {
            return Ok(());
        };
        let record = keys::token(consumer, &name);
        let stored = self.fetch_one(DELETING, record.clone()).await?;
        let remove = scripts::delete_old_token(&record, &keys::tokens(consumer), name.as_str());
        if !self.call::<bool>(DELETING, &remove).await? {
            return Ok(());
        }
        let user = stored
            .and_then(|bytes| Records::token_holders(&bytes).ok())
            .and_then(|(_, user)| user);
        self.release_token(&name, consumer, user.as_ref()).await
    }
}

/// How long what a process left behind may lie.
const PAUSE: Duration = Duration::from_secs(60);

/// Tokens that are removed together.
const AT_ONCE: usize = 100;
