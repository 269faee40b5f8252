//! Access tokens: creation by an administrator, lookups, revocation.

use std::collections::HashMap;

use super::audit::{AuditEvent, audited};
use super::{ATTEMPTS, Actor, CreateOutcome, IssueError, Issuer, TokenDraft, draft, replaced};
use crate::model::{
    AccessToken, Consumer, ConsumerKey, Generation, Token, TokenState, TokenStatus, UserId,
    UserStanding, UserStatus,
};
use crate::store::{StoreError, StoreErrorKind, TokenHolder};

/// A token and its current state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenWithState {
    /// The token.
    pub token: AccessToken,
    /// The state, which also depends on the consumer and the user. A token of a deleted consumer is
    /// revoked.
    pub state: TokenState,
}

/// The result of an introspection (RFC 7662).
#[derive(Clone, Debug, Default)]
pub struct Introspection {
    /// The token; `None` if it is unknown.
    pub token: Option<TokenWithState>,
    /// The consumer of the token; `None` if it is deleted.
    pub consumer: Option<Consumer>,
}

/// The records that the state of a list of tokens depends on.
#[derive(Default)]
struct TokenOwners {
    consumers: HashMap<ConsumerKey, Option<Consumer>>,
    users: HashMap<UserId, UserStanding>,
}

impl Issuer {
    /// Creates a token for an existing consumer, generated unless the draft has its own values.
    ///
    /// The consumer's flows do not bind an administrator; its scopes do. A user without a record is
    /// accepted on the administrator's word. With `validate_only`, the generated values of the
    /// result have no meaning.
    ///
    /// # Errors
    /// [`IssueError::Invalid`], [`IssueError::UnknownConsumer`], [`IssueError::ConsumerDisabled`],
    /// [`IssueError::UserDisabled`], [`IssueError::TokenExists`], [`IssueError::Store`].
    pub async fn create_token(
        &self,
        draft: &TokenDraft,
        actor: &Actor,
    ) -> Result<CreateOutcome<AccessToken>, IssueError> {
        let mut token = draft
            .to_token(self.clock.now(), &*self.entropy)
            .map_err(IssueError::Invalid)?;
        let consumer = self.consumer(&token.consumer_key).await?;
        if (draft.allow_existing || draft.validate_only)
            && let Some(stored) = self.store.token(&token.token).await?
        {
            return existing(draft, &token, stored);
        }
        draft::require_scopes(&token.scopes, &consumer.scopes).map_err(IssueError::Invalid)?;
        token.consumer_generation = require_active(&consumer)?.generation;
        token.user_generation = self.active_generation(token.user_id.as_ref()).await?;
        if draft.validate_only {
            return Ok(CreateOutcome::new(token));
        }
        let event = AuditEvent::of_token(actor, "token.create", &token);
        match audited(event, self.store.create_token(&token)).await {
            Ok(()) => Ok(CreateOutcome::new(token)),
            Err(error) => self.token_not_created(draft, &token, error).await,
        }
    }

    /// Returns the token with that name.
    ///
    /// # Errors
    /// [`IssueError::UnknownToken`], [`IssueError::Store`].
    pub async fn token(&self, token: &Token) -> Result<AccessToken, IssueError> {
        self.store
            .token(token)
            .await?
            .ok_or_else(|| IssueError::UnknownToken(token.clone()))
    }

    /// Revokes a token permanently. A revoked token stays unchanged.
    ///
    /// `consumer` is a safeguard: a token of another consumer counts as unknown.
    ///
    /// # Errors
    /// [`IssueError::UnknownToken`], [`IssueError::Conflict`], [`IssueError::Store`].
    pub async fn revoke_token(
        &self,
        name: &Token,
        consumer: Option<&ConsumerKey>,
        actor: &Actor,
    ) -> Result<AccessToken, IssueError> {
        for _ in 0..ATTEMPTS {
            let mut token = self.token(name).await?;
            if consumer.is_some_and(|key| *key != token.consumer_key) {
                return Err(IssueError::UnknownToken(name.clone()));
            }
            if token.status == TokenStatus::Revoked {
                return Ok(token);
            }
            token.status = TokenStatus::Revoked;
            token.revision += 1;
            let event = AuditEvent::of_token(actor, "token.revoke", &token);
            if replaced(audited(event, self.store.update_token(&token)).await)? {
                return Ok(token);
            }
        }
        Err(IssueError::Conflict)
    }

    /// Returns a token and its current state.
    ///
    /// # Errors
    /// [`IssueError::UnknownToken`], [`IssueError::Store`].
    pub async fn token_with_state(&self, name: &Token) -> Result<TokenWithState, IssueError> {
        let token = self.token(name).await?;
        let consumer = self.store.consumer(&token.consumer_key).await?;
        self.with_state(token, consumer.as_ref()).await
    }

    /// Looks up a token for introspection; an unknown token is no error.
    ///
    /// # Errors
    /// [`IssueError::Store`].
    pub async fn introspect_token(&self, name: &Token) -> Result<Introspection, IssueError> {
        let Some(token) = self.store.token(name).await? else {
            return Ok(Introspection::default());
        };
        let consumer = self.store.consumer(&token.consumer_key).await?;
        let token = Some(self.with_state(token, consumer.as_ref()).await?);
        Ok(Introspection { token, consumer })
    }

    /// Returns up to `limit` tokens of a consumer or a user whose names follow `after`, in byte
    /// order of their names.
    ///
    /// # Errors
    /// [`IssueError::Store`].
    pub async fn tokens(
        &self,
        holder: TokenHolder<'_>,
        after: Option<&Token>,
        limit: usize,
    ) -> Result<Vec<TokenWithState>, IssueError> {
        let tokens = self.store.tokens(holder, after, limit).await?;
        let owners = self.owners(&tokens).await?;
        let with_state = |token: AccessToken| {
            let state = self.state(&token, owners.consumer(&token), owners.user(&token));
            TokenWithState { token, state }
        };
        Ok(tokens.into_iter().map(with_state).collect())
    }

    /// Revokes every token of a consumer, temporary credentials included, or of a user.
    ///
    /// The consumer or user gets a new generation. A user without a record gets one.
    ///
    /// # Errors
    /// [`IssueError::UnknownConsumer`], [`IssueError::Conflict`], [`IssueError::Store`].
    pub async fn revoke_tokens(
        &self,
        holder: TokenHolder<'_>,
        actor: &Actor,
    ) -> Result<(), IssueError> {
        match holder {
            TokenHolder::Consumer(key) => self.revoke_consumer_tokens(key, actor).await,
            TokenHolder::User(id) => self.revoke_user_tokens(id, actor).await,
        }
    }

    /// Returns the standing of a user; a user without a record has the default.
    pub(super) async fn standing(&self, id: &UserId) -> Result<UserStanding, IssueError> {
        let user = self.store.user(id).await?;
        Ok(user.map(|user| user.standing()).unwrap_or_default())
    }

    /// Returns the user generation of a new token for `user`, or for no user.
    pub(super) async fn active_generation(
        &self,
        user: Option<&UserId>,
    ) -> Result<Generation, IssueError> {
        let Some(id) = user else {
            return Ok(Generation::default());
        };
        let standing = self.standing(id).await?;
        if standing.status == UserStatus::Active {
            Ok(standing.generation)
        } else {
            Err(IssueError::UserDisabled)
        }
    }

    async fn revoke_consumer_tokens(
        &self,
        key: &ConsumerKey,
        actor: &Actor,
    ) -> Result<(), IssueError> {
        let revoke = |consumer: &mut Consumer| {
            consumer.generation = Generation::draw(&*self.entropy);
            Ok(true)
        };
        let event = AuditEvent::of_consumer(actor, "consumer.revoke_tokens", key);
        self.change_consumer(key, None, revoke, event).await?;
        Ok(())
    }

    /// Resolves a failed creation: the name may belong to the same token.
    async fn token_not_created(
        &self,
        draft: &TokenDraft,
        new: &AccessToken,
        error: StoreError,
    ) -> Result<CreateOutcome<AccessToken>, IssueError> {
        if error.kind() != StoreErrorKind::AlreadyExists {
            return Err(error.into());
        }
        match self.store.token(&new.token).await? {
            Some(stored) => existing(draft, new, stored),
            None => Err(IssueError::Conflict),
        }
    }

    async fn owners(&self, tokens: &[AccessToken]) -> Result<TokenOwners, IssueError> {
        let mut owners = TokenOwners::default();
        for token in tokens {
            let key = &token.consumer_key;
            if !owners.consumers.contains_key(key) {
                let consumer = self.store.consumer(key).await?;
                owners.consumers.insert(key.clone(), consumer);
            }
            if let Some(id) = &token.user_id
                && !owners.users.contains_key(id)
            {
                owners.users.insert(id.clone(), self.standing(id).await?);
            }
        }
        Ok(owners)
    }

    async fn with_state(
        &self,
        token: AccessToken,
        consumer: Option<&Consumer>,
    ) -> Result<TokenWithState, IssueError> {
        let user = match &token.user_id {
            Some(id) => self.standing(id).await?,
            None => UserStanding::default(),
        };
        let state = self.state(&token, consumer, user);
        Ok(TokenWithState { token, state })
    }

    fn state(
        &self,
        token: &AccessToken,
        consumer: Option<&Consumer>,
        user: UserStanding,
    ) -> TokenState {
        consumer.map_or(TokenState::Revoked, |consumer| {
            token.state(consumer, user, self.clock.now())
        })
    }
}

// === impl TokenOwners ===

impl TokenOwners {
    fn consumer(&self, token: &AccessToken) -> Option<&Consumer> {
        self.consumers.get(&token.consumer_key)?.as_ref()
    }

    fn user(&self, token: &AccessToken) -> UserStanding {
        let user = token.user_id.as_ref().and_then(|id| self.users.get(id));
        user.copied().unwrap_or_default()
    }
}

/// Refuses a disabled consumer, which receives no credentials.
pub(super) fn require_active(consumer: &Consumer) -> Result<&Consumer, IssueError> {
    if consumer.is_active() {
        Ok(consumer)
    } else {
        Err(IssueError::ConsumerDisabled(consumer.key.clone()))
    }
}

/// Returns the stored token if the draft accepts it.
fn existing(
    draft: &TokenDraft,
    new: &AccessToken,
    stored: AccessToken,
) -> Result<CreateOutcome<AccessToken>, IssueError> {
    let is_same = draft.token_secret.as_ref() == Some(&stored.secret)
        && new.consumer_key == stored.consumer_key
        && new.user_id == stored.user_id
        && new.scopes == stored.scopes
        && draft.expiry.is_of(&stored);
    if draft.allow_existing && is_same {
        return Ok(CreateOutcome::existing(stored));
    }
    Err(IssueError::TokenExists(stored.token))
}
