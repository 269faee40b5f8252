//! Who is told when a record changes, so that nothing stale is kept.

use std::fmt;
use std::sync::{PoisonError, RwLock, Weak};

use super::{StoreError, StoreErrorKind};
use crate::model::{ConsumerKey, Token, UserId};

/// What changed: created, replaced or deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// That consumer.
    Consumer(ConsumerKey),
    /// That access token, whoever's it is.
    Token(Token),
    /// That user.
    User(UserId),
    /// Anything: changes may have been missed.
    Everything,
}

impl Change {
    /// What kind of record it is about, as metrics name it.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Consumer(_) => "consumer",
            Self::Token(_) => "token",
            Self::User(_) => "user",
            Self::Everything => "everything",
        }
    }
}

/// Whoever keeps copies of records.
pub trait Observe: Send + Sync {
    /// Forgets what changed. Called by whoever noticed the change: it must not block.
    fn observe(&self, change: &Change);
}

/// Tells observers of changes: of this process before the call that made them returns, of others as they are heard of.
#[derive(Default)]
pub struct Changes {
    observers: RwLock<Vec<Weak<dyn Observe>>>,
}

impl Changes {
    /// Tells `observer` of every change from now on, as long as it lives.
    pub fn subscribe(&self, observer: Weak<dyn Observe>) {
        let mut observers = self
            .observers
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        observers.retain(|observer| observer.strong_count() > 0);
        observers.push(observer);
    }

    /// Tells every observer.
    pub(super) fn tell(&self, change: &Change) {
        let observers = self
            .observers
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        observers
            .iter()
            .filter_map(Weak::upgrade)
            .for_each(|observer| observer.observe(change));
    }
}

/// Whether a change was made, or failed so that it may have been.
pub(super) fn may_have_changed<T>(outcome: &Result<T, StoreError>) -> bool {
    let refused = [StoreErrorKind::AlreadyExists, StoreErrorKind::Conflict];
    outcome
        .as_ref()
        .err()
        .is_none_or(|error| !refused.contains(&error.kind()))
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changes").finish_non_exhaustive()
    }
}
