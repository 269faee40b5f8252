//! The [`TokenStore`] part of the Redis store: the record and its index in the slot of the
//! consumer, the owner in the slot of the token, and an entry in the index of the user.

use async_trait::async_trait;
use redis::cmd;

use super::index::{Cursor, UserTokenEntry, user_token_entry};
use super::recent_changes::{ChangeKind, RecentChange};
use super::{CREATING, DELETING, RedisStore, UPDATING, keys, owned, owner, scripts};
use crate::model::{AccessToken, ConsumerKey, Token, UserId};
use crate::store::error::{again_if_resealed, check_follows, conflict};
use crate::store::record::RecordKind;
use crate::store::{RecordChange, StoreError, StoreErrorKind, TokenHolder, TokenStore};

#[async_trait]
impl TokenStore for RedisStore {
    async fn create_token(&self, token: &AccessToken) -> Result<(), StoreError> {
        let bytes = self.writer().await?.encode_token(token)?;
        let create = scripts::create_token(
            &keys::token(&token.consumer_key, &token.token),
            &keys::tokens(&token.consumer_key),
            &bytes,
            token.token.as_str(),
        );
        let was_free = self.reserve_token(token).await?;
        let kind = ChangeKind::Token(token.token.clone());
        let made = RecentChange::new(kind, token.revision, bytes);
        self.announce(
            RecordChange::Token(token.token.clone()),
            [made],
            self.run(CREATING, &create),
        )
        .await?;
        self.reserve_token_again(token, was_free).await
    }

    async fn update_token(&self, token: &AccessToken) -> Result<(), StoreError> {
        again_if_resealed(|| async move {
            let key = keys::token(&token.consumer_key, &token.token);
            let before = self
                .fetch_one(UPDATING, key.clone())
                .await?
                .ok_or_else(conflict)?;
            let stored = self.records.decode_token(&token.token, &before)?;
            if stored.user_id != token.user_id {
                return Err(conflict());
            }
            check_follows(stored.revision, token.revision)?;
            let bytes = self.writer().await?.encode_token(token)?;
            self.replace_token(token, &before, &bytes).await
        })
        .await
    }

    /// Deletes the record first, because only the record makes the token valid.
    async fn delete_token(&self, token: &AccessToken) -> Result<(), StoreError> {
        let (name, consumer) = (&token.token, &token.consumer_key);
        let delete = scripts::delete_token(
            &keys::token(consumer, name),
            &keys::tokens(consumer),
            name.as_str(),
        );
        let kind = ChangeKind::TokenDeletion(name.clone());
        let bytes = self.writer().await?.encode_token(token)?;
        let made = RecentChange::new(kind, token.revision, bytes);
        self.announce(
            RecordChange::Token(name.clone()),
            [made],
            self.run(DELETING, &delete),
        )
        .await?;
        self.release_token(name, consumer, token.user_id.as_ref())
            .await
    }

    async fn token(&self, token: &Token) -> Result<Option<AccessToken>, StoreError> {
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

    async fn tokens(
        &self,
        holder: TokenHolder<'_>,
        after: Option<&Token>,
        limit: usize,
    ) -> Result<Vec<AccessToken>, StoreError> {
        match holder {
            TokenHolder::Consumer(key) => self.consumer_tokens(key, after, limit).await,
            TokenHolder::User(id) => self.user_tokens(id, after, limit).await,
        }
    }
}

impl RedisStore {
    /// Replaces the bytes of a token, `bytes` for the record, if they are still `before`.
    pub(super) async fn replace_token(
        &self,
        token: &AccessToken,
        before: &[u8],
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        let kind = ChangeKind::Token(token.token.clone());
        let made = RecentChange::new(kind, token.revision, bytes).replacing(before);
        let record = keys::token(&token.consumer_key, &token.token);
        self.announce(
            RecordChange::Token(token.token.clone()),
            [made],
            self.update_record(&record, before, bytes),
        )
        .await
    }

    /// Reserves a token's name for its consumer, and adds it to the user's index. Without a record,
    /// both are void, and the same consumer can still fill them. Returns whether the name was free.
    pub(super) async fn reserve_token(&self, token: &AccessToken) -> Result<bool, StoreError> {
        let consumer = token.consumer_key.as_str();
        let owner = self.reserve(&keys::owner(&token.token), consumer).await?;
        if owner.as_ref().is_some_and(|owner| owner != consumer) {
            return Err(StoreError::new(StoreErrorKind::AlreadyExists, CREATING));
        }
        if let Some(user) = &token.user_id {
            self.add_to_index(
                &keys::user_tokens(user),
                &user_token_entry(&token.token, &token.consumer_key),
            )
            .await?;
        }
        Ok(owner.is_none())
    }

    /// Reserves a created token's name again if it was not free before: the deletion of an earlier
    /// token of that name may have released it.
    pub(super) async fn reserve_token_again(
        &self,
        token: &AccessToken,
        was_free: bool,
    ) -> Result<(), StoreError> {
        if !was_free {
            self.reserve_token(token).await?;
        }
        Ok(())
    }

    /// Releases the name of a deleted token and removes it from the user's index, unless it was
    /// created again.
    pub(super) async fn release_token(
        &self,
        name: &Token,
        consumer: &ConsumerKey,
        user: Option<&UserId>,
    ) -> Result<(), StoreError> {
        if let Some(user) = user {
            self.remove_from_index(&keys::user_tokens(user), &user_token_entry(name, consumer))
                .await?;
        }
        let release = scripts::delete_if(&keys::owner(name), consumer.as_str());
        self.run(DELETING, &release).await?;
        let record = self
            .fetch_one(DELETING, keys::token(consumer, name))
            .await?;
        if let Some(bytes) = record {
            self.reserve_token(&self.records.decode_token(name, &bytes)?)
                .await?;
        }
        Ok(())
    }

    async fn consumer_tokens(
        &self,
        consumer: &ConsumerKey,
        after: Option<&Token>,
        limit: usize,
    ) -> Result<Vec<AccessToken>, StoreError> {
        let mut page = Vec::new();
        let mut cursor = Cursor::after(after.map(Token::as_str));
        while let Some(entries) = self
            .index_page(&keys::tokens(consumer), &mut cursor, limit - page.len())
            .await?
        {
            let names = self.names(RecordKind::Token, entries, Token::new)?;
            let key = |name: &Token| keys::token(consumer, name);
            let decode = |name: &Token, bytes: &[u8]| {
                owned(consumer, self.records.decode_token(name, bytes)?)
            };
            page.extend(self.listed(RecordKind::Token, names, key, decode).await?);
        }
        Ok(page)
    }

    async fn user_tokens(
        &self,
        user: &UserId,
        after: Option<&Token>,
        limit: usize,
    ) -> Result<Vec<AccessToken>, StoreError> {
        let mut page = Vec::new();
        let mut cursor = Cursor::after_token(after);
        let key = |entry: &UserTokenEntry| keys::token(&entry.consumer, &entry.token);
        let decode = |entry: &UserTokenEntry, bytes: &[u8]| {
            let token = self.records.decode_token(&entry.token, bytes)?;
            owned(&entry.consumer, token)
        };
        while let Some(entries) = self
            .index_page(&keys::user_tokens(user), &mut cursor, limit - page.len())
            .await?
        {
            let names = self.names(RecordKind::Token, entries, UserTokenEntry::parse)?;
            let tokens = self.listed(RecordKind::Token, names, key, decode).await?;
            let acts_for_user = |token: &AccessToken| token.user_id.as_ref() == Some(user);
            page.extend(tokens.into_iter().filter(acts_for_user));
        }
        Ok(page)
    }
}
