//! Access tokens: the record and its index in the slot of the consumer, the owner in the slot of the token, and an entry
//! in the index of the user.

use redis::cmd;

use super::lists::user_token;
use super::{
    CHANGING, DELETING, KEEPING, RedisStore, conflict, follows, keys, owned, owner, scripts,
};
use crate::model::{AccessToken, ConsumerKey, Token, UserId};
use crate::store::{Change, StoreError, StoreErrorKind};

impl RedisStore {
    /// Keeps a new token.
    pub(super) async fn keep_token(&self, token: &AccessToken) -> Result<(), StoreError> {
        let bytes = self.records.encode_token(token)?;
        let record = keys::token(&token.consumer_key, &token.token);
        let create = scripts::create_token(
            &record,
            &keys::tokens(&token.consumer_key),
            &bytes,
            token.token.as_str(),
        );
        let is_new = self.reserve_token(token).await?;
        self.changing(
            Change::Token(token.token.clone()),
            self.change(KEEPING, &create),
        )
        .await?;
        self.assert_token(token, is_new).await
    }

    /// Makes a token's name its consumer's, and enters it into the user's index. Without a record both are good for
    /// nothing, and the same consumer can still fill them. Gives whether the name was free.
    pub(super) async fn reserve_token(&self, token: &AccessToken) -> Result<bool, StoreError> {
        let consumer = token.consumer_key.as_str();
        let owner = self.reserve(&keys::owner(&token.token), consumer).await?;
        if owner.as_ref().is_some_and(|owner| owner != consumer) {
            return Err(StoreError::new(StoreErrorKind::AlreadyExists, KEEPING));
        }
        if let Some(user) = &token.user_id {
            self.enlist(
                &keys::user_tokens(user),
                &user_token(&token.token, &token.consumer_key),
            )
            .await?;
        }
        Ok(owner.is_none())
    }

    /// Reserves once more what may have been released by a deletion of an earlier token of that name.
    pub(super) async fn assert_token(
        &self,
        token: &AccessToken,
        was_free: bool,
    ) -> Result<(), StoreError> {
        if !was_free {
            self.reserve_token(token).await?;
        }
        Ok(())
    }

    /// Replaces a token.
    pub(super) async fn swap_token(&self, token: &AccessToken) -> Result<(), StoreError> {
        let key = keys::token(&token.consumer_key, &token.token);
        let before = self
            .fetch_one(CHANGING, key.clone())
            .await?
            .ok_or_else(conflict)?;
        let stored = self.records.decode_token(&token.token, &before)?;
        if stored.user_id != token.user_id {
            return Err(conflict());
        }
        follows(stored.revision, token.revision)?;
        let bytes = self.records.encode_token(token)?;
        self.changing(
            Change::Token(token.token.clone()),
            self.swap(&key, &before, &bytes),
        )
        .await
    }

    /// Looks up a token by its name.
    pub(super) async fn find_token(
        &self,
        token: &Token,
    ) -> Result<Option<AccessToken>, StoreError> {
        let context = "looking up a token";
        let found: Option<String> = self
            .call(context, cmd("GET").arg(keys::owner(token)))
            .await?;
        let Some(found) = found else { return Ok(None) };
        let owner = owner(found, context)?;
        let bytes = self.fetch_one(context, keys::token(&owner, token)).await?;
        bytes
            .map(|bytes| owned(&owner, self.records.decode_token(token, &bytes)?))
            .transpose()
    }

    /// Deletes a token: the record first, since it alone lets anybody in.
    pub(super) async fn drop_token(&self, token: &AccessToken) -> Result<(), StoreError> {
        let (name, consumer) = (&token.token, &token.consumer_key);
        let delete = scripts::delete_token(
            &keys::token(consumer, name),
            &keys::tokens(consumer),
            name.as_str(),
        );
        self.changing(Change::Token(name.clone()), self.change(DELETING, &delete))
            .await?;
        self.release_token(name, consumer, token.user_id.as_ref())
            .await
    }

    /// Frees the name of a token that is gone, and takes it out of the user's index; unless it is back.
    pub(super) async fn release_token(
        &self,
        name: &Token,
        consumer: &ConsumerKey,
        user: Option<&UserId>,
    ) -> Result<(), StoreError> {
        if let Some(user) = user {
            self.delist(&keys::user_tokens(user), &user_token(name, consumer))
                .await?;
        }
        self.change(
            DELETING,
            &scripts::delete_if(&keys::owner(name), consumer.as_str()),
        )
        .await?;
        if let Some(bytes) = self
            .fetch_one(DELETING, keys::token(consumer, name))
            .await?
        {
            self.reserve_token(&self.records.decode_token(name, &bytes)?)
                .await?;
        }
        Ok(())
    }

    /// Writes a value where there is none, and gives the one that is there.
    pub(super) async fn reserve(
        &self,
        key: &str,
        value: &str,
    ) -> Result<Option<String>, StoreError> {
        self.call(KEEPING, cmd("SET").arg(key).arg(value).arg("NX").arg("GET"))
            .await
    }
}
