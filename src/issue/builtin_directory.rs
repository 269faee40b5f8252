//! The built-in user directory: the users of the store.

use std::sync::Arc;

use async_trait::async_trait;

use super::directory::{Directory, DirectoryError, DirectoryUser, Login};
use super::hash::{Hasher, PasswordCheck};
use crate::clock::Entropy;
use crate::model::{Secret, User, UserId, Username};
use crate::store::{Store, StoreError};

/// The built-in directory.
pub(super) struct BuiltinDirectory {
    store: Arc<dyn Store>,
    entropy: Arc<dyn Entropy>,
    hasher: Hasher,
}

impl BuiltinDirectory {
    pub(super) fn new(store: Arc<dyn Store>, entropy: Arc<dyn Entropy>, hasher: Hasher) -> Self {
        Self {
            store,
            entropy,
            hasher,
        }
    }

    /// Returns the user with that name. An unknown name takes as many round trips as a known one:
    /// from name to id, and from id to user.
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

    /// Replaces the password hash with one that has the current parameters.
    ///
    /// A failure, or another change that was faster, does not prevent the login: the next login
    /// tries again. The time of the last change stays, because the user did not cause this one.
    async fn rehash(&self, mut user: User, password: &Secret) {
        let Ok(hashed) = self.hasher.hash(password, &*self.entropy).await else {
            return;
        };
        user.password = Some(hashed);
        user.revision += 1;
        if let Err(error) = self.store.update_user(&user).await {
            tracing::debug!(%error, user_id = %user.id, "cannot update the parameters of a password hash; the next log-in tries again");
        }
    }
}

#[async_trait]
impl Directory for BuiltinDirectory {
    async fn authenticate(&self, login: &Login) -> Result<Option<DirectoryUser>, DirectoryError> {
        let user = self
            .user(login)
            .await
            .map_err(|error| DirectoryError::new("looking up a user").because(error))?;
        let hash = user.as_ref().and_then(|user| user.password.as_ref());
        let checked = self.hasher.check(&login.password, hash).await?;
        let Some(user) = user.filter(|_| checked != PasswordCheck::Wrong) else {
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
        if checked == PasswordCheck::Outdated {
            self.rehash(user, &login.password).await;
        }
        Ok(Some(known))
    }
}
