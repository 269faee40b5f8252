//! The resource owners of RFC 5849: the users whom tokens act for.

use std::fmt;

use super::{Generation, UserId, Username};
use crate::clock::UnixTime;

/// A user whom Countersign knows.
///
/// Without a username it is one whom the operator's directory knows and of whom only the standing is kept here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The id, for ever the same: what upstreams read as `x-authenticated-userid`.
    pub id: UserId,
    /// The name to log in with; no two users have the same.
    pub username: Option<Username>,
    /// What a password is checked with; without one nobody can log in as this user.
    pub password: Option<PasswordHash>,
    /// Whether tokens that act for this user may be used.
    pub status: UserStatus,
    /// What every token that acts for this user must have.
    pub generation: Generation,
    /// When the user was created.
    pub created_at: UnixTime,
    /// When the user was last changed.
    pub updated_at: UnixTime,
    /// Counts the changes, as [`Consumer::revision`](super::Consumer::revision) does.
    pub revision: u64,
}

impl User {
    /// What a check needs to know.
    pub const fn standing(&self) -> UserStanding {
        UserStanding {
            status: self.status,
            generation: self.generation,
        }
    }
}

/// Whether tokens that act for a user may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UserStatus {
    /// They may.
    #[default]
    Active,
    /// They are refused until the user is enabled again.
    Disabled,
    /// The user is gone; what is kept makes sure that tokens issued before stay refused.
    Deleted,
}

/// What a check needs to know of a user; the default is that of a user of whom nothing is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UserStanding {
    /// Whether the user's tokens may be used.
    pub status: UserStatus,
    /// The generation that they must have.
    pub generation: Generation,
}

/// An argon2id hash in the PHC string format.
///
/// # Security
/// Not a secret that lets anybody in, yet one can guess at it: never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(Box<str>);

impl PasswordHash {
    /// Takes a PHC string; whether it is one shows when a password is checked with it.
    pub fn new(phc: impl Into<Box<str>>) -> Self {
        Self(phc.into())
    }

    /// The PHC string, for who checks with it and who keeps it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(redacted)")
    }
}
