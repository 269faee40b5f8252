//! Token credentials: what a consumer signs with for a user.

use super::{
    Consumer, ConsumerKey, Generation, Scopes, Secret, Token, UserId, UserStanding, UserStatus,
};
use crate::clock::UnixTime;

/// Whether an access token may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenStatus {
    /// It may.
    #[default]
    Active,
    /// It was revoked, for good.
    Revoked,
}

/// Token credentials (RFC 5849 section 2.3), bound to one consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessToken {
    /// Its `oauth_token`.
    pub token: Token,
    /// Its shared secret.
    pub secret: Secret,
    /// The consumer that it was issued to, and the only one that can use it.
    pub consumer_key: ConsumerKey,
    /// The user whom it acts for; `None` for a token of the consumer itself.
    pub user_id: Option<UserId>,
    /// Its scopes; what a request gets is what both the token and the consumer have.
    pub scopes: Scopes,
    /// The consumer's when it was issued.
    pub consumer_generation: Generation,
    /// The user's when it was issued.
    pub user_generation: Generation,
    /// Whether it may be used.
    pub status: TokenStatus,
    /// From when on it is refused; `None` is never.
    pub expires_at: Option<UnixTime>,
    /// When it was issued.
    pub created_at: UnixTime,
    /// Counts its changes, as [`Consumer::revision`] does.
    pub revision: u64,
}

impl AccessToken {
    /// Whether it has expired at `now`.
    pub fn is_expired(&self, now: UnixTime) -> bool {
        self.expires_at.is_some_and(|end| now >= end)
    }

    /// What it is good for at `now`, as its own consumer's and for a user of that standing.
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

/// What an access token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenState {
    /// It may be used.
    Active,
    /// It was revoked: by itself, or with all of its consumer's or its user's.
    Revoked,
    /// The user whom it acts for is disabled.
    UserDisabled,
    /// Its time is over.
    Expired,
}
