//! Issuing: who may sign, with which credentials, and who no longer may.
//!
//! The [`Issuer`] holds the rules that are the same however an administrator asks: what a field may hold, what is made
//! when it is left out, what must exist before something else can. Identifiers and secrets are drawn from [`Entropy`]
//! and have unreserved characters only, so that no client needs to encode them.
//!
//! A draft is checked whole: every mistake is told at once, by the name of its field in `proto/`, and nothing is written
//! unless there is none. A change is compare-and-swap on the record's revision, so that two at once can not undo each
//! other. Every change leaves one event with the target `countersign::audit`, without secrets.
//!
//! Left to others: the wire ([`crate::server`]), who may ask at all (also there), and how records are kept and secrets
//! sealed ([`crate::store`]).

mod draft;
pub(crate) mod random;
mod uri;
mod violations;

use std::sync::Arc;

use crate::clock::{Clock, Entropy};
use crate::model::{AccessToken, Consumer, ConsumerKey, ConsumerStatus, Token, TokenStatus};
use crate::store::{Store, StoreError, StoreErrorKind};

pub use draft::{ConsumerDraft, Expiry, TokenDraft};
pub use violations::{Violation, Violations};

/// Creates, shows and changes consumers and tokens.
#[derive(Clone, Debug)]
pub struct Issuer {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

/// Who asks for a change; the audit log names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Actor {
    /// The holder of the admin token.
    Admin,
}

/// Why the issuer did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IssueError {
    /// Fields of a draft that break a rule; nothing was changed.
    #[error("{0}")]
    Invalid(Violations),
    /// No consumer has that key.
    #[error("there is no consumer with the key {0}")]
    UnknownConsumer(ConsumerKey),
    /// There is no such token, or it is another consumer's than was said.
    #[error("there is no token {0}")]
    UnknownToken(Token),
    /// Another consumer has that key; nothing was changed.
    #[error("there is a consumer with the key {0} already")]
    ConsumerExists(ConsumerKey),
    /// There is a token of that name already; nothing was changed.
    #[error("there is a token {0} already")]
    TokenExists(Token),
    /// Others kept changing the record at the same time; this change was not made.
    #[error("changed by somebody else at the same time")]
    Conflict,
    /// The store failed; when it is unavailable, a change may or may not have been made.
    #[error(transparent)]
    Store(#[from] StoreError),
}

// === impl Issuer ===

impl Issuer {
    /// An issuer that keeps its records in `store`.
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self { store, clock, entropy }
    }

    /// Creates a consumer; its key and secret are made unless the draft has them.
    ///
    /// # Errors
    /// [`IssueError::Invalid`], [`IssueError::ConsumerExists`], [`IssueError::Store`].
    pub async fn create_consumer(&self, draft: &ConsumerDraft, actor: Actor) -> Result<Consumer, IssueError> {
        let consumer = draft.to_consumer(self.clock.now(), &*self.entropy).map_err(IssueError::Invalid)?;
        match self.store.create_consumer(&consumer).await {
            Err(error) if error.kind() == StoreErrorKind::AlreadyExists => {
                return Err(IssueError::ConsumerExists(consumer.key));
            }
            created => created?,
        }
        audit(actor, "consumer.create", &consumer.key, None);
        Ok(consumer)
    }

    /// The consumer with that key.
    ///
    /// # Errors
    /// [`IssueError::UnknownConsumer`], [`IssueError::Store`].
    pub async fn consumer(&self, key: &ConsumerKey) -> Result<Consumer, IssueError> {
        self.store.consumer(key).await?.ok_or_else(|| IssueError::UnknownConsumer(key.clone()))
    }

    /// Consumers in the byte order of their keys, at most `limit`, only those after the key `after`.
    ///
    /// # Errors
    /// [`IssueError::Store`].
    pub async fn consumers(&self, after: Option<&ConsumerKey>, limit: usize) -> Result<Vec<Consumer>, IssueError> {
        Ok(self.store.consumers(after, limit).await?)
    }

    /// Forbids a consumer to sign, or lets it again. One that has that status already is left as it is.
    ///
    /// # Errors
    /// [`IssueError::UnknownConsumer`], [`IssueError::Conflict`], [`IssueError::Store`].
    pub async fn set_consumer_status(
        &self,
        key: &ConsumerKey,
        status: ConsumerStatus,
        actor: Actor,
    ) -> Result<Consumer, IssueError> {
        for _ in 0..ATTEMPTS {
            let mut consumer = self.consumer(key).await?;
            if consumer.status == status {
                return Ok(consumer);
            }
            consumer.status = status;
            consumer.updated_at = self.clock.now();
            consumer.revision += 1;
            if replaced(self.store.replace_consumer(&consumer).await)? {
                audit(actor, status_action(status), key, None);
                return Ok(consumer);
            }
        }
        Err(IssueError::Conflict)
    }

    /// Issues a token to an existing consumer; token and secret are made unless the draft has them.
    ///
    /// The consumer's flows do not bind an administrator; its scopes do.
    ///
    /// # Errors
    /// [`IssueError::Invalid`], [`IssueError::UnknownConsumer`], [`IssueError::TokenExists`], [`IssueError::Store`].
    pub async fn create_token(&self, draft: &TokenDraft, actor: Actor) -> Result<AccessToken, IssueError> {
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
        audit(actor, "token.create", &token.consumer_key, Some(&token.token));
        Ok(token)
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
        actor: Actor,
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
                audit(actor, "token.revoke", &token.consumer_key, Some(name));
                return Ok(token);
            }
        }
        Err(IssueError::Conflict)
    }
}

/// Whether a compare-and-swap took place; `false` when somebody else was faster.
fn replaced(outcome: Result<(), StoreError>) -> Result<bool, StoreError> {
    match outcome {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == StoreErrorKind::Conflict => Ok(false),
        Err(error) => Err(error),
    }
}

const fn status_action(status: ConsumerStatus) -> &'static str {
    match status {
        ConsumerStatus::Active => "consumer.enable",
        ConsumerStatus::Disabled => "consumer.disable",
    }
}

fn audit(actor: Actor, action: &'static str, consumer_key: &ConsumerKey, token: Option<&Token>) {
    let token = token.map(Token::as_str);
    tracing::info!(target: "countersign::audit", actor = actor.name(), action, %consumer_key, token);
}

// === impl Actor ===

impl Actor {
    /// The word in the audit log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
        }
    }
}

/// How often a change is tried before somebody else's is given as the reason: more than a handful of administrators
/// do not change one record within the same few milliseconds.
const ATTEMPTS: usize = 5;
