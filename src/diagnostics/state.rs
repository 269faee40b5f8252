//! The state that all clones of [`Diagnostics`](super::Diagnostics) and the explainer thread share.

use std::sync::Arc;

use super::explain_job::{ExplainJob, ExplainedJob};
use super::explanation::Explanation;
use super::ledger::ConsumerLedger;
use super::rate::ExplainRates;
use super::recent::RecentDenials;
use super::refused_request::RefusedRequest;
use crate::clock::{Clock, UnixTime};
use crate::config::{DiagnosticsConfig, Mode};
use crate::telemetry::Metrics;
use crate::verify::ClaimedCaller;

/// Counts, denials and rates.
pub(super) struct SharedState {
    pub(super) clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    /// The time at which recording started.
    pub(super) since: UnixTime,
    pub(super) ledger: ConsumerLedger,
    pub(super) recent: Arc<RecentDenials>,
    pub(super) rates: ExplainRates,
}

impl SharedState {
    /// Returns empty state with the limits of `config`.
    pub(super) fn new(
        config: &DiagnosticsConfig,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let since = clock.now();
        Self {
            clock,
            metrics,
            since,
            ledger: ConsumerLedger::new(config.consumers),
            recent: Arc::new(RecentDenials::new(config.recent, config.max_bytes)),
            rates: ExplainRates::new(config, since),
        }
    }

    /// Stores a denial, and returns its sequence number.
    pub(super) fn store(
        &self,
        refused: &RefusedRequest<'_>,
        explanation: Explanation,
        now: UnixTime,
    ) -> u64 {
        let known = refused.known_consumer().is_some();
        self.recent
            .add(known, |record| record.fill(refused, explanation, now))
    }

    /// Publishes the explanation of a job: to metrics, its denial and the log.
    pub(super) fn finish(&self, job: ExplainJob, explained: ExplainedJob) {
        let ExplainedJob {
            explanation,
            profiles,
        } = explained;
        let ExplainJob {
            sequence,
            decision_id,
            named,
            mode,
            ..
        } = job;
        self.count_explanation(&named, &explanation, mode);
        let causes = (!matches!(explanation, Explanation::Skipped))
            .then(|| explanation.words().collect::<Vec<_>>().join("+"));
        let remedy = causes.is_some().then(|| explanation.remedy().to_owned());
        self.recent.explain(sequence, explanation, profiles);
        // Last, so that a reader of the log finds the explained denial.
        if let Some(cause) = causes {
            let consumer = named.consumer.key.as_str();
            let profiles = (!profiles.is_empty()).then(|| profiles.to_string());
            tracing::info!(
                decision_id,
                cause,
                would_pass_with = profiles,
                remedy,
                claimed_consumer = consumer,
                "diagnosed"
            );
        }
    }

    /// Counts an explanation in metrics and for its consumer.
    pub(super) fn count_explanation(
        &self,
        named: &ClaimedCaller,
        explanation: &Explanation,
        mode: Mode,
    ) {
        explanation
            .words()
            .for_each(|word| self.metrics.diagnosis(word));
        let consumer = (&*named.consumer).into();
        self.ledger
            .count_explanation(consumer, explanation, mode, self.clock.now());
    }
}
