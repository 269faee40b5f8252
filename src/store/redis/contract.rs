//! The [`Store`] contract in Redis.

use std::time::Duration;

use async_trait::async_trait;
use redis::cmd;

use super::{DELETING, KEEPING, LONGEST_MS, RedisStore, keys, scripts};
use crate::model::{
    AccessToken, Consumer, ConsumerKey, RequestToken, Session, SessionId, Token, User, UserId,
    Username,
};
use crate::store::record::Records;
use crate::store::{AttemptCounter, Store, StoreError, TokenHolder};

#[async_trait]
impl Store for RedisStore {
    async fn create_consumer(&self, consumer: &Consumer) -> Result<(), StoreError> {
        self.keep_consumer(consumer).await
    }

    async fn replace_consumer(&self, consumer: &Consumer) -> Result<(), StoreError> {
        self.swap_consumer(consumer).await
    }

    async fn delete_consumer(&self, consumer: &Consumer) -> Result<(), StoreError> {
        self.drop_consumer(consumer).await
    }

    async fn consumer(&self, key: &ConsumerKey) -> Result<Option<Consumer>, StoreError> {
        let bytes = self
            .fetch_one("looking up a consumer", keys::consumer(key))
            .await?;
        bytes
            .map(|bytes| self.records.decode_consumer(key, &bytes))
            .transpose()
    }

    async fn consumers(
        &self,
        after: Option<&ConsumerKey>,
        limit: usize,
    ) -> Result<Vec<Consumer>, StoreError> {
        self.list_consumers(after, limit).await
    }

    async fn create_token(&self, token: &AccessToken) -> Result<(), StoreError> {
        self.keep_token(token).await
    }

    async fn replace_token(&self, token: &AccessToken) -> Result<(), StoreError> {
        self.swap_token(token).await
    }

    async fn delete_token(&self, token: &AccessToken) -> Result<(), StoreError> {
        self.drop_token(token).await
    }

    async fn token(&self, token: &Token) -> Result<Option<AccessToken>, StoreError> {
        self.find_token(token).await
    }

    async fn tokens(
        &self,
        holder: TokenHolder<'_>,
        after: Option<&Token>,
        limit: usize,
    ) -> Result<Vec<AccessToken>, StoreError> {
        match holder {
            TokenHolder::Consumer(key) => self.list_consumer_tokens(key, after, limit).await,
            TokenHolder::User(id) => self.list_user_tokens(id, after, limit).await,
        }
    }

    async fn create_user(&self, user: &User) -> Result<(), StoreError> {
        self.keep_user(user).await
    }

    async fn replace_user(&self, user: &User) -> Result<(), StoreError> {
        self.swap_user(user).await
    }

    async fn user(&self, id: &UserId) -> Result<Option<User>, StoreError> {
        let bytes = self.fetch_one("looking up a user", keys::user(id)).await?;
        bytes
            .map(|bytes| self.records.decode_user(id, &bytes))
            .transpose()
    }

    async fn user_named(&self, username: &Username) -> Result<Option<User>, StoreError> {
        self.find_user_named(&username.folded()).await
    }

    async fn users(&self, after: Option<&UserId>, limit: usize) -> Result<Vec<User>, StoreError> {
        self.list_users(after, limit).await
    }

    async fn create_request_token(&self, token: &RequestToken) -> Result<(), StoreError> {
        self.keep_request_token(token).await
    }

    async fn replace_request_token(&self, token: &RequestToken) -> Result<(), StoreError> {
        self.swap_request_token(token).await
    }

    async fn exchange_request_token(
        &self,
        used: &RequestToken,
        issued: &AccessToken,
    ) -> Result<(), StoreError> {
        self.exchange(used, issued).await
    }

    async fn request_token(&self, token: &Token) -> Result<Option<RequestToken>, StoreError> {
        self.find_request_token(token).await
    }

    async fn create_session(&self, session: &Session) -> Result<(), StoreError> {
        let mut set = cmd("SET");
        set.arg(keys::session(&session.id))
            .arg(Records::encode_session(session)?);
        set.arg("PX").arg(self.millis_until(session.expires_at));
        self.call(KEEPING, &set).await
    }

    async fn session(&self, id: &SessionId) -> Result<Option<Session>, StoreError> {
        let bytes = self
            .fetch_one("looking up a session", keys::session(id))
            .await?;
        let session = bytes
            .map(|bytes| Records::decode_session(id, &bytes))
            .transpose()?;
        Ok(session.filter(|session| session.expires_at > self.clock.now()))
    }

    async fn delete_session(&self, id: &SessionId) -> Result<(), StoreError> {
        let _removed: u64 = self
            .call(DELETING, cmd("DEL").arg(keys::session(id)))
            .await?;
        Ok(())
    }

    async fn count_attempt(
        &self,
        counter: &AttemptCounter,
        window: Duration,
    ) -> Result<u64, StoreError> {
        let window = u64::try_from(window.as_millis())
            .unwrap_or(u64::MAX)
            .clamp(1, LONGEST_MS);
        self.call(COUNTING, &scripts::count(&keys::attempts(counter), window))
            .await
    }

    async fn take_attempts_back(
        &self,
        counter: &AttemptCounter,
        attempts: u64,
    ) -> Result<(), StoreError> {
        let done = keys::taken_back(counter, self.records.draw_id());
        self.change(
            COUNTING,
            &scripts::take_back(&keys::attempts(counter), &done, attempts),
        )
        .await
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.client.stop();
        self.notices.stop();
        self.put_aside.notify_one();
        Ok(())
    }
}

const COUNTING: &str = "counting attempts";
