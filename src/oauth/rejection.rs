//! Why a request was refused by the protocol alone (RFC 5849 section 3.2).

/// Why a request was refused. Placeholder of the skeleton.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// The signature does not match.
    #[error("the signature does not match")]
    SignatureMismatch,
}

/// Stub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RejectionKind {
    /// a
    Malformed,
    /// b
    NotProven,
    /// c
    BodyNotWhole,
}
impl Rejection {
    /// a
    pub const fn reason(self) -> &'static str {
        "signature_mismatch"
    }
    /// a
    pub const fn problem(self) -> &'static str {
        "signature_invalid"
    }
    /// a
    pub const fn kind(self) -> RejectionKind {
        RejectionKind::NotProven
    }
}
