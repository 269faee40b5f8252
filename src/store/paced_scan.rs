//! A scan that leaves the store at least half of the time to others, and outlasts a short outage.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::scan::{ScanCursor, SealedRecord};
use super::{Store, StoreError};

/// A scan of a whole store.
pub(super) struct PacedScan<'s> {
    store: &'s dyn Store,
    from: Option<ScanCursor>,
    /// The start of the work on the last page.
    begun: Option<Instant>,
}

impl<'s> PacedScan<'s> {
    /// Begins a scan.
    pub(super) fn new(store: &'s dyn Store) -> Self {
        Self {
            store,
            from: Some(ScanCursor::default()),
            begun: None,
        }
    }

    /// Reads the next page, after a pause as long as the work on the last one; `None` at the end.
    pub(super) async fn next_page(&mut self) -> Result<Option<Vec<SealedRecord>>, StoreError> {
        let Some(from) = &self.from else {
            return Ok(None);
        };
        if let Some(begun) = self.begun {
            sleep(begun.elapsed().clamp(MIN_PAUSE, MAX_PAUSE)).await;
        }
        self.begun = Some(Instant::now());
        let page = patiently(|| self.store.scan(from, PAGE)).await?;
        self.from = page.next;
        Ok(Some(page.records))
    }
}

/// Makes a call again while the store does not answer, for several seconds.
pub(crate) async fn patiently<T, F: Future<Output = Result<T, StoreError>>>(
    call: impl Fn() -> F,
) -> Result<T, StoreError> {
    for _ in 1..ATTEMPTS {
        match call().await {
            Err(error) if error.is_transient() => sleep(RETRY_PAUSE).await,
            outcome => return outcome,
        }
    }
    call().await
}

/// The approximate number of records of a page: Redis reads them, and the embedded store commits
/// them, within a few milliseconds.
const PAGE: usize = 250;

const MIN_PAUSE: Duration = Duration::from_millis(1);
const MAX_PAUSE: Duration = Duration::from_secs(1);

/// The number of attempts at a call: a failover takes a few seconds.
const ATTEMPTS: u32 = 40;

const RETRY_PAUSE: Duration = Duration::from_millis(250);
