//! The embedded store: one file, one process; or the same in memory.
//!
//! # What survives what
//!
//! Consumers and tokens are durable before a call that keeps them returns. Nonces would cost one `fsync` each, so they
//! live in memory, and this rule keeps any of them from being used twice all the same:
//!
//! > Every claim that was ever acknowledged is remembered, or its timestamp is not after the fence.
//!
//! ```text
//!               fence                 clock     horizon
//!  ───────────────┼─────────────────────┼──────────┼───────────▶ timestamp
//!     refused            remembered in memory           durable before it is answered
//! ```
//!
//! - The **horizon** is kept in the file, a little ahead of the clock. A claim dated after it is committed to the
//!   file before it is answered, so what is only in memory is never dated after the horizon.
//! - A clean [`close`](crate::store::Store::close) writes every nonce into the file and marks it clean.
//! - Opening a file that is not marked clean moves the **fence** up to the horizon, and to the clock if that is later.
//!   This is the only time that honest requests are refused: those signed before the restart, or in the two seconds
//!   after.
//! - Forgetting an expired nonce moves the fence up to its timestamp. It is outside of the window by then, so nobody
//!   notices, unless the clock is set back: then the fence still refuses it.
//! - When the clock is set back by more than a few seconds, the horizon follows: what is dated after the new one is
//!   committed first. A stop in the short time before leaves a fence far ahead, which is logged at the next start.
//!
//! A copy of the file that is put back later knows nothing of what came after it, as after any restored backup: restore
//! one only while the service is stopped, and set `nonce.not_before` to the time of the restore.

mod disk;
mod file;
mod journal;
mod nonces;

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tracing::{info, warn};

use self::disk::{CONSUMERS, Disk, Records as Table, TOKENS};
use self::journal::Journal;
use self::nonces::{Nonces, Remembered, Verdict};
use super::nonce::NonceId;
use super::record::Records;
use super::{
    AttemptCounter, Changes, CheckStore, Claim, Credentials, NonceClaim, Pulse, Store, StoreError, StoreErrorKind,
    StoreStatus, TokenHolder,
};
use crate::clock::Clock;
use crate::model::{
    AccessToken, Consumer, ConsumerKey, RequestToken, Session, SessionId, Token, User, UserId, UserStanding, Username,
};

/// The store in one file of one process.
pub(super) struct EmbeddedStore {
    records: Records,
    disk: Arc<Disk>,
    nonces: Arc<Nonces>,
    journal: Arc<Journal>,
    clock: Arc<dyn Clock>,
    changes: Changes,
}

// === impl EmbeddedStore ===

impl EmbeddedStore {
    /// Opens the file, or makes it when there is none.
    ///
    /// # Errors
    /// When it is damaged, or open in another process.
    pub(super) async fn open(path: &Path, records: Records, clock: Arc<dyn Clock>) -> Result<Arc<Self>, StoreError> {
        let path = path.to_owned();
        let opened = blocking("opening the store file", move || file::open(&path)).await?;
        Self::start(Disk::new(opened), records, clock).await
    }

    /// A store that is gone with this process.
    pub(super) async fn in_memory(records: Records, clock: Arc<dyn Clock>) -> Result<Arc<Self>, StoreError> {
        Self::start(Disk::new(file::in_memory()?), records, clock).await
    }

    async fn start(disk: Disk, records: Records, clock: Arc<dyn Clock>) -> Result<Arc<Self>, StoreError> {
        let disk = Arc::new(disk);
        let (opening, now) = (Arc::clone(&disk), clock.now());
        let begun = blocking("reading the store file", move || opening.begin(now)).await?;
        if begun.unclean {
            warn!(
                not_before = begun.fence,
                "the store was not closed cleanly; requests signed up to this second are refused, since they may be replays"
            );
        } else {
            info!(nonces = begun.claims.len(), "the store is open");
        }
        let nonces = Arc::new(Nonces::new(begun.fence, begun.horizon, begun.claims));
        let journal = Arc::new(Journal::new(Arc::clone(&disk), Arc::clone(&clock), Arc::clone(&nonces)));
        let store = Arc::new(Self { records, disk, nonces, journal, clock, changes: Changes::default() });
        tokio::spawn(keep_time(Arc::downgrade(&store)));
        Ok(store)
    }

    /// Moves the horizon ahead of the clock and forgets what has expired: what must be done about once a second.
    async fn tick(&self) {
        self.nonces.forget_expired(self.clock.now());
        self.journal.advance().await;
    }

    /// Changes the file, off the threads that answer requests.
    async fn change(
        &self,
        context: &'static str,
        work: impl FnOnce(&Disk) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<(), StoreError> {
        let disk = Arc::clone(&self.disk);
        timeout(WRITE_DEADLINE, blocking(context, move || work(&disk))).await.unwrap_or_else(|_| Err(late(context)))
    }

    fn create(&self, table: Table, key: &str, bytes: Vec<u8>) -> impl Future<Output = Result<(), StoreError>> {
        let key = key.to_owned();
        self.change("keeping a new record", move |disk| {
            disk.put(table, &key, &bytes, |stored| match stored {
                None => Ok(()),
                Some(_) => Err(StoreError::new(StoreErrorKind::AlreadyExists, "keeping a new record")),
            })
        })
    }

    /// Replaces the record if its stored bytes are still `before`.
    fn swap(
        &self,
        table: Table,
        key: &str,
        before: Vec<u8>,
        bytes: Vec<u8>,
    ) -> impl Future<Output = Result<(), StoreError>> {
        let key = key.to_owned();
        self.change("changing a record", move |disk| {
            disk.put(table, &key, &bytes, |stored| if stored == Some(&before) { Ok(()) } else { Err(conflict()) })
        })
    }

    fn stored_consumer(&self, key: &ConsumerKey) -> Result<Option<Consumer>, StoreError> {
        let bytes = self.disk.record(CONSUMERS, key.as_str())?;
        self.records.found_consumer(key, bytes.as_deref())
    }

    fn stored_token(&self, token: &Token) -> Result<Option<AccessToken>, StoreError> {
        let bytes = self.disk.record(TOKENS, token.as_str())?;
        self.records.found_token(token, bytes.as_deref())
    }
}

#[async_trait]
impl CheckStore for EmbeddedStore {
    async fn credentials(&self, consumer: &ConsumerKey, token: Option<&Token>) -> Result<Credentials, StoreError> {
        let token = token.map(|token| self.stored_token(token)).transpose()?.flatten();
        Ok(Credentials {
            consumer: self.stored_consumer(consumer)?.map(Arc::new),
            token: token.filter(|token| token.consumer_key == *consumer).map(Arc::new),
            user: UserStanding::default(),
        })
    }

    async fn claim_nonce(&self, claim: &NonceClaim<'_>) -> Result<Claim, StoreError> {
        let id = NonceId::of(claim);
        let verdict = self.nonces.claim(id, claim)?;
        match verdict {
            Verdict::Replayed => return Ok(Claim::Replayed),
            Verdict::Fenced { not_before } => return Ok(Claim::Fenced { not_before }),
            Verdict::Fresh => self.journal.note_claim(),
            Verdict::FreshOnceDurable => {
                self.journal.note_claim();
                let written = timeout(WRITE_DEADLINE, self.journal.keep((id, Remembered::of(claim)))).await;
                written.unwrap_or_else(|_| Err(late("claiming a nonce")))?;
            }
        }
        Ok(Claim::Fresh)
    }

    fn changes(&self) -> &Changes {
        &self.changes
    }
}

#[async_trait]
impl Pulse for EmbeddedStore {
    async fn ping(&self) -> Result<(), StoreError> {
        self.disk.check_open()?;
        self.journal.check_writable()
    }

    fn status(&self) -> StoreStatus {
        StoreStatus { restarts_seen: 0, nonces: self.nonces.len() }
    }
}

#[async_trait]
impl Store for EmbeddedStore {
    async fn create_consumer(&self, consumer: &Consumer) -> Result<(), StoreError> {
        let bytes = self.records.encode_consumer(consumer)?;
        self.create(CONSUMERS, consumer.key.as_str(), bytes).await
    }

    async fn replace_consumer(&self, consumer: &Consumer) -> Result<(), StoreError> {
        let key = consumer.key.as_str();
        let before = self.disk.record(CONSUMERS, key)?.ok_or_else(conflict)?;
        follows(self.records.decode_consumer(&consumer.key, &before)?.revision, consumer.revision)?;
        self.swap(CONSUMERS, key, before, self.records.encode_consumer(consumer)?).await
    }

    async fn consumer(&self, key: &ConsumerKey) -> Result<Option<Consumer>, StoreError> {
        self.stored_consumer(key)
    }

    async fn consumers(&self, after: Option<&ConsumerKey>, limit: usize) -> Result<Vec<Consumer>, StoreError> {
        let page = self.disk.page(CONSUMERS, after.map(ConsumerKey::as_str), limit)?;
        let decoded = page.iter().map(|(key, bytes)| {
            let key = ConsumerKey::new(key.as_str())
                .map_err(|error| StoreError::new(StoreErrorKind::Unreadable, "listing consumers").because(error))?;
            self.records.decode_consumer(&key, bytes)
        });
        decoded.collect()
    }

    async fn create_token(&self, token: &AccessToken) -> Result<(), StoreError> {
        let bytes = self.records.encode_token(token)?;
        self.create(TOKENS, token.token.as_str(), bytes).await
    }

    async fn replace_token(&self, token: &AccessToken) -> Result<(), StoreError> {
        let name = token.token.as_str();
        let before = self.disk.record(TOKENS, name)?.ok_or_else(conflict)?;
        let stored = self.records.decode_token(&token.token, &before)?;
        if stored.consumer_key != token.consumer_key {
            return Err(conflict());
        }
        follows(stored.revision, token.revision)?;
        self.swap(TOKENS, name, before, self.records.encode_token(token)?).await
    }

    async fn token(&self, token: &Token) -> Result<Option<AccessToken>, StoreError> {
        self.stored_token(token)
    }

    async fn delete_consumer(&self, _consumer: &Consumer) -> Result<(), StoreError> {
        Err(unbuilt())
    }

    async fn delete_token(&self, _token: &AccessToken) -> Result<(), StoreError> {
        Err(unbuilt())
    }

    async fn tokens(
        &self,
        _holder: TokenHolder<'_>,
        _after: Option<&Token>,
        _limit: usize,
    ) -> Result<Vec<AccessToken>, StoreError> {
        Err(unbuilt())
    }

    async fn create_user(&self, _user: &User) -> Result<(), StoreError> {
        Err(unbuilt())
    }

    async fn replace_user(&self, _user: &User) -> Result<(), StoreError> {
        Err(unbuilt())
    }

    async fn user(&self, _id: &UserId) -> Result<Option<User>, StoreError> {
        Ok(None)
    }

    async fn user_named(&self, _username: &Username) -> Result<Option<User>, StoreError> {
        Err(unbuilt())
    }

    async fn users(&self, _after: Option<&UserId>, _limit: usize) -> Result<Vec<User>, StoreError> {
        Err(unbuilt())
    }

    async fn create_request_token(&self, _token: &RequestToken) -> Result<(), StoreError> {
        Err(unbuilt())
    }

    async fn replace_request_token(&self, _token: &RequestToken) -> Result<(), StoreError> {
        Err(unbuilt())
    }

    async fn exchange_request_token(&self, _used: &RequestToken, _issued: &AccessToken) -> Result<(), StoreError> {
        Err(unbuilt())
    }

    async fn request_token(&self, _token: &Token) -> Result<Option<RequestToken>, StoreError> {
        Err(unbuilt())
    }

    async fn create_session(&self, _session: &Session) -> Result<(), StoreError> {
        Err(unbuilt())
    }

    async fn session(&self, _id: &SessionId) -> Result<Option<Session>, StoreError> {
        Err(unbuilt())
    }

    async fn delete_session(&self, _id: &SessionId) -> Result<(), StoreError> {
        Err(unbuilt())
    }

    async fn count_attempt(&self, _counter: &AttemptCounter, _window: Duration) -> Result<u64, StoreError> {
        Err(unbuilt())
    }

    async fn take_attempts_back(&self, _counter: &AttemptCounter, _attempts: u64) -> Result<(), StoreError> {
        Err(unbuilt())
    }

    async fn close(&self) -> Result<(), StoreError> {
        let kept = self.nonces.close();
        let disk = Arc::clone(&self.disk);
        blocking("closing the store file", move || disk.finish(&kept)).await
    }
}

impl fmt::Debug for EmbeddedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedStore").field("nonces", &self.nonces.len()).finish_non_exhaustive()
    }
}

/// Ticks until the store is gone. The timer is the runtime's, the time it keeps is the clock's.
async fn keep_time(store: Weak<EmbeddedStore>) {
    let mut timer = interval(TICK);
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        timer.tick().await;
        let Some(store) = store.upgrade() else { return };
        store.tick().await;
    }
}

/// Runs what waits for the disk where it holds up nobody; a panic in it is an error here.
async fn blocking<T: Send + 'static>(
    context: &'static str,
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(StoreError::new(StoreErrorKind::Unusable, context).because(error)))
}

fn follows(stored: u64, new: u64) -> Result<(), StoreError> {
    if stored.checked_add(1) == Some(new) { Ok(()) } else { Err(conflict()) }
}

fn conflict() -> StoreError {
    StoreError::new(StoreErrorKind::Conflict, "changing a record")
}

fn unbuilt() -> StoreError {
    StoreError::new(StoreErrorKind::Unusable, "keeping users and temporary credentials is not built yet")
}

fn late(context: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, context).because("the disk did not answer in time")
}

/// How often the horizon is moved: half of what it is ahead, so that a slow commit does not let the clock pass it.
const TICK: Duration = Duration::from_secs(1);

/// The longest a write may take: far beyond an `fsync` of a healthy disk.
const WRITE_DEADLINE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests;
