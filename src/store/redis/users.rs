//! Users: the record in the slot of the user, the username in a slot of its own.
//!
//! A username is the user's whose id is kept under it, if that user's record has it too. So there are two writes, in this
//! order, and what can come between them:
//!
//! 1. The name is reserved, if it is free, for the user's id. A crash leaves it *abandoned*: the same call made again goes
//!    on, and anybody else may take the name over.
//! 2. The record is written, unless the user was *barred* from the name meanwhile.
//!
//! Who finds a name that is reserved for another looks at the other's record. If that has the name, it is taken. If not,
//! he bars the other from it, in the slot of the other's record and only if that record is still as he saw it, and then
//! takes the name. So the other, if he is only slow, is told that the name is taken; of the two one has it.
//!
//! A name that a user lost or gave up is released after his record says so; that only tidies up.

use redis::cmd;

use super::{CHANGING, KEEPING, RedisStore, conflict, follows, keys, scripts};
use crate::model::{User, UserId, UserStatus, Username};
use crate::store::{Change, StoreError, StoreErrorKind};

impl RedisStore {
    /// Keeps a new user.
    pub(super) async fn keep_user(&self, user: &User) -> Result<(), StoreError> {
        if self
            .fetch_one(KEEPING, keys::user(&user.id))
            .await?
            .is_some()
        {
            return Err(taken());
        }
        let created = self.put_user(user, &[]).await;
        created.map_err(|error| {
            if error.kind() == StoreErrorKind::Conflict {
                taken()
            } else {
                error
            }
        })
    }

    /// Replaces a user.
    pub(super) async fn swap_user(&self, user: &User) -> Result<(), StoreError> {
        let before = self
            .fetch_one(CHANGING, keys::user(&user.id))
            .await?
            .ok_or_else(conflict)?;
        let stored = self.records.decode_user(&user.id, &before)?;
        follows(stored.revision, user.revision)?;
        self.put_user(user, &before).await?;
        let (old, new) = (folded(&stored), folded(user));
        if let Some(old) = old.filter(|old| new.as_ref() != Some(old)) {
            self.tidied(self.release_username(&old, &user.id).await);
        }
        if user.status == UserStatus::Deleted {
            self.tidied(self.delist_user(&user.id).await);
        }
        Ok(())
    }

    /// The user whose id is kept under a username, and whose record has it.
    pub(super) async fn find_user_named(&self, username: &str) -> Result<Option<User>, StoreError> {
        let context = "looking up a user";
        let id: Option<String> = self
            .call(context, cmd("GET").arg(keys::username(username)))
            .await?;
        let Some(id) = id else { return Ok(None) };
        let id = user_id(id, context)?;
        let bytes = self.fetch_one(context, keys::user(&id)).await?;
        let user = bytes
            .map(|bytes| self.records.decode_user(&id, &bytes))
            .transpose()?;
        Ok(user.filter(|user| has(user, username)))
    }

    /// Writes a user's record, in place of `before`; empty where there was none.
    async fn put_user(&self, user: &User, before: &[u8]) -> Result<(), StoreError> {
        let (username, is_listed) = (folded(user), user.status != UserStatus::Deleted);
        if let Some(username) = &username {
            self.reserve_username(username, &user.id).await?;
        }
        if is_listed {
            self.enlist(keys::USERS, user.id.as_str()).await?;
        }
        let bytes = self.records.encode_user(user)?;
        let barred = keys::barred(&user.id, username.as_deref().unwrap_or_default());
        let put = scripts::put_user(&keys::user(&user.id), &barred, before, &bytes);
        self.changing(Change::User(user.id.clone()), self.change(CHANGING, &put))
            .await?;
        // Once more, in case they were released in between by who saw the record as it was before.
        if is_listed {
            self.tidied(self.enlist(keys::USERS, user.id.as_str()).await);
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
                Some(holder) => self.evict(username, &user_id(holder, KEEPING)?).await?,
            }
        }
        // Who evicted somebody looks once more: of all who want it, the last one has it.
        let holder = self.reserve(&keys::username(username), id.as_str()).await?;
        if holder.is_none_or(|holder| holder == id.as_str()) {
            Ok(())
        } else {
            Err(taken())
        }
    }

    /// Frees a username that is reserved for a user who does not have it.
    async fn evict(&self, username: &str, holder: &UserId) -> Result<(), StoreError> {
        let record = keys::user(holder);
        let bytes = self.fetch_one(KEEPING, record.clone()).await?;
        let user = bytes
            .as_ref()
            .map(|bytes| self.records.decode_user(holder, bytes))
            .transpose()?;
        if user.is_some_and(|user| has(&user, username)) {
            return Err(taken());
        }
        let bar = scripts::bar(
            &record,
            &keys::barred(holder, username),
            &bytes.unwrap_or_default(),
        );
        let is_barred: bool = self.call(KEEPING, &bar).await?;
        if is_barred {
            self.change(
                KEEPING,
                &scripts::delete_if(&keys::username(username), holder.as_str()),
            )
            .await?;
        }
        Ok(())
    }

    /// Frees a username that a user gave up, unless he has it again.
    async fn release_username(&self, username: &str, id: &UserId) -> Result<(), StoreError> {
        self.change(
            CHANGING,
            &scripts::delete_if(&keys::username(username), id.as_str()),
        )
        .await?;
        let bytes = self.fetch_one(CHANGING, keys::user(id)).await?;
        let user = bytes
            .map(|bytes| self.records.decode_user(id, &bytes))
            .transpose()?;
        if user.is_some_and(|user| has(&user, username)) {
            self.reserve_username(username, id).await?;
        }
        Ok(())
    }

    /// Takes a deleted user out of the index, unless he is back.
    async fn delist_user(&self, id: &UserId) -> Result<(), StoreError> {
        self.delist(keys::USERS, id.as_str()).await?;
        let bytes = self.fetch_one(CHANGING, keys::user(id)).await?;
        let user = bytes
            .map(|bytes| self.records.decode_user(id, &bytes))
            .transpose()?;
        if user.is_some_and(|user| user.status != UserStatus::Deleted) {
            self.enlist(keys::USERS, id.as_str()).await?;
        }
        Ok(())
    }
}

fn folded(user: &User) -> Option<String> {
    user.username.as_ref().map(Username::folded)
}

fn has(user: &User, username: &str) -> bool {
    folded(user).is_some_and(|own| own == username)
}

fn user_id(text: String, context: &'static str) -> Result<UserId, StoreError> {
    UserId::new(text)
        .map_err(|error| StoreError::new(StoreErrorKind::Unreadable, context).because(error))
}

fn taken() -> StoreError {
    StoreError::new(StoreErrorKind::AlreadyExists, KEEPING)
}

/// How often a username that is reserved for somebody who does not have it is tried for.
const ATTEMPTS: usize = 5;
