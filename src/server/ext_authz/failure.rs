//! Our own failures: never an answer about the caller.

use tonic::Status;

use crate::store::StoreError;

/// Why *we* could not decide.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The store could not answer.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The deadline passed.
    #[error("the deadline passed before there was a decision")]
    Deadline,
    /// A handler panicked.
    #[error("the check panicked")]
    Panic,
    /// Envoy's configuration has a mistake.
    #[error("context_extensions: {0}")]
    ContextExtension(String),
}

impl Failure {
    /// Its name in logs and metrics.
    pub(super) const fn label(&self) -> &'static str {
        match self {
            Self::Store(_) => "store",
            Self::Deadline => "deadline",
            Self::Panic => "panic",
            Self::ContextExtension(_) => "context_extension",
        }
    }

    /// The gRPC status that lets Envoy's failure mode decide; tells nothing of the inside.
    pub(super) fn status(&self) -> Status {
        match self {
            Self::Store(error) if !error.is_transient() => {
                Status::internal("the stored credentials can not be used")
            }
            Self::Store(_) => Status::unavailable("the credential store is unavailable"),
            Self::Deadline => Status::unavailable("the check was not decided in time"),
            Self::Panic => Status::internal("the check failed"),
            Self::ContextExtension(_) => {
                Status::internal("the route's context_extensions have a mistake")
            }
        }
    }
}
