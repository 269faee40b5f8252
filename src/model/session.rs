//! A user who logged in to decide about a consumer.

use std::fmt;

use sha2::{Digest as _, Sha256};

use super::{Generation, UserId};
use crate::clock::UnixTime;

/// That a user logged in with a browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Which browser.
    pub id: SessionId,
    /// Who logged in.
    pub user_id: UserId,
    /// What the user's generation and password were then, as one number: what revokes the user's tokens, and a new
    /// password, end the sessions too.
    pub user_generation: Generation,
    /// What pages call the user.
    pub screen_name: String,
    /// From when on it is over.
    pub expires_at: UnixTime,
}

/// What a session is kept under: a hash of the browser's cookie, so that who reads the store can not take its place.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId([u8; 32]);

impl SessionId {
    /// The id of the session of that cookie.
    pub fn of_cookie(cookie: &[u8]) -> Self {
        Self(Sha256::digest(cookie).into())
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId(redacted)")
    }
}
