//! The errors of issuing.

use std::time::Duration;

use super::Violations;
use crate::model::{ConsumerId, ConsumerKey, Flow, Token};
use crate::store::StoreError;

/// The reason why the issuer refused or failed a call.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IssueError {
    /// Fields of the draft break a rule; nothing was changed.
    #[error("{0}")]
    Invalid(Violations),
    /// No consumer has that key.
    #[error("no consumer has the key {0}")]
    UnknownConsumer(ConsumerKey),
    /// No consumer has that id.
    #[error("no consumer has the id {0}")]
    UnknownConsumerId(ConsumerId),
    /// No such token exists, or it belongs to another consumer than the caller named.
    #[error("unknown token {0}")]
    UnknownToken(Token),
    /// No such temporary credentials exist, or they belong to another consumer than the caller
    /// named.
    #[error("unknown temporary credentials {0}")]
    UnknownRequestToken(Token),
    /// No user has that id or username.
    #[error("unknown user {0}")]
    UnknownUser(String),
    /// Another consumer has that key; nothing was changed.
    #[error("a consumer with the key {0} exists already")]
    ConsumerExists(ConsumerKey),
    /// A token with that name exists already; nothing was changed.
    #[error("the token {0} exists already")]
    TokenExists(Token),
    /// Another user has that id or username; nothing was changed.
    #[error("a user with that id or username exists already")]
    UserExists,
    /// The consumer is disabled.
    #[error("the consumer {0} is disabled")]
    ConsumerDisabled(ConsumerKey),
    /// The consumer lacks the flow that the call needs.
    #[error("the consumer {key} does not have the flow {}", .flow.name())]
    FlowNotAllowed {
        /// The consumer's key.
        key: ConsumerKey,
        /// The missing flow.
        flow: Flow,
    },
    /// The user is disabled or was deleted.
    #[error("the user is disabled")]
    UserDisabled,
    /// The temporary credentials have expired.
    #[error("the temporary credentials have expired; request new ones")]
    RequestTokenExpired,
    /// The user has decided already.
    #[error("the user has decided about these temporary credentials already")]
    RequestTokenDecided,
    /// The user has not decided yet.
    #[error("the user has not authorized these temporary credentials yet")]
    RequestTokenUndecided,
    /// The user refused, or too many wrong verifiers were sent.
    #[error(
        "the user refused, or too many wrong verifiers were sent; request new temporary credentials"
    )]
    RequestTokenRefused,
    /// The temporary credentials were exchanged already.
    #[error("the temporary credentials were exchanged already")]
    RequestTokenUsed,
    /// The verifier is not the one that the user received.
    #[error("the verifier is not the one that the user received")]
    VerifierRefused,
    /// No user has that name and password. The error does not say which of them is wrong.
    #[error("unknown user or wrong password")]
    PasswordRefused,
    /// Too many wrong passwords; holds the time until the next attempt is accepted.
    #[error("too many wrong passwords; try again in {} s", .0.as_secs())]
    TooManyAttempts(Duration),
    /// The key that sealed an export is not in the master key file; nothing was changed.
    #[error(
        "the export is sealed with the master key {0:?}, which is not in the master key file of this server; add the line of that key to the file"
    )]
    MissingMasterKey(Box<str>),
    /// The user directory failed.
    #[error(transparent)]
    Directory(#[from] super::DirectoryError),
    /// The record was changed since the caller read it, or by others at the same time; this change
    /// was not made.
    #[error("the record was changed by another call")]
    Conflict,
    /// The store failed. If it is unavailable, the change may or may not have been made.
    #[error(transparent)]
    Store(#[from] StoreError),
}
