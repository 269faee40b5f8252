//! The changes that this process made lately, so that it can make them again if Redis loses them.
//!
//! Redis acknowledges a write before it has replicated it, or written it to its disk. So the last
//! acknowledged changes are missing after a failover or a restart. Each process remembers its own,
//! in the sealed form in which they are stored, within bounds of age, number and size. Only the
//! last change of a record counts; the versions before it are kept as its ancestors, to tell a
//! record that Redis took back from one that another replica changed since.
//!
//! Sessions and temporary credentials, which any browser can change, have bounds of their own, so
//! that nobody can displace the changes of an administrator.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::keys;
use crate::model::{ConsumerKey, SessionId, Token, UserId};
use crate::store::record::RecordKind;

/// A change that Redis acknowledged.
#[derive(Clone)]
pub(super) struct RecentChange {
    /// The record and what was done to it.
    pub(super) kind: ChangeKind,
    /// The stored bytes: those that were written, or those that were deleted.
    pub(super) bytes: Vec<u8>,
    /// The revision of the record in these bytes.
    revision: u64,
    /// The stored bytes of the versions before, the oldest first; none if the record was created.
    ancestors: Vec<Vec<u8>>,
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
pub(super) struct RecentChanges {
    /// Those of consumers, tokens and users.
    records: Mutex<ChangeMemory>,
    /// Those of sessions and temporary credentials.
    flows: Mutex<ChangeMemory>,
}

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
    /// Returns a change that wrote, or deleted, `bytes` of this revision.
    pub(super) fn new(kind: ChangeKind, revision: u64, bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            kind,
            bytes: bytes.into(),
            revision,
            ancestors: Vec::new(),
        }
    }

    /// Returns the change with the bytes that it replaced; empty bytes stand for no record.
    pub(super) fn replacing(mut self, before: &[u8]) -> Self {
        if !before.is_empty() {
            self.ancestors.push(before.to_vec());
        }
        self
    }

    /// Returns the stored bytes of the known versions before, the oldest first.
    pub(super) fn ancestors(&self) -> impl Iterator<Item = &[u8]> {
        self.ancestors.iter().map(Vec::as_slice)
    }

    /// Returns `true` if the change was made before `other`, a change of the same record that this
    /// process remembered first.
    fn precedes(&self, other: &Self) -> bool {
        if self.ancestors.is_empty() || self.kind.is_deletion() {
            return false;
        }
        if other.kind.is_deletion() {
            return self.bytes == other.bytes;
        }
        self.revision < other.revision
    }

    /// Adds an earlier version of the record, and the versions before it, to the ancestors.
    fn add_earlier(&mut self, earlier: Self) {
        if self.kind.is_deletion() || earlier.kind.is_deletion() {
            return;
        }
        let own = std::mem::take(&mut self.ancestors);
        let all = earlier.ancestors.into_iter().chain([earlier.bytes]);
        for version in all.chain(own) {
            if version != self.bytes && !self.ancestors.contains(&version) {
                self.ancestors.push(version);
            }
        }
        let surplus = self.ancestors.len().saturating_sub(MAX_ANCESTORS);
        self.ancestors.drain(..surplus);
    }

    fn reseal(&mut self, reseal: impl Fn(RecordKind, &[u8], &[u8]) -> Option<Vec<u8>>) {
        let Some((kind, name)) = self.kind.sealed_record() else {
            return;
        };
        for bytes in std::iter::once(&mut self.bytes).chain(&mut self.ancestors) {
            if let Some(resealed) = reseal(kind, name, bytes) {
                *bytes = resealed;
            }
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

    /// Returns the kind and the name to which the stored bytes are bound; `None` if there are none.
    fn sealed_record(&self) -> Option<(RecordKind, &[u8])> {
        match self {
            Self::Consumer(key) | Self::ConsumerDeletion(key) => {
                Some((RecordKind::Consumer, key.as_str().as_bytes()))
            }
            Self::Token(name) | Self::TokenDeletion(name) => {
                Some((RecordKind::Token, name.as_str().as_bytes()))
            }
            Self::User(id) => Some((RecordKind::User, id.as_str().as_bytes())),
            Self::RequestToken(name) => Some((RecordKind::RequestToken, name.as_str().as_bytes())),
            Self::SessionDeletion(_) => None,
        }
    }

    const fn is_of_a_flow(&self) -> bool {
        matches!(self, Self::RequestToken(_) | Self::SessionDeletion(_))
    }

    const fn is_deletion(&self) -> bool {
        matches!(
            self,
            Self::ConsumerDeletion(_) | Self::TokenDeletion(_) | Self::SessionDeletion(_)
        )
    }
}

// === impl RecentChanges ===

impl RecentChanges {
    /// Remembers the later of a change and the remembered one of that record, and forgets the
    /// oldest beyond the bounds.
    pub(super) fn remember(&self, change: RecentChange) {
        let mut memory = lock(if change.kind.is_of_a_flow() {
            &self.flows
        } else {
            &self.records
        });
        memory.insert(change);
        while memory.bytes > MAX_BYTES || memory.changes.len() > MAX_CHANGES {
            memory.forget_oldest();
        }
    }

    /// Forgets the changes that Redis has had for long enough. To be called only while Redis is
    /// known to be up: an outage makes no change more durable.
    pub(super) fn forget_old(&self) {
        for memory in [&self.records, &self.flows] {
            lock(memory).forget_old();
        }
    }

    /// Replaces the stored bytes of every change by those that `reseal` returns, after the master keys
    /// were replaced: the key of a remembered change may be removed before the change is made again.
    pub(super) fn reseal(&self, reseal: impl Fn(RecordKind, &[u8], &[u8]) -> Option<Vec<u8>>) {
        for memory in [&self.records, &self.flows] {
            lock(memory).reseal(&reseal);
        }
    }

    /// Returns `true` if there is no change.
    pub(super) fn is_empty(&self) -> bool {
        lock(&self.records).changes.is_empty() && lock(&self.flows).changes.is_empty()
    }

    /// Returns the changes, those of each kind of record in the order in which they were made.
    pub(super) fn all(&self) -> Vec<RememberedChange> {
        let mut all: Vec<_> = lock(&self.records).changes.values().cloned().collect();
        all.extend(lock(&self.flows).changes.values().cloned());
        all
    }
}

fn lock(memory: &Mutex<ChangeMemory>) -> MutexGuard<'_, ChangeMemory> {
    memory.lock().unwrap_or_else(PoisonError::into_inner)
}

// === impl ChangeMemory ===

impl ChangeMemory {
    fn insert(&mut self, mut change: RecentChange) {
        let number = self.next;
        self.next += 1;
        if let Some(remembered) = self.last.insert(change.record(), number)
            && let Some(remembered) = self.changes.remove(&remembered)
        {
            self.bytes -= size_of_change(&remembered.change);
            let mut other = Arc::unwrap_or_clone(remembered.change);
            // Two calls may be acknowledged in another order than they were made.
            if change.precedes(&other) {
                std::mem::swap(&mut change, &mut other);
            }
            change.add_earlier(other);
        }
        self.bytes += size_of_change(&change);
        let change = RememberedChange {
            change: Arc::new(change),
            made_at: Instant::now(),
        };
        self.changes.insert(number, change);
    }

    fn reseal(&mut self, reseal: &impl Fn(RecordKind, &[u8], &[u8]) -> Option<Vec<u8>>) {
        for remembered in self.changes.values_mut() {
            let change = Arc::make_mut(&mut remembered.change);
            self.bytes -= size_of_change(change);
            change.reseal(reseal);
            self.bytes += size_of_change(change);
        }
    }

    fn forget_old(&mut self) {
        while self
            .changes
            .first_key_value()
            .is_some_and(|(_, first)| first.made_at.elapsed() > MAX_AGE)
        {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, oldest)) = self.changes.pop_first() {
            self.bytes -= size_of_change(&oldest.change);
            self.last.remove(&oldest.change.record());
        }
    }
}

/// Returns the approximate memory that a change takes.
fn size_of_change(change: &RecentChange) -> usize {
    let ancestors = change.ancestors.iter();
    let ancestors = ancestors.map(|ancestor| ancestor.len() + size_of::<Vec<u8>>());
    change.bytes.len() + ancestors.sum::<usize>() + OVERHEAD
}

/// The longest time for which a change is remembered while Redis is up: much longer than a replica
/// lags, and than Redis takes to write to its disk.
const MAX_AGE: Duration = Duration::from_secs(60);

/// The maximum number of remembered changes, of records and of flows each.
const MAX_CHANGES: usize = 10_000;

/// The maximum number of ancestors of a change.
const MAX_ANCESTORS: usize = 16;

/// The maximum memory of remembered changes, of records and of flows each: 16 MiB.
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
        assert_eq!(lock(&changes.records).bytes, 0);
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
        let memory = lock(&changes.records);
        assert!(memory.bytes <= MAX_BYTES && memory.changes.len() == memory.last.len());
    }

    #[test]
    fn changes_of_browsers_displace_none_of_an_administrator() {
        let changes = RecentChanges::default();
        changes.remember(token("revoked", 1));
        for at in 0..MAX_CHANGES + 5 {
            let id = SessionId::of_cookie(&at.to_be_bytes());
            let deletion = ChangeKind::SessionDeletion(id);
            changes.remember(RecentChange::new(deletion, 1, [1]));
        }
        let all = changes.all();
        assert_eq!(all.len(), 1 + MAX_CHANGES);
        assert!(matches!(all[0].change.kind, ChangeKind::Token(_)));
    }

    #[test]
    fn of_two_changes_of_a_record_the_later_revision_counts_with_both_pasts() {
        let changes = RecentChanges::default();
        changes.remember(version(3).replacing(&[2]));
        changes.remember(version(2).replacing(&[1]));
        let all = changes.all();
        let kept = &all[0].change;
        assert!(all.len() == 1 && kept.bytes == [3]);
        assert_eq!(kept.ancestors().collect::<Vec<_>>(), [[1], [2]]);
        // Another record of that name.
        changes.remember(version(1));
        assert_eq!(changes.all()[0].change.bytes, [1]);
    }

    #[test]
    fn a_deletion_counts_more_than_the_changes_before_it() {
        let changes = RecentChanges::default();
        let deletion = ChangeKind::TokenDeletion(Token::new("t").unwrap());
        changes.remember(RecentChange::new(deletion, 2, [2]));
        changes.remember(version(2).replacing(&[1]));
        assert!(changes.all()[0].change.kind.is_deletion());
        // This one changed another record, which took the name later.
        changes.remember(version(4).replacing(&[3]));
        assert!(!changes.all()[0].change.kind.is_deletion());
    }

    #[test]
    fn every_version_of_a_change_is_sealed_again() {
        let changes = RecentChanges::default();
        changes.remember(version(1));
        changes.remember(version(2).replacing(&[1]));
        let deletion = ChangeKind::SessionDeletion(SessionId::of_cookie(b"c"));
        changes.remember(RecentChange::new(deletion, 1, []));
        changes.reseal(|kind, name, bytes| {
            assert_eq!((kind, name), (RecordKind::Token, &b"t"[..]));
            Some([bytes, &[7, 7, 7]].concat())
        });
        let all = changes.all();
        assert_eq!(all[0].change.bytes, [2, 7, 7, 7]);
        let ancestors: Vec<_> = all[0].change.ancestors().collect();
        assert_eq!(ancestors, [[1, 7, 7, 7]]);
        assert!(all[1].change.bytes.is_empty());
        assert_eq!(lock(&changes.records).bytes, size_of_change(&all[0].change));
    }

    #[test]
    fn the_number_of_ancestors_is_bounded() {
        let changes = RecentChanges::default();
        for at in 1..=40 {
            changes.remember(version(at).replacing(&[at - 1]));
        }
        let all = changes.all();
        let ancestors: Vec<_> = all[0].change.ancestors().collect();
        assert_eq!(ancestors.len(), MAX_ANCESTORS);
        assert_eq!(ancestors.last(), Some(&&[39][..]));
        assert_eq!(lock(&changes.records).bytes, size_of_change(&all[0].change));
    }

    /// Returns a version of the token `t` whose bytes are its revision.
    fn version(revision: u8) -> RecentChange {
        let kind = ChangeKind::Token(Token::new("t").unwrap());
        RecentChange::new(kind, revision.into(), [revision])
    }

    fn token(name: &str, len: usize) -> RecentChange {
        let kind = ChangeKind::Token(Token::new(name).unwrap());
        RecentChange::new(kind, 1, vec![0; len])
    }
}
