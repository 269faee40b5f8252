//! Work that waits for the disk, away from the threads that answer requests, and its deadlines.

use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::store::{StoreError, StoreErrorKind};

/// Runs `work` on a thread for blocking work. A panic in it is an error here.
pub(super) async fn blocking<T: Send + 'static>(
    context: &'static str,
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    spawn_blocking(work).await.unwrap_or_else(|panic| {
        Err(StoreError::new(StoreErrorKind::Unusable, context).because(panic))
    })
}

/// Waits for `work` until the deadline of the store. `work` goes on if the deadline passes.
pub(super) async fn in_time<T>(
    context: &'static str,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    timeout(DEADLINE, work)
        .await
        .unwrap_or_else(|_| Err(late(context)))
}

fn late(context: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, context).because(format!(
        "the disk did not respond within {} seconds",
        DEADLINE.as_secs()
    ))
}

/// The longest time that a read or a write may take: far longer than an `fsync` of a healthy disk.
const DEADLINE: Duration = Duration::from_secs(2);
