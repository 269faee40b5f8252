//! Repeats the recent changes that Redis lost in a failover or a restart (`recovery`).
//!
//! Each change is compared with the stored record, and made again only if the record shows that it
//! is missing:
//!
//! | change | stored record | |
//! |---|---|---|
//! | created or updated | a version that this process replaced, or one with the same content | replaced again |
//! | | any other version: another replica changed it | the revocations of the change are added (`merge`), everything else stays |
//! | | the change itself, or another record of that name | stays |
//! | | absent | created, unless it was deleted since |
//! | deleted | the deleted record, in any revision | deleted: no later change can follow a deletion |
//! | | absent, or another record of that name | stays |
//! | session deleted | any | deleted |
//!
//! Versions are compared by their content: a rotation of the master key seals a record anew, and
//! that is no change. A change that is made again is sealed with the first key of that moment.
//!
//! Two more rules prevent the return of a record that another replica deleted. The deletion of a
//! consumer, also a repeated one, first leaves a mark in its slot for ten minutes, and the script
//! that creates a consumer again looks for it. A record is not created
//! from a change that is older than five minutes. A token is created only while the consumer that it
//! was issued to exists.

use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use redis::cmd;
use tokio::time::{sleep, sleep_until};
use tracing::{debug, warn};

use super::recent_changes::{ChangeKind, RecentChange, RememberedChange};
use super::recovery::{Recovery, RecoveryRound};
use super::{DELETING, RedisStore, UPDATING, keys, merge, scripts};
use crate::model::{AccessToken, Consumer, Generation, Token, TokenStatus, User};
use crate::store::error::conflict;
use crate::store::{
    ConsumerStore as _, RecordChange, SessionStore as _, StoreError, StoreErrorKind,
    TokenStore as _, UserStore as _,
};

/// Clears caches whenever the gate closes, and runs each recovery that is due, until the store is
/// closed or dropped.
pub(super) async fn recover_in_background(store: Weak<RedisStore>, recovery: Arc<Recovery>) {
    loop {
        let (has_closed, due) = tokio::select! {
            biased;
            round = recovery.due() => (true, Some(round)),
            () = recovery.gate().closed() => (true, None),
            () = sleep(CHECK_INTERVAL) => (false, None),
        };
        let Some(store) = store.upgrade().filter(|store| !store.client.is_stopped()) else {
            return;
        };
        if has_closed {
            store.forget_copies();
        }
        if let Some(round) = due {
            store.recover(round).await;
        }
    }
}

impl RedisStore {
    /// Makes recent changes again, and opens the gate when all are stored.
    async fn recover(&self, round: RecoveryRound) {
        if !self.make_again_or_pause().await {
            return;
        }
        if let Some(settled_at) = round.settled_at {
            sleep_until(settled_at).await;
            // Once more: meanwhile, another replica may have made a token again that this one
            // revoked, or the consumer that a token needs.
            if !self.make_again_or_pause().await {
                return;
            }
        }
        self.client.recovery().end(round, || {
            self.forget_copies();
            if round.is_failover {
                self.client.move_fence();
            }
        });
        // Redis may have lost the removal of orphans too.
        self.orphaned.notify_one();
    }

    /// Makes recent changes again; pauses and returns `false` if that has to be repeated.
    async fn make_again_or_pause(&self) -> bool {
        let Err(error) = self.past_gate().make_recent_changes_again().await else {
            return true;
        };
        debug!(
            error = &error as &dyn std::error::Error,
            "cannot make recent changes again; retrying"
        );
        sleep(RETRY_PAUSE).await;
        false
    }

    /// Tells caches that any record may have changed. A check that needs no nonce would pass with a
    /// cached copy even while the gate is closed.
    fn forget_copies(&self) {
        self.invalidation
            .changes()
            .announce(&RecordChange::Everything);
    }

    async fn make_recent_changes_again(&self) -> Result<(), StoreError> {
        let changes = self.client.recovery().changes().all();
        // Tokens need their consumers.
        let (consumers, others): (Vec<_>, Vec<_>) = changes
            .into_iter()
            .partition(|remembered| matches!(remembered.change.kind, ChangeKind::Consumer(_)));
        let mut count = 0;
        for group in [consumers, others] {
            count += stream::iter(group)
                .map(async |remembered| self.make_again_if_possible(&remembered).await)
                .buffer_unordered(CONCURRENCY)
                .try_fold(0, async |sum, made: bool| Ok(sum + u64::from(made)))
                .await?;
        }
        if count > 0 {
            self.remade
                .fetch_add(count, std::sync::atomic::Ordering::Relaxed);
            warn!(
                changes = count,
                "Redis lost acknowledged changes of this replica; made them again"
            );
        }
        Ok(())
    }

    /// Makes a change again if it is missing; returns whether it was. A change that can never be
    /// made again is logged.
    async fn make_again_if_possible(
        &self,
        remembered: &RememberedChange,
    ) -> Result<bool, StoreError> {
        for _ in 0..ATTEMPTS {
            match self.make_again(remembered).await {
                // Another replica changed the record at the same time: look again.
                Err(error) if error.kind() == StoreErrorKind::Conflict => {}
                Err(error) if error.is_transient() => return Err(error),
                Err(error) => {
                    warn!(
                        error = &error as &dyn std::error::Error,
                        changed = remembered.change.kind.label(),
                        "Redis lost an acknowledged change of this replica, and it cannot be made again"
                    );
                    return Ok(false);
                }
                outcome => return outcome,
            }
        }
        Err(conflict())
    }

    async fn make_again(&self, remembered: &RememberedChange) -> Result<bool, StoreError> {
        let may_create = remembered.made_at.elapsed() < MAX_AGE_TO_CREATE;
        let change = &*remembered.change;
        let (records, bytes) = (&self.records, &change.bytes);
        match &change.kind {
            ChangeKind::Consumer(key) => {
                let mine = records.decode_consumer(key, bytes)?;
                self.write_consumer_again(change, &mine, may_create).await
            }
            ChangeKind::ConsumerDeletion(key) => {
                let mine = records.decode_consumer(key, bytes)?;
                self.delete_consumer_again(&mine).await
            }
            ChangeKind::Token(name) => {
                let mine = records.decode_token(name, bytes)?;
                self.write_token_again(change, &mine, may_create).await
            }
            ChangeKind::TokenDeletion(name) => {
                let mine = records.decode_token(name, bytes)?;
                self.delete_token_again(&mine).await
            }
            ChangeKind::User(id) => {
                let mine = records.decode_user(id, bytes)?;
                self.write_user_again(change, &mine, may_create).await
            }
            ChangeKind::RequestToken(name) => self.write_request_token_again(change, name).await,
            ChangeKind::SessionDeletion(id) => self.delete_session(id).await.map(|()| false),
        }
    }

    async fn write_consumer_again(
        &self,
        change: &RecentChange,
        mine: &Consumer,
        may_create: bool,
    ) -> Result<bool, StoreError> {
        let record = keys::consumer(&mine.key);
        let mark = keys::deleted(&mine.key, &mine.id);
        let Some(stored) = self.fetch_one(UPDATING, record.clone()).await? else {
            let was_deleted = self.fetch_one(UPDATING, mark.clone()).await?.is_some();
            let create = self.write_new_consumer(mine, Some(mark));
            return self
                .create_again(may_create && !was_deleted, record, create)
                .await;
        };
        let theirs = self.records.decode_consumer(&mine.key, &stored)?;
        if theirs == *mine || theirs.id != mine.id {
            return Ok(false);
        }
        let earlier: Vec<_> = change
            .ancestors()
            .filter_map(|bytes| self.records.decode_consumer(&mine.key, bytes).ok())
            .filter(|earlier| earlier.id == mine.id)
            .collect();
        if earlier.contains(&theirs) {
            // The remembered bytes may be under a key that is no longer the first.
            let bytes = self.writer().await?.encode_consumer(mine)?;
            self.replace_consumer(mine, &stored, &bytes).await?;
            return Ok(true);
        }
        let draw = || self.draw_generation();
        let Some(merged) = merge::consumers(mine, &theirs, &earlier, draw) else {
            return Ok(false);
        };
        let bytes = self.writer().await?.encode_consumer(&merged)?;
        self.replace_consumer(&merged, &stored, &bytes).await?;
        warn!(
            consumer_key = mine.key.as_str(),
            "{}: check the consumer", MERGED
        );
        Ok(true)
    }

    /// Deletes a consumer again. The mark of the deletion is written first, so that no other replica
    /// creates the consumer again once it was found absent.
    async fn delete_consumer_again(&self, mine: &Consumer) -> Result<bool, StoreError> {
        let mut set = cmd("SET");
        set.arg(keys::deleted(&mine.key, &mine.id))
            .arg(format!("{:032x}", self.records.draw_id()))
            .arg("PX")
            .arg(scripts::DELETION_MARK_MILLIS);
        self.call::<()>(DELETING, &set).await?;
        match self.consumer(&mine.key).await? {
            Some(theirs) if theirs.id == mine.id => {
                self.delete_consumer(&theirs).await?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    async fn write_token_again(
        &self,
        change: &RecentChange,
        mine: &AccessToken,
        may_create: bool,
    ) -> Result<bool, StoreError> {
        let record = keys::token(&mine.consumer_key, &mine.token);
        let Some(stored) = self.fetch_one(UPDATING, record.clone()).await? else {
            let consumer = self.consumer(&mine.consumer_key).await?;
            let is_current =
                consumer.is_some_and(|consumer| consumer.generation == mine.consumer_generation);
            return self
                .create_again(may_create && is_current, record, self.create_token(mine))
                .await;
        };
        let theirs = self.records.decode_token(&mine.token, &stored)?;
        if theirs == *mine || !is_same_token(&theirs, mine) {
            return Ok(false);
        }
        let mut earlier = change
            .ancestors()
            .filter_map(|bytes| self.records.decode_token(&mine.token, bytes).ok());
        // A revocation is final, so no later change can have ended it.
        if theirs.status != TokenStatus::Revoked && earlier.any(|earlier| earlier == theirs) {
            let bytes = self.writer().await?.encode_token(mine)?;
            self.replace_token(mine, &stored, &bytes).await?;
            return Ok(true);
        }
        let Some(merged) = merge::tokens(mine, &theirs) else {
            return Ok(false);
        };
        let bytes = self.writer().await?.encode_token(&merged)?;
        self.replace_token(&merged, &stored, &bytes).await?;
        Ok(true)
    }

    async fn delete_token_again(&self, mine: &AccessToken) -> Result<bool, StoreError> {
        let record = keys::token(&mine.consumer_key, &mine.token);
        let Some(stored) = self.fetch_one(DELETING, record).await? else {
            return Ok(false);
        };
        let theirs = self.records.decode_token(&mine.token, &stored)?;
        if !is_same_token(&theirs, mine) {
            return Ok(false);
        }
        self.delete_token(&theirs).await?;
        Ok(true)
    }

    async fn write_user_again(
        &self,
        change: &RecentChange,
        mine: &User,
        may_create: bool,
    ) -> Result<bool, StoreError> {
        let (id, record) = (&mine.id, keys::user(&mine.id));
        let Some(stored) = self.fetch_one(UPDATING, record.clone()).await? else {
            return self
                .create_again(may_create, record, self.create_user(mine))
                .await;
        };
        let theirs = self.records.decode_user(id, &stored)?;
        if theirs == *mine {
            return Ok(false);
        }
        let earlier: Vec<_> = change
            .ancestors()
            .filter_map(|bytes| self.records.decode_user(id, bytes).ok())
            .collect();
        if earlier.contains(&theirs) {
            match self.replace_user(mine, &theirs, &stored).await {
                // The username went to somebody else; a revocation must not be lost with it.
                Err(error) if error.kind() == StoreErrorKind::AlreadyExists => {}
                outcome => return outcome.map(|()| true),
            }
        }
        let draw = || self.draw_generation();
        let Some(merged) = merge::users(mine, &theirs, &earlier, draw) else {
            return Ok(false);
        };
        self.replace_user(&merged, &theirs, &stored).await?;
        warn!(user = id.as_str(), "{}: check the user", MERGED);
        Ok(true)
    }

    async fn write_request_token_again(
        &self,
        change: &RecentChange,
        name: &Token,
    ) -> Result<bool, StoreError> {
        let mine = self.records.decode_request_token(name, &change.bytes)?;
        let record = keys::request(&mine.consumer_key, name);
        let Some(stored) = self.fetch_one(UPDATING, record).await? else {
            return Ok(false);
        };
        let theirs = self.records.decode_request_token(name, &stored)?;
        if theirs == mine || theirs.created_at != mine.created_at {
            return Ok(false);
        }
        let mut earlier = change
            .ancestors()
            .filter_map(|bytes| self.records.decode_request_token(name, bytes).ok());
        if earlier.any(|earlier| earlier == theirs) {
            let bytes = self.writer().await?.encode_request_token(&mine)?;
            self.replace_request_token(&mine, &stored, &bytes).await?;
            return Ok(true);
        }
        let Some(merged) = merge::request_tokens(&mine, &theirs) else {
            return Ok(false);
        };
        let bytes = self.writer().await?.encode_request_token(&merged)?;
        self.replace_request_token(&merged, &stored, &bytes).await?;
        Ok(true)
    }

    fn draw_generation(&self) -> Generation {
        let id = self.records.draw_id();
        let number = u64::try_from(id & u128::from(u64::MAX)).unwrap_or(u64::MAX);
        Generation::from_number(number.max(1))
    }

    /// Creates a record again. If another replica created it at the same time, the two versions have
    /// yet to be compared: that is a conflict.
    async fn create_again(
        &self,
        may_create: bool,
        record: String,
        create: impl Future<Output = Result<(), StoreError>>,
    ) -> Result<bool, StoreError> {
        if !may_create {
            return Ok(false);
        }
        match create.await {
            Err(error) if error.kind() == StoreErrorKind::AlreadyExists => {
                match self.fetch_one(UPDATING, record).await? {
                    Some(_) => Err(conflict()),
                    // The name went to somebody else, or the record was deleted since.
                    None => Ok(false),
                }
            }
            outcome => outcome.map(|()| true),
        }
    }
}

/// Returns `true` if two records are versions of one token, rather than of two tokens that had the
/// same name one after the other.
fn is_same_token(one: &AccessToken, other: &AccessToken) -> bool {
    one.consumer_key == other.consumer_key
        && one.secret == other.secret
        && one.created_at == other.created_at
}

/// The beginning of the warning about a merged record.
const MERGED: &str = "Redis lost an acknowledged change of this replica, and another replica changed the same record; kept the other change and added the revocations of this one";

/// The interval at which the task looks whether the store is still open.
const CHECK_INTERVAL: Duration = Duration::from_secs(60);

/// The pause before another attempt, while the gate stays closed.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// The number of changes that are made at a time.
const CONCURRENCY: usize = 16;

/// The number of attempts to change a record that others change at the same time.
const ATTEMPTS: usize = 5;

/// The age up to which a missing record is created again: half the life of the mark that its
/// deletion leaves.
const MAX_AGE_TO_CREATE: Duration = Duration::from_mins(5);
