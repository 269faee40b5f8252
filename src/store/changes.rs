//! The feed that announces changes of records, so that caches drop stale copies.

use std::fmt;
use std::sync::{PoisonError, RwLock, Weak};

use super::{StoreError, StoreErrorKind};
use crate::model::{ConsumerKey, Token, UserId};

/// A record that was created, updated or deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordChange {
    /// A consumer.
    Consumer(ConsumerKey),
    /// An access token, whichever consumer it belongs to.
    Token(Token),
    /// A user.
    User(UserId),
    /// Any record: changes may have been missed.
    Everything,
}

impl RecordChange {
    /// Returns the kind of record, as metrics name it.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Consumer(_) => "consumer",
            Self::Token(_) => "token",
            Self::User(_) => "user",
            Self::Everything => "everything",
        }
    }
}

/// A cache, or anything else that must learn of changes.
pub trait ChangeObserver: Send + Sync {
    /// Invalidates copies of the changed record. Must not block, since the thread that made the
    /// change calls it.
    fn on_change(&self, change: &RecordChange);
}

/// The observers of one store.
///
/// A change that this process makes reaches them before the call that made it returns; a change of
/// another replica reaches them once this process learns of it.
#[derive(Default)]
pub struct ChangeFeed {
    observers: RwLock<Vec<Weak<dyn ChangeObserver>>>,
}

impl ChangeFeed {
    /// Announces every change from now on to `observer`, as long as it lives.
    pub fn subscribe(&self, observer: Weak<dyn ChangeObserver>) {
        let mut observers = self
            .observers
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        observers.retain(|observer| observer.strong_count() > 0);
        observers.push(observer);
    }

    /// Announces a change to every observer.
    pub(super) fn announce(&self, change: &RecordChange) {
        let observers = self
            .observers
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        observers
            .iter()
            .filter_map(Weak::upgrade)
            .for_each(|observer| observer.on_change(change));
    }
}

/// Returns `true` if a call made its change, or failed in a way that leaves this open.
pub(super) fn may_have_changed<T>(outcome: &Result<T, StoreError>) -> bool {
    let refused = [
        StoreErrorKind::AlreadyExists,
        StoreErrorKind::Conflict,
        StoreErrorKind::WrongMasterKey,
    ];
    outcome
        .as_ref()
        .err()
        .is_none_or(|error| !refused.contains(&error.kind()))
}

impl fmt::Debug for ChangeFeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChangeFeed").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_refused_change_leaves_the_record_as_it_was() {
        let failed = |kind| Err::<(), _>(StoreError::new(kind, "testing"));
        assert!(may_have_changed(&Ok(())));
        for kind in [StoreErrorKind::Unavailable, StoreErrorKind::Unusable] {
            assert!(may_have_changed(&failed(kind)), "{kind}");
        }
        for kind in [
            StoreErrorKind::AlreadyExists,
            StoreErrorKind::Conflict,
            StoreErrorKind::WrongMasterKey,
        ] {
            assert!(!may_have_changed(&failed(kind)), "{kind}");
        }
    }
}
