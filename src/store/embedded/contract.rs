//! The [`Store`] contract on the file.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::expiring::{self, EntryKind, ExpiringEntry};
use super::tables::{self, CONSUMERS, RecordRow, TOKENS, TokenRow, USERS, UserRow};
use super::{EmbeddedStore, blocking, conflict, follows};
use crate::clock::UnixTime;
use crate::model::{
    AccessToken, Consumer, ConsumerKey, RequestToken, Session, SessionId, Token, User, UserId,
    UserStatus, Username, ValueError,
};
use crate::store::record::Records;
use crate::store::{
    AttemptCounter, Change, KEPT_AFTER_EXPIRY, Store, StoreError, StoreErrorKind, TokenHolder,
};

#[async_trait]
impl Store for EmbeddedStore {
    async fn create_consumer(&self, consumer: &Consumer) -> Result<(), StoreError> {
        let (key, bytes) = (
            consumer.key.to_string(),
            self.records.encode_consumer(consumer)?,
        );
        let changed = Change::Consumer(consumer.key.clone());
        self.change(KEEPING, Some(changed), move |file| {
            tables::create_consumer(file, &key, &bytes)
        })
        .await
    }

    async fn replace_consumer(&self, consumer: &Consumer) -> Result<(), StoreError> {
        let key = consumer.key.to_string();
        let before = self.record(CONSUMERS, &key)?.ok_or_else(conflict)?;
        follows(
            self.records
                .decode_consumer(&consumer.key, &before)?
                .revision,
            consumer.revision,
        )?;
        let bytes = self.records.encode_consumer(consumer)?;
        let changed = Change::Consumer(consumer.key.clone());
        self.change(CHANGING, Some(changed), move |file| {
            tables::update(file, CONSUMERS, &key, &before, &bytes)
        })
        .await
    }

    async fn delete_consumer(&self, consumer: &Consumer) -> Result<(), StoreError> {
        let key = consumer.key.to_string();
        let before = self.record(CONSUMERS, &key)?.ok_or_else(conflict)?;
        if self
            .records
            .decode_consumer(&consumer.key, &before)?
            .revision
            != consumer.revision
        {
            return Err(conflict());
        }
        let changed = Change::Consumer(consumer.key.clone());
        self.change(DELETING, Some(changed), move |file| {
            tables::delete_consumer(file, &key, &before)
        })
        .await
    }

    async fn consumer(&self, key: &ConsumerKey) -> Result<Option<Consumer>, StoreError> {
        let bytes = self.record(CONSUMERS, key.as_str())?;
        bytes
            .map(|bytes| self.records.decode_consumer(key, &bytes))
            .transpose()
    }

    async fn consumers(
        &self,
        after: Option<&ConsumerKey>,
        limit: usize,
    ) -> Result<Vec<Consumer>, StoreError> {
        let after = after.map(ConsumerKey::as_str);
        let page = self
            .file
            .read(|file| tables::page(file, CONSUMERS, after, limit))?;
        listed(page, ConsumerKey::new, |key, bytes| {
            self.records.decode_consumer(key, bytes)
        })
    }

    async fn create_token(&self, token: &AccessToken) -> Result<(), StoreError> {
        let row = self.token_row(token)?;
        let changed = Change::Token(token.token.clone());
        self.change(KEEPING, Some(changed), move |file| {
            tables::create_token(file, &row)
        })
        .await
    }

    async fn replace_token(&self, token: &AccessToken) -> Result<(), StoreError> {
        let name = token.token.to_string();
        let before = self.record(TOKENS, &name)?.ok_or_else(conflict)?;
        let stored = self.records.decode_token(&token.token, &before)?;
        if stored.consumer_key != token.consumer_key || stored.user_id != token.user_id {
            return Err(conflict());
        }
        follows(stored.revision, token.revision)?;
        let bytes = self.records.encode_token(token)?;
        let changed = Change::Token(token.token.clone());
        self.change(CHANGING, Some(changed), move |file| {
            tables::update(file, TOKENS, &name, &before, &bytes)
        })
        .await
    }

    async fn delete_token(&self, token: &AccessToken) -> Result<(), StoreError> {
        let (name, consumer) = (token.token.to_string(), token.consumer_key.to_string());
        let changed = Change::Token(token.token.clone());
        self.change(DELETING, Some(changed), move |file| {
            tables::delete_token(file, &name, &consumer)
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
        let after = after.map(Token::as_str);
        let page = self.file.read(|file| match holder {
            TokenHolder::Consumer(key) => {
                tables::consumer_token_page(file, key.as_str(), after, limit)
            }
            TokenHolder::User(id) => tables::user_token_page(file, id.as_str(), after, limit),
        })?;
        listed(page, Token::new, |token, bytes| {
            self.records.decode_token(token, bytes)
        })
    }

    async fn create_user(&self, user: &User) -> Result<(), StoreError> {
        let row = self.user_row(user)?;
        let changed = Change::User(user.id.clone());
        self.change(KEEPING, Some(changed), move |file| {
            tables::create_user(file, &row)
        })
        .await
    }

    async fn replace_user(&self, user: &User) -> Result<(), StoreError> {
        let before = self.record(USERS, user.id.as_str())?.ok_or_else(conflict)?;
        let stored = self.records.decode_user(&user.id, &before)?;
        follows(stored.revision, user.revision)?;
        let old_name = stored.username.as_ref().map(Username::folded);
        let row = self.user_row(user)?;
        let changed = Change::User(user.id.clone());
        self.change(CHANGING, Some(changed), move |file| {
            tables::update_user(file, &row, &before, old_name.as_deref())
        })
        .await
    }

    async fn user(&self, id: &UserId) -> Result<Option<User>, StoreError> {
        let bytes = self.record(USERS, id.as_str())?;
        bytes
            .map(|bytes| self.records.decode_user(id, &bytes))
            .transpose()
    }

    async fn user_named(&self, username: &Username) -> Result<Option<User>, StoreError> {
        let found = self
            .file
            .read(|file| tables::user_named(file, &username.folded()))?;
        let users = listed(found.into_iter().collect(), UserId::new, |id, bytes| {
            self.records.decode_user(id, bytes)
        })?;
        Ok(users.into_iter().next())
    }

    async fn users(&self, after: Option<&UserId>, limit: usize) -> Result<Vec<User>, StoreError> {
        let page = self
            .file
            .read(|file| tables::user_page(file, after.map(UserId::as_str), limit))?;
        listed(page, UserId::new, |id, bytes| {
            self.records.decode_user(id, bytes)
        })
    }

    async fn create_request_token(&self, token: &RequestToken) -> Result<(), StoreError> {
        let (name, value) = (token.token.to_string(), self.kept_request_token(token)?);
        self.change(KEEPING, None, move |file| {
            expiring::create(file, EntryKind::RequestToken, name.as_bytes(), &value)
        })
        .await
    }

    async fn replace_request_token(&self, token: &RequestToken) -> Result<(), StoreError> {
        let (name, before) = (
            token.token.to_string(),
            self.replaceable_request_token(token)?,
        );
        let value = self.kept_request_token(token)?;
        self.change(CHANGING, None, move |file| {
            expiring::update(
                file,
                EntryKind::RequestToken,
                name.as_bytes(),
                &before,
                &value,
            )
        })
        .await
    }

    async fn exchange_request_token(
        &self,
        used: &RequestToken,
        issued: &AccessToken,
    ) -> Result<(), StoreError> {
        if issued.consumer_key != used.consumer_key {
            return Err(conflict());
        }
        let (name, before) = (
            used.token.to_string(),
            self.replaceable_request_token(used)?,
        );
        let (value, row) = (self.kept_request_token(used)?, self.token_row(issued)?);
        let changed = Change::Token(issued.token.clone());
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
    }

    async fn request_token(&self, token: &Token) -> Result<Option<RequestToken>, StoreError> {
        let found = self.find(EntryKind::RequestToken, token.as_str().as_bytes())?;
        found
            .map(|found| self.records.decode_request_token(token, &found.bytes))
            .transpose()
    }

    async fn create_session(&self, session: &Session) -> Result<(), StoreError> {
        let id = *session.id.as_bytes();
        let value = ExpiringEntry {
            expires_at: session.expires_at,
            bytes: Records::encode_session(session)?,
        };
        self.change(KEEPING, None, move |file| {
            expiring::put(file, EntryKind::Session, &id, &value)
        })
        .await
    }

    async fn session(&self, id: &SessionId) -> Result<Option<Session>, StoreError> {
        let found = self.find(EntryKind::Session, id.as_bytes())?;
        let session = found
            .map(|found| Records::decode_session(id, &found.bytes))
            .transpose()?;
        Ok(session.filter(|session| session.expires_at > self.clock.now()))
    }

    async fn delete_session(&self, id: &SessionId) -> Result<(), StoreError> {
        let id = *id.as_bytes();
        self.change(DELETING, None, move |file| {
            expiring::delete(file, EntryKind::Session, &id)
        })
        .await
    }

    async fn count_attempt(
        &self,
        counter: &AttemptCounter,
        window: Duration,
    ) -> Result<u64, StoreError> {
        let now = self.clock.now();
        self.change_attempts(counter, move |open| {
            let end = now.plus(window);
            let open = open.filter(|open| now < open.until).unwrap_or(Attempts {
                count: 0,
                until: end,
            });
            // A clock that was set back must not leave a window open for longer.
            Attempts {
                count: open.count.saturating_add(1),
                until: open.until.min(end),
            }
        })
        .await
    }

    async fn take_attempts_back(
        &self,
        counter: &AttemptCounter,
        attempts: u64,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        self.change_attempts(counter, move |open| {
            let open = open.unwrap_or(Attempts {
                count: 0,
                until: now,
            });
            Attempts {
                count: open.count.saturating_sub(attempts),
                ..open
            }
        })
        .await
        .map(drop)
    }

    async fn close(&self) -> Result<(), StoreError> {
        let kept = self.nonces.close();
        let file = Arc::clone(&self.file);
        blocking("closing the store file", move || file.finish(&kept)).await
    }
}

/// Attempts in an open window.
#[derive(Clone, Copy)]
struct Attempts {
    count: u64,
    until: UnixTime,
}

impl EmbeddedStore {
    fn find(&self, kind: EntryKind, name: &[u8]) -> Result<Option<ExpiringEntry>, StoreError> {
        self.file.read(|file| expiring::find(file, kind, name))
    }

    fn token_row(&self, token: &AccessToken) -> Result<TokenRow, StoreError> {
        Ok(TokenRow {
            token: token.token.to_string(),
            consumer: token.consumer_key.to_string(),
            user: token.user_id.as_ref().map(UserId::to_string),
            bytes: self.records.encode_token(token)?,
        })
    }

    fn user_row(&self, user: &User) -> Result<UserRow, StoreError> {
        Ok(UserRow {
            id: user.id.to_string(),
            username: user.username.as_ref().map(Username::folded),
            is_listed: user.status != UserStatus::Deleted,
            bytes: self.records.encode_user(user)?,
        })
    }

    fn kept_request_token(&self, token: &RequestToken) -> Result<ExpiringEntry, StoreError> {
        let bytes = self.records.encode_request_token(token)?;
        Ok(ExpiringEntry {
            expires_at: token.expires_at.plus(KEPT_AFTER_EXPIRY),
            bytes,
        })
    }

    /// The stored bytes of temporary credentials that `token` may replace.
    fn replaceable_request_token(&self, token: &RequestToken) -> Result<Vec<u8>, StoreError> {
        let before = self
            .find(EntryKind::RequestToken, token.token.as_str().as_bytes())?
            .ok_or_else(conflict)?
            .bytes;
        let stored = self.records.decode_request_token(&token.token, &before)?;
        if stored.consumer_key != token.consumer_key {
            return Err(conflict());
        }
        follows(stored.revision, token.revision)?;
        Ok(before)
    }

    async fn change_attempts(
        &self,
        counter: &AttemptCounter,
        work: impl FnOnce(Option<Attempts>) -> Attempts + Send + 'static,
    ) -> Result<u64, StoreError> {
        let name = *counter.as_bytes();
        self.change("counting attempts", None, move |file| {
            expiring::change(file, EntryKind::Attempts, &name, |kept| {
                let after = work(kept.map(|kept| kept.attempts()).transpose()?);
                Ok((Some(after.into()), after.count))
            })
        })
        .await
    }
}

impl ExpiringEntry {
    fn attempts(&self) -> Result<Attempts, StoreError> {
        let count = <[u8; 8]>::try_from(self.bytes.as_slice()).map_err(|error| {
            StoreError::new(StoreErrorKind::Unreadable, "counting attempts").because(error)
        })?;
        Ok(Attempts {
            count: u64::from_be_bytes(count),
            until: self.expires_at,
        })
    }
}

impl From<Attempts> for ExpiringEntry {
    fn from(attempts: Attempts) -> Self {
        Self {
            expires_at: attempts.until,
            bytes: attempts.count.to_be_bytes().into(),
        }
    }
}

/// Reads the records of a page.
fn listed<K, T>(
    page: Vec<RecordRow>,
    key: impl Fn(String) -> Result<K, ValueError>,
    decode: impl Fn(&K, &[u8]) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let unreadable =
        |error| StoreError::new(StoreErrorKind::Unreadable, "listing records").because(error);
    page.into_iter()
        .map(|(name, bytes)| decode(&key(name).map_err(unreadable)?, &bytes))
        .collect()
}

const KEEPING: &str = "keeping a new record";
const CHANGING: &str = "changing a record";
const DELETING: &str = "deleting a record";
