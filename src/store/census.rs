//! The count of sealed records by master key, by hand or in the background.
//!
//! The background count runs only while the master key file has several keys: soon after the keys
//! or the servers of Redis changed, when the removal of a key waits for it, and then at an interval
//! that grows with the store. Each replica counts at another time.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tracing::debug;

use super::paced_scan::PacedScan;
use super::record::RecordKind;
use super::scan::SealedRecord;
use super::{Store, StoreError};
use crate::clock::Entropy;

/// The number of records by the master key that seals them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordCensus {
    /// The ids of the keys, the first one first, and the number of readable records of each.
    pub keys: Vec<(Box<str>, u64)>,
    /// The number of records that cannot be read.
    pub unreadable: u64,
    /// Some of the records that cannot be read.
    pub unreadable_records: Vec<UnreadableRecord>,
}

/// A record that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadableRecord {
    /// The kind of the record.
    pub kind: RecordKind,
    /// The name of the record.
    pub name: Vec<u8>,
    /// The reason, for an operator.
    pub problem: String,
}

/// The count in progress.
struct Counter {
    keys: Vec<Box<str>>,
    by_key: BTreeMap<Box<str>, u64>,
    unreadable: u64,
    unreadable_records: Vec<UnreadableRecord>,
}

/// Counts the records, and reports the number so far after each page. Notes the number of those
/// under old keys for [`StoreStatus`](super::StoreStatus).
///
/// # Errors
/// If the store does not answer for several seconds.
pub async fn count_records(
    store: &dyn Store,
    mut progress: impl FnMut(u64) + Send,
) -> Result<RecordCensus, StoreError> {
    let mut counter = Counter::new(store.master_key_ids());
    let (mut scan, mut seen) = (PacedScan::new(store), 0);
    while let Some(page) = scan.next_page().await? {
        seen += page.len() as u64;
        for record in page {
            let problem = store.problem_of(&record);
            counter.add(record, problem);
        }
        progress(seen);
    }
    let census = counter.end();
    let keys: Vec<_> = census.keys.iter().map(|(id, _)| id.clone()).collect();
    store.note_census(&keys, census.under_old_keys());
    Ok(census)
}

/// Counts the records now and then until the store is dropped.
pub(super) async fn count_in_background(store: Weak<dyn Store>, entropy: Arc<dyn Entropy>) {
    let mut last: Option<LastCount> = None;
    loop {
        sleep(POLL).await;
        let Some(open) = store.upgrade() else { return };
        let state = CountedState::of(&*open);
        let is_wanted = open.is_census_wanted();
        let holds = |last: &LastCount| last.holds_for(&state, is_wanted);
        if state.keys.len() < 2 || last.as_ref().is_some_and(holds) {
            continue;
        }
        drop(open);
        sleep(jitter(&*entropy)).await;
        let Some(open) = store.upgrade() else { return };
        last = Some(LastCount::make(&*open).await);
    }
}

/// The state of a store whose change makes a count obsolete.
#[derive(PartialEq, Eq)]
struct CountedState {
    keys: Vec<Box<str>>,
    /// A failover or a restart may have brought a record under an old key back.
    restarts_seen: u64,
}

/// A count, or an attempt at one.
struct LastCount {
    state: CountedState,
    ended_at: Instant,
    took: Duration,
}

// === impl RecordCensus ===

impl RecordCensus {
    /// Returns the number of readable records under other keys than the first one.
    pub fn under_old_keys(&self) -> u64 {
        self.keys.iter().skip(1).map(|(_, count)| count).sum()
    }
}

// === impl Counter ===

impl Counter {
    const fn new(keys: Vec<Box<str>>) -> Self {
        Self {
            keys,
            by_key: BTreeMap::new(),
            unreadable: 0,
            unreadable_records: Vec::new(),
        }
    }

    fn add(&mut self, record: SealedRecord, problem: Option<String>) {
        if let Some(problem) = problem {
            self.unreadable += 1;
            if self.unreadable_records.len() < MAX_NAMED {
                self.unreadable_records.push(UnreadableRecord {
                    kind: record.kind,
                    name: record.name,
                    problem,
                });
            }
        } else if let Some(id) = record.key_id() {
            *self.by_key.entry(id.into()).or_default() += 1;
        }
    }

    fn end(mut self) -> RecordCensus {
        let keys = self.keys.into_iter();
        let keys = keys.map(|id| {
            let count = self.by_key.remove(&id).unwrap_or_default();
            (id, count)
        });
        RecordCensus {
            keys: keys.collect(),
            unreadable: self.unreadable,
            unreadable_records: self.unreadable_records,
        }
    }
}

// === impl CountedState ===

impl CountedState {
    fn of(store: &dyn Store) -> Self {
        Self {
            keys: store.master_key_ids(),
            restarts_seen: store.status().restarts_seen,
        }
    }
}

// === impl LastCount ===

impl LastCount {
    async fn make(store: &dyn Store) -> Self {
        let (state, begun) = (CountedState::of(store), Instant::now());
        if let Err(error) = count_records(store, |_| {}).await {
            debug!(
                error = &error as &dyn std::error::Error,
                "cannot count the records under old master keys; trying again later"
            );
        }
        Self {
            state,
            ended_at: Instant::now(),
            took: begun.elapsed(),
        }
    }

    /// Returns `true` if it is not yet time for the next count, for which somebody may wait.
    fn holds_for(&self, state: &CountedState, is_wanted: bool) -> bool {
        let pause = if is_wanted {
            self.took.min(MAX_PAUSE)
        } else {
            (self.took * PAUSE_FACTOR).clamp(MIN_PAUSE, MAX_PAUSE)
        };
        self.state == *state && self.ended_at.elapsed() < pause
    }
}

/// Returns a random time, so that replicas that restart together do not count together.
fn jitter(entropy: &dyn Entropy) -> Duration {
    let mut random = [0; 2];
    entropy.fill(&mut random);
    MAX_JITTER * u32::from(u16::from_be_bytes(random)) / u32::from(u16::MAX)
}

/// The interval at which the keys and the servers are compared with those of the last count.
const POLL: Duration = Duration::from_secs(1);

/// The longest random pause before a count.
const MAX_JITTER: Duration = Duration::from_secs(10);

/// The pause after a count, as a multiple of the time that it took: a count uses little of Redis.
const PAUSE_FACTOR: u32 = 20;

const MIN_PAUSE: Duration = Duration::from_secs(60);
const MAX_PAUSE: Duration = Duration::from_mins(30);

/// The maximum number of unreadable records that are named.
const MAX_NAMED: usize = 1000;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use zeroize::Zeroizing;

    use super::*;
    use crate::clock::{CountingEntropy, ManualClock, SystemEntropy, UnixTime};
    use crate::model::Consumer;
    use crate::store::embedded::EmbeddedStore;
    use crate::store::master_key::{MasterKeys, ReplacementKeys, new_master_key};
    use crate::store::record::Records;
    use crate::store::rekey::{RekeyProgress, rekey};
    use crate::store::scan::ScanCursor;
    use crate::store::seal::Sealer;

    #[tokio::test(start_paused = true)]
    async fn records_under_old_keys_are_counted_now_and_then() {
        let directory = tempfile::tempdir().unwrap();
        let (store, _new) = rotated(directory.path()).await;
        assert_eq!(store.status().records_under_old_keys, None, "not counted");
        let entropy = Arc::new(CountingEntropy::default());
        tokio::spawn(count_in_background(Arc::downgrade(&store), entropy));
        sleep(POLL + MAX_JITTER + POLL).await;
        assert_eq!(store.status().records_under_old_keys, Some(1));

        // Another replica seals it.
        reseal_all(&*store).await;
        assert_eq!(store.status().records_under_old_keys, Some(1));
        sleep(MIN_PAUSE + MAX_JITTER + 2 * POLL).await;
        assert_eq!(store.status().records_under_old_keys, Some(0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_removal_that_is_refused_makes_the_replica_count_soon() {
        let directory = tempfile::tempdir().unwrap();
        let (store, new) = rotated(directory.path()).await;
        store.ping().await.unwrap();
        let entropy = Arc::new(CountingEntropy::default());
        tokio::spawn(count_in_background(Arc::downgrade(&store), entropy));
        let removal = ReplacementKeys(MasterKeys::parse(new.as_bytes()).unwrap());
        assert!(store.check_keys(&removal).is_err(), "not counted");
        sleep(POLL + MAX_JITTER + POLL).await;
        let error = store.check_keys(&removal).unwrap_err().with_causes();
        assert!(error.contains("1 records"), "{error}");
        sleep(POLL + MAX_JITTER + POLL).await;

        reseal_all(&*store).await;
        assert!(store.check_keys(&removal).is_err(), "not counted again");
        sleep(POLL + MAX_JITTER + POLL).await;
        assert!(store.check_keys(&removal).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_rotation_reports_its_progress_and_sets_the_count() {
        let directory = tempfile::tempdir().unwrap();
        let (store, _new) = rotated(directory.path()).await;
        let mut seen = Vec::new();
        let summary = rekey(&*store, |progress| seen.push(progress))
            .await
            .unwrap();
        assert_eq!(summary.resealed, 1);
        assert_eq!(summary.before.under_old_keys(), 1);
        assert_eq!(summary.after.under_old_keys(), 0);
        assert_eq!(store.status().records_under_old_keys, Some(0));
        let is_done = |progress: &RekeyProgress| (progress.total, progress.resealed) == (1, 1);
        assert!(seen.iter().any(is_done), "{seen:?}");
    }

    /// Returns a store with a record under an old key, opened with a new first key, and the new key.
    async fn rotated(directory: &Path) -> (Arc<dyn Store>, Zeroizing<String>) {
        let path = directory.join("store");
        let (old, new) = (
            new_master_key(&SystemEntropy),
            new_master_key(&SystemEntropy),
        );
        let store = open(&path, &old).await;
        store.create_consumer(&Consumer::example()).await.unwrap();
        assert_eq!(store.status().records_under_old_keys, Some(0));
        store.close().await.unwrap();
        drop(store);
        let both = format!("{}\n{}", *new, *old);
        (open(&path, &both).await, new)
    }

    async fn reseal_all(store: &dyn Store) {
        let listed = store.scan(&ScanCursor::default(), 9).await;
        store.reseal(&listed.unwrap().records).await.unwrap();
    }

    async fn open(path: &Path, keys: &str) -> Arc<dyn Store> {
        let keys = MasterKeys::parse(keys.as_bytes()).unwrap();
        let records = Records::new(Sealer::new(keys, Arc::new(SystemEntropy)));
        let clock = Arc::new(ManualClock::at(UnixTime::from_secs(1)));
        EmbeddedStore::open(path, records, clock).await.unwrap()
    }
}
