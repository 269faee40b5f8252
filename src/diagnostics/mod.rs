//! What operators are told about requests that were refused: the recent ones, why their signatures did not match, and
//! counts for each consumer.
//!
//! One [`Diagnostics`] is told of every decision and asked by whoever shows them. It keeps everything in memory, of this
//! process and since it began, and all of it is bounded: the number and the bytes of the denials that are kept, the number
//! of consumers that are counted, and how often and how many at a time refused requests are explained.
//!
//! ```text
//! server::ext_authz ─┬─allowed, refused──▶ Diagnostics ──▶ report      counts, a ledger for each thread
//! server::http ──────┘                                 ├─▶ recent      the last denials, oldest dropped first
//!                                                      └─▶ explainer   a thread: oauth::diagnosis, as the rates allow
//!                                    denials, watch ◀── recent ◀─┘
//! ```
//!
//! What a denial holds may be shown to an operator as it is: the claimed consumer key is visible ASCII, method, host and path
//! are cut and escaped, the values of the query are masked, and no header, body or secret is in it. Base strings are masked as
//! [`SignedRequest::masked_base_string`](crate::oauth::SignedRequest::masked_base_string) is. Who may see it is left to
//! `server`, and so is who else may be told a cause: one that depends on a secret is for operators alone.

mod denial;
mod evidence;
mod explainer;
mod explanation;
mod filter;
mod masked;
mod rate;
mod recent;
mod report;

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError};

use tokio::sync::oneshot;

pub use denial::DenialRecord;
pub use evidence::SentRequest;
pub use explanation::Explanation;
pub use filter::DenialFilter;
pub use recent::{DenialWatch, NewDenials};
pub use report::{ConsumerReport, WordTally};

use self::evidence::RequestCopy;
use self::explainer::ExplainJob;
use self::rate::ExplainRates;
use self::recent::RecentDenials;
use self::report::ConsumerLedger;
use crate::clock::{Clock, UnixTime};
use crate::config::{DiagnosticsConfig, Mode};
use crate::model::ConsumerKey;
use crate::oauth::{Rejection, SignatureMethod};
use crate::telemetry::Metrics;
use crate::verify::{self, Named, Reason};

/// What is known of the requests of this process so far; clones are the same.
#[derive(Clone)]
pub struct Diagnostics {
    shared: Arc<Shared>,
    /// `None` where nothing is explained.
    queue: Option<SyncSender<ExplainJob>>,
}

struct Shared {
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    since: UnixTime,
    ledger: ConsumerLedger,
    recent: Arc<RecentDenials>,
    rates: ExplainRates,
}

/// A request that was refused, or would have been if its route were not in shadow mode.
#[derive(Clone, Copy)]
pub struct RefusedRequest<'a> {
    /// What the decision is found by.
    pub decision_id: &'a str,
    /// Why, as logs and metrics name it.
    pub reason: &'static str,
    /// Whom it is about, where the request could be read.
    pub denial: Option<&'a verify::Denial>,
    /// The HTTP method; empty where it could not be read, as the two below.
    pub method: &'a [u8],
    /// The host that the client named.
    pub host: &'a [u8],
    /// Path and query.
    pub target: &'a [u8],
    /// Whether it was refused, or let through and reported.
    pub mode: Mode,
    /// The request, if it can be explained.
    pub sent: Option<&'a SentRequest<'a>>,
}

/// An explanation that is on its way.
#[derive(Debug)]
pub struct PendingExplanation(oneshot::Receiver<Explanation>);

impl Diagnostics {
    /// Nothing is known yet.
    pub fn new(config: &DiagnosticsConfig, clock: Arc<dyn Clock>, metrics: Arc<Metrics>) -> Self {
        let since = clock.now();
        let shared = Arc::new(Shared {
            clock,
            metrics,
            since,
            ledger: ConsumerLedger::new(config.consumers),
            recent: Arc::new(RecentDenials::new(config.recent, config.max_bytes)),
            rates: ExplainRates::new(config, since),
        });
        let queue = if config.explain {
            explainer::start(&shared)
        } else {
            None
        };
        Self { shared, queue }
    }

    /// Counts a request of `consumer` that was let through.
    pub fn record_allowed(&self, consumer: &ConsumerKey, method: SignatureMethod) {
        self.shared
            .ledger
            .allowed(consumer.as_str(), method, self.shared.clock.now());
    }

    /// Counts an unsigned request that was let through.
    pub fn record_anonymous(&self) {
        self.shared.ledger.anonymous(self.shared.clock.now());
    }

    /// Counts and keeps a request that was refused, and has it explained where that can be and the rates allow it.
    pub fn record_refused(&self, refused: &RefusedRequest<'_>) -> Option<PendingExplanation> {
        let Self { shared, queue } = self;
        let now = shared.clock.now();
        shared.ledger.refused(refused, now);
        let known = refused
            .denial
            .is_some_and(|denial| denial.known_consumer().is_some());
        let sought = queue
            .as_ref()
            .and_then(|queue| Some((queue, explainable(refused)?)));
        let Some((queue, (named, sent))) = sought else {
            shared.recent.add(known, |denial| {
                denial.fill(refused, Explanation::NotSought, now)
            });
            return None;
        };
        let copied = shared
            .rates
            .take(named.consumer.key.as_str(), now)
            .then(|| RequestCopy::of(sent))
            .flatten();
        let Some(sent) = copied else {
            shared.recent.add(known, |denial| {
                denial.fill(refused, Explanation::Skipped, now)
            });
            shared.count(named, &Explanation::Skipped, refused.mode);
            return None;
        };
        let sequence = shared.recent.add(known, |denial| {
            denial.fill(refused, Explanation::Pending, now)
        });
        let (asked, explaining) = oneshot::channel();
        let (decision_id, named, mode) =
            (refused.decision_id.to_owned(), named.clone(), refused.mode);
        let case = ExplainJob {
            sequence,
            decision_id,
            named,
            sent,
            time: now,
            mode,
            asked,
        };
        match queue.try_send(case) {
            Ok(()) => Some(PendingExplanation(explaining)),
            Err(TrySendError::Full(case) | TrySendError::Disconnected(case)) => {
                shared.explained(case, Explanation::Skipped);
                None
            }
        }
    }

    /// The denials that `filter` admits, the newest first: at most `limit` of them, and only those before the one whose
    /// [`sequence`](DenialRecord::sequence) is `before`.
    pub fn denials(
        &self,
        filter: &DenialFilter,
        before: Option<u64>,
        limit: usize,
    ) -> Vec<DenialRecord> {
        self.shared.recent.list(filter, before, limit)
    }

    /// The denial of that decision, if it is still kept.
    pub fn denial(&self, decision_id: &str) -> Option<DenialRecord> {
        self.shared.recent.find(decision_id)
    }

    /// The denials from now on that `filter` admits.
    pub fn watch(&self, filter: DenialFilter) -> DenialWatch {
        DenialWatch::new(Arc::clone(&self.shared.recent), filter)
    }

    /// Ends every [`DenialWatch`], those to come as well.
    pub fn end_watches(&self) {
        self.shared.recent.close();
    }

    /// At most `limit` reports in the order of consumer keys, only those after the key `after`; the first of all, whose key
    /// is empty, is about requests that name no known consumer.
    pub fn reports(&self, after: Option<&str>, limit: usize) -> Vec<ConsumerReport> {
        self.shared.ledger.reports(after, limit)
    }

    /// How many requests are in no report, since there were too many consumers.
    pub fn unreported(&self) -> u64 {
        self.shared.ledger.unreported()
    }

    /// Since when is counted and kept.
    pub fn since(&self) -> UnixTime {
        self.shared.since
    }
}

/// Who and what a denial is about, if it can be explained: a consumer who is known named itself, and what it signed is not
/// what was sent.
fn explainable<'a>(refused: &RefusedRequest<'a>) -> Option<(&'a Named, &'a SentRequest<'a>)> {
    let denial = refused.denial?;
    let Reason::Rejected(
        Rejection::SignatureMismatch
        | Rejection::SignatureNotCanonical
        | Rejection::VersionUnsupported
        | Rejection::BodyHashMismatch,
    ) = denial.reason
    else {
        return None;
    };
    Some((denial.named.as_ref()?, refused.sent?))
}

impl Shared {
    /// Says everywhere why the signature of a request did not match.
    fn explained(&self, case: ExplainJob, explanation: Explanation) {
        self.count(&case.named, &explanation, case.mode);
        let found = (!matches!(explanation, Explanation::Skipped))
            .then(|| explanation.words().collect::<Vec<_>>());
        if !case.asked.is_closed() {
            // Who waited may have gone since.
            let _: Result<(), _> = case.asked.send(explanation.clone());
        }
        self.recent.explain(case.sequence, explanation);
        // Last, so that whoever reads it finds the rest.
        if let Some(words) = found {
            let (cause, consumer) = (words.join("+"), case.named.consumer.key.as_str());
            tracing::info!(
                decision_id = case.decision_id,
                cause,
                claimed_consumer = consumer,
                "diagnosed"
            );
        }
    }

    fn count(&self, named: &Named, explanation: &Explanation, mode: Mode) {
        explanation
            .words()
            .for_each(|word| self.metrics.diagnosis(word));
        self.ledger
            .explained(named.consumer.key.as_str(), explanation, mode);
    }
}

impl PendingExplanation {
    /// The explanation, as soon as it is there; `None` if there will be none.
    pub async fn explanation(self) -> Option<Explanation> {
        self.0.await.ok()
    }
}

impl fmt::Debug for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Diagnostics").finish_non_exhaustive()
    }
}
