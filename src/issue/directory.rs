//! Who knows users and their passwords.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;

use super::hash::{Checked, Hasher};
use crate::clock::Entropy;
use crate::model::{ConsumerKey, Secret, User, UserId, Username};
use crate::store::{Store, StoreError};

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
        Self {
            context,
            source: None,
        }
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
    entropy: Arc<dyn Entropy>,
    hasher: Hasher,
}

impl Builtin {
    pub(super) fn new(store: Arc<dyn Store>, entropy: Arc<dyn Entropy>, hasher: Hasher) -> Self {
        Self {
            store,
            entropy,
            hasher,
        }
    }

    /// The user of that name. Who is not there takes as many round trips as who is: from name to id, from id to user.
    async fn user(&self, login: &Login) -> Result<Option<User>, StoreError> {
        let Ok(username) = Username::new(login.username.as_str()) else {
            return Ok(None);
        };
        let found = self.store.user_named(&username).await?;
        if found.is_none()
            && let Ok(nobody) = UserId::new(username.as_str())
        {
            self.store.user(&nobody).await?;
        }
        Ok(found)
    }

    /// Hashes the password anew, with the parameters of now. That it fails, or somebody else was faster, is no reason to
    /// refuse: the next log-in tries again. When the user was changed is not touched: it was not the user's doing.
    async fn rehash(&self, mut user: User, password: &Secret) {
        let Ok(hashed) = self.hasher.hash(password, &*self.entropy).await else {
            return;
        };
        user.password = Some(hashed);
        user.revision += 1;
        if let Err(error) = self.store.update_user(&user).await {
            tracing::debug!(%error, user_id = %user.id, "a password was not hashed anew");
        }
    }
}

#[async_trait]
impl Directory for Builtin {
    async fn authenticate(&self, login: &Login) -> Result<Option<DirectoryUser>, DirectoryError> {
        let user = self
            .user(login)
            .await
            .map_err(|error| DirectoryError::new("looking up a user").because(error))?;
        let hash = user.as_ref().and_then(|user| user.password.as_ref());
        let checked = self.hasher.check(&login.password, hash).await?;
        let Some(user) = user.filter(|_| checked != Checked::Wrong) else {
            return Ok(None);
        };
        let screen_name = user
            .username
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default();
        let known = DirectoryUser {
            id: user.id.clone(),
            screen_name,
        };
        if checked == Checked::Outdated {
            self.rehash(user, &login.password).await;
        }
        Ok(Some(known))
    }
}
