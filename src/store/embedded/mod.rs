//! The embedded store: one file that one process uses, or the same in memory.
//!
//! # Durability
//!
//! Records, sessions and counts of attempts are durable before the call that writes them returns.
//! Nonces would cost one `fsync` each, so they are kept in memory. This rule still keeps every
//! nonce from being used twice:
//!
//! > Every claim that was ever acknowledged is remembered, or its timestamp is not after the fence.
//!
//! ```text
//!               fence                 clock     horizon
//!  ───────────────┼─────────────────────┼──────────┼───────────▶ timestamp
//!     refused            remembered in memory         durable before it is acknowledged
//! ```
//!
//! - The **horizon** is kept in the file, a little ahead of the clock. A claim dated after it is
//!   committed before it is acknowledged, so no claim that is only in memory is dated after the
//!   horizon.
//! - A clean [`close`](crate::store::StoreLifecycle::close) writes every nonce into the file and
//!   marks the file as clean.
//! - Opening a file that is not marked as clean moves the **fence** up to the horizon, or to the
//!   clock if that is later. Honest requests are refused in this case alone: those signed before
//!   the restart, or within two seconds after it.
//! - Forgetting an expired nonce moves the fence up to its timestamp. That timestamp is outside the
//!   window, so no caller notices, unless the clock is set back: then the fence still refuses it.
//! - If the clock is set back by more than a few seconds, the horizon follows: claims dated after
//!   the new horizon are committed first. An unclean stop before that leaves a fence in the future;
//!   the next start logs it.
//!
//! # A disk that fails
//!
//! After a read or write that the disk refused, as a full one does, redb refuses all others until
//! the file is opened again. So the store reopens it, four times a second, until it can be written.
//! The nonces stay in memory in the meantime, and the horizon in memory is never later than that in
//! the file: the rule above holds across a reopening without a fence.
//!
//! An older copy of the file does not have the nonces that were claimed after it was made, as with
//! every backup: restore one only while the service is stopped, and set `nonce.not_before` to the
//! time of the restore.

mod attempts;
mod blocking;
mod caller_reader;
mod canary;
mod claim_journal;
mod consumers;
mod disk_fault;
mod error;
mod expiring;
mod horizon;
mod meta_table;
mod nonce_table;
mod open_file;
mod recovery;
mod request_tokens;
mod rows;
mod scan;
mod sessions;
mod store_file;
mod sweeper;
mod tables;
mod tokens;
mod users;

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use redb::WriteTransaction;
use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tracing::{debug, info, warn};

use self::blocking::{blocking, in_time};
use self::caller_reader::CallerReader;
use self::canary::CanaryReader;
use self::claim_journal::ClaimJournal;
use self::error::WriteError;
use self::expiring::{EntryKind, ExpiringEntry};
use self::recovery::Recovery;
use self::store_file::StoreFile;
use super::changes::may_have_changed;
use super::nonce_memory::{MemoryClaim, NonceMemory, StoredClaim};
use super::record::Records;
use super::{
    CallerRecords, ChangeFeed, CheckStore, ClaimOutcome, NonceClaim, RecordChange, ReplacementKeys,
    StoreError, StoreFuture, StoreHealth, StoreLifecycle, StoreStatus, boxed_answer, ready_answer,
};
use crate::clock::Clock;
use crate::model::{ConsumerKey, Token};

/// The store in one file that one process uses.
pub(super) struct EmbeddedStore {
    records: Arc<Records>,
    file: Arc<StoreFile>,
    reader: CallerReader,
    canary: CanaryReader,
    nonces: Arc<NonceMemory>,
    journal: Arc<ClaimJournal>,
    clock: Arc<dyn Clock>,
    changes: Arc<ChangeFeed>,
}

// === impl EmbeddedStore ===

impl EmbeddedStore {
    /// Opens the store file, and creates it if it does not exist.
    ///
    /// # Errors
    /// If the file is damaged, or another process has it open.
    pub(super) async fn open(
        path: &Path,
        records: Records,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, StoreError> {
        let path = path.to_owned();
        let opened = blocking("opening the store file", move || open_file::open(&path)).await?;
        let (file, records) = (Arc::new(StoreFile::new(opened)), Arc::new(records));
        let reader = CallerReader::on_disk(Arc::clone(&records), Arc::clone(&file));
        Self::start(file, reader, records, clock).await
    }

    /// Returns a store in memory, whose content is lost when it is dropped.
    pub(super) async fn in_memory(
        records: Records,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, StoreError> {
        let opened = open_file::in_memory()?;
        let (file, records) = (Arc::new(StoreFile::new(opened)), Arc::new(records));
        let reader = CallerReader::in_memory(Arc::clone(&records), Arc::clone(&file));
        Self::start(file, reader, records, clock).await
    }

    async fn start(
        file: Arc<StoreFile>,
        reader: CallerReader,
        records: Arc<Records>,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, StoreError> {
        let recovery = begin(&file, &records, &*clock).await?;
        let nonces = Arc::new(NonceMemory::new(
            recovery.fence,
            recovery.horizon,
            &recovery.claims,
        ));
        let journal = ClaimJournal::new(Arc::clone(&file), Arc::clone(&clock), Arc::clone(&nonces));
        let store = Arc::new(Self {
            canary: CanaryReader::new(Arc::clone(&records), Arc::clone(&file)),
            records,
            file,
            reader,
            nonces,
            journal: Arc::new(journal),
            clock,
            changes: Arc::default(),
        });
        let disk_fault = store.file.fault_signal();
        tokio::spawn(tick_until_dropped(Arc::downgrade(&store), disk_fault));
        Ok(store)
    }

    /// Does the work of every second: reopens the file if its disk failed, moves the horizon ahead
    /// of the clock and deletes expired data.
    async fn tick(&self) {
        self.nonces.forget_expired(self.clock.now());
        if self.file.has_fault() && self.reopen().await.is_err() {
            return;
        }
        self.journal.advance().await;
        let (file, records) = (Arc::clone(&self.file), Arc::clone(&self.records));
        let now = self.clock.now();
        let sweep = move || sweeper::sweep(&file, &records, now);
        let swept = blocking("deleting expired data", sweep).await;
        if let Err(error) = swept {
            debug!(
                error = &error as &dyn std::error::Error,
                "cannot delete expired data; trying again in a second"
            );
        }
    }

    /// Opens the file again after its disk failed, and writes it. The fault has logged the cause of
    /// an error.
    ///
    /// The nonces in memory stay, and so do the fence and the horizon: no replay passes, and no
    /// honest request is refused for the fault once it has ended.
    async fn reopen(&self) -> Result<(), StoreError> {
        let file = Arc::clone(&self.file);
        let errors = blocking("reopening the store file", move || file.reopen()).await?;
        self.journal.write_horizon().await?;
        self.file.end_fault(errors);
        Ok(())
    }

    /// Changes the file, off the threads that answer requests.
    ///
    /// Announces `changed` as soon as the change is made, even if its caller has given up, or if
    /// the change failed but may have been made.
    async fn change<T: Send + 'static>(
        &self,
        context: &'static str,
        changed: Option<RecordChange>,
        work: impl FnOnce(&WriteTransaction) -> Result<T, WriteError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (file, changes) = (Arc::clone(&self.file), Arc::clone(&self.changes));
        let write = move || {
            let outcome = file.write(work);
            if let Some(changed) = changed.filter(|_| may_have_changed(&outcome)) {
                changes.announce(&changed);
            }
            outcome
        };
        in_time(context, blocking(context, write)).await
    }

    /// Claims a nonce in memory. `None` means that it is fresh once it is in the file.
    fn claim(
        &self,
        stored: &StoredClaim,
        claim: &NonceClaim<'_>,
    ) -> Result<Option<ClaimOutcome>, StoreError> {
        let outcome = self.nonces.claim(stored, claim.now, claim.not_before)?;
        if matches!(outcome, MemoryClaim::Fresh | MemoryClaim::FreshOnceDurable) {
            self.journal.note_claim();
        }
        Ok(match outcome {
            MemoryClaim::Fresh => Some(ClaimOutcome::Fresh),
            MemoryClaim::FreshOnceDurable => None,
            MemoryClaim::Replayed => Some(ClaimOutcome::Replayed),
            MemoryClaim::Fenced { not_before } => Some(ClaimOutcome::Fenced { not_before }),
        })
    }

    /// Waits until a claim is in the file.
    async fn claim_durably(&self, claim: StoredClaim) -> Result<ClaimOutcome, StoreError> {
        in_time("claiming a nonce", self.journal.append(claim)).await?;
        Ok(ClaimOutcome::Fresh)
    }

    fn record(&self, table: tables::RecordTable, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.file
            .read(|transaction| tables::record(transaction, table, key))
    }

    fn expiring(&self, kind: EntryKind, name: &[u8]) -> Result<Option<ExpiringEntry>, StoreError> {
        self.file
            .read(|transaction| expiring::find(transaction, kind, name))
    }
}

impl CheckStore for EmbeddedStore {
    fn caller_records<'a>(
        &'a self,
        consumer: &'a ConsumerKey,
        token: Option<&'a Token>,
    ) -> StoreFuture<'a, CallerRecords> {
        self.reader.caller_records(consumer, token)
    }

    fn claim_nonce<'a>(&'a self, claim: &'a NonceClaim<'a>) -> StoreFuture<'a, ClaimOutcome> {
        let stored = StoredClaim::of(claim);
        match self.claim(&stored, claim).transpose() {
            Some(outcome) => ready_answer(outcome),
            None => boxed_answer(self.claim_durably(stored)),
        }
    }

    fn clock_lead(&self) -> Duration {
        Duration::ZERO
    }
}

#[async_trait]
impl StoreLifecycle for EmbeddedStore {
    fn changes(&self) -> &ChangeFeed {
        &self.changes
    }

    fn check_keys(&self, keys: &ReplacementKeys) -> Result<(), StoreError> {
        self.records.check_keys(&keys.0)
    }

    fn use_keys(&self, keys: ReplacementKeys) {
        self.records.use_keys(keys.0);
    }

    async fn close(&self) -> Result<(), StoreError> {
        let snapshot = self.nonces.close();
        let file = Arc::clone(&self.file);
        blocking("closing the store file", move || file.finish(&snapshot)).await
    }
}

#[async_trait]
impl StoreHealth for EmbeddedStore {
    async fn ping(&self) -> Result<(), StoreError> {
        self.file.check_usable()?;
        self.canary.check().await
    }

    fn status(&self) -> StoreStatus {
        StoreStatus {
            nonces: self.nonces.len(),
            unreadable_records: self.records.skipped(),
            records_under_old_keys: self.records.under_old_keys(),
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

async fn begin(
    file: &Arc<StoreFile>,
    records: &Arc<Records>,
    clock: &dyn Clock,
) -> Result<Recovery, StoreError> {
    let (file, records, now) = (Arc::clone(file), Arc::clone(records), clock.now());
    let begin = move || file.begin(&records, now);
    let recovery = blocking("reading the store file", begin).await?;
    if recovery.is_clean {
        info!(nonces = recovery.claims.len(), "opened the store");
    } else {
        warn!(
            not_before = recovery.fence,
            "the store was not closed cleanly and may have lost nonces; refusing requests with a timestamp up to \
             not_before, since they may be replays"
        );
    }
    Ok(recovery)
}

/// Ticks until the store is dropped: every second, at once when the disk fails, and more often
/// until it works again. The interval is real time; the store's own clock says what has expired.
async fn tick_until_dropped(store: Weak<EmbeddedStore>, disk_fault: Arc<Notify>) {
    let mut timer = interval(TICK);
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut has_fault = false;
    loop {
        tokio::select! {
            _ = timer.tick() => {}
            () = disk_fault.notified(), if !has_fault => {}
            () = sleep(RETRY), if has_fault => {}
        }
        let Some(store) = store.upgrade() else { return };
        store.tick().await;
        has_fault = store.file.has_fault();
    }
}

/// The time between two moves of the horizon: half of what it is ahead of the clock, so that the
/// clock does not pass it during a slow commit.
const TICK: Duration = Duration::from_secs(1);

/// The pause between two attempts to reopen the file: short, so that it is in use again within a
/// second of the repair of its disk.
const RETRY: Duration = Duration::from_millis(250);

const CREATING: &str = "creating a record";
const UPDATING: &str = "updating a record";
const DELETING: &str = "deleting a record";

#[cfg(test)]
mod tests;
