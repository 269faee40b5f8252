//! The [`UserStore`] part of the Redis store: the record in the slot of the user, the username in a
//! slot of its own.
//!
//! A username belongs to the user whose id is stored under it, if that user's record has it too. So
//! a new username takes two writes, in this order:
//!
//! 1. The name, if free, is reserved for the user's id. A crash after this step leaves it
//!    *abandoned*: the same call, repeated, goes on, and any other user may take the name over.
//! 2. The record is written, unless the user was *barred* from the name in between.
//!
//! A call that finds the name reserved for another user looks at the other user's record. If the
//! record has the name, the name is taken. If not, the call bars the other user from it, in the
//! slot of that user's record and only if the record is unchanged, and then takes the name. So if
//! the other call was only slow, it learns that the name is taken; one of the two users gets it.
//!
//! A name that a user lost or gave up is released after the record says so; that step only tidies
//! up.

use async_trait::async_trait;
use redis::cmd;

use super::index::Cursor;
use super::recent_changes::{ChangeKind, RecentChange};
use super::{CREATING, RedisStore, UPDATING, keys, log_leftover, scripts};
use crate::model::{User, UserId, UserStatus, Username};
use crate::store::error::{again_if_resealed, check_follows, conflict};
use crate::store::record::RecordKind;
use crate::store::{RecordChange, StoreError, StoreErrorKind, UserStore};

#[async_trait]
impl UserStore for RedisStore {
    async fn create_user(&self, user: &User) -> Result<(), StoreError> {
        let existing = self.fetch_one(CREATING, keys::user(&user.id)).await?;
        if existing.is_some() {
            return Err(taken());
        }
        let created = self.write_user(user, &[]).await;
        created.map_err(|error| {
            if error.kind() == StoreErrorKind::Conflict {
                taken()
            } else {
                error
            }
        })
    }

    async fn update_user(&self, user: &User) -> Result<(), StoreError> {
        again_if_resealed(|| async move {
            let before = self
                .fetch_one(UPDATING, keys::user(&user.id))
                .await?
                .ok_or_else(conflict)?;
            let stored = self.records.decode_user(&user.id, &before)?;
            check_follows(stored.revision, user.revision)?;
            self.replace_user(user, &stored, &before).await
        })
        .await
    }

    async fn user(&self, id: &UserId) -> Result<Option<User>, StoreError> {
        self.fetch_user("looking up a user", id).await
    }

    async fn user_named(&self, username: &Username) -> Result<Option<User>, StoreError> {
        let (context, username) = ("looking up a user", username.folded());
        let id: Option<String> = self
            .call(context, cmd("GET").arg(keys::username(&username)))
            .await?;
        let Some(id) = id else { return Ok(None) };
        let user = self.fetch_user(context, &user_id(id, context)?).await?;
        Ok(user.filter(|user| has_name(user, &username)))
    }

    async fn users(&self, after: Option<&UserId>, limit: usize) -> Result<Vec<User>, StoreError> {
        let mut page = Vec::new();
        let mut cursor = Cursor::after(after.map(UserId::as_str));
        while let Some(entries) = self
            .index_page(keys::USERS, &mut cursor, limit - page.len())
            .await?
        {
            let ids = self.names(RecordKind::User, entries, UserId::new)?;
            let decode = |id: &UserId, bytes: &[u8]| self.records.decode_user(id, bytes);
            let users = self
                .listed(RecordKind::User, ids, keys::user, decode)
                .await?;
            let is_listed = |user: &User| user.status != UserStatus::Deleted;
            page.extend(users.into_iter().filter(is_listed));
        }
        Ok(page)
    }
}

impl RedisStore {
    async fn fetch_user(
        &self,
        context: &'static str,
        id: &UserId,
    ) -> Result<Option<User>, StoreError> {
        let bytes = self.fetch_one(context, keys::user(id)).await?;
        bytes
            .map(|bytes| self.records.decode_user(id, &bytes))
            .transpose()
    }

    /// Replaces a user, `stored` as `before`, and releases what the user gave up.
    pub(super) async fn replace_user(
        &self,
        user: &User,
        stored: &User,
        before: &[u8],
    ) -> Result<(), StoreError> {
        self.write_user(user, before).await?;
        let (old, new) = (folded_name(stored), folded_name(user));
        if let Some(old) = old.filter(|old| new.as_ref() != Some(old)) {
            log_leftover(self.release_username(&old, &user.id).await);
        }
        if user.status == UserStatus::Deleted {
            log_leftover(self.unlist_user(&user.id).await);
        }
        Ok(())
    }

    /// Writes a user's record in place of `before`, which is empty if there was none.
    async fn write_user(&self, user: &User, before: &[u8]) -> Result<(), StoreError> {
        let (username, is_listed) = (folded_name(user), user.status != UserStatus::Deleted);
        if let Some(username) = &username {
            self.reserve_username(username, &user.id).await?;
        }
        if is_listed {
            self.add_to_index(keys::USERS, user.id.as_str()).await?;
        }
        let bytes = self.writer().await?.encode_user(user)?;
        let barred = keys::barred(&user.id, username.as_deref().unwrap_or_default());
        let write = scripts::write_user(&keys::user(&user.id), &barred, before, &bytes);
        let kind = ChangeKind::User(user.id.clone());
        let made = RecentChange::new(kind, user.revision, bytes).replacing(before);
        self.announce(
            RecordChange::User(user.id.clone()),
            [made],
            self.run(UPDATING, &write),
        )
        .await?;
        // Again, in case a call that saw the earlier record released them in between.
        if is_listed {
            log_leftover(self.add_to_index(keys::USERS, user.id.as_str()).await);
        }
        match &username {
            Some(username) => self.reserve_username(username, &user.id).await,
            None => Ok(()),
        }
    }

    /// Reserves a username for a user.
    async fn reserve_username(&self, username: &str, id: &UserId) -> Result<(), StoreError> {
        for _ in 0..ATTEMPTS {
            let key = keys::username(username);
            match self.reserve(&key, id.as_str()).await? {
                None => return Ok(()),
                Some(holder) if holder == id.as_str() => return Ok(()),
                Some(holder) => {
                    self.take_from(username, &user_id(holder, CREATING)?)
                        .await?;
                }
            }
        }
        // After the last attempt has freed the name, another call may have reserved it first.
        let holder = self.reserve(&keys::username(username), id.as_str()).await?;
        if holder.is_none_or(|holder| holder == id.as_str()) {
            Ok(())
        } else {
            Err(taken())
        }
    }

    /// Frees a username that is reserved for a user whose record does not have it.
    async fn take_from(&self, username: &str, holder: &UserId) -> Result<(), StoreError> {
        let record = keys::user(holder);
        let bytes = self.fetch_one(CREATING, record.clone()).await?;
        let user = bytes
            .as_ref()
            .map(|bytes| self.records.decode_user(holder, bytes))
            .transpose()?;
        if user.is_some_and(|user| has_name(&user, username)) {
            return Err(taken());
        }
        let bar = scripts::bar(
            &record,
            &keys::barred(holder, username),
            &bytes.unwrap_or_default(),
        );
        let is_barred: bool = self.call(CREATING, &bar).await?;
        if is_barred {
            let release = scripts::delete_if(&keys::username(username), holder.as_str());
            self.run(CREATING, &release).await?;
        }
        Ok(())
    }

    /// Releases a username that a user gave up, unless the user has it again.
    async fn release_username(&self, username: &str, id: &UserId) -> Result<(), StoreError> {
        let release = scripts::delete_if(&keys::username(username), id.as_str());
        self.run(UPDATING, &release).await?;
        let user = self.fetch_user(UPDATING, id).await?;
        if user.is_some_and(|user| has_name(&user, username)) {
            self.reserve_username(username, id).await?;
        }
        Ok(())
    }

    /// Removes a deleted user from the index, unless the user was restored.
    async fn unlist_user(&self, id: &UserId) -> Result<(), StoreError> {
        self.remove_from_index(keys::USERS, id.as_str()).await?;
        let user = self.fetch_user(UPDATING, id).await?;
        if user.is_some_and(|user| user.status != UserStatus::Deleted) {
            self.add_to_index(keys::USERS, id.as_str()).await?;
        }
        Ok(())
    }
}

fn folded_name(user: &User) -> Option<String> {
    user.username.as_ref().map(Username::folded)
}

fn has_name(user: &User, username: &str) -> bool {
    folded_name(user).is_some_and(|own| own == username)
}

fn user_id(text: String, context: &'static str) -> Result<UserId, StoreError> {
    UserId::new(text)
        .map_err(|error| StoreError::new(StoreErrorKind::Unreadable, context).because(error))
}

fn taken() -> StoreError {
    StoreError::new(StoreErrorKind::AlreadyExists, CREATING)
}

/// The number of attempts to take a username that is reserved for a user who does not have it.
const ATTEMPTS: usize = 5;
