//! The [`AttemptStore`] part of the Redis store.

use std::time::Duration;

use async_trait::async_trait;

use super::{MAX_MILLIS, RedisStore, keys, scripts};
use crate::store::{AttemptCounter, AttemptStore, StoreError};

#[async_trait]
impl AttemptStore for RedisStore {
    async fn count_attempt(
        &self,
        counter: &AttemptCounter,
        window: Duration,
    ) -> Result<u64, StoreError> {
        let window = u64::try_from(window.as_millis())
            .unwrap_or(u64::MAX)
            .clamp(1, MAX_MILLIS);
        self.call(COUNTING, &scripts::count(&keys::attempts(counter), window))
            .await
    }

    async fn uncount_attempts(
        &self,
        counter: &AttemptCounter,
        attempts: u64,
    ) -> Result<(), StoreError> {
        let done = keys::uncounted(counter, self.records.draw_id());
        let uncount = scripts::uncount(&keys::attempts(counter), &done, attempts);
        self.run(COUNTING, &uncount).await
    }
}

const COUNTING: &str = "counting attempts";
