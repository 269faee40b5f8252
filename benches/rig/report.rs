//! The figures of the measurements: JSON files in `target/bench`, from which `scripts/bench` makes
//! the tables.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use crate::load::Outcome;

/// The latencies of one run.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Latency {
    /// Responses per second.
    pub(crate) rate: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p999_us: f64,
}

impl Latency {
    pub(crate) fn of(outcome: &Outcome) -> Self {
        let [p50_us, p99_us, p999_us] =
            [0.5, 0.99, 0.999].map(|share| micros(outcome.percentile(share)));
        Self {
            rate: outcome.rate(),
            p50_us,
            p99_us,
            p999_us,
        }
    }
}

/// Writes figures as JSON.
pub(crate) fn save(path: &Path, figures: &impl Serialize) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, serde_json::to_string_pretty(figures).unwrap()).unwrap();
}

pub(crate) fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

pub(crate) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// Returns the median.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.into_iter().collect();
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
