//! Who knows users and their passwords.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;

use crate::config::PasswordConfig;
use crate::model::{ConsumerKey, Secret, UserId};
use crate::store::Store;

/// Knows users and their passwords.
#[async_trait]
pub trait Directory: Send + Sync {
    /// Whose name and password these are; `None` when they are nobody's. An unknown user takes as long as a wrong
    /// password.
    ///
    /// A false yes lets a stranger act as a user; a false no makes an honest user type again. On any doubt: an error.
    async fn authenticate(&self, login: &Login) -> Result<Option<DirectoryUser>, DirectoryError>;
}

impl fmt::Debug for dyn Directory + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Directory")
    }
}

/// A name and a password, as they were typed.
#[derive(Clone, Debug)]
pub struct Login {
    /// The name.
    pub username: String,
    /// The password.
    pub password: Secret,
    /// The consumer that the user logs in for.
    pub consumer_key: ConsumerKey,
    /// Where the user comes from, as far as it is known.
    pub client_address: Option<IpAddr>,
}

/// A user who proved to be one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryUser {
    /// Who.
    pub id: UserId,
    /// What pages and consumers call the user.
    pub screen_name: String,
}

/// Why a directory could not answer; never carries a name or a password.
#[derive(Debug, thiserror::Error)]
#[error("the user directory could not answer: {context}")]
pub struct DirectoryError {
    context: &'static str,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl DirectoryError {
    /// An error; `context` says what went wrong.
    pub const fn new(context: &'static str) -> Self {
        Self { context, source: None }
    }

    /// Adds what caused it, which must not carry a name or a password.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}

/// The users of the store.
pub(super) struct Builtin {
    store: Arc<dyn Store>,
}

impl Builtin {
    pub(super) fn new(store: Arc<dyn Store>, _config: &PasswordConfig) -> Self {
        Self { store }
    }
}

#[async_trait]
impl Directory for Builtin {
    async fn authenticate(&self, _login: &Login) -> Result<Option<DirectoryUser>, DirectoryError> {
        let _ = &self.store;
        Err(DirectoryError::new("not built yet"))
    }
}
