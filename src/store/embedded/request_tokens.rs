//! The [`RequestTokenStore`] part of the embedded store.

use async_trait::async_trait;

use super::expiring::{self, EntryKind, ExpiringEntry};
use super::{CREATING, EmbeddedStore, UPDATING, tables};
use crate::model::{AccessToken, RequestToken, Token};
use crate::store::error::{again_if_resealed, check_follows, conflict};
use crate::store::{RETENTION_AFTER_EXPIRY, RecordChange, RequestTokenStore, StoreError};

#[async_trait]
impl RequestTokenStore for EmbeddedStore {
    async fn create_request_token(&self, token: &RequestToken) -> Result<(), StoreError> {
        let (name, value) = (token.token.to_string(), self.request_token_value(token)?);
        self.change(CREATING, None, move |file| {
            expiring::create(file, EntryKind::RequestToken, name.as_bytes(), &value)
        })
        .await
    }

    async fn update_request_token(&self, token: &RequestToken) -> Result<(), StoreError> {
        again_if_resealed(|| async move {
            let (name, before) = (
                token.token.to_string(),
                self.updatable_request_token(token)?,
            );
            let value = self.request_token_value(token)?;
            self.change(UPDATING, None, move |file| {
                expiring::update(
                    file,
                    EntryKind::RequestToken,
                    name.as_bytes(),
                    &before,
                    &value,
                )
            })
            .await
        })
        .await
    }

    async fn exchange_request_token(
        &self,
        used: &RequestToken,
        issued: &AccessToken,
    ) -> Result<(), StoreError> {
        again_if_resealed(|| async move {
            if issued.consumer_key != used.consumer_key {
                return Err(conflict());
            }
            let (name, before) = (used.token.to_string(), self.updatable_request_token(used)?);
            let (value, row) = (self.request_token_value(used)?, self.token_row(issued)?);
            let changed = RecordChange::Token(issued.token.clone());
            self.change(
                "exchanging temporary credentials",
                Some(changed),
                move |file| {
                    expiring::update(
                        file,
                        EntryKind::RequestToken,
                        name.as_bytes(),
                        &before,
                        &value,
                    )?;
                    tables::create_token(file, &row)
                },
            )
            .await
        })
        .await
    }

    async fn request_token(&self, token: &Token) -> Result<Option<RequestToken>, StoreError> {
        let found = self.expiring(EntryKind::RequestToken, token.as_str().as_bytes())?;
        found
            .map(|found| self.records.decode_request_token(token, &found.bytes))
            .transpose()
    }
}

impl EmbeddedStore {
    fn request_token_value(&self, token: &RequestToken) -> Result<ExpiringEntry, StoreError> {
        let bytes = self.records.writer()?.encode_request_token(token)?;
        Ok(ExpiringEntry {
            expires_at: token.expires_at.plus(RETENTION_AFTER_EXPIRY),
            bytes,
        })
    }

    /// Returns the stored bytes of temporary credentials if `token` may update them.
    fn updatable_request_token(&self, token: &RequestToken) -> Result<Vec<u8>, StoreError> {
        let before = self
            .expiring(EntryKind::RequestToken, token.token.as_str().as_bytes())?
            .ok_or_else(conflict)?
            .bytes;
        let stored = self.records.decode_request_token(&token.token, &before)?;
        if stored.consumer_key != token.consumer_key {
            return Err(conflict());
        }
        check_follows(stored.revision, token.revision)?;
        Ok(before)
    }
}
