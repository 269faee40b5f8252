//! A gauge whose value may be unknown.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::encoding::{EncodeMetric, MetricEncoder};
use prometheus_client::metrics::{MetricType, TypedMetric};

/// A gauge that has no sample as long as its value is unknown.
#[derive(Clone, Debug)]
pub(super) struct OptionalGauge(Arc<AtomicU64>);

// === impl OptionalGauge ===

impl OptionalGauge {
    /// Sets the value; `None` makes it unknown.
    pub(super) fn set(&self, value: Option<u64>) {
        self.0.store(value.unwrap_or(UNKNOWN), Ordering::Relaxed);
    }
}

impl Default for OptionalGauge {
    fn default() -> Self {
        Self(Arc::new(AtomicU64::new(UNKNOWN)))
    }
}

impl TypedMetric for OptionalGauge {
    const TYPE: MetricType = MetricType::Gauge;
}

impl EncodeMetric for OptionalGauge {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        match self.0.load(Ordering::Relaxed) {
            UNKNOWN => Ok(()),
            value => encoder.encode_gauge(&value),
        }
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

/// The value of a gauge that is unknown.
const UNKNOWN: u64 = u64::MAX;
