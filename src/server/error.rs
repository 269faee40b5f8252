//! The errors that end the service.

use std::io;

use tokio::task::JoinError;

/// An error that ended the service or prevented its start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// A listener ended before the shutdown.
    #[error("a listener ended unexpectedly")]
    Listener(#[source] Option<JoinError>),
    /// A check thread ended before the shutdown.
    #[error("a check thread ended unexpectedly")]
    Worker,
    /// The system cannot start the check threads.
    #[error("cannot start the check threads")]
    Workers(#[source] io::Error),
    /// Server reflection could not be built.
    #[error("cannot build server reflection")]
    Reflection(#[source] tonic_reflection::server::Error),
}
