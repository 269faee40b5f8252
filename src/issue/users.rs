//! Administration of users.

use super::audit::{AuditEvent, audited};
use super::{
    ATTEMPTS, Actor, IssueError, Issuer, Violations, etag, hash, random, replaced, written,
};
use crate::clock::UnixTime;
use crate::model::{Generation, Secret, User, UserId, UserStatus, Username};
use crate::store::{StoreError, StoreErrorKind};

/// The draft of a user.
#[derive(Clone, Debug, Default)]
pub struct UserDraft {
    /// The id; `None` generates one.
    pub user_id: Option<String>,
    /// The name to log in with.
    pub username: String,
    /// The password; without one the user cannot log in.
    pub password: Option<Secret>,
}

/// The names of a new user, checked.
struct UserNames {
    id: UserId,
    username: Username,
}

impl Issuer {
    /// Creates a user.
    ///
    /// The id of a deleted user, or of a user without a username, can be used: its generation
    /// stays. The first user of an id starts with the generation of the tokens that exist for that
    /// id: they stay valid.
    ///
    /// # Errors
    /// [`IssueError::Invalid`], [`IssueError::UserExists`], [`IssueError::Directory`] if the queue
    /// of passwords is full, [`IssueError::Store`].
    pub async fn create_user(&self, draft: &UserDraft, actor: &Actor) -> Result<User, IssueError> {
        let names = self.checked(draft).map_err(IssueError::Invalid)?;
        let password = match &draft.password {
            Some(password) => Some(self.hasher.hash(password, &*self.entropy).await?),
            None => None,
        };
        for _ in 0..ATTEMPTS {
            let stored = self.store.user(&names.id).await?;
            let mut user = self.new_user(&names, stored.as_ref())?;
            user.password.clone_from(&password);
            let event = AuditEvent::of_user(actor, "user.create", &names.id);
            let outcome = match stored {
                Some(_) => audited(event, self.store.update_user(&user)).await,
                None => audited(event, self.store.create_user(&user)).await,
            };
            if self.is_created(&names.id, outcome).await? {
                return Ok(user);
            }
        }
        Err(IssueError::Conflict)
    }

    /// Returns the user with that id; a deleted user is unknown.
    ///
    /// # Errors
    /// [`IssueError::UnknownUser`], [`IssueError::Store`].
    pub async fn user(&self, id: &UserId) -> Result<User, IssueError> {
        let user = self.store.user(id).await?;
        user.filter(|user| user.status != UserStatus::Deleted)
            .ok_or_else(|| IssueError::UnknownUser(id.to_string()))
    }

    /// Returns the user who logs in with that name.
    ///
    /// # Errors
    /// [`IssueError::UnknownUser`], [`IssueError::Store`].
    pub async fn user_named(&self, username: &Username) -> Result<User, IssueError> {
        self.store
            .user_named(username)
            .await?
            .ok_or_else(|| IssueError::UnknownUser(username.to_string()))
    }

    /// Returns up to `limit` users whose ids follow `after`, in byte order of their ids.
    ///
    /// # Errors
    /// [`IssueError::Store`].
    pub async fn users(
        &self,
        after: Option<&UserId>,
        limit: usize,
    ) -> Result<Vec<User>, IssueError> {
        Ok(self.store.users(after, limit).await?)
    }

    /// Gives a user a new password, which ends the user's sessions.
    ///
    /// # Errors
    /// [`IssueError::Invalid`], [`IssueError::UnknownUser`], [`IssueError::Conflict`],
    /// [`IssueError::Directory`] if the queue of passwords is full, [`IssueError::Store`].
    pub async fn set_password(
        &self,
        id: &UserId,
        password: &Secret,
        actor: &Actor,
    ) -> Result<User, IssueError> {
        hash::check_password(password).map_err(|problem| invalid("password", problem))?;
        if self.user(id).await?.username.is_none() {
            return Err(invalid("user_id", NO_USERNAME));
        }
        let hashed = self.hasher.hash(password, &*self.entropy).await?;
        let change = |user: &mut User| {
            user.password = Some(hashed.clone());
            true
        };
        let event = AuditEvent::of_user(actor, "user.set_password", id);
        self.change_user(id, None, change, event).await
    }

    /// Enables a user: the user can log in, and the user's tokens are accepted.
    ///
    /// # Errors
    /// [`IssueError::UnknownUser`], [`IssueError::Conflict`], [`IssueError::Store`].
    pub async fn enable_user(&self, id: &UserId, actor: &Actor) -> Result<User, IssueError> {
        let enable = |user: &mut User| set_status(user, UserStatus::Active);
        let event = AuditEvent::of_user(actor, "user.enable", id);
        self.change_user(id, None, enable, event).await
    }

    /// Disables a user: the user cannot log in, and the user's tokens are refused.
    ///
    /// # Errors
    /// [`IssueError::UnknownUser`], [`IssueError::Conflict`], [`IssueError::Store`].
    pub async fn disable_user(&self, id: &UserId, actor: &Actor) -> Result<User, IssueError> {
        let disable = |user: &mut User| set_status(user, UserStatus::Disabled);
        let event = AuditEvent::of_user(actor, "user.disable", id);
        self.change_user(id, None, disable, event).await
    }

    /// Deletes a user and revokes the user's tokens permanently. A record stays, so that they
    /// remain revoked.
    ///
    /// # Errors
    /// [`IssueError::UnknownUser`], [`IssueError::Conflict`], [`IssueError::Store`].
    pub async fn delete_user(
        &self,
        id: &UserId,
        etag: Option<&str>,
        actor: &Actor,
    ) -> Result<(), IssueError> {
        let delete = |user: &mut User| {
            user.username = None;
            user.password = None;
            user.status = UserStatus::Deleted;
            user.generation = Generation::draw(&*self.entropy);
            true
        };
        let event = AuditEvent::of_user(actor, "user.delete", id);
        self.change_user(id, etag, delete, event).await.map(drop)
    }

    /// Revokes all tokens of a user by a new generation. A user without a record gets one.
    pub(super) async fn revoke_user_tokens(
        &self,
        id: &UserId,
        actor: &Actor,
    ) -> Result<(), IssueError> {
        let event = AuditEvent::of_user(actor, "user.revoke_tokens", id);
        for _ in 0..ATTEMPTS {
            let generation = Generation::draw(&*self.entropy);
            let outcome = match self.store.user(id).await? {
                None => {
                    let mut user = blank_user(id.clone(), self.clock.now());
                    user.generation = generation;
                    audited(event, self.store.create_user(&user)).await
                }
                Some(mut user) => {
                    user.generation = generation;
                    user.updated_at = self.clock.now();
                    user.revision += 1;
                    audited(event, self.store.update_user(&user)).await
                }
            };
            if written(outcome)? {
                return Ok(());
            }
        }
        Err(IssueError::Conflict)
    }

    /// Applies `change` to a user and writes it, unless `change` returns false.
    ///
    /// `change` runs again on the newer user if another change was faster.
    async fn change_user(
        &self,
        id: &UserId,
        required_etag: Option<&str>,
        change: impl Fn(&mut User) -> bool,
        event: AuditEvent<'_>,
    ) -> Result<User, IssueError> {
        for _ in 0..ATTEMPTS {
            let mut user = self.user(id).await?;
            if required_etag
                .is_some_and(|required| required != etag(user.generation, user.revision))
            {
                return Err(IssueError::Conflict);
            }
            if !change(&mut user) {
                return Ok(user);
            }
            user.updated_at = self.clock.now();
            user.revision += 1;
            if replaced(audited(event, self.store.update_user(&user)).await)? {
                return Ok(user);
            }
        }
        Err(IssueError::Conflict)
    }

    /// Returns true if the user was written, and false if the creation must be tried again.
    ///
    /// An id or a username that is taken is an error, unless the record at the id is one without a
    /// username: it was written just now, and the user takes its place.
    async fn is_created(
        &self,
        id: &UserId,
        outcome: Result<(), StoreError>,
    ) -> Result<bool, IssueError> {
        let Err(error) = outcome else {
            return Ok(true);
        };
        match error.kind() {
            StoreErrorKind::Conflict => Ok(false),
            StoreErrorKind::AlreadyExists => {
                let stored = self.store.user(id).await?;
                if stored.is_some_and(|user| user.username.is_none()) {
                    Ok(false)
                } else {
                    Err(IssueError::UserExists)
                }
            }
            StoreErrorKind::Unavailable
            | StoreErrorKind::ClockSkew
            | StoreErrorKind::Unreadable
            | StoreErrorKind::WrongMasterKey
            | StoreErrorKind::Unusable => Err(error.into()),
        }
    }

    fn checked(&self, draft: &UserDraft) -> Result<UserNames, Violations> {
        let mut wrong = Violations::default();
        let given = draft.user_id.clone();
        let id = given.unwrap_or_else(|| random::identifier(&*self.entropy));
        let id = wrong.check("user_id", UserId::new(id));
        let username = wrong.check("username", Username::new(draft.username.as_str()));
        if let Some(password) = &draft.password {
            wrong.check("password", hash::check_password(password));
        }
        let (id, username) = wrong.or(id.zip(username))?;
        Ok(UserNames { id, username })
    }

    /// Returns the new user, who takes the place of `stored`. A stored user who has no username and
    /// is disabled stays disabled.
    fn new_user(&self, names: &UserNames, stored: Option<&User>) -> Result<User, IssueError> {
        let mut user = blank_user(names.id.clone(), self.clock.now());
        user.username = Some(names.username.clone());
        if let Some(stored) = stored {
            if stored.username.is_some() {
                return Err(IssueError::UserExists);
            }
            user.generation = stored.generation;
            user.revision = stored.revision + 1;
            if stored.status == UserStatus::Disabled {
                user.status = UserStatus::Disabled;
            }
        }
        Ok(user)
    }
}

fn blank_user(id: UserId, now: UnixTime) -> User {
    User {
        id,
        username: None,
        password: None,
        status: UserStatus::Active,
        generation: Generation::default(),
        created_at: now,
        updated_at: now,
        revision: 1,
    }
}

/// Sets the status, and returns true if it changed.
fn set_status(user: &mut User, status: UserStatus) -> bool {
    std::mem::replace(&mut user.status, status) != status
}

fn invalid(field: &'static str, problem: impl ToString) -> IssueError {
    IssueError::Invalid(Violations::of(field, problem))
}

const NO_USERNAME: &str = "names a user without a username, who cannot log in with a password here";
