//! The [`RequestTokenStore`] part of the Redis store: the record in the slot of the consumer, the
//! owner in the slot of the token. Redis expires both.

use async_trait::async_trait;
use redis::cmd;

use super::recent_changes::{ChangeKind, RecentChange};
use super::{CREATING, RedisStore, UPDATING, keys, log_leftover, owner, scripts};
use crate::model::{AccessToken, RequestToken, Token};
use crate::store::error::{again_if_resealed, check_follows, conflict};
use crate::store::record::unreadable;
use crate::store::{
    RETENTION_AFTER_EXPIRY, RecordChange, RequestTokenStore, StoreError, StoreErrorKind,
};

#[async_trait]
impl RequestTokenStore for RedisStore {
    async fn create_request_token(&self, token: &RequestToken) -> Result<(), StoreError> {
        let bytes = self.writer().await?.encode_request_token(token)?;
        let owner = keys::request_owner(&token.token);
        let record = keys::request(&token.consumer_key, &token.token);
        let consumer = token.consumer_key.as_str().as_bytes();
        if self.reserve_expiring(token, &owner, consumer).await?
            && self.reserve_expiring(token, &record, &bytes).await?
        {
            Ok(())
        } else {
            Err(StoreError::new(StoreErrorKind::AlreadyExists, CREATING))
        }
    }

    async fn update_request_token(&self, token: &RequestToken) -> Result<(), StoreError> {
        again_if_resealed(|| async move {
            let before = self.updatable_request_token(token).await?;
            let bytes = self.writer().await?.encode_request_token(token)?;
            self.replace_request_token(token, &before, &bytes).await
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
            let before = self.updatable_request_token(used).await?;
            let writer = self.writer().await?;
            let exchange = scripts::Exchange {
                before: &before,
                used: &writer.encode_request_token(used)?,
                millis: self.millis_kept(used),
                issued: &writer.encode_token(issued)?,
                token: issued.token.as_str(),
            };
            let was_free = self.reserve_token(issued).await?;
            let outcome = self.run_exchange(used, issued, &exchange).await;
            let is_conflict = outcome
                .as_ref()
                .is_err_and(|error| error.kind() == StoreErrorKind::Conflict);
            if is_conflict && was_free {
                log_leftover(
                    self.release_token(
                        &issued.token,
                        &issued.consumer_key,
                        issued.user_id.as_ref(),
                    )
                    .await,
                );
            }
            outcome?;
            self.reserve_token_again(issued, was_free).await
        })
        .await
    }

    async fn request_token(&self, token: &Token) -> Result<Option<RequestToken>, StoreError> {
        let context = "looking up temporary credentials";
        let found: Option<String> = self
            .call(context, cmd("GET").arg(keys::request_owner(token)))
            .await?;
        let Some(found) = found else { return Ok(None) };
        let owner = owner(found, context)?;
        let bytes = self
            .fetch_one(context, keys::request(&owner, token))
            .await?;
        let found = bytes
            .map(|bytes| self.records.decode_request_token(token, &bytes))
            .transpose()?;
        if found
            .as_ref()
            .is_some_and(|found| found.consumer_key != owner)
        {
            return Err(unreadable(
                "the record of temporary credentials is stored under a consumer that they were not issued to",
            ));
        }
        Ok(found)
    }
}

impl RedisStore {
    /// Replaces the bytes of temporary credentials, `bytes` for the record, if they are still
    /// `before`.
    pub(super) async fn replace_request_token(
        &self,
        token: &RequestToken,
        before: &[u8],
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        let record = keys::request(&token.consumer_key, &token.token);
        let millis = Some(self.millis_kept(token));
        let update = scripts::update_record(&record, before, bytes, millis);
        let kind = ChangeKind::RequestToken(token.token.clone());
        let made = RecentChange::new(kind, token.revision, bytes).replacing(before);
        self.remember([made], self.run(UPDATING, &update)).await
    }

    async fn run_exchange(
        &self,
        used: &RequestToken,
        issued: &AccessToken,
        exchange: &scripts::Exchange<'_>,
    ) -> Result<(), StoreError> {
        let consumer = &used.consumer_key;
        let keys = [
            keys::request(consumer, &used.token),
            keys::token(consumer, &issued.token),
            keys::tokens(consumer),
        ];
        let script = scripts::exchange(keys.each_ref().map(String::as_str), exchange);
        let change = RecordChange::Token(issued.token.clone());
        let kind = ChangeKind::RequestToken(used.token.clone());
        let exchanged = RecentChange::new(kind, used.revision, exchange.used);
        let kind = ChangeKind::Token(issued.token.clone());
        let created = RecentChange::new(kind, issued.revision, exchange.issued);
        self.announce(
            change,
            [exchanged.replacing(exchange.before), created],
            self.run("exchanging temporary credentials", &script),
        )
        .await
    }

    /// Returns the stored bytes of temporary credentials if `token` may update them.
    async fn updatable_request_token(&self, token: &RequestToken) -> Result<Vec<u8>, StoreError> {
        let record = keys::request(&token.consumer_key, &token.token);
        let before = self
            .fetch_one(UPDATING, record)
            .await?
            .ok_or_else(conflict)?;
        let stored = self.records.decode_request_token(&token.token, &before)?;
        check_follows(stored.revision, token.revision)?;
        Ok(before)
    }

    /// Writes a value if the key has none, for as long as temporary credentials are kept. Returns
    /// whether the key has that value now.
    async fn reserve_expiring(
        &self,
        token: &RequestToken,
        key: &str,
        value: &[u8],
    ) -> Result<bool, StoreError> {
        let mut set = cmd("SET");
        set.arg(key)
            .arg(value)
            .arg("NX")
            .arg("GET")
            .arg("PX")
            .arg(self.millis_kept(token));
        let existing: Option<Vec<u8>> = self.call(CREATING, &set).await?;
        Ok(existing.is_none_or(|existing| existing == value))
    }

    /// Returns the time from now for which temporary credentials are kept, in milliseconds.
    pub(super) fn millis_kept(&self, token: &RequestToken) -> u64 {
        self.millis_until(token.expires_at.plus(RETENTION_AFTER_EXPIRY))
    }
}
