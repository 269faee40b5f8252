//! Administration of users.

use super::audit::{Event, Subject, audited};
use super::{ATTEMPTS, Actor, IssueError, Issuer, Violations, etag, hash, random, replaced};
use crate::clock::UnixTime;
use crate::model::{Generation, PasswordHash, Secret, User, UserId, UserStatus, Username};
use crate::store::{StoreError, StoreErrorKind};

/// A user to be created.
#[derive(Clone, Debug, Default)]
pub struct UserDraft {
    /// The id; `None` makes one.
    pub user_id: Option<String>,
    /// The name to log in with.
    pub username: String,
    /// The password; `None` until one is set.
    pub password: Option<Secret>,
}

impl Issuer {
    /// Creates a user. An id of which only the standing was kept, or that was deleted, is taken over: its generation stays.
    ///
    /// A user of whom nothing was kept begins with the generation that tokens for such a user have: they stay good.
    ///
    /// # Errors
    /// [`IssueError::Invalid`], [`IssueError::UserExists`], [`IssueError::Directory`] when too many passwords wait to be
    /// hashed, [`IssueError::Store`].
    pub async fn create_user(&self, draft: &UserDraft, actor: &Actor) -> Result<User, IssueError> {
        let (id, username) = self.checked(draft).map_err(IssueError::Invalid)?;
        let password = match &draft.password {
            Some(password) => Some(self.hasher.hash(password, &*self.entropy).await?),
            None => None,
        };
        for _ in 0..ATTEMPTS {
            let new = new_user(id.clone(), self.clock.now());
            let stored = self.store.user(&id).await?;
            let user = named(stored.as_ref(), new, &username, password.as_ref())?;
            let event = event(actor, "user.create", &id);
            let kept = match stored {
                Some(_) => audited(event, self.store.update_user(&user)).await,
                None => audited(event, self.store.create_user(&user)).await,
            };
            match kept {
                Err(error) if error.kind() == StoreErrorKind::AlreadyExists => {
                    self.may_be_named(&id).await?
                }
                Err(error) if error.kind() == StoreErrorKind::Conflict => {}
                Err(error) => return Err(error.into()),
                Ok(()) => return Ok(user),
            }
        }
        Err(IssueError::Conflict)
    }

    /// The user of that id; a deleted one is unknown.
    ///
    /// # Errors
    /// [`IssueError::UnknownUser`], [`IssueError::Store`].
    pub async fn user(&self, id: &UserId) -> Result<User, IssueError> {
        let user = self
            .store
            .user(id)
            .await?
            .filter(|user| user.status != UserStatus::Deleted);
        user.ok_or_else(|| IssueError::UnknownUser(id.to_string()))
    }

    /// The user who logs in with that name.
    ///
    /// # Errors
    /// [`IssueError::UnknownUser`], [`IssueError::Store`].
    pub async fn user_named(&self, username: &Username) -> Result<User, IssueError> {
        self.store
            .user_named(username)
            .await?
            .ok_or_else(|| IssueError::UnknownUser(username.to_string()))
    }

    /// Users in the byte order of their ids, at most `limit`, only those after `after`.
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
    /// [`IssueError::Invalid`], [`IssueError::UnknownUser`], [`IssueError::Conflict`], [`IssueError::Directory`] when too
    /// many passwords wait to be hashed, [`IssueError::Store`].
    pub async fn set_password(
        &self,
        id: &UserId,
        password: &Secret,
        actor: &Actor,
    ) -> Result<User, IssueError> {
        hash::password(password).map_err(|problem| invalid("password", problem))?;
        if self.user(id).await?.username.is_none() {
            return Err(invalid(
                "user_id",
                "is of a user without a username, who can not log in with a password here",
            ));
        }
        let hashed = self.hasher.hash(password, &*self.entropy).await?;
        let change = |user: &mut User| {
            user.password = Some(hashed.clone());
            true
        };
        self.change_user(id, None, change, (actor, "user.set_password"))
            .await
    }

    /// Refuses a user's tokens and log-in, or lets them be used again; [`UserStatus::Deleted`] is not for here.
    ///
    /// # Errors
    /// [`IssueError::Invalid`] with the field `status`, [`IssueError::UnknownUser`], [`IssueError::Conflict`],
    /// [`IssueError::Store`].
    pub async fn set_user_status(
        &self,
        id: &UserId,
        status: UserStatus,
        actor: &Actor,
    ) -> Result<User, IssueError> {
        let action = match status {
            UserStatus::Active => "user.enable",
            UserStatus::Disabled => "user.disable",
            UserStatus::Deleted => {
                return Err(invalid(
                    "status",
                    "can not be set to deleted: delete the user",
                ));
            }
        };
        let change = |user: &mut User| std::mem::replace(&mut user.status, status) != status;
        self.change_user(id, None, change, (actor, action)).await
    }

    /// Deletes a user and revokes the user's tokens for good: what is kept refuses them.
    ///
    /// # Errors
    /// [`IssueError::UnknownUser`], [`IssueError::Conflict`], [`IssueError::Store`].
    pub async fn delete_user(
        &self,
        id: &UserId,
        etag: Option<&str>,
        actor: &Actor,
    ) -> Result<(), IssueError> {
        let change = |user: &mut User| {
            user.username = None;
            user.password = None;
            user.status = UserStatus::Deleted;
            user.generation = Generation::draw(&*self.entropy);
            true
        };
        self.change_user(id, etag, change, (actor, "user.delete"))
            .await
            .map(drop)
    }

    /// Draws a new generation for a user, of whom the standing is kept from now on if nothing is yet.
    pub(super) async fn revoke_user_tokens(
        &self,
        id: &UserId,
        actor: &Actor,
    ) -> Result<(), IssueError> {
        for _ in 0..ATTEMPTS {
            let stored = self.store.user(id).await?;
            let is_new = stored.is_none();
            let mut user = stored.unwrap_or_else(|| new_user(id.clone(), self.clock.now()));
            user.generation = Generation::draw(&*self.entropy);
            let event = event(actor, "user.revoke_tokens", id);
            let kept = if is_new {
                audited(event, self.store.create_user(&user)).await
            } else {
                user.updated_at = self.clock.now();
                user.revision += 1;
                audited(event, self.store.update_user(&user)).await
            };
            if written(kept)? {
                return Ok(());
            }
        }
        Err(IssueError::Conflict)
    }

    /// Changes a user by `change`, which says whether there is anything to write, and is asked again when somebody else was
    /// faster.
    async fn change_user(
        &self,
        id: &UserId,
        read: Option<&str>,
        change: impl Fn(&mut User) -> bool,
        (actor, action): (&Actor, &'static str),
    ) -> Result<User, IssueError> {
        for _ in 0..ATTEMPTS {
            let mut user = self.user(id).await?;
            if read.is_some_and(|read| read != etag(user.generation, user.revision)) {
                return Err(IssueError::Conflict);
            }
            if !change(&mut user) {
                return Ok(user);
            }
            user.updated_at = self.clock.now();
            user.revision += 1;
            if replaced(audited(event(actor, action, id), self.store.update_user(&user)).await)? {
                return Ok(user);
            }
        }
        Err(IssueError::Conflict)
    }

    /// Whether it was not the id that is taken by a user with a name, nor the name: only the standing was kept just now.
    async fn may_be_named(&self, id: &UserId) -> Result<(), IssueError> {
        let is_nameless = self
            .store
            .user(id)
            .await?
            .is_some_and(|user| user.username.is_none());
        if is_nameless {
            Ok(())
        } else {
            Err(IssueError::UserExists)
        }
    }

    fn checked(&self, draft: &UserDraft) -> Result<(UserId, Username), Violations> {
        let mut wrong = Violations::default();
        let id = draft
            .user_id
            .clone()
            .unwrap_or_else(|| random::identifier(&*self.entropy));
        let id = wrong.check("user_id", UserId::new(id));
        let username = wrong.check("username", Username::new(draft.username.as_str()));
        if let Some(password) = &draft.password {
            wrong.check("password", hash::password(password));
        }
        wrong.or(id.zip(username))
    }
}

fn new_user(id: UserId, now: UnixTime) -> User {
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

/// The user with a name to log in with: `new`, or what takes the place of `stored`, who must have none.
///
/// One who was disabled before there was a name stays so.
fn named(
    stored: Option<&User>,
    new: User,
    username: &Username,
    password: Option<&PasswordHash>,
) -> Result<User, IssueError> {
    let mut user = new;
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
    user.username = Some(username.clone());
    user.password = password.cloned();
    Ok(user)
}

/// Whether a user was written; `false` when somebody else was faster.
fn written(outcome: Result<(), StoreError>) -> Result<bool, StoreError> {
    match outcome {
        Err(error) if error.kind() == StoreErrorKind::AlreadyExists => Ok(false),
        outcome => replaced(outcome),
    }
}

fn event<'a>(actor: &'a Actor, action: &'static str, id: &'a UserId) -> Event<'a> {
    Event {
        actor,
        action,
        subject: Subject {
            user_id: Some(id.as_str()),
            ..Subject::default()
        },
    }
}

fn invalid(field: &'static str, problem: impl ToString) -> IssueError {
    IssueError::Invalid(Violations::of(field, problem))
}
