//! The [`TokenStore`] part of the embedded store.

use std::sync::Arc;

use async_trait::async_trait;

use super::rows::ListQuery;
use super::tables::{self, TOKENS, TokenRow};
use super::{CREATING, DELETING, EmbeddedStore, UPDATING};
use crate::model::{AccessToken, Token, UserId};
use crate::store::error::{again_if_resealed, check_follows, conflict};
use crate::store::record::{RecordKind, Records};
use crate::store::{RecordChange, StoreError, TokenHolder, TokenStore};

#[async_trait]
impl TokenStore for EmbeddedStore {
    async fn create_token(&self, token: &AccessToken) -> Result<(), StoreError> {
        let row = self.token_row(token)?;
        let changed = RecordChange::Token(token.token.clone());
        self.change(CREATING, Some(changed), move |file| {
            tables::create_token(file, &row)
        })
        .await
    }

    async fn update_token(&self, token: &AccessToken) -> Result<(), StoreError> {
        again_if_resealed(|| async move {
            let name = token.token.to_string();
            let before = self.record(TOKENS, &name)?.ok_or_else(conflict)?;
            let stored = self.records.decode_token(&token.token, &before)?;
            if stored.consumer_key != token.consumer_key || stored.user_id != token.user_id {
                return Err(conflict());
            }
            check_follows(stored.revision, token.revision)?;
            let bytes = self.records.writer()?.encode_token(token)?;
            let changed = RecordChange::Token(token.token.clone());
            self.change(UPDATING, Some(changed), move |file| {
                tables::update(file, TOKENS, &name, &before, &bytes)
            })
            .await
        })
        .await
    }

    async fn delete_token(&self, token: &AccessToken) -> Result<(), StoreError> {
        let (name, consumer) = (token.token.to_string(), token.consumer_key.to_string());
        let changed = RecordChange::Token(token.token.clone());
        let records = Arc::clone(&self.records);
        self.change(DELETING, Some(changed), move |file| {
            tables::delete_token(file, &records, &name, &consumer)
        })
        .await
    }

    async fn token(&self, token: &Token) -> Result<Option<AccessToken>, StoreError> {
        let bytes = self.record(TOKENS, token.as_str())?;
        bytes
            .map(|bytes| self.records.decode_token(token, &bytes))
            .transpose()
    }

    async fn tokens(
        &self,
        holder: TokenHolder<'_>,
        after: Option<&Token>,
        limit: usize,
    ) -> Result<Vec<AccessToken>, StoreError> {
        let read = |after: Option<&str>, limit| {
            self.file.read(|file| match holder {
                TokenHolder::Consumer(key) => {
                    tables::consumer_token_page(file, key.as_str(), after, limit)
                }
                TokenHolder::User(id) => tables::user_token_page(file, id.as_str(), after, limit),
            })
        };
        let query = ListQuery {
            records: &self.records,
            kind: RecordKind::Token,
            after: after.map(Token::as_str),
            limit,
        };
        query.run(read, Token::new, Records::decode_token)
    }
}

impl EmbeddedStore {
    /// Returns the row of a token.
    pub(super) fn token_row(&self, token: &AccessToken) -> Result<TokenRow, StoreError> {
        Ok(TokenRow {
            token: token.token.to_string(),
            consumer: token.consumer_key.to_string(),
            user: token.user_id.as_ref().map(UserId::to_string),
            bytes: self.records.writer()?.encode_token(token)?,
        })
    }
}
