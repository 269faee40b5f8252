//! The entry point of the module: it records decisions and answers queries.

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError};

use super::explain_job::{ExplainJob, ExplainedJob, PendingExplanation, QueuedJob};
use super::explainer;
use super::explanation::Explanation;
use super::filter::DenialFilter;
use super::hour::{ConsumerHour, HourReport};
use super::ledger::CountedConsumer;
use super::record::DenialRecord;
use super::refused_request::RefusedRequest;
use super::report::ConsumerReport;
use super::sent_request::{RequestCopy, SentRequest};
use super::state::SharedState;
use super::watch::DenialWatch;
use crate::clock::{Clock, UnixTime};
use crate::config::DiagnosticsConfig;
use crate::oauth::SignatureMethod;
use crate::telemetry::Metrics;
use crate::verify::ClaimedCaller;

/// The decisions of this process so far. Clones share their data.
#[derive(Clone)]
pub struct Diagnostics {
    pub(super) shared: Arc<SharedState>,
    /// `None` if explanations are disabled.
    pub(super) queue: Option<SyncSender<QueuedJob>>,
}

impl Diagnostics {
    /// Returns empty diagnostics, and starts the explainer thread if `config` enables it.
    pub fn new(config: &DiagnosticsConfig, clock: Arc<dyn Clock>, metrics: Arc<Metrics>) -> Self {
        let shared = Arc::new(SharedState::new(config, clock, metrics));
        let queue = if config.explain {
            explainer::start(&shared)
        } else {
            None
        };
        Self { shared, queue }
    }

    /// Returns diagnostics with the same data, which explain if `config` says so. Call
    /// [`set_rates`](Self::set_rates) for its rates.
    #[must_use]
    pub fn with_config(&self, config: &DiagnosticsConfig) -> Self {
        let queue = || {
            let queue = self.queue.clone();
            queue.or_else(|| explainer::start(&self.shared))
        };
        Self {
            shared: Arc::clone(&self.shared),
            queue: config.explain.then(queue).flatten(),
        }
    }

    /// Sets the rates of explanations.
    pub fn set_rates(&self, config: &DiagnosticsConfig) {
        self.shared.rates.set(config);
    }

    /// Counts an allowed request of `consumer`.
    pub fn record_allowed(&self, consumer: CountedConsumer<'_>, method: SignatureMethod) {
        let now = self.shared.clock.now();
        self.shared.ledger.count_allowed(consumer, method, now);
    }

    /// Counts an unsigned request that was allowed.
    pub fn record_anonymous(&self) {
        self.shared.ledger.count_anonymous(self.shared.clock.now());
    }

    /// Counts a failure of Countersign by its label, a word from a closed set.
    pub fn record_failed(&self, label: &'static str) {
        let now = self.shared.clock.now();
        self.shared.ledger.count_failed(label, now);
    }

    /// Counts and stores a refused request, and queues it for an explanation if it has one to find
    /// and the rates allow it.
    pub fn record_refused(&self, refused: &RefusedRequest<'_>) -> Option<PendingExplanation> {
        let now = self.shared.clock.now();
        self.shared.ledger.count_refused(refused, now);
        let queue = self.queue.as_ref();
        let Some((queue, (named, sent))) = queue.zip(refused.explainable()) else {
            self.shared.store(refused, Explanation::NotSought, now);
            return None;
        };
        let Some(sent) = self.admitted_copy(named, sent, now) else {
            self.shared.store(refused, Explanation::Skipped, now);
            self.shared
                .count_explanation(named, &Explanation::Skipped, refused.mode);
            return None;
        };
        let sequence = self.shared.store(refused, Explanation::Pending, now);
        let (job, pending) = ExplainJob::new(sequence, refused, named.clone(), sent, now);
        self.submit(queue, job).then_some(pending)
    }

    /// Returns a copy of the request, if the consumer's rate allows an explanation and the request
    /// is not too large.
    fn admitted_copy(
        &self,
        named: &ClaimedCaller,
        sent: &SentRequest<'_>,
        now: UnixTime,
    ) -> Option<RequestCopy> {
        let consumer = named.consumer.key.as_str();
        let is_allowed = self.shared.rates.take(consumer, now);
        is_allowed.then(|| RequestCopy::of(sent)).flatten()
    }

    /// Queues a job, or skips it if the queue is full; returns whether it was queued.
    fn submit(&self, queue: &SyncSender<QueuedJob>, job: QueuedJob) -> bool {
        match queue.try_send(job) {
            Ok(()) => true,
            Err(TrySendError::Full((job, _)) | TrySendError::Disconnected((job, _))) => {
                self.shared.finish(job, ExplainedJob::SKIPPED);
                false
            }
        }
    }

    /// Returns up to `limit` denials that match `filter`, the newest first, and only those older
    /// than the one whose [`sequence`](DenialRecord::sequence) is `before`.
    pub fn denials(
        &self,
        filter: &DenialFilter,
        before: Option<u64>,
        limit: usize,
    ) -> Vec<DenialRecord> {
        self.shared.recent.list(filter, before, limit)
    }

    /// Returns the denial of a decision, if it is still stored.
    pub fn denial(&self, decision_id: &str) -> Option<DenialRecord> {
        self.shared.recent.find(decision_id)
    }

    /// Watches the denials from now on that match `filter`.
    pub fn watch(&self, filter: DenialFilter) -> DenialWatch {
        DenialWatch::new(Arc::clone(&self.shared.recent), filter)
    }

    /// Returns up to `limit` reports, ordered by consumer key, and only those after the key
    /// `after`. The first report, with an empty key, counts requests that name no known consumer.
    pub fn reports(&self, after: Option<&str>, limit: usize) -> Vec<ConsumerReport> {
        self.shared.ledger.reports(after, limit)
    }

    /// Returns the decisions of the last hour.
    pub fn hour(&self) -> HourReport {
        let mut report = HourReport::empty(self.shared.clock.now(), self.shared.since);
        self.shared.ledger.add_hour(&mut report);
        report
    }

    /// Returns up to `limit` consumers with requests in the last hour: those with the most refused
    /// requests first, then those with the most requests. Requests that name no known consumer
    /// have an empty key.
    pub fn busiest_consumers(&self, limit: usize) -> Vec<ConsumerHour> {
        let now = self.shared.clock.now();
        self.shared.ledger.busiest(now, limit)
    }

    /// Returns the number of requests that are in no report, because there were too many consumers.
    pub fn unreported(&self) -> u64 {
        self.shared.ledger.unreported()
    }

    /// Returns the time at which recording started.
    pub fn since(&self) -> UnixTime {
        self.shared.since
    }
}

impl fmt::Debug for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Diagnostics").finish_non_exhaustive()
    }
}
