//! The embedded store: one file, one process; or the same in memory.
//!
//! # What survives what
//!
//! Records, sessions and counted attempts are durable before a call that keeps them returns. Nonces would cost one `fsync` each, so they
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
//! - A clean [`close`](crate::store::StoreLifecycle::close) writes every nonce into the file and marks it clean.
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

mod attempts;
mod consumers;
mod disk;
mod expiring;
mod file;
mod journal;
mod nonces;
mod request_tokens;
mod rows;
mod sessions;
mod tables;
mod tokens;
mod users;

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use redb::WriteTransaction;
use tokio::sync::Semaphore;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tracing::{debug, info, warn};

use self::disk::{Disk, Stop};
use self::expiring::{Expiring, Kind};
use self::journal::Journal;
use self::nonces::{Nonces, Remembered, Verdict};
use self::tables::{CONSUMERS, TOKENS, USERS};
use super::changes::may_have_changed;
use super::nonce::NonceId;
use super::record::Records;
use super::{
    CallerRecords, ChangeFeed, CheckStore, ClaimOutcome, NonceClaim, RecordChange, StoreError,
    StoreErrorKind, StoreFuture, StoreHealth, StoreLifecycle, StoreStatus, boxed_answer,
    ready_answer,
};
use crate::clock::{Clock, UnixTime};
use crate::model::{AccessToken, Consumer, ConsumerKey, Token, UserStanding};

/// The store in one file of one process.
pub(super) struct EmbeddedStore {
    records: Arc<Records>,
    disk: Arc<Disk>,
    reader: Reader,
    nonces: Arc<Nonces>,
    journal: Arc<Journal>,
    clock: Arc<dyn Clock>,
    changes: Arc<ChangeFeed>,
}

/// Reads credentials.
#[derive(Clone)]
struct Reader {
    records: Arc<Records>,
    disk: Arc<Disk>,
    /// Room for those who wait for pages that are not in memory; `None` where all of it is.
    waiting: Option<Arc<Semaphore>>,
}

// === impl EmbeddedStore ===

impl EmbeddedStore {
    /// Opens the file, or makes it when there is none.
    ///
    /// # Errors
    /// When it is damaged, or open in another process.
    pub(super) async fn open(
        path: &Path,
        records: Records,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, StoreError> {
        let path = path.to_owned();
        let opened = blocking("opening the store file", move || file::open(&path)).await?;
        Self::start(
            Disk::new(opened),
            Some(Arc::new(Semaphore::new(MOST_LOOK_UPS))),
            records,
            clock,
        )
        .await
    }

    /// A store that is gone with this process.
    pub(super) async fn in_memory(
        records: Records,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, StoreError> {
        Self::start(Disk::new(file::in_memory()?), None, records, clock).await
    }

    async fn start(
        disk: Disk,
        waiting: Option<Arc<Semaphore>>,
        records: Records,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, StoreError> {
        let (disk, records) = (Arc::new(disk), Arc::new(records));
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
        let journal = Arc::new(Journal::new(
            Arc::clone(&disk),
            Arc::clone(&clock),
            Arc::clone(&nonces),
        ));
        let reader = Reader {
            records: Arc::clone(&records),
            disk: Arc::clone(&disk),
            waiting,
        };
        let store = Arc::new(Self {
            records,
            disk,
            reader,
            nonces,
            journal,
            clock,
            changes: Arc::default(),
        });
        tokio::spawn(keep_time(Arc::downgrade(&store)));
        Ok(store)
    }

    /// Moves the horizon ahead of the clock and forgets what has expired: what must be done about once a second.
    async fn tick(&self) {
        self.nonces.forget_expired(self.clock.now());
        self.journal.advance().await;
        let (disk, now) = (Arc::clone(&self.disk), self.clock.now());
        if let Err(error) = blocking("removing what has expired", move || sweep(&disk, now)).await {
            debug!(
                error = &error as &dyn std::error::Error,
                "what has expired stays for now"
            );
        }
    }

    /// ChangeFeed the file, off the threads that answer requests.
    ///
    /// `changed` is told as soon as the change is made, also when nobody waits for it any more, and when it failed and may
    /// have been made all the same.
    async fn change<T: Send + 'static>(
        &self,
        context: &'static str,
        changed: Option<RecordChange>,
        work: impl FnOnce(&WriteTransaction) -> Result<T, Stop> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (disk, changes) = (Arc::clone(&self.disk), Arc::clone(&self.changes));
        let write = move || {
            let outcome = disk.write(work);
            if let Some(changed) = changed.filter(|_| may_have_changed(&outcome)) {
                changes.announce(&changed);
            }
            outcome
        };
        timeout(WRITE_DEADLINE, blocking(context, write))
            .await
            .unwrap_or_else(|_| Err(late(context)))
    }

    /// Claims a nonce in memory; `None` is fresh as soon as it is in the file.
    fn claim(
        &self,
        id: NonceId,
        claim: &NonceClaim<'_>,
    ) -> Result<Option<ClaimOutcome>, StoreError> {
        let verdict = self.nonces.claim(id, claim)?;
        Ok(match verdict {
            Verdict::Replayed => Some(ClaimOutcome::Replayed),
            Verdict::Fenced { not_before } => Some(ClaimOutcome::Fenced { not_before }),
            Verdict::Fresh => {
                self.journal.note_claim();
                Some(ClaimOutcome::Fresh)
            }
            Verdict::FreshOnceDurable => {
                self.journal.note_claim();
                None
            }
        })
    }

    /// Waits until a claim is in the file.
    async fn claim_durably(
        &self,
        id: NonceId,
        claim: Remembered,
    ) -> Result<ClaimOutcome, StoreError> {
        timeout(WRITE_DEADLINE, self.journal.keep((id, claim)))
            .await
            .unwrap_or_else(|_| Err(late("claiming a nonce")))?;
        Ok(ClaimOutcome::Fresh)
    }

    /// Looks up a caller on a thread that may wait for the disk.
    async fn read_from_disk(
        &self,
        waiting: &Arc<Semaphore>,
        consumer: &ConsumerKey,
        token: Option<&Token>,
    ) -> Result<CallerRecords, StoreError> {
        // A look-up keeps its place in line until it is done, also if its caller gave up.
        let place = Arc::clone(waiting)
            .try_acquire_owned()
            .map_err(|_| crowded())?;
        let (reader, consumer, token) = (self.reader.clone(), consumer.clone(), token.cloned());
        let read = blocking(LOOKING_UP, move || {
            let _place = place;
            reader.caller_records(&consumer, token.as_ref())
        });
        timeout(READ_DEADLINE, read)
            .await
            .unwrap_or_else(|_| Err(late(LOOKING_UP)))
    }

    fn record(&self, table: tables::Table, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.disk.record(table, key)
    }

    fn expiring(&self, kind: Kind, name: &[u8]) -> Result<Option<Expiring>, StoreError> {
        self.disk.read(|file| expiring::find(file, kind, name))
    }
}

impl CheckStore for EmbeddedStore {
    fn caller_records<'a>(
        &'a self,
        consumer: &'a ConsumerKey,
        token: Option<&'a Token>,
    ) -> StoreFuture<'a, CallerRecords> {
        match &self.reader.waiting {
            None => ready_answer(self.reader.caller_records(consumer, token)),
            Some(waiting) => boxed_answer(self.read_from_disk(waiting, consumer, token)),
        }
    }

    fn claim_nonce<'a>(&'a self, claim: &'a NonceClaim<'a>) -> StoreFuture<'a, ClaimOutcome> {
        let id = NonceId::of(claim);
        match self.claim(id, claim).transpose() {
            Some(claimed) => ready_answer(claimed),
            None => boxed_answer(self.claim_durably(id, Remembered::of(claim))),
        }
    }
}

#[async_trait]
impl StoreLifecycle for EmbeddedStore {
    fn changes(&self) -> &ChangeFeed {
        &self.changes
    }

    async fn close(&self) -> Result<(), StoreError> {
        let kept = self.nonces.close();
        let disk = Arc::clone(&self.disk);
        blocking("closing the store file", move || disk.finish(&kept)).await
    }
}

#[async_trait]
impl StoreHealth for EmbeddedStore {
    async fn ping(&self) -> Result<(), StoreError> {
        self.disk.check_open()?;
        self.journal.check_writable()
    }

    fn status(&self) -> StoreStatus {
        StoreStatus {
            nonces: self.nonces.len(),
            ..StoreStatus::default()
        }
    }
}

impl fmt::Debug for EmbeddedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedStore")
            .field("nonces", &self.nonces.len())
            .finish_non_exhaustive()
    }
}

// === impl Reader ===

impl Reader {
    fn caller_records(
        &self,
        consumer: &ConsumerKey,
        token: Option<&Token>,
    ) -> Result<CallerRecords, StoreError> {
        let stored_consumer = self.stored_consumer(consumer)?.map(Arc::new);
        let Some(token) = token else {
            return Ok(CallerRecords {
                consumer: stored_consumer,
                ..CallerRecords::default()
            });
        };
        let token = self
            .stored_token(token)?
            .filter(|token| token.consumer_key == *consumer);
        let user = self.standing(token.as_ref())?;
        Ok(CallerRecords {
            consumer: stored_consumer,
            token: token.map(Arc::new),
            user,
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

    /// The standing of the user of a token. As much is read for a token that is not there.
    fn standing(&self, token: Option<&AccessToken>) -> Result<UserStanding, StoreError> {
        let Some(id) = token.and_then(|token| token.user_id.as_ref()) else {
            return self.records.found_standing(None);
        };
        let bytes = self.disk.record(USERS, id.as_str())?;
        self.records
            .found_standing(bytes.as_deref().map(|bytes| (id, bytes)))
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
    done.unwrap_or_else(|error| {
        Err(StoreError::new(StoreErrorKind::Unusable, context).because(error))
    })
}

/// Removes some of what has expired, if anything has.
fn sweep(disk: &Disk, now: UnixTime) -> Result<(), StoreError> {
    let is_due = disk.read(|transaction| {
        Ok(tables::has_dropped(transaction)? || expiring::has_expired(transaction, now)?)
    })?;
    if !is_due {
        return Ok(());
    }
    disk.write(|transaction| {
        tables::sweep(transaction, SWEPT_TOKENS)?;
        expiring::sweep(transaction, now, SWEPT_EXPIRED)
    })
}

fn follows(stored: u64, new: u64) -> Result<(), StoreError> {
    if stored.checked_add(1) == Some(new) {
        Ok(())
    } else {
        Err(conflict())
    }
}

fn conflict() -> StoreError {
    StoreError::new(StoreErrorKind::Conflict, UPDATING)
}

fn taken() -> StoreError {
    StoreError::new(StoreErrorKind::AlreadyExists, CREATING)
}

fn crowded() -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, LOOKING_UP)
        .because("more look-ups wait for the disk than it answers in time")
}

fn late(context: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, context).because("the disk did not answer in time")
}

/// How often the horizon is moved: half of what it is ahead, so that a slow commit does not let the clock pass it.
const TICK: Duration = Duration::from_secs(1);

/// The longest a write may take: far beyond an `fsync` of a healthy disk.
const WRITE_DEADLINE: Duration = Duration::from_secs(2);

/// The longest a look-up for a check may take.
const READ_DEADLINE: Duration = WRITE_DEADLINE;

/// The most look-ups that wait at a time: some milliseconds of a healthy disk, and fewer than there can be threads for them.
const MOST_LOOK_UPS: usize = 128;

const LOOKING_UP: &str = "looking up a caller";
const CREATING: &str = "creating a record";
const UPDATING: &str = "updating a record";
const DELETING: &str = "deleting a record";

/// Tokens of deleted consumers that one tick removes: bounded, so that no commit is slow.
const SWEPT_TOKENS: usize = 500;

/// What else one tick removes.
const SWEPT_EXPIRED: usize = 1024;

#[cfg(test)]
mod tests;
