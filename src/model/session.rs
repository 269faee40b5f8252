//! Sessions of users who decide about consumers.

use std::fmt;

use sha2::{Digest as _, Sha256};

use super::{Generation, UserId};
use crate::clock::UnixTime;

/// The session of a user who logged in with a browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The id, from the cookie of the browser.
    pub id: SessionId,
    /// The user.
    pub user_id: UserId,
    /// The user's generation and password at login, combined into one number: a revocation of the
    /// user's tokens and a new password end the session.
    pub user_generation: Generation,
    /// The name of the user on pages.
    pub screen_name: String,
    /// The time of expiry.
    pub expires_at: UnixTime,
}

/// The id of a session: a hash of the browser's cookie, so that a copy of the store does not
/// contain the cookie.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId([u8; 32]);

impl SessionId {
    /// Returns the id of the session with that cookie.
    pub fn of_cookie(cookie: &[u8]) -> Self {
        Self(Sha256::digest(cookie).into())
    }

    /// Returns the bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId(redacted)")
    }
}
