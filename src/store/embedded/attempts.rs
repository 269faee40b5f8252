//! The [`AttemptStore`] part of the embedded store.

use std::time::Duration;

use async_trait::async_trait;

use super::EmbeddedStore;
use super::expiring::{self, EntryKind, ExpiringEntry};
use crate::clock::UnixTime;
use crate::store::{AttemptCounter, AttemptStore, StoreError, StoreErrorKind};

/// The attempts in an open window.
#[derive(Clone, Copy)]
struct AttemptWindow {
    count: u64,
    ends_at: UnixTime,
}

#[async_trait]
impl AttemptStore for EmbeddedStore {
    async fn count_attempt(
        &self,
        counter: &AttemptCounter,
        window: Duration,
    ) -> Result<u64, StoreError> {
        let now = self.clock.now();
        self.change_attempts(counter, move |open| {
            let end = now.plus(window);
            let open = open
                .filter(|open| now < open.ends_at)
                .unwrap_or(AttemptWindow {
                    count: 0,
                    ends_at: end,
                });
            // A clock that was set back must not keep a window open for longer.
            AttemptWindow {
                count: open.count.saturating_add(1),
                ends_at: open.ends_at.min(end),
            }
        })
        .await
    }

    async fn uncount_attempts(
        &self,
        counter: &AttemptCounter,
        attempts: u64,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        self.change_attempts(counter, move |open| {
            let open = open.unwrap_or(AttemptWindow {
                count: 0,
                ends_at: now,
            });
            AttemptWindow {
                count: open.count.saturating_sub(attempts),
                ..open
            }
        })
        .await
        .map(drop)
    }
}

impl EmbeddedStore {
    /// Changes a counter and returns its new count.
    async fn change_attempts(
        &self,
        counter: &AttemptCounter,
        work: impl FnOnce(Option<AttemptWindow>) -> AttemptWindow + Send + 'static,
    ) -> Result<u64, StoreError> {
        let name = *counter.as_bytes();
        self.change("counting attempts", None, move |file| {
            expiring::change(file, EntryKind::Attempts, &name, |kept| {
                let after = work(kept.map(|kept| kept.attempt_window()).transpose()?);
                Ok((Some(after.into()), after.count))
            })
        })
        .await
    }
}

impl ExpiringEntry {
    fn attempt_window(&self) -> Result<AttemptWindow, StoreError> {
        let count = <[u8; 8]>::try_from(self.bytes.as_slice()).map_err(|error| {
            StoreError::new(StoreErrorKind::Unreadable, "counting attempts").because(error)
        })?;
        Ok(AttemptWindow {
            count: u64::from_be_bytes(count),
            ends_at: self.expires_at,
        })
    }
}

impl From<AttemptWindow> for ExpiringEntry {
    fn from(attempts: AttemptWindow) -> Self {
        Self {
            expires_at: attempts.ends_at,
            bytes: attempts.count.to_be_bytes().into(),
        }
    }
}
