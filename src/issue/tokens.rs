//! Access tokens: issuing by an administrator, showing, revoking.

use super::audit::{Subject, audit};
use super::{ATTEMPTS, Actor, Created, IssueError, Issuer, TokenDraft, draft, replaced};
use crate::model::{AccessToken, Consumer, ConsumerKey, Token, TokenState, TokenStatus};
use crate::store::{StoreErrorKind, TokenHolder};

/// A token, and what it is good for now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownToken {
    /// The token.
    pub token: AccessToken,
    /// What it is good for, also by its consumer's and its user's doing; that a consumer is gone counts as revoked.
    pub state: TokenState,
}

/// What is known of a token (RFC 7662).
#[derive(Clone, Debug, Default)]
pub struct Introspection {
    /// The token, unless it is unknown.
    pub token: Option<ShownToken>,
    /// Its consumer, unless that is gone.
    pub consumer: Option<Consumer>,
}

impl Issuer {
    /// Issues a token to an existing consumer; token and secret are made unless the draft has them.
    ///
    /// The consumer's flows do not bind an administrator; its scopes do.
    ///
    /// # Errors
    /// [`IssueError::Invalid`], [`IssueError::UnknownConsumer`], [`IssueError::TokenExists`], [`IssueError::Store`].
    pub async fn create_token(&self, draft: &TokenDraft, actor: &Actor) -> Result<Created<AccessToken>, IssueError> {
        let mut token = draft.to_token(self.clock.now(), &*self.entropy).map_err(IssueError::Invalid)?;
        let consumer = self.consumer(&token.consumer_key).await?;
        token.consumer_generation = consumer.generation;
        draft::within_scopes(&token.scopes, &consumer.scopes).map_err(IssueError::Invalid)?;
        match self.store.create_token(&token).await {
            Err(error) if error.kind() == StoreErrorKind::AlreadyExists => {
                return Err(IssueError::TokenExists(token.token));
            }
            created => created?,
        }
        audited(actor, "token.create", &token);
        Ok(Created { record: token, existed: false })
    }

    /// The token of that name.
    ///
    /// # Errors
    /// [`IssueError::UnknownToken`], [`IssueError::Store`].
    pub async fn token(&self, token: &Token) -> Result<AccessToken, IssueError> {
        self.store.token(token).await?.ok_or_else(|| IssueError::UnknownToken(token.clone()))
    }

    /// Revokes a token for good. One that is revoked already is left as it is.
    ///
    /// `consumer` is a safeguard: a token of another consumer is unknown then.
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
            if replaced(self.store.replace_token(&token).await)? {
                audited(actor, "token.revoke", &token);
                return Ok(token);
            }
        }
        Err(IssueError::Conflict)
    }

    /// A token, and what it is good for now.
    ///
    /// # Errors
    /// [`IssueError::UnknownToken`], [`IssueError::Store`].
    pub async fn show_token(&self, name: &Token) -> Result<ShownToken, IssueError> {
        let _ = name;
        Err(unbuilt().into())
    }

    /// What is known of a token; an unknown one is no error.
    ///
    /// # Errors
    /// [`IssueError::Store`].
    pub async fn introspect(&self, name: &Token) -> Result<Introspection, IssueError> {
        let _ = name;
        Err(unbuilt().into())
    }

    /// The tokens of a consumer or a user in the byte order of their names, at most `limit`, only those after `after`.
    ///
    /// # Errors
    /// [`IssueError::Store`].
    pub async fn tokens(
        &self,
        holder: TokenHolder<'_>,
        after: Option<&Token>,
        limit: usize,
    ) -> Result<Vec<ShownToken>, IssueError> {
        let _ = (holder, after, limit);
        Err(unbuilt().into())
    }

    /// Revokes every token of a consumer, its temporary credentials too, or of a user, by drawing a new generation.
    ///
    /// # Errors
    /// [`IssueError::UnknownConsumer`], [`IssueError::Conflict`], [`IssueError::Store`].
    pub async fn revoke_tokens(&self, holder: TokenHolder<'_>, actor: &Actor) -> Result<(), IssueError> {
        let _ = (holder, actor);
        Err(unbuilt().into())
    }
}

fn audited(actor: &Actor, action: &'static str, token: &AccessToken) {
    let user_id = token.user_id.as_ref().map(crate::model::UserId::as_str);
    let subject =
        Subject { consumer_key: Some(token.consumer_key.as_str()), token: Some(token.token.as_str()), user_id };
    audit(actor, action, subject);
}

fn unbuilt() -> crate::store::StoreError {
    crate::store::StoreError::new(StoreErrorKind::Unusable, "not built yet")
}
