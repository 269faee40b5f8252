//! The parts of a store that keep one kind of record each.
//!
//! They share three rules:
//!
//! - `create_…` stores a new record, whose revision is 1.
//! - `update_…` replaces a record with one whose revision is the stored revision plus one. It ends
//!   with [`StoreErrorKind::Conflict`] and changes nothing if the stored revision is another or
//!   there is no record.
//! - A list is in byte order of the names, starts after `after`, and has at most `limit` records; a
//!   shorter one is the last.
//!
//! A call that ends with [`StoreErrorKind::Unavailable`] may have made its change or not; it can be
//! repeated.
//!
//! [`StoreErrorKind::Conflict`]: super::StoreErrorKind::Conflict
//! [`StoreErrorKind::Unavailable`]: super::StoreErrorKind::Unavailable

use std::time::Duration;

use async_trait::async_trait;
use sha2::{Digest as _, Sha256};

use super::StoreError;
use crate::model::{
    AccessToken, Consumer, ConsumerKey, RequestToken, Session, SessionId, Token, User, UserId,
    Username,
};

/// Stores consumers.
#[async_trait]
pub trait ConsumerStore: Send + Sync {
    /// Creates a consumer.
    ///
    /// # Errors
    /// [`AlreadyExists`](super::StoreErrorKind::AlreadyExists) if its key is taken; nothing is
    /// changed then.
    async fn create_consumer(&self, consumer: &Consumer) -> Result<(), StoreError>;

    /// Updates a consumer.
    async fn update_consumer(&self, consumer: &Consumer) -> Result<(), StoreError>;

    /// Deletes a consumer if its stored revision is that of `consumer`; its key is free again. Its
    /// tokens remain in the store but are void: a new consumer with that key has another
    /// generation.
    ///
    /// # Errors
    /// [`Conflict`](super::StoreErrorKind::Conflict) if the stored revision is another, or there is
    /// no record; nothing is changed then.
    async fn delete_consumer(&self, consumer: &Consumer) -> Result<(), StoreError>;

    /// Looks up a consumer by its key.
    async fn consumer(&self, key: &ConsumerKey) -> Result<Option<Consumer>, StoreError>;

    /// Lists consumers by their keys.
    async fn consumers(
        &self,
        after: Option<&ConsumerKey>,
        limit: usize,
    ) -> Result<Vec<Consumer>, StoreError>;
}

/// Stores access tokens.
#[async_trait]
pub trait TokenStore: Send + Sync {
    /// Creates a token. The caller makes sure that its consumer exists.
    ///
    /// # Errors
    /// [`AlreadyExists`](super::StoreErrorKind::AlreadyExists) if any consumer has a token of that
    /// name; nothing is changed then.
    async fn create_token(&self, token: &AccessToken) -> Result<(), StoreError>;

    /// Updates a token. Its consumer and its user never change.
    async fn update_token(&self, token: &AccessToken) -> Result<(), StoreError>;

    /// Deletes a token, whatever its revision; its name is free again. It is no error if there is
    /// no such token.
    async fn delete_token(&self, token: &AccessToken) -> Result<(), StoreError>;

    /// Looks up a token by its name alone. Not for checks: it may take more than one round trip.
    async fn token(&self, token: &Token) -> Result<Option<AccessToken>, StoreError>;

    /// Lists the tokens of a consumer or a user by their names.
    async fn tokens(
        &self,
        holder: TokenHolder<'_>,
        after: Option<&Token>,
        limit: usize,
    ) -> Result<Vec<AccessToken>, StoreError>;
}

/// The consumer or the user whose tokens are listed.
#[derive(Clone, Copy, Debug)]
pub enum TokenHolder<'a> {
    /// The tokens issued to a consumer.
    Consumer(&'a ConsumerKey),
    /// The tokens that act for a user.
    User(&'a UserId),
}

/// Stores users.
#[async_trait]
pub trait UserStore: Send + Sync {
    /// Creates a user.
    ///
    /// # Errors
    /// [`AlreadyExists`](super::StoreErrorKind::AlreadyExists) if the id, or the username
    /// regardless of case, is taken; nothing is changed then.
    async fn create_user(&self, user: &User) -> Result<(), StoreError>;

    /// Updates a user. A username that is removed or replaced is free for another user.
    ///
    /// # Errors
    /// [`AlreadyExists`](super::StoreErrorKind::AlreadyExists) if another user has the new
    /// username; nothing is changed then.
    async fn update_user(&self, user: &User) -> Result<(), StoreError>;

    /// Looks up a user by id, including a deleted user.
    async fn user(&self, id: &UserId) -> Result<Option<User>, StoreError>;

    /// Looks up a user by username, regardless of case.
    async fn user_named(&self, username: &Username) -> Result<Option<User>, StoreError>;

    /// Lists users by their ids, without [deleted](crate::model::UserStatus::Deleted) ones.
    async fn users(&self, after: Option<&UserId>, limit: usize) -> Result<Vec<User>, StoreError>;
}

/// Stores temporary credentials (request tokens).
#[async_trait]
pub trait RequestTokenStore: Send + Sync {
    /// Creates temporary credentials, and keeps them for at least [`RETENTION_AFTER_EXPIRY`] after
    /// they expire.
    ///
    /// # Errors
    /// [`AlreadyExists`](super::StoreErrorKind::AlreadyExists) if there are temporary credentials
    /// of that name.
    async fn create_request_token(&self, token: &RequestToken) -> Result<(), StoreError>;

    /// Updates temporary credentials. Their consumer never changes.
    async fn update_request_token(&self, token: &RequestToken) -> Result<(), StoreError>;

    /// Updates temporary credentials to `used` and creates the access token `issued` in exchange,
    /// in one step: both or neither. Of exchanges that race, one succeeds, since all of them need
    /// the same revision.
    ///
    /// # Errors
    /// [`Conflict`](super::StoreErrorKind::Conflict) as for any update;
    /// [`AlreadyExists`](super::StoreErrorKind::AlreadyExists) if the access token's name is taken.
    /// After [`Unavailable`](super::StoreErrorKind::Unavailable) the exchange may have taken place,
    /// and its answer is lost.
    async fn exchange_request_token(
        &self,
        used: &RequestToken,
        issued: &AccessToken,
    ) -> Result<(), StoreError>;

    /// Looks up temporary credentials by their name, whichever consumer they belong to.
    async fn request_token(&self, token: &Token) -> Result<Option<RequestToken>, StoreError>;
}

/// The time for which expired temporary credentials are kept, so that a late client learns that
/// they expired.
pub const RETENTION_AFTER_EXPIRY: Duration = Duration::from_mins(10);

/// Stores the sessions of users who logged in with a browser.
#[async_trait]
pub trait SessionStore: Send + Sync {
    /// Creates a session, which lasts until it expires.
    async fn create_session(&self, session: &Session) -> Result<(), StoreError>;

    /// Looks up a session by its id, unless it has expired.
    async fn session(&self, id: &SessionId) -> Result<Option<Session>, StoreError>;

    /// Deletes a session. It is no error if there is no such session.
    async fn delete_session(&self, id: &SessionId) -> Result<(), StoreError>;
}

/// Counts attempts to log in.
#[async_trait]
pub trait AttemptStore: Send + Sync {
    /// Counts one more attempt and returns the number of attempts, this one included, in the window
    /// that the first of them opened. Attempts that race are all counted; one with an unknown
    /// outcome may be counted twice.
    async fn count_attempt(
        &self,
        counter: &AttemptCounter,
        window: Duration,
    ) -> Result<u64, StoreError>;

    /// Subtracts attempts that did not fail after all; the counter never falls below zero.
    async fn uncount_attempts(
        &self,
        counter: &AttemptCounter,
        attempts: u64,
    ) -> Result<(), StoreError>;
}

/// The identity of a counter of attempts: a hash, so that the store keeps neither usernames nor
/// addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AttemptCounter([u8; 16]);

impl AttemptCounter {
    /// Returns the counter of `subject` among those of `kind`, for example of an address among
    /// `"password-address"`.
    pub fn new(kind: &'static str, subject: &[u8]) -> Self {
        let digest: [u8; 32] = Sha256::new()
            .chain_update(kind)
            .chain_update([0])
            .chain_update(subject)
            .finalize()
            .into();
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        Self(id)
    }

    /// Returns the hash.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}
