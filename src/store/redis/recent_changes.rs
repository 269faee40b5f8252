//! The changes that this process made lately, so that it can make them again if Redis loses them.
//!
//! Redis acknowledges a write before it has replicated it, or written it to its disk. So the last
//! acknowledged changes are missing after a failover or a restart. Each process remembers its own,
//! in the sealed form in which they are stored, within bounds of age, number and size. Only the
//! last change of a record counts.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::keys;
use crate::model::{ConsumerKey, SessionId, Token, UserId};

/// A change that Redis acknowledged.
#[derive(Clone)]
pub(super) struct RecentChange {
    /// The record and what was done to it.
    pub(super) kind: ChangeKind,
    /// The stored bytes: those that were written, or those that were deleted.
    pub(super) bytes: Vec<u8>,
}

/// The kinds of changes.
#[derive(Clone)]
pub(super) enum ChangeKind {
    /// The consumer was created or updated.
    Consumer(ConsumerKey),
    /// The consumer was deleted.
    ConsumerDeletion(ConsumerKey),
    /// The token was created or updated.
    Token(Token),
    /// The token was deleted.
    TokenDeletion(Token),
    /// The user was created, updated or marked as deleted.
    User(UserId),
    /// The temporary credentials were updated or exchanged.
    RequestToken(Token),
    /// The session was deleted.
    SessionDeletion(SessionId),
}

/// The changes of the last minute.
#[derive(Default)]
pub(super) struct RecentChanges(Mutex<ChangeMemory>);

#[derive(Default)]
struct ChangeMemory {
    /// In the order in which they were made.
    changes: BTreeMap<u64, RememberedChange>,
    /// The last change of each record.
    last: HashMap<String, u64>,
    next: u64,
    bytes: usize,
}

/// A change with the time at which it was acknowledged.
#[derive(Clone)]
pub(super) struct RememberedChange {
    pub(super) change: Arc<RecentChange>,
    pub(super) made_at: Instant,
}

// === impl RecentChange ===

impl RecentChange {
    /// Returns a change that wrote, or deleted, `bytes`.
    pub(super) fn new(kind: ChangeKind, bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            kind,
            bytes: bytes.into(),
        }
    }

    /// Returns the name of the changed record, different for each.
    fn record(&self) -> String {
        match &self.kind {
            ChangeKind::Consumer(key) | ChangeKind::ConsumerDeletion(key) => keys::consumer(key),
            ChangeKind::Token(name) | ChangeKind::TokenDeletion(name) => keys::owner(name),
            ChangeKind::User(id) => keys::user(id),
            ChangeKind::RequestToken(name) => keys::request_owner(name),
            ChangeKind::SessionDeletion(id) => keys::session(id),
        }
    }
}

// === impl ChangeKind ===

impl ChangeKind {
    /// Returns the kind of record, for the log.
    pub(super) const fn label(&self) -> &'static str {
        match self {
            Self::Consumer(_) | Self::ConsumerDeletion(_) => "consumer",
            Self::Token(_) | Self::TokenDeletion(_) => "token",
            Self::User(_) => "user",
            Self::RequestToken(_) => "temporary credentials",
            Self::SessionDeletion(_) => "session",
        }
    }
}

// === impl RecentChanges ===

impl RecentChanges {
    /// Remembers a change instead of an earlier one of that record, and forgets the oldest beyond
    /// the bounds.
    pub(super) fn remember(&self, change: RecentChange) {
        let mut memory = self.memory();
        memory.insert(change);
        while memory.bytes > MAX_BYTES || memory.changes.len() > MAX_CHANGES {
            memory.forget_oldest();
        }
    }

    /// Forgets the changes that Redis has had for long enough. To be called only while Redis is
    /// known to be up: an outage makes no change more durable.
    pub(super) fn forget_old(&self) {
        let mut memory = self.memory();
        while memory
            .changes
            .first_key_value()
            .is_some_and(|(_, first)| first.made_at.elapsed() > MAX_AGE)
        {
            memory.forget_oldest();
        }
    }

    /// Returns `true` if there is no change.
    pub(super) fn is_empty(&self) -> bool {
        self.memory().changes.is_empty()
    }

    /// Returns the changes in the order in which they were made.
    pub(super) fn all(&self) -> Vec<RememberedChange> {
        self.memory().changes.values().cloned().collect()
    }

    fn memory(&self) -> MutexGuard<'_, ChangeMemory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl ChangeMemory ===

impl ChangeMemory {
    fn insert(&mut self, change: RecentChange) {
        let number = self.next;
        self.next += 1;
        self.bytes += size_of(&change);
        if let Some(earlier) = self.last.insert(change.record(), number)
            && let Some(earlier) = self.changes.remove(&earlier)
        {
            self.bytes -= size_of(&earlier.change);
        }
        let change = RememberedChange {
            change: Arc::new(change),
            made_at: Instant::now(),
        };
        self.changes.insert(number, change);
    }

    fn forget_oldest(&mut self) {
        if let Some((_, oldest)) = self.changes.pop_first() {
            self.bytes -= size_of(&oldest.change);
            self.last.remove(&oldest.change.record());
        }
    }
}

/// Returns the approximate memory that a change takes.
fn size_of(change: &RecentChange) -> usize {
    change.bytes.len() + OVERHEAD
}

/// The longest time for which a change is remembered while Redis is up: much longer than a replica
/// lags, and than Redis takes to write to its disk.
const MAX_AGE: Duration = Duration::from_secs(60);

/// The maximum number of remembered changes.
const MAX_CHANGES: usize = 10_000;

/// The maximum memory of remembered changes: 16 MiB.
const MAX_BYTES: usize = 16 << 20;

/// The approximate memory of a change besides its bytes: two names and the entries of two maps.
const OVERHEAD: usize = 400;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_last_change_of_a_record_counts_for_a_minute() {
        let changes = RecentChanges::default();
        changes.remember(token("t", 1));
        changes.remember(token("u", 2));
        changes.remember(token("t", 3));
        let kept = |changes: &RecentChanges| {
            let all = changes.all();
            all.iter()
                .map(|remembered| remembered.change.bytes.len())
                .collect::<Vec<_>>()
        };
        assert_eq!(kept(&changes), [2, 3]);
        tokio::time::advance(MAX_AGE).await;
        changes.remember(token("v", 4));
        changes.forget_old();
        assert_eq!(kept(&changes), [2, 3, 4]);
        tokio::time::advance(Duration::from_millis(1)).await;
        changes.forget_old();
        assert_eq!(kept(&changes), [4]);
        tokio::time::advance(MAX_AGE * 2).await;
        changes.forget_old();
        assert!(changes.is_empty());
        assert_eq!(changes.memory().bytes, 0);
    }

    #[test]
    fn number_and_size_are_bounded() {
        let changes = RecentChanges::default();
        for at in 0..MAX_CHANGES + 5 {
            changes.remember(token(&format!("t{at}"), 1));
        }
        assert_eq!(changes.all().len(), MAX_CHANGES);
        for at in 0..20 {
            changes.remember(token(&format!("large{at}"), 1 << 20));
        }
        let memory = changes.memory();
        assert!(memory.bytes <= MAX_BYTES && memory.changes.len() == memory.last.len());
    }

    fn token(name: &str, len: usize) -> RecentChange {
        RecentChange::new(ChangeKind::Token(Token::new(name).unwrap()), vec![0; len])
    }
}
