//! Errors of a store.

/// The reason why a store could not do its work; never carries a secret or a key.
#[derive(Debug, thiserror::Error)]
#[error("{context} failed: {kind}")]
pub struct StoreError {
    kind: StoreErrorKind,
    context: &'static str,
    is_outage: bool,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The kinds of [`StoreError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// The store did not answer in time, could not be reached, is loading, or is not the writable
    /// one.
    #[error("the store is unavailable")]
    Unavailable,
    /// The clock of the store differs too much from this host's for any claim of a nonce.
    #[error("the clock of the store differs too much from this host's")]
    ClockSkew,
    /// There is a record of that name already.
    #[error("the name is already taken")]
    AlreadyExists,
    /// The record was changed or deleted at the same time.
    #[error("the record was changed or deleted at the same time")]
    Conflict,
    /// A record cannot be read: it is damaged, was written by something other than Countersign, or
    /// is sealed with a master key that is not configured.
    #[error("the stored record cannot be read")]
    Unreadable,
    /// The master key is not the one that the store was written with, so other replicas could not
    /// read what this one writes.
    #[error("the master key is not the one that the store was written with")]
    WrongMasterKey,
    /// The store cannot work as it is configured.
    #[error("the store cannot work as configured")]
    Unusable,
}

impl StoreErrorKind {
    /// Returns the name of the kind in metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Unavailable => "unavailable",
            Self::ClockSkew => "clock_skew",
            Self::AlreadyExists => "already_exists",
            Self::Conflict => "conflict",
            Self::Unreadable => "unreadable",
            Self::WrongMasterKey => "wrong_master_key",
            Self::Unusable => "unusable",
        }
    }
}

impl StoreError {
    /// Returns an error of that kind; `context` is the work that failed, as in "reading a record".
    pub const fn new(kind: StoreErrorKind, context: &'static str) -> Self {
        Self {
            kind,
            context,
            is_outage: false,
            source: None,
        }
    }

    /// Adds the cause, which must not carry a secret or a key.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Notes whether the store is in an outage: nobody can reach it, so that nothing else will
    /// succeed at this time.
    #[must_use]
    pub const fn in_outage(mut self, is_outage: bool) -> Self {
        self.is_outage = is_outage;
        self
    }

    /// Returns `true` if the store is in an outage. A single call that takes too long does not show
    /// one.
    pub const fn is_outage(&self) -> bool {
        self.is_outage
    }

    /// Returns the kind of the error.
    pub const fn kind(&self) -> StoreErrorKind {
        self.kind
    }

    /// Returns the work that failed.
    pub const fn context(&self) -> &'static str {
        self.context
    }

    /// Returns the error and its causes in one line, as operators read them.
    pub fn with_causes(&self) -> String {
        let causes = std::iter::successors(std::error::Error::source(self), |cause| cause.source());
        causes.fold(self.to_string(), |text, cause| format!("{text}: {cause}"))
    }

    /// Returns `true` if the error may pass by itself.
    pub const fn is_transient(&self) -> bool {
        matches!(
            self.kind,
            StoreErrorKind::Unavailable | StoreErrorKind::ClockSkew
        )
    }
}

/// Returns the error for a use of a store after its
/// [`close`](super::StoreLifecycle::close).
pub(super) fn closed() -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, "using the store").because("the store is closed")
}

/// Returns the error for a record that has another revision than the change expects.
pub(super) fn conflict() -> StoreError {
    StoreError::new(StoreErrorKind::Conflict, "updating a record")
}

/// Makes a change, and makes it again after a conflict, since the record may only have been sealed
/// again. `change` compares the revision itself, so a change by others stays a conflict.
pub(super) async fn again_if_resealed<T, F: Future<Output = Result<T, StoreError>>>(
    change: impl Fn() -> F,
) -> Result<T, StoreError> {
    for _ in 1..ATTEMPTS {
        match change().await {
            Err(error) if error.kind() == StoreErrorKind::Conflict => {}
            outcome => return outcome,
        }
    }
    change().await
}

/// The number of attempts at a change: a record is sealed again once in a rotation of the master
/// key.
const ATTEMPTS: u32 = 3;

/// Returns a conflict unless revision `new` is the one after `stored`.
pub(super) fn check_follows(stored: u64, new: u64) -> Result<(), StoreError> {
    if stored.checked_add(1) == Some(new) {
        Ok(())
    } else {
        Err(conflict())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_next_revision_follows() {
        assert!(check_follows(1, 2).is_ok());
        for (stored, new) in [(1, 1), (1, 3), (2, 1), (u64::MAX, 0)] {
            let error = check_follows(stored, new).expect_err("a conflict");
            assert_eq!(error.kind(), StoreErrorKind::Conflict, "{stored} {new}");
        }
    }
}
