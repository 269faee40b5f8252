//! Temporary credentials: the record in the slot of the consumer, the owner in the slot of the token; Redis forgets both.

use redis::cmd;

use super::{CHANGING, KEEPING, RedisStore, conflict, follows, keys, owner, scripts};
use crate::model::{AccessToken, RequestToken, Token};
use crate::store::{Change, KEPT_AFTER_EXPIRY, StoreError, StoreErrorKind};

impl RedisStore {
    /// Keeps new temporary credentials.
    pub(super) async fn keep_request_token(&self, token: &RequestToken) -> Result<(), StoreError> {
        let bytes = self.records.encode_request_token(token)?;
        let consumer = token.consumer_key.as_str();
        let owner = self
            .set_until_forgotten(
                token,
                &keys::request_owner(&token.token),
                consumer.as_bytes(),
            )
            .await?;
        let is_other =
            |stored: Option<Vec<u8>>, value: &[u8]| stored.is_some_and(|stored| stored != value);
        let record = keys::request(&token.consumer_key, &token.token);
        if is_other(owner, consumer.as_bytes())
            || is_other(
                self.set_until_forgotten(token, &record, &bytes).await?,
                &bytes,
            )
        {
            return Err(StoreError::new(StoreErrorKind::AlreadyExists, KEEPING));
        }
        Ok(())
    }

    /// Replaces temporary credentials.
    pub(super) async fn swap_request_token(&self, token: &RequestToken) -> Result<(), StoreError> {
        let before = self.replaceable_request_token(token).await?;
        let bytes = self.records.encode_request_token(token)?;
        let record = keys::request(&token.consumer_key, &token.token);
        self.change(
            CHANGING,
            &scripts::swap(&record, &before, &bytes, Some(self.kept_for(token))),
        )
        .await
    }

    /// Replaces temporary credentials by used ones and keeps the token.
    pub(super) async fn exchange(
        &self,
        used: &RequestToken,
        issued: &AccessToken,
    ) -> Result<(), StoreError> {
        let consumer = &used.consumer_key;
        if issued.consumer_key != *consumer {
            return Err(conflict());
        }
        let before = self.replaceable_request_token(used).await?;
        let (used_bytes, issued_bytes) = (
            self.records.encode_request_token(used)?,
            self.records.encode_token(issued)?,
        );
        let is_new = self.reserve_token(issued).await?;
        let places = [
            keys::request(consumer, &used.token),
            keys::token(consumer, &issued.token),
            keys::tokens(consumer),
        ];
        let exchange = scripts::Exchange {
            before: &before,
            used: &used_bytes,
            keep_for: self.kept_for(used),
            issued: &issued_bytes,
            token: issued.token.as_str(),
        };
        let script = scripts::exchange(places.each_ref().map(String::as_str), &exchange);
        let change = self.change("exchanging temporary credentials", &script);
        let outcome = self
            .changing(Change::Token(issued.token.clone()), change)
            .await;
        if outcome
            .as_ref()
            .is_err_and(|error| error.kind() == StoreErrorKind::Conflict)
            && is_new
        {
            self.tidied(
                self.release_token(&issued.token, consumer, issued.user_id.as_ref())
                    .await,
            );
        }
        outcome?;
        self.assert_token(issued, is_new).await
    }

    /// Looks up temporary credentials by their name.
    pub(super) async fn find_request_token(
        &self,
        token: &Token,
    ) -> Result<Option<RequestToken>, StoreError> {
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
            let moved = "they are kept under a consumer that they were not issued to";
            return Err(StoreError::new(StoreErrorKind::Unreadable, context).because(moved));
        }
        Ok(found)
    }

    /// The stored bytes of temporary credentials that `token` may replace.
    async fn replaceable_request_token(&self, token: &RequestToken) -> Result<Vec<u8>, StoreError> {
        let record = keys::request(&token.consumer_key, &token.token);
        let before = self
            .fetch_one(CHANGING, record)
            .await?
            .ok_or_else(conflict)?;
        follows(
            self.records
                .decode_request_token(&token.token, &before)?
                .revision,
            token.revision,
        )?;
        Ok(before)
    }

    /// Writes a value where there is none, for as long as the temporary credentials are kept, and gives the one that is
    /// there.
    async fn set_until_forgotten(
        &self,
        token: &RequestToken,
        key: &str,
        value: &[u8],
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let mut set = cmd("SET");
        set.arg(key)
            .arg(value)
            .arg("NX")
            .arg("GET")
            .arg("PX")
            .arg(self.kept_for(token));
        self.call(KEEPING, &set).await
    }

    fn kept_for(&self, token: &RequestToken) -> u64 {
        self.millis_until(token.expires_at.plus(KEPT_AFTER_EXPIRY))
    }
}
