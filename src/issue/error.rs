//! Why something was not issued or changed.

use std::time::Duration;

use super::Violations;
use crate::model::{ConsumerKey, Flow, Token};
use crate::store::StoreError;

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
    /// There are no such temporary credentials, or they are another consumer's than was said.
    #[error("there are no temporary credentials {0}")]
    UnknownRequestToken(Token),
    /// No user has that id or username.
    #[error("there is no user {0}")]
    UnknownUser(String),
    /// Another consumer has that key; nothing was changed.
    #[error("there is a consumer with the key {0} already")]
    ConsumerExists(ConsumerKey),
    /// There is a token of that name already; nothing was changed.
    #[error("there is a token {0} already")]
    TokenExists(Token),
    /// Another user has that id or username; nothing was changed.
    #[error("there is a user with that id or username already")]
    UserExists,
    /// The consumer is disabled.
    #[error("the consumer {0} is disabled")]
    ConsumerDisabled(ConsumerKey),
    /// The consumer may not obtain credentials in that way.
    #[error("the consumer {key} does not have the flow {}", .flow.name())]
    FlowNotAllowed {
        /// Which consumer.
        key: ConsumerKey,
        /// The flow that it would need.
        flow: Flow,
    },
    /// The user is disabled or was deleted.
    #[error("the user is disabled")]
    UserDisabled,
    /// The temporary credentials have expired.
    #[error("the temporary credentials have expired; ask for new ones")]
    RequestTokenExpired,
    /// The user has decided already.
    #[error("the user has decided about these temporary credentials already")]
    RequestTokenDecided,
    /// The user has not decided yet.
    #[error("the user has not authorized these temporary credentials yet")]
    RequestTokenUndecided,
    /// The user refused, or too many wrong verifiers were sent.
    #[error(
        "the user refused, or too many wrong verifiers were sent; ask for new temporary credentials"
    )]
    RequestTokenRefused,
    /// They were exchanged already.
    #[error("the temporary credentials were exchanged already")]
    RequestTokenUsed,
    /// The verifier is not the one that the user came back with.
    #[error("the verifier is not the one that the user was given")]
    VerifierRefused,
    /// Nobody has that name and password; which of them is wrong is not told.
    #[error("unknown user or wrong password")]
    PasswordRefused,
    /// Too many wrong passwords; how long until another is looked at.
    #[error("too many wrong passwords; try again in {} s", .0.as_secs())]
    TooManyAttempts(Duration),
    /// The operator's user directory could not answer.
    #[error(transparent)]
    Directory(#[from] super::DirectoryError),
    /// Others kept changing the record at the same time, or it was changed since it was read; this change was not made.
    #[error("changed by somebody else at the same time")]
    Conflict,
    /// The store failed; when it is unavailable, a change may or may not have been made.
    #[error(transparent)]
    Store(#[from] StoreError),
}
