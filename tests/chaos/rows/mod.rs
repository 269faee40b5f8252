//! The rows, one file for each kind of fault.

mod redis;

use std::time::Duration;

use crate::row::Row;

/// Returns every row, in the order of the table.
pub(crate) fn all() -> Vec<Row> {
    redis::rows()
}

/// Lets the traffic run for so many seconds.
pub(crate) async fn pause(seconds: f64) {
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
}
