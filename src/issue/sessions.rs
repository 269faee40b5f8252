//! Browser sessions of users who decide about consumers.

use sha2::{Digest as _, Sha256};

use super::{DirectoryUser, IssueError, Issuer};
use crate::model::{Generation, Session, SessionId, User, UserId, UserStatus};

impl Issuer {
    /// Creates the session of a user who logged in with the browser that has this cookie. It lasts
    /// for `authorize.session_ttl`.
    ///
    /// # Security
    /// `cookie` must be new and unguessable: somebody else may know a cookie from before the login.
    ///
    /// # Errors
    /// [`IssueError::UserDisabled`], [`IssueError::Store`].
    pub async fn create_session(
        &self,
        user: &DirectoryUser,
        cookie: &[u8],
    ) -> Result<Session, IssueError> {
        let Some(mark) = self.mark(&user.id).await? else {
            return Err(IssueError::UserDisabled);
        };
        let session = Session {
            id: SessionId::of_cookie(cookie),
            user_id: user.id.clone(),
            user_generation: mark,
            screen_name: user.screen_name.clone(),
            expires_at: self.clock.now().plus(self.terms.authorize.session_ttl),
        };
        self.store.create_session(&session).await?;
        Ok(session)
    }

    /// Returns the session of that cookie.
    ///
    /// `None` if the session expired, or if the user was disabled or deleted, got a new password,
    /// or had all tokens revoked since.
    ///
    /// # Errors
    /// [`IssueError::Store`].
    pub async fn session(&self, cookie: &[u8]) -> Result<Option<Session>, IssueError> {
        let Some(session) = self.store.session(&SessionId::of_cookie(cookie)).await? else {
            return Ok(None);
        };
        if self.clock.now() >= session.expires_at {
            return Ok(None);
        }
        let holds = self.mark(&session.user_id).await? == Some(session.user_generation);
        Ok(Some(session).filter(|_| holds))
    }

    /// Deletes the session of that cookie.
    ///
    /// # Errors
    /// [`IssueError::Store`].
    pub async fn delete_session(&self, cookie: &[u8]) -> Result<(), IssueError> {
        let id = SessionId::of_cookie(cookie);
        // Any browser can ask for this, and only a stored session is worth a write.
        if self.store.session(&id).await?.is_some() {
            self.store.delete_session(&id).await?;
        }
        Ok(())
    }

    /// Returns the mark of a user; `None` if the user may not log in.
    async fn mark(&self, id: &UserId) -> Result<Option<Generation>, IssueError> {
        Ok(match self.store.user(id).await? {
            None => Some(Generation::default()),
            Some(user) => Some(mark(&user)).filter(|_| user.status == UserStatus::Active),
        })
    }
}

/// Combines generation and password of a user into one number, so that a session does not store
/// the password hash.
fn mark(user: &User) -> Generation {
    let Some(password) = &user.password else {
        return user.generation;
    };
    let digest: [u8; 32] = Sha256::new()
        .chain_update(user.generation.number().to_be_bytes())
        .chain_update(password.expose())
        .finalize()
        .into();
    let mut number = [0; 8];
    number.copy_from_slice(&digest[..8]);
    Generation::from_number(u64::from_be_bytes(number))
}
