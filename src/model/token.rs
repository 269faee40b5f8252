//! Token credentials, with which a consumer signs for a user.

use super::{
    Consumer, ConsumerKey, Generation, Scopes, Secret, Token, UserId, UserStanding, UserStatus,
};
use crate::clock::UnixTime;

/// The stored state of an access token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenStatus {
    /// The token may be used.
    #[default]
    Active,
    /// The token is revoked permanently.
    Revoked,
}

/// Token credentials of one consumer (RFC 5849 section 2.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessToken {
    /// The `oauth_token`.
    pub token: Token,
    /// The shared secret.
    pub secret: Secret,
    /// The consumer that received the token, and the only one that can use it.
    pub consumer_key: ConsumerKey,
    /// The user whom the token acts for; `None` for a token of the consumer itself.
    pub user_id: Option<UserId>,
    /// The scopes. A request has the scopes that both the token and the consumer have.
    pub scopes: Scopes,
    /// The consumer's generation at creation.
    pub consumer_generation: Generation,
    /// The user's generation at creation.
    pub user_generation: Generation,
    /// The stored state.
    pub status: TokenStatus,
    /// The time of expiry; `None` if the token does not expire.
    pub expires_at: Option<UnixTime>,
    /// The time of creation.
    pub created_at: UnixTime,
    /// The number of changes, like [`Consumer::revision`].
    pub revision: u64,
}

impl AccessToken {
    /// Returns true if the token is expired at `now`.
    pub fn is_expired(&self, now: UnixTime) -> bool {
        self.expires_at.is_some_and(|end| now >= end)
    }

    /// Returns the current state at `now`, for the token's own consumer and the standing of its
    /// user.
    pub fn state(&self, consumer: &Consumer, user: UserStanding, now: UnixTime) -> TokenState {
        let acts_for_user = self.user_id.is_some();
        let same_user = !acts_for_user || self.user_generation == user.generation;
        if self.status == TokenStatus::Revoked
            || self.consumer_generation != consumer.generation
            || !same_user
        {
            TokenState::Revoked
        } else if acts_for_user && user.status != UserStatus::Active {
            TokenState::UserDisabled
        } else if self.is_expired(now) {
            TokenState::Expired
        } else {
            TokenState::Active
        }
    }
}

/// The current state of an access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenState {
    /// The token may be used.
    Active,
    /// The token is revoked: alone, or with all tokens of its consumer or user.
    Revoked,
    /// The user whom the token acts for is disabled.
    UserDisabled,
    /// The token is expired.
    Expired,
}
