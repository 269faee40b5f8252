//! Why a request was refused by the protocol alone (RFC 5849 section 3.2).

/// Why a request was refused. Placeholder of the skeleton.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// The signature does not match.
    #[error("the signature does not match")]
    SignatureMismatch,
}
