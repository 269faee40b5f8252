//! The interface to user directories.

use std::fmt;
use std::net::IpAddr;

use async_trait::async_trait;

use crate::model::{ConsumerKey, Secret, UserId};

/// A directory of users and their passwords.
#[async_trait]
pub trait Directory: Send + Sync {
    /// Returns the user with that name and password; `None` if there is no such user.
    ///
    /// An unknown user takes as long as a wrong password.
    ///
    /// A false yes lets a stranger act as a user; a false no makes an honest user type again.
    /// Return an error if in doubt.
    async fn authenticate(&self, login: &Login) -> Result<Option<DirectoryUser>, DirectoryError>;
}

impl fmt::Debug for dyn Directory + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Directory")
    }
}

/// A login attempt: name and password as typed.
#[derive(Clone, Debug)]
pub struct Login {
    /// The name.
    pub username: String,
    /// The password.
    pub password: Secret,
    /// The consumer that the user logs in for.
    pub consumer_key: ConsumerKey,
    /// The address of the user, if known.
    pub client_address: Option<IpAddr>,
}

/// A user who proved a name and password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryUser {
    /// The id.
    pub id: UserId,
    /// The name of the user on pages and for consumers.
    pub screen_name: String,
}

/// The failure of a directory; never carries a name or a password.
#[derive(Debug, thiserror::Error)]
#[error("the user directory failed: {context}")]
pub struct DirectoryError {
    context: &'static str,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl DirectoryError {
    /// Creates an error; `context` says what went wrong.
    pub const fn new(context: &'static str) -> Self {
        Self {
            context,
            source: None,
        }
    }

    /// Adds the cause, which must not carry a name or a password.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}
