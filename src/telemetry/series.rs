//! Series that every check updates: each thread updates a part of its own, and reading adds the
//! parts up.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::{MetricType, TypedMetric};

use crate::lanes::Lanes;

/// A counter with a part for each thread.
#[derive(Clone, Debug, Default)]
pub(super) struct LaneCounter(Arc<Lanes<AtomicU64>>);

/// A histogram of durations with a part for each thread.
#[derive(Clone, Debug, Default)]
pub(super) struct DurationHistogram(Arc<Lanes<HistogramLane>>);

/// The part of one thread in a [`DurationHistogram`].
#[derive(Debug, Default)]
struct HistogramLane {
    /// The number of durations up to each of [`BOUNDS`], above the one before it, and above all.
    counts: [AtomicU64; BOUNDS.len() + 1],
    nanos: AtomicU64,
}

// === impl LaneCounter ===

impl LaneCounter {
    /// Adds one.
    pub(super) fn increment(&self) {
        self.0.mine().fetch_add(1, Ordering::Relaxed);
    }

    fn total(&self) -> u64 {
        sum(self.0.all())
    }
}

impl TypedMetric for LaneCounter {
    const TYPE: MetricType = MetricType::Counter;
}

impl EncodeMetric for LaneCounter {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        encoder.encode_counter::<NoLabelSet, _, u64>(&self.total(), None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

// === impl DurationHistogram ===

impl DurationHistogram {
    /// Adds a duration.
    pub(super) fn observe(&self, took: Duration) {
        let part = self.0.mine();
        let bucket = BOUNDS
            .iter()
            .position(|bound| took <= *bound)
            .unwrap_or(BOUNDS.len());
        part.counts[bucket].fetch_add(1, Ordering::Relaxed);
        part.nanos.fetch_add(
            u64::try_from(took.as_nanos()).unwrap_or(u64::MAX),
            Ordering::Relaxed,
        );
    }
}

impl TypedMetric for DurationHistogram {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for DurationHistogram {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let bounds = BOUNDS
            .iter()
            .map(Duration::as_secs_f64)
            .chain([f64::INFINITY]);
        let in_bucket = |bucket: usize| sum(self.0.all().map(|part| &part.counts[bucket]));
        let buckets: Vec<_> = bounds
            .enumerate()
            .map(|(bucket, bound)| (bound, in_bucket(bucket)))
            .collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let took = Duration::from_nanos(sum(self.0.all().map(|part| &part.nanos)));
        encoder.encode_histogram::<NoLabelSet>(took.as_secs_f64(), count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

fn sum<'a>(parts: impl Iterator<Item = &'a AtomicU64>) -> u64 {
    parts.map(|part| part.load(Ordering::Relaxed)).sum()
}

/// From the time of a check with the embedded store to Envoy's default timeout (0.2 s) and beyond.
const BOUNDS: [Duration; 12] = [
    Duration::from_micros(100),
    Duration::from_micros(250),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_micros(2500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(500),
];

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;
    use prometheus_client::registry::Registry;

    use super::*;

    #[test]
    fn the_counts_of_threads_are_added_up() {
        let (tally, durations) = (LaneCounter::default(), DurationHistogram::default());
        let takes = [
            Duration::from_micros(100),
            Duration::from_micros(101),
            Duration::from_secs(1),
        ];
        std::thread::scope(|scope| {
            for took in takes {
                let (tally, durations) = (&tally, &durations);
                scope.spawn(move || {
                    tally.increment();
                    durations.observe(took);
                });
            }
        });
        let mut registry = Registry::default();
        registry.register("tally", "A counter", tally);
        registry.register("took", "Durations", durations);
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        for line in [
            "tally_total 3",
            "took_count 3",
            "took_sum 1.000201",
            "took_bucket{le=\"0.0001\"} 1",
            "took_bucket{le=\"0.00025\"} 2",
            "took_bucket{le=\"0.5\"} 2",
            "took_bucket{le=\"+Inf\"} 3",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
    }
}
