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
//! - A clean [`close`](crate::store::Store::close) writes every nonce into the file and marks the
//!   file as clean.
//! - Opening a file that is not marked as clean moves the **fence** up to the horizon, or to the
//!   clock if that is later. Honest requests are refused in this case alone: those signed before
//!   the restart, or within two seconds after it.
//! - Forgetting an expired nonce moves the fence up to its timestamp. That timestamp is outside the
//!   window, so no caller notices, unless the clock is set back: then the fence still refuses it.
//! - If the clock is set back by more than a few seconds, the horizon follows: claims dated after
//!   the new horizon are committed first. An unclean stop before that leaves a fence in the future;
//!   the next start logs it.
//!
//! An older copy of the file does not have the nonces that were claimed after it was made, as with
//! every backup: restore one only while the service is stopped, and set `nonce.not_before` to the
//! time of the restore.

mod blocking;
mod claim_journal;
mod contract;
mod credential_reader;
mod error;
mod expiring;
mod horizon;
mod meta_table;
mod nonce_table;
mod nonces;
mod open_file;
mod recovery;
mod store_file;
mod stored_claim;
mod sweeper;
mod tables;

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use redb::WriteTransaction;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{debug, info, warn};

use self::blocking::{blocking, in_time};
use self::claim_journal::ClaimJournal;
use self::credential_reader::CredentialReader;
use self::error::{WriteError, conflict};
use self::nonces::{MemoryClaim, NonceMemory};
use self::recovery::Recovery;
use self::store_file::StoreFile;
use self::stored_claim::StoredClaim;
use super::changes::may_have_changed;
use super::record::Records;
use super::{
    Change, Changes, CheckStore, Claim, Credentials, NonceClaim, Pulse, StoreError, StoreStatus,
};
use crate::clock::Clock;
use crate::model::{ConsumerKey, Token};

/// The store in one file that one process uses.
pub(super) struct EmbeddedStore {
    records: Arc<Records>,
    file: Arc<StoreFile>,
    reader: CredentialReader,
    nonces: Arc<NonceMemory>,
    journal: Arc<ClaimJournal>,
    clock: Arc<dyn Clock>,
    changes: Arc<Changes>,
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
        let reader = CredentialReader::on_disk(Arc::clone(&records), Arc::clone(&file));
        Self::start(file, reader, records, clock).await
    }

    /// Returns a store in memory, whose content is lost when it is dropped.
    pub(super) async fn in_memory(
        records: Records,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, StoreError> {
        let opened = open_file::in_memory()?;
        let (file, records) = (Arc::new(StoreFile::new(opened)), Arc::new(records));
        let reader = CredentialReader::in_memory(Arc::clone(&records), Arc::clone(&file));
        Self::start(file, reader, records, clock).await
    }

    async fn start(
        file: Arc<StoreFile>,
        reader: CredentialReader,
        records: Arc<Records>,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, StoreError> {
        let recovery = begin(&file, &*clock).await?;
        let nonces = Arc::new(NonceMemory::new(
            recovery.fence,
            recovery.horizon,
            &recovery.claims,
        ));
        let journal = ClaimJournal::new(Arc::clone(&file), Arc::clone(&clock), Arc::clone(&nonces));
        let store = Arc::new(Self {
            records,
            file,
            reader,
            nonces,
            journal: Arc::new(journal),
            clock,
            changes: Arc::default(),
        });
        tokio::spawn(tick_until_dropped(Arc::downgrade(&store)));
        Ok(store)
    }

    /// Does the work of every second: moves the horizon ahead of the clock and deletes expired
    /// data.
    async fn tick(&self) {
        self.nonces.forget_expired(self.clock.now());
        self.journal.advance().await;
        let (file, now) = (Arc::clone(&self.file), self.clock.now());
        let swept = blocking("deleting expired data", move || sweeper::sweep(&file, now)).await;
        if let Err(error) = swept {
            debug!(
                error = &error as &dyn std::error::Error,
                "cannot delete expired data; trying again in a second"
            );
        }
    }

    /// Changes the file, off the threads that answer requests.
    ///
    /// Announces `changed` as soon as the change is made, also if its caller has given up, and if
    /// it failed but may have been made.
    async fn change<T: Send + 'static>(
        &self,
        context: &'static str,
        changed: Option<Change>,
        work: impl FnOnce(&WriteTransaction) -> Result<T, WriteError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (file, changes) = (Arc::clone(&self.file), Arc::clone(&self.changes));
        let write = move || {
            let outcome = file.write(work);
            if let Some(changed) = changed.filter(|_| may_have_changed(&outcome)) {
                changes.tell(&changed);
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
    ) -> Result<Option<Claim>, StoreError> {
        let outcome = self.nonces.claim(stored, claim.now, claim.not_before)?;
        if matches!(outcome, MemoryClaim::Fresh | MemoryClaim::FreshOnceDurable) {
            self.journal.note_claim();
        }
        Ok(match outcome {
            MemoryClaim::Fresh => Some(Claim::Fresh),
            MemoryClaim::FreshOnceDurable => None,
            MemoryClaim::Replayed => Some(Claim::Replayed),
            MemoryClaim::Fenced { not_before } => Some(Claim::Fenced { not_before }),
        })
    }

    fn record(&self, table: tables::RecordTable, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.file
            .read(|transaction| tables::record(transaction, table, key))
    }
}

#[async_trait]
impl CheckStore for EmbeddedStore {
    async fn credentials(
        &self,
        consumer: &ConsumerKey,
        token: Option<&Token>,
    ) -> Result<Credentials, StoreError> {
        self.reader.credentials(consumer, token).await
    }

    fn claim_at_once(&self, claim: &NonceClaim<'_>) -> Option<Result<Claim, StoreError>> {
        self.claim(&StoredClaim::of(claim), claim).transpose()
    }

    async fn claim_nonce(&self, claim: &NonceClaim<'_>) -> Result<Claim, StoreError> {
        let stored = StoredClaim::of(claim);
        if let Some(outcome) = self.claim(&stored, claim)? {
            return Ok(outcome);
        }
        in_time("claiming a nonce", self.journal.append(stored)).await?;
        Ok(Claim::Fresh)
    }

    fn changes(&self) -> &Changes {
        &self.changes
    }
}

#[async_trait]
impl Pulse for EmbeddedStore {
    async fn ping(&self) -> Result<(), StoreError> {
        self.file.check_open()?;
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

async fn begin(file: &Arc<StoreFile>, clock: &dyn Clock) -> Result<Recovery, StoreError> {
    let (file, now) = (Arc::clone(file), clock.now());
    let recovery = blocking("reading the store file", move || file.begin(now)).await?;
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

/// Ticks until the store is dropped. The interval is real time; the store's own clock says what has
/// expired.
async fn tick_until_dropped(store: Weak<EmbeddedStore>) {
    let mut timer = interval(TICK);
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        timer.tick().await;
        let Some(store) = store.upgrade() else { return };
        store.tick().await;
    }
}

/// Returns an error unless revision `new` is the one after `stored`.
fn follows(stored: u64, new: u64) -> Result<(), StoreError> {
    if stored.checked_add(1) == Some(new) {
        Ok(())
    } else {
        Err(conflict())
    }
}

/// The time between two moves of the horizon: half of what it is ahead of the clock, so that the
/// clock does not pass it during a slow commit.
const TICK: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
