//! Failures of ours during a check, which say nothing about the caller.

use tonic::Status;

use crate::server::denial::report::OwnFailure;
use crate::store::StoreError;

/// A failure of ours during a check.
#[derive(Debug, thiserror::Error)]
pub(super) enum CheckFailure {
    /// The store could not answer.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The deadline passed.
    #[error("the check was not decided before its deadline")]
    Deadline,
    /// The thread has too many checks to answer this one in time.
    #[error("the check was refused: its thread is overloaded")]
    Overloaded,
    /// The check panicked.
    #[error("the check panicked; this is a bug in Countersign")]
    Panic,
    /// Envoy's configuration is invalid.
    #[error("invalid context_extensions of the route: {0}")]
    ContextExtension(String),
}

impl CheckFailure {
    /// Returns the gRPC status that lets Envoy's failure mode decide. It shows no internals.
    pub(super) fn status(&self) -> Status {
        match self {
            Self::Store(error) if !error.is_transient() => {
                Status::internal("the stored credentials are unusable")
            }
            Self::Store(_) => Status::unavailable(
                "the credential store is unavailable; sign the request again, with a new nonce",
            ),
            Self::Deadline => Status::unavailable(
                "the check was not decided in time; sign the request again, with a new nonce",
            ),
            Self::Overloaded => Status::resource_exhausted("too many checks"),
            Self::Panic => Status::internal("the check failed"),
            Self::ContextExtension(_) => {
                Status::internal("the route's context_extensions are invalid")
            }
        }
    }
}

impl OwnFailure for CheckFailure {
    fn label(&self) -> &'static str {
        match self {
            Self::Store(_) => "store",
            Self::Deadline => "deadline",
            Self::Overloaded => "overloaded",
            Self::Panic => "panic",
            Self::ContextExtension(_) => "context_extension",
        }
    }

    fn store_error(&self) -> Option<&StoreError> {
        match self {
            Self::Store(error) => Some(error),
            Self::Deadline | Self::Overloaded | Self::Panic | Self::ContextExtension(_) => None,
        }
    }
}
