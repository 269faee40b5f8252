use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::mpsc;

use futures_util::FutureExt as _;
use futures_util::future::Either;

use super::caller_reader::MOST_LOOK_UPS;
use super::expiring::{EntryKind, ExpiringEntry};
use super::sweeper::{ENTRIES_PER_SWEEP, sweep};
use super::*;
use crate::clock::{Clock, ManualClock, SystemEntropy, UnixTime};
use crate::store::master_key::MasterKeys;
use crate::store::seal::Sealer;
use crate::store::{AttemptCounter, AttemptStore as _, ConsumerStore as _, StoreErrorKind};

#[tokio::test]
async fn a_look_up_that_waits_for_the_disk_blocks_no_thread() {
    let store = Bench::new().open().await;
    let blocked = BlockedDisk::of(&store);
    let ck = ConsumerKey::new("ck").unwrap();
    let mut look_up = pin!(store.caller_records(&ck, None));
    assert!(
        look_up.as_mut().now_or_never().is_none(),
        "a blocked disk responded"
    );
    blocked.end();
    assert_eq!(look_up.await.unwrap().consumer, None);
}

#[tokio::test]
async fn the_number_of_waiting_look_ups_is_bounded_also_after_their_callers_gave_up() {
    let store = Bench::new().open().await;
    let blocked = BlockedDisk::of(&store);
    let ck = ConsumerKey::new("ck").unwrap();
    for _ in 0..MOST_LOOK_UPS {
        assert!(store.caller_records(&ck, None).now_or_never().is_none());
    }
    let refused = store
        .caller_records(&ck, None)
        .now_or_never()
        .unwrap()
        .unwrap_err();
    assert_eq!(refused.kind(), StoreErrorKind::Unavailable);
    blocked.end();
    store.reader.idle().await;
}

/// A disk that does not respond. It ends by itself, so that a lookup that blocks its thread fails
/// the test.
struct BlockedDisk {
    end: mpsc::Sender<()>,
    thread: std::thread::JoinHandle<()>,
}

impl BlockedDisk {
    fn of(store: &EmbeddedStore) -> Self {
        let ((held, is_held), (end, has_ended)) = (mpsc::channel(), mpsc::channel::<()>());
        let file = Arc::clone(&store.file);
        let thread = std::thread::spawn(move || {
            let _held = file.block();
            held.send(()).unwrap();
            let _ = has_ended.recv_timeout(Duration::from_secs(5));
        });
        is_held.recv().unwrap();
        Self { end, thread }
    }

    fn end(self) {
        self.end.send(()).unwrap();
        self.thread.join().unwrap();
    }
}

#[tokio::test]
async fn a_cleanly_closed_store_refuses_nothing_and_knows_its_nonces() {
    let bench = Bench::new();
    let store = bench.open().await;
    assert_eq!(
        bench.claim(&store, b"before", NOW).await,
        ClaimOutcome::Fresh
    );
    store.close().await.unwrap();
    let store = bench.open().await;
    assert_eq!(
        bench.claim(&store, b"before", NOW).await,
        ClaimOutcome::Replayed
    );
    assert_eq!(
        bench.claim(&store, b"older", NOW - 100).await,
        ClaimOutcome::Fresh
    );
    assert_eq!(
        bench.claim(&store, b"same second", NOW).await,
        ClaimOutcome::Fresh
    );
}

#[tokio::test]
async fn after_an_unclean_stop_nonces_that_may_be_forgotten_are_refused() {
    let bench = Bench::new();
    let store = bench.open().await;
    assert_eq!(bench.claim(&store, b"n", NOW).await, ClaimOutcome::Fresh);
    drop(store);
    bench.clock.advance(Duration::from_secs(30));
    let store = bench.open().await;
    for timestamp in [NOW - 100, NOW, NOW + 30] {
        assert_eq!(
            bench.claim(&store, b"n", timestamp).await,
            ClaimOutcome::Fenced {
                not_before: NOW + 30
            }
        );
    }
    assert_eq!(
        bench.claim(&store, b"n", NOW + 31).await,
        ClaimOutcome::Fresh
    );
}

#[tokio::test]
async fn a_claim_dated_ahead_of_the_clock_survives_an_unclean_stop() {
    let bench = Bench::new();
    let store = bench.open().await;
    assert_eq!(
        bench.claim(&store, b"n", NOW + 100).await,
        ClaimOutcome::Fresh
    );
    drop(store);
    let store = bench.open().await;
    assert_eq!(
        bench.claim(&store, b"n", NOW + 100).await,
        ClaimOutcome::Replayed
    );
    assert_eq!(
        bench.claim(&store, b"other", NOW + 100).await,
        ClaimOutcome::Fresh
    );
}

#[tokio::test]
async fn a_clock_set_back_over_an_unclean_stop_opens_no_window() {
    let bench = Bench::new();
    let store = bench.open().await;
    let horizon = store.nonces.horizon();
    assert_eq!(
        bench.claim(&store, b"n", horizon).await,
        ClaimOutcome::Fresh
    );
    drop(store);
    bench.clock.set(UnixTime::from_secs(NOW - 1000));
    let store = bench.open().await;
    assert_eq!(
        bench.claim(&store, b"n", horizon).await,
        ClaimOutcome::Fenced {
            not_before: horizon
        }
    );
}

#[tokio::test]
async fn a_fence_outlives_a_clean_close() {
    let bench = Bench::new();
    let store = bench.open().await;
    assert_eq!(bench.claim(&store, b"n", NOW).await, ClaimOutcome::Fresh);
    drop(store);
    bench.open().await.close().await.unwrap();
    let store = bench.open().await;
    assert!(matches!(
        bench.claim(&store, b"n", NOW).await,
        ClaimOutcome::Fenced { .. }
    ));
}

#[tokio::test]
async fn claims_in_memory_alone_are_never_dated_after_the_stored_horizon() {
    let bench = Bench::new();
    let store = bench.open().await;
    for step in 1..=5 {
        bench.clock.advance(Duration::from_secs(10));
        assert_eq!(
            bench
                .claim(&store, &[step], NOW + 10 * u64::from(step))
                .await,
            ClaimOutcome::Fresh
        );
        store.tick().await;
        let published = store.nonces.horizon();
        assert!(
            published >= NOW + 10 * u64::from(step),
            "a tick keeps the horizon ahead of the clock"
        );
    }
    let published = store.nonces.horizon();
    bench.clock.set(UnixTime::from_secs(0));
    drop(store);
    let store = bench.open().await;
    assert_eq!(
        bench.claim(&store, b"n", published).await,
        ClaimOutcome::Fenced {
            not_before: published
        }
    );
}

#[tokio::test]
async fn a_clock_that_was_ahead_for_a_while_fences_no_later_request() {
    const AHEAD: u64 = 1_000_000;
    let bench = Bench::new();
    let store = bench.open().await;
    bench.clock.set(UnixTime::from_secs(NOW + AHEAD));
    assert_eq!(
        bench.claim(&store, b"durable", NOW + AHEAD).await,
        ClaimOutcome::Fresh
    );
    assert_eq!(
        bench.claim(&store, b"in memory", NOW + AHEAD).await,
        ClaimOutcome::Fresh
    );
    bench.clock.set(UnixTime::from_secs(NOW + 10));
    store.tick().await;
    assert!(store.nonces.horizon() < NOW + 20);
    drop(store);
    let store = bench.open().await;
    assert_eq!(
        bench.claim(&store, b"n", NOW + 13).await,
        ClaimOutcome::Fresh
    );
    for nonce in [b"durable".as_slice(), b"in memory"] {
        assert_eq!(
            bench.claim(&store, nonce, NOW + AHEAD).await,
            ClaimOutcome::Replayed
        );
    }
}

#[tokio::test]
async fn an_idle_store_does_not_move_its_horizon() {
    let bench = Bench::new();
    let store = bench.open().await;
    let horizon = store.nonces.horizon();
    bench.clock.advance(Duration::from_secs(60));
    store.tick().await;
    assert_eq!(store.nonces.horizon(), horizon);
}

#[tokio::test]
async fn an_expired_nonce_is_forgotten_and_its_time_refused() {
    let bench = Bench::new();
    let store = bench.open().await;
    assert_eq!(bench.claim(&store, b"n", NOW).await, ClaimOutcome::Fresh);
    assert_eq!(store.status().nonces, 1);
    bench.clock.advance(KEPT);
    store.tick().await;
    assert_eq!(store.status().nonces, 0);
    bench.clock.set(UnixTime::from_secs(NOW));
    assert_eq!(
        bench.claim(&store, b"n", NOW).await,
        ClaimOutcome::Fenced { not_before: NOW }
    );
    store.close().await.unwrap();
    let store = bench.open().await;
    assert_eq!(
        bench.claim(&store, b"n", NOW).await,
        ClaimOutcome::Fenced { not_before: NOW }
    );
}

#[tokio::test]
async fn expired_nonces_do_not_pile_up_without_ticks() {
    let bench = Bench::new();
    let store = bench.open().await;
    for second in 0..600_u64 {
        bench.clock.set(UnixTime::from_secs(NOW + second * 10));
        let nonce = second.to_be_bytes();
        assert_eq!(
            bench.claim(&store, &nonce, NOW + second * 10).await,
            ClaimOutcome::Fresh
        );
    }
    assert!(store.status().nonces < 300, "{}", store.status().nonces);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn claims_dated_ahead_share_their_commits() {
    let bench = Bench::new();
    let store = bench.open().await;
    let tasks: Vec<_> = (0..200_u8)
        .map(|at| {
            let (store, now) = (Arc::clone(&store), bench.clock.now());
            tokio::spawn(async move { claim_at(&store, &[at], NOW + 100, now).await })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), ClaimOutcome::Fresh);
    }
    drop(store);
    let store = bench.open().await;
    for at in 0..200 {
        assert_eq!(
            bench.claim(&store, &[at], NOW + 100).await,
            ClaimOutcome::Replayed
        );
    }
}

#[tokio::test]
async fn a_claim_is_ready_at_once_only_if_it_needs_no_commit() {
    let bench = Bench::new();
    let store = bench.open().await;
    let (consumer, now) = (ConsumerKey::new("ck").unwrap(), bench.clock.now());
    let claimed = |timestamp| {
        let claim = nonce_claim(&consumer, b"n", timestamp, now);
        match store.claim_nonce(&claim) {
            Either::Left(ready) => Some(ready.into_inner().unwrap()),
            Either::Right(_) => None,
        }
    };
    assert_eq!(claimed(NOW), Some(ClaimOutcome::Fresh));
    assert_eq!(claimed(NOW), Some(ClaimOutcome::Replayed));
    assert_eq!(claimed(NOW + 100), None);
}

#[tokio::test]
async fn a_reopened_file_has_all_nonces_and_records() {
    let bench = Bench::new();
    let store = bench.open().await;
    for timestamp in [NOW, NOW + 200] {
        assert_eq!(
            bench.claim(&store, b"n", timestamp).await,
            ClaimOutcome::Fresh
        );
    }
    put_entry(&store.file, 1);
    store.file.report_fault("no space left");
    assert!(cause(&store.ping().await.unwrap_err()).contains("no space left"));
    store.tick().await;
    store.ping().await.unwrap();
    assert!(is_kept(&store.file, EntryKind::Session, 1));
    for timestamp in [NOW, NOW + 200] {
        assert_eq!(
            bench.claim(&store, b"n", timestamp).await,
            ClaimOutcome::Replayed
        );
    }
    assert_eq!(
        bench.claim(&store, b"n", NOW + 1).await,
        ClaimOutcome::Fresh
    );
    store.close().await.unwrap();
    let again = bench.open().await;
    for timestamp in [NOW, NOW + 1, NOW + 200] {
        assert_eq!(
            bench.claim(&again, b"n", timestamp).await,
            ClaimOutcome::Replayed
        );
    }
}

#[tokio::test]
async fn a_closed_file_is_not_reopened() {
    let bench = Bench::new();
    let store = bench.open().await;
    store.file.report_fault("no space left");
    store.close().await.unwrap();
    store.tick().await;
    assert!(store.file.is_closed());
    bench.open().await;
}

#[tokio::test]
async fn a_closed_store_claims_nothing() {
    let bench = Bench::new();
    let store = bench.open().await;
    store.close().await.unwrap();
    store.close().await.unwrap();
    let consumer = ConsumerKey::new("ck").unwrap();
    let error = store
        .claim_nonce(&nonce_claim(&consumer, b"n", NOW, bench.clock.now()))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    assert_eq!(
        store
            .caller_records(&consumer, None)
            .await
            .unwrap_err()
            .kind(),
        StoreErrorKind::Unavailable
    );
    assert_eq!(
        store.ping().await.unwrap_err().kind(),
        StoreErrorKind::Unavailable
    );
}

#[tokio::test]
async fn one_process_at_a_time() {
    let bench = Bench::new();
    let _first = bench.open().await;
    let error = bench.try_open().await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unusable);
    assert!(
        cause(&error).contains("another process") && cause(&error).contains("store.redb"),
        "{}",
        cause(&error)
    );
}

#[tokio::test]
async fn a_damaged_file_is_refused_and_left_as_it_is() {
    let bench = Bench::new();
    bench.open().await.close().await.unwrap();
    let whole = std::fs::read(&bench.path).unwrap();
    let mut torn = whole.clone();
    for byte in &mut torn[4096..] {
        *byte ^= 0x5A;
    }
    for damaged in [
        Vec::new(),
        b"not a store".repeat(1000),
        whole[..whole.len() / 2].to_vec(),
        torn,
    ] {
        std::fs::write(&bench.path, &damaged).unwrap();
        let error = bench.try_open().await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unusable, "{error:?}");
        assert!(
            std::fs::read(&bench.path).unwrap() == damaged,
            "a refused file was changed"
        );
    }
}

#[tokio::test]
async fn an_interrupted_first_start_leaves_nothing_in_the_way() {
    let bench = Bench::new();
    std::fs::create_dir_all(bench.path.parent().unwrap()).unwrap();
    let unfinished = bench.path.with_added_extension("new");
    std::fs::write(&unfinished, b"half a file").unwrap();
    std::fs::set_permissions(&unfinished, std::fs::Permissions::from_mode(0o600)).unwrap();
    bench.open().await.close().await.unwrap();
    bench.open().await;
}

#[tokio::test]
async fn only_the_owner_may_read_the_file() {
    let bench = Bench::new();
    let _store = bench.open().await;
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&bench.path), 0o600);
    assert_eq!(mode(bench.path.parent().unwrap()), 0o700);
}

#[tokio::test]
async fn a_file_of_another_format_is_refused_and_says_so() {
    let bench = Bench::new();
    bench.open().await.close().await.unwrap();
    for format in [1, 2, 3, 5] {
        bench.set_format(format);
        let error = bench.try_open().await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unusable);
        let expected = format!("format {format}");
        assert!(cause(&error).contains(&expected), "{}", cause(&error));
    }
}

#[tokio::test]
async fn another_master_key_is_refused_and_the_file_stays_as_it_was() {
    let mut bench = Bench::new();
    bench.open().await.close().await.unwrap();
    let own = bench.key.clone();
    bench.key = crate::store::new_master_key(&SystemEntropy);
    for _ in 0..2 {
        let error = bench.try_open().await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::WrongMasterKey);
        assert!(
            cause(&error).contains("store.master_key_file"),
            "{}",
            cause(&error)
        );
    }
    bench.key = own;
    let file = StoreFile::new(open_file::open(&bench.path).unwrap());
    let recovery = file.begin(&bench.records(), bench.clock.now()).unwrap();
    assert!(recovery.is_clean, "the file was left as in use");
}

#[tokio::test]
async fn a_list_skips_records_that_cannot_be_read_and_is_still_complete() {
    let bench = Bench::new();
    let store = bench.open().await;
    for name in ["a", "b", "c", "d"] {
        let key = name.to_owned();
        store
            .file
            .write(|file| tables::create_consumer(file, &key, b"damaged"))
            .unwrap();
    }
    assert_eq!(store.consumers(None, 2).await.unwrap(), []);
    assert_eq!(store.status().unreadable_records, 4);
}

/// Tests the file alone, since a store ticks by itself.
#[test]
fn a_sweep_deletes_expired_entries_up_to_its_limit() {
    let file = StoreFile::new(open_file::in_memory().unwrap());
    let at = |secs: u64| UnixTime::from_secs(NOW + secs);
    let records = Bench::new().records();
    file.begin(&records, at(0)).unwrap();
    file.write(|transaction| {
        (0..1500).try_for_each(|name| put(transaction, EntryKind::Session, name, at(10)))?;
        put(transaction, EntryKind::RequestToken, 1, at(11))?;
        put(transaction, EntryKind::Attempts, 1, at(10))?;
        put(transaction, EntryKind::Attempts, 1, at(12))
    })
    .unwrap();
    let count = || {
        (0..1500)
            .filter(|name| is_kept(&file, EntryKind::Session, *name))
            .count()
    };
    for (now, left) in [(9, 1500), (10, 1500 - ENTRIES_PER_SWEEP), (10, 0)] {
        sweep(&file, &records, at(now)).unwrap();
        assert_eq!(count(), left);
    }
    assert!(is_kept(&file, EntryKind::RequestToken, 1) && is_kept(&file, EntryKind::Attempts, 1));
    sweep(&file, &records, at(11)).unwrap();
    assert!(!is_kept(&file, EntryKind::RequestToken, 1) && is_kept(&file, EntryKind::Attempts, 1));
}

#[tokio::test]
async fn a_tick_deletes_expired_entries() {
    let bench = Bench::new();
    let store = bench.open().await;
    store
        .file
        .write(|transaction| {
            put(
                transaction,
                EntryKind::Session,
                1,
                UnixTime::from_secs(NOW + 10),
            )
        })
        .unwrap();
    store.tick().await;
    assert!(is_kept(&store.file, EntryKind::Session, 1));
    bench.clock.advance(Duration::from_secs(10));
    store.tick().await;
    assert!(!is_kept(&store.file, EntryKind::Session, 1));
}

#[tokio::test]
async fn a_window_of_attempts_ends_and_another_opens() {
    let bench = Bench::new();
    let store = bench.open().await;
    let counter = AttemptCounter::new("test", b"a");
    let count = || store.count_attempt(&counter, Duration::from_secs(60));
    assert_eq!(count().await.unwrap(), 1);
    bench.clock.advance(Duration::from_secs(59));
    assert_eq!(count().await.unwrap(), 2);
    bench.clock.advance(Duration::from_secs(1));
    assert_eq!(
        count().await.unwrap(),
        1,
        "the first attempt opened the window"
    );
    bench.clock.set(UnixTime::from_secs(NOW - 100_000));
    assert_eq!(count().await.unwrap(), 2);
    bench.clock.advance(Duration::from_secs(60));
    assert_eq!(
        count().await.unwrap(),
        1,
        "a clock that was set back does not keep a window open"
    );
}

#[tokio::test]
async fn counted_attempts_survive_an_unclean_stop() {
    let bench = Bench::new();
    let store = bench.open().await;
    let counter = AttemptCounter::new("test", b"a");
    store
        .count_attempt(&counter, Duration::from_secs(60))
        .await
        .unwrap();
    drop(store);
    let store = bench.open().await;
    assert_eq!(
        store
            .count_attempt(&counter, Duration::from_secs(60))
            .await
            .unwrap(),
        2
    );
}

const NOW: u64 = 1_700_000_000;
const KEPT: Duration = Duration::from_secs(660);

/// A store file that can be opened again and again, at a time that the test sets.
struct Bench {
    path: PathBuf,
    clock: Arc<ManualClock>,
    key: zeroize::Zeroizing<String>,
    _directory: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self {
            path: directory.path().join("data").join("store.redb"),
            clock: Arc::new(ManualClock::at(UnixTime::from_secs(NOW))),
            key: crate::store::new_master_key(&SystemEntropy),
            _directory: directory,
        }
    }

    /// Changes the format that the file says it has.
    fn set_format(&self, format: u64) {
        const META: redb::TableDefinition<'static, &str, u64> = redb::TableDefinition::new("meta");
        let database = open_file::open(&self.path).unwrap().database;
        let transaction = database.begin_write().unwrap();
        let mut meta = transaction.open_table(META).unwrap();
        meta.insert("format", format).unwrap();
        drop(meta);
        transaction.commit().unwrap();
    }

    fn records(&self) -> Records {
        let keys = MasterKeys::parse(self.key.as_bytes()).unwrap();
        Records::new(Sealer::new(keys, Arc::new(SystemEntropy)))
    }

    async fn try_open(&self) -> Result<Arc<EmbeddedStore>, StoreError> {
        EmbeddedStore::open(
            &self.path,
            self.records(),
            Arc::clone(&self.clock) as Arc<dyn Clock>,
        )
        .await
    }

    /// Opens the store; a dropped one may still be in a tick.
    async fn open(&self) -> Arc<EmbeddedStore> {
        for _ in 0..1000 {
            match self.try_open().await {
                Err(error) if cause(&error).contains("another process") => {
                    tokio::task::yield_now().await
                }
                opened => return opened.unwrap(),
            }
        }
        panic!("the store file stays locked");
    }

    async fn claim(&self, store: &EmbeddedStore, nonce: &[u8], timestamp: u64) -> ClaimOutcome {
        claim_at(store, nonce, timestamp, self.clock.now()).await
    }
}

fn put(
    transaction: &WriteTransaction,
    kind: EntryKind,
    name: u64,
    expires_at: UnixTime,
) -> Result<(), WriteError> {
    expiring::put(
        transaction,
        kind,
        &name.to_be_bytes(),
        &ExpiringEntry {
            expires_at,
            bytes: Vec::new(),
        },
    )
}

fn put_entry(file: &StoreFile, name: u64) {
    let expires_at = UnixTime::from_secs(NOW + 3600);
    file.write(|transaction| put(transaction, EntryKind::Session, name, expires_at))
        .unwrap();
}

fn is_kept(file: &StoreFile, kind: EntryKind, name: u64) -> bool {
    file.read(|transaction| expiring::find(transaction, kind, &name.to_be_bytes()))
        .unwrap()
        .is_some()
}

async fn claim_at(
    store: &EmbeddedStore,
    nonce: &[u8],
    timestamp: u64,
    now: UnixTime,
) -> ClaimOutcome {
    let consumer = ConsumerKey::new("ck").unwrap();
    store
        .claim_nonce(&nonce_claim(&consumer, nonce, timestamp, now))
        .await
        .unwrap()
}

fn nonce_claim<'c>(
    consumer: &'c ConsumerKey,
    nonce: &'c [u8],
    timestamp: u64,
    now: UnixTime,
) -> NonceClaim<'c> {
    let mut check_id = [0; 16];
    crate::clock::Entropy::fill(&SystemEntropy, &mut check_id);
    let expires_at = UnixTime::from_secs(timestamp).plus(KEPT);
    NonceClaim {
        consumer,
        token: None,
        timestamp,
        nonce,
        check_id,
        now,
        expires_at,
        not_before: 0,
    }
}

fn cause(error: &StoreError) -> String {
    std::error::Error::source(error)
        .map(ToString::to_string)
        .unwrap_or_default()
}
