//! Changes of records: the script runs, the change is remembered (`recent_changes`), and the other
//! replicas learn of it (`invalidation`).

use redis::Cmd;

use super::error::CommandError;
use super::recent_changes::RecentChange;
use super::{RedisStore, UPDATING, scripts};
use crate::store::changes::may_have_changed;
use crate::store::error::conflict;
use crate::store::{RecordChange, StoreError, StoreErrorKind};

impl RedisStore {
    /// Makes a change and announces it, even if it failed but may have been made.
    pub(super) async fn announce<T>(
        &self,
        change: RecordChange,
        made: impl IntoIterator<Item = RecentChange>,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let pending = self.invalidation.begin(change);
        let outcome = self.remember(made, work).await;
        match &outcome {
            Ok(_) => pending.made().await,
            // It may still be on its way to Redis.
            Err(_) if may_have_changed(&outcome) => drop(pending),
            Err(_) => pending.refused(),
        }
        outcome
    }

    /// Makes a change and remembers it, unless the caller gets an error: a change that nobody was
    /// promised must not be made again over one that somebody was.
    ///
    /// # Errors
    /// Also if Redis may have lost the change already: in a failover or restart that came between
    /// its acknowledgement and this one's, or at a primary that is cut off from the Sentinels.
    pub(super) async fn remember<T>(
        &self,
        made: impl IntoIterator<Item = RecentChange>,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let recovery = self.client.recovery();
        let mark = recovery.mark();
        let outcome = work.await?;
        let confirmed = self.client.confirm_primary().await;
        confirmed.map_err(|error| error.during(UPDATING))?;
        if recovery.remember(mark, made) {
            Ok(outcome)
        } else {
            Err(CommandError::Recovering.during(UPDATING))
        }
    }

    /// Runs a script that changes a record, and turns its result into an error or into the number
    /// that says how it was done.
    pub(super) async fn run_script(
        &self,
        context: &'static str,
        script: &Cmd,
    ) -> Result<u8, StoreError> {
        let result = match &self.replicated {
            Some(writes) => writes.run(&self.client, context, script).await?,
            None => self.call(context, script).await?,
        };
        match result {
            0 => Err(conflict()),
            scripts::TAKEN => Err(StoreError::new(StoreErrorKind::AlreadyExists, context)),
            done => Ok(done),
        }
    }

    /// Runs a script that changes a record.
    pub(super) async fn run(&self, context: &'static str, script: &Cmd) -> Result<(), StoreError> {
        self.run_script(context, script).await.map(drop)
    }

    /// Replaces the bytes of a record if they are still `before`.
    pub(super) async fn update_record(
        &self,
        key: &str,
        before: &[u8],
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        let update = scripts::update_record(key, before, bytes, None);
        self.run(UPDATING, &update).await
    }
}
