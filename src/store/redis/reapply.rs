//! Repeats the recent changes that Redis lost in a failover or a restart (`recovery`).
//!
//! Each change is compared with the stored record, and made again only if the record shows that it
//! is missing:
//!
//! | change | stored record | |
//! |---|---|---|
//! | created or updated | of a lower revision | replaced |
//! | | of the same revision, but different: both sides went on after the failover | a revocation is added, everything else stays |
//! | | of a higher revision, or another record of that name | stays |
//! | | absent | created, unless it was deleted since |
//! | deleted | the deleted record, in any revision | deleted: no later change can follow a deletion |
//! | | absent, or another record of that name | stays |
//! | session deleted | any | deleted |
//!
//! Two more rules prevent the return of a record that another replica deleted. The deletion of a
//! consumer, also a repeated one, leaves a mark in its slot for ten minutes. A record is not created
//! from a change that is older than five minutes. A token is created only while the consumer that it
//! was issued to exists.

use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use redis::cmd;
use tokio::time::{sleep, sleep_until};
use tokio::try_join;
use tracing::{debug, warn};

use super::recent_changes::{ChangeKind, RecentChange, RememberedChange};
use super::recovery::{Recovery, RecoveryRound};
use super::{DELETING, RedisStore, UPDATING, keys, scripts};
use crate::model::{
    AccessToken, Consumer, ConsumerStatus, Token, TokenStatus, User, UserId, UserStatus,
};
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
        if let Err(error) = self.past_gate().make_recent_changes_again().await {
            debug!(
                error = &error as &dyn std::error::Error,
                "cannot make recent changes again; retrying"
            );
            sleep(RETRY_PAUSE).await;
            return;
        }
        if let Some(settled_at) = round.settled_at {
            sleep_until(settled_at).await;
        }
        self.client.recovery().end(round, || {
            self.forget_copies();
            self.client.move_fence();
        });
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
        Ok(false)
    }

    async fn make_again(&self, remembered: &RememberedChange) -> Result<bool, StoreError> {
        let may_create = remembered.made_at.elapsed() < MAX_AGE_TO_CREATE;
        let RecentChange { kind, bytes } = &*remembered.change;
        match kind {
            ChangeKind::Consumer(key) => {
                let mine = self.records.decode_consumer(key, bytes)?;
                self.write_consumer_again(&mine, bytes, may_create).await
            }
            ChangeKind::ConsumerDeletion(key) => {
                let mine = self.records.decode_consumer(key, bytes)?;
                self.delete_consumer_again(&mine).await
            }
            ChangeKind::Token(name) => {
                let mine = self.records.decode_token(name, bytes)?;
                self.write_token_again(&mine, bytes, may_create).await
            }
            ChangeKind::TokenDeletion(name) => {
                let mine = self.records.decode_token(name, bytes)?;
                self.delete_token_again(&mine).await
            }
            ChangeKind::User(id) => {
                let mine = self.records.decode_user(id, bytes)?;
                self.write_user_again(id, &mine, may_create).await
            }
            ChangeKind::RequestToken(name) => self.write_request_token_again(name, bytes).await,
            ChangeKind::SessionDeletion(id) => self.delete_session(id).await.map(|()| false),
        }
    }

    async fn write_consumer_again(
        &self,
        mine: &Consumer,
        bytes: &[u8],
        may_create: bool,
    ) -> Result<bool, StoreError> {
        let record = keys::consumer(&mine.key);
        let (stored, deleted) = try_join!(
            self.fetch_one(UPDATING, record.clone()),
            self.fetch_one(UPDATING, keys::deleted(&mine.key)),
        )?;
        let Some(stored) = stored else {
            let was_deleted = deleted.is_some_and(|mark| deletion_of(&mark) == mine.id.as_str());
            return self
                .create_again(may_create && !was_deleted, self.create_consumer(mine))
                .await;
        };
        let theirs = self.records.decode_consumer(&mine.key, &stored)?;
        if theirs.id != mine.id {
            return Ok(false);
        }
        if theirs.revision < mine.revision {
            let change = RecordChange::Consumer(mine.key.clone());
            let kind = ChangeKind::Consumer(mine.key.clone());
            let update = self.update_record(&record, &stored, bytes);
            self.announce(change, [RecentChange::new(kind, bytes)], update)
                .await?;
            return Ok(true);
        }
        let is_revoked = mine.status == ConsumerStatus::Disabled && theirs.status != mine.status;
        if is_revoked && theirs.revision == mine.revision {
            let merged = Consumer {
                status: mine.status,
                revision: theirs.revision + 1,
                ..theirs
            };
            self.update_consumer(&merged).await?;
            return Ok(true);
        }
        Ok(false)
    }

    /// Deletes a consumer again. Without a record, only the mark of the deletion is written, in
    /// case another replica has yet to make an earlier change again.
    async fn delete_consumer_again(&self, mine: &Consumer) -> Result<bool, StoreError> {
        match self.consumer(&mine.key).await? {
            Some(theirs) if theirs.id == mine.id => {
                self.delete_consumer(&theirs).await?;
                Ok(true)
            }
            Some(_) => Ok(false),
            None => {
                let mark = deletion_mark(self.records.draw_id(), mine);
                let mut set = cmd("SET");
                set.arg(keys::deleted(&mine.key))
                    .arg(mark)
                    .arg("PX")
                    .arg(scripts::DELETION_MARK_MILLIS);
                self.call::<()>(DELETING, &set).await?;
                Ok(false)
            }
        }
    }

    async fn write_token_again(
        &self,
        mine: &AccessToken,
        bytes: &[u8],
        may_create: bool,
    ) -> Result<bool, StoreError> {
        let record = keys::token(&mine.consumer_key, &mine.token);
        let Some(stored) = self.fetch_one(UPDATING, record.clone()).await? else {
            let consumer = self.consumer(&mine.consumer_key).await?;
            let is_current =
                consumer.is_some_and(|consumer| consumer.generation == mine.consumer_generation);
            return self
                .create_again(may_create && is_current, self.create_token(mine))
                .await;
        };
        let theirs = self.records.decode_token(&mine.token, &stored)?;
        if !is_same_token(&theirs, mine) {
            return Ok(false);
        }
        if theirs.revision < mine.revision {
            let change = RecordChange::Token(mine.token.clone());
            let kind = ChangeKind::Token(mine.token.clone());
            let update = self.update_record(&record, &stored, bytes);
            self.announce(change, [RecentChange::new(kind, bytes)], update)
                .await?;
            return Ok(true);
        }
        // A revocation is final, so no later change can have ended it.
        if mine.status == TokenStatus::Revoked && theirs.status != TokenStatus::Revoked {
            let merged = AccessToken {
                status: TokenStatus::Revoked,
                revision: theirs.revision + 1,
                ..theirs
            };
            self.update_token(&merged).await?;
            return Ok(true);
        }
        Ok(false)
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
        id: &UserId,
        mine: &User,
        may_create: bool,
    ) -> Result<bool, StoreError> {
        let Some(stored) = self.fetch_one(UPDATING, keys::user(id)).await? else {
            return self.create_again(may_create, self.create_user(mine)).await;
        };
        let theirs = self.records.decode_user(id, &stored)?;
        if theirs.revision < mine.revision {
            return match self.replace_user(mine, &theirs, &stored).await {
                // The username went to somebody else; a revocation must not be lost with it.
                Err(error) if error.kind() == StoreErrorKind::AlreadyExists => {
                    self.revoke_user_again(mine, theirs).await
                }
                outcome => outcome.map(|()| true),
            };
        }
        if theirs.revision == mine.revision && theirs != *mine {
            return self.revoke_user_again(mine, theirs).await;
        }
        Ok(false)
    }

    /// Adds the revocation of `mine` to another version of the same user: the status, and the
    /// generation that voids earlier tokens.
    async fn revoke_user_again(&self, mine: &User, theirs: User) -> Result<bool, StoreError> {
        let is_revoked = mine.status != UserStatus::Active && theirs.status == UserStatus::Active;
        let is_later = theirs.generation != mine.generation;
        if !is_revoked && !is_later {
            return Ok(false);
        }
        let status = if is_revoked {
            mine.status
        } else {
            theirs.status
        };
        let merged = User {
            status,
            generation: mine.generation,
            revision: theirs.revision + 1,
            ..theirs
        };
        self.update_user(&merged).await?;
        Ok(true)
    }

    async fn write_request_token_again(
        &self,
        name: &Token,
        bytes: &[u8],
    ) -> Result<bool, StoreError> {
        let mine = self.records.decode_request_token(name, bytes)?;
        let record = keys::request(&mine.consumer_key, name);
        let Some(stored) = self.fetch_one(UPDATING, record.clone()).await? else {
            return Ok(false);
        };
        let theirs = self.records.decode_request_token(name, &stored)?;
        if theirs.revision >= mine.revision || theirs.created_at != mine.created_at {
            return Ok(false);
        }
        let millis = Some(self.millis_kept(&mine));
        let update = scripts::update_record(&record, &stored, bytes, millis);
        self.run(UPDATING, &update).await?;
        Ok(true)
    }

    /// Creates a record again, unless another replica did so at the same time.
    async fn create_again(
        &self,
        may_create: bool,
        create: impl Future<Output = Result<(), StoreError>>,
    ) -> Result<bool, StoreError> {
        if !may_create {
            return Ok(false);
        }
        match create.await {
            Err(error) if error.kind() == StoreErrorKind::AlreadyExists => Ok(false),
            outcome => outcome.map(|()| true),
        }
    }
}

/// Returns the mark of a deletion: a random id, and the id of the consumer.
pub(super) fn deletion_mark(id: u128, consumer: &Consumer) -> String {
    format!("{id:032x} {}", consumer.id)
}

/// Returns the id of the consumer from the mark of its deletion; empty if the mark has none.
fn deletion_of(mark: &[u8]) -> &str {
    let mark = std::str::from_utf8(mark).unwrap_or_default();
    mark.split_once(' ').map_or("", |(_, id)| id)
}

/// Returns `true` if two records are versions of one token, rather than of two tokens that had the
/// same name one after the other.
fn is_same_token(one: &AccessToken, other: &AccessToken) -> bool {
    one.consumer_key == other.consumer_key
        && one.secret == other.secret
        && one.created_at == other.created_at
}

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
