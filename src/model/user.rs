//! The resource owners of RFC 5849: the users whom tokens act for.

use std::fmt;

use super::{Generation, UserId, Username};
use crate::clock::UnixTime;

/// The record of a user.
///
/// A record without a username only holds the standing of a user of the operator's directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The permanent id, which upstreams receive as `x-authenticated-userid`.
    pub id: UserId,
    /// The unique name to log in with.
    pub username: Option<Username>,
    /// The password hash; without one the user cannot log in.
    pub password: Option<PasswordHash>,
    /// The state of the user.
    pub status: UserStatus,
    /// The generation that each token for the user must have.
    pub generation: Generation,
    /// The time of creation.
    pub created_at: UnixTime,
    /// The time of the last change.
    pub updated_at: UnixTime,
    /// The number of changes, like [`Consumer::revision`](super::Consumer::revision).
    pub revision: u64,
}

impl User {
    /// Returns the part of the record that a check needs.
    pub const fn standing(&self) -> UserStanding {
        UserStanding {
            status: self.status,
            generation: self.generation,
        }
    }
}

/// The state of a user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UserStatus {
    /// Tokens for the user are accepted.
    #[default]
    Active,
    /// Tokens for the user are refused until the user is enabled.
    Disabled,
    /// The user is deleted; the record keeps existing tokens refused.
    Deleted,
}

/// The part of a user that a check needs; the default belongs to a user without a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UserStanding {
    /// The state of the user.
    pub status: UserStatus,
    /// The generation that each token for the user must have.
    pub generation: Generation,
}

/// An argon2id hash in the PHC string format.
///
/// # Security
/// The hash lets nobody in, but allows offline guesses: it is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(Box<str>);

impl PasswordHash {
    /// Creates a hash of a PHC string, which is parsed by the first check of a password.
    pub fn new(phc: impl Into<Box<str>>) -> Self {
        Self(phc.into())
    }

    /// Returns the PHC string, for storage and checks.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(redacted)")
    }
}
