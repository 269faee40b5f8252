//! What operators are told about requests that were refused: the recent ones, and counts for each consumer.
//!
//! One [`Diagnostics`] is told of every decision and asked by whoever shows them. It keeps everything in memory, of this
//! process and since it began, and all of it is bounded: the number and the bytes of the denials that are kept, and the
//! number of consumers that are counted.
//!
//! ```text
//! server::ext_authz ──allowed, denied──▶ Diagnostics ──▶ report   counts, a ledger for each thread
//!                                                    └─▶ recent   the last denials, oldest dropped first
//!                                   denials, watch ◀──────┘
//! ```
//!
//! What a denial holds may be shown to an operator as it is: the claimed consumer key, method, host and path are cut and
//! escaped, the values of the query are masked, and no header, body or secret is in it. Who may see it is left to
//! `server`.

mod denial;
mod filter;
mod masked;
mod recent;
mod report;

use std::fmt;
use std::sync::Arc;

pub use denial::Denial;
pub use filter::Filter;
pub use recent::{Seen, Watch};
pub use report::{Report, Tally};

use self::recent::Recent;
use self::report::Ledger;
use crate::clock::{Clock, UnixTime};
use crate::config::{DiagnosticsConfig, Mode};
use crate::model::ConsumerKey;
use crate::oauth::SignatureMethod;
use crate::verify;

/// What is known of the requests of this process so far; clones are the same.
#[derive(Clone)]
pub struct Diagnostics(Arc<Shared>);

struct Shared {
    clock: Arc<dyn Clock>,
    since: UnixTime,
    ledger: Ledger,
    recent: Arc<Recent>,
}

/// A request that was refused, or would have been if its route were not in shadow mode.
#[derive(Clone, Copy)]
pub struct Refused<'a> {
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
}

impl Diagnostics {
    /// Nothing is known yet.
    pub fn new(config: &DiagnosticsConfig, clock: Arc<dyn Clock>) -> Self {
        let since = clock.now();
        let recent = Arc::new(Recent::new(config.recent, config.max_bytes));
        Self(Arc::new(Shared { clock, since, ledger: Ledger::new(config.consumers), recent }))
    }

    /// Counts a request of `consumer` that was let through.
    pub fn allowed(&self, consumer: &ConsumerKey, method: SignatureMethod) {
        self.0.ledger.allowed(consumer.as_str(), method, self.0.clock.now());
    }

    /// Counts an unsigned request that was let through.
    pub fn anonymous(&self) {
        self.0.ledger.anonymous(self.0.clock.now());
    }

    /// Counts and keeps a request that was refused.
    pub fn refused(&self, refused: &Refused<'_>) {
        let now = self.0.clock.now();
        self.0.ledger.refused(refused, now);
        self.0.recent.add(|denial| denial.fill(refused, now));
    }

    /// The denials that `filter` admits, the newest first: at most `limit` of them, and only those before the one whose
    /// [`sequence`](Denial::sequence) is `before`.
    pub fn denials(&self, filter: &Filter, before: Option<u64>, limit: usize) -> Vec<Denial> {
        self.0.recent.list(filter, before, limit)
    }

    /// The denial of that decision, if it is still kept.
    pub fn denial(&self, decision_id: &str) -> Option<Denial> {
        self.0.recent.find(decision_id)
    }

    /// The denials from now on that `filter` admits.
    pub fn watch(&self, filter: Filter) -> Watch {
        Watch::new(Arc::clone(&self.0.recent), filter)
    }

    /// Ends every [`Watch`], those to come as well.
    pub fn end_watches(&self) {
        self.0.recent.close();
    }

    /// At most `limit` reports in the order of consumer keys, only those after the key `after`; the first of all, whose key
    /// is empty, is about requests that name no known consumer.
    pub fn reports(&self, after: Option<&str>, limit: usize) -> Vec<Report> {
        self.0.ledger.reports(after, limit)
    }

    /// How many requests are in no report, since there were too many consumers.
    pub fn unreported(&self) -> u64 {
        self.0.ledger.unreported()
    }

    /// Since when is counted and kept.
    pub fn since(&self) -> UnixTime {
        self.0.since
    }
}

impl fmt::Debug for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Diagnostics").finish_non_exhaustive()
    }
}
