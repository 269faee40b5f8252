//! Logs and metrics; the only file that names an instrument.
//!
//! Labels are words of closed sets (`&'static str`), so no client can create new series. `series`
//! holds the counters that every check updates, `log` writes the logs.

mod log;
mod optional_gauge;
mod series;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

pub use self::log::{LogError, LogFilter, log_to_stderr};
use self::optional_gauge::OptionalGauge;
use self::series::{DurationHistogram, LaneCounter};

/// Every instrument of the service.
pub struct Metrics {
    registry: Registry,
    decisions: DecisionSeries,
    diagnoses: Family<CauseLabel, Counter>,
    token_requests: Family<EndpointLabels, Counter>,
    store_errors: Family<KindLabel, Counter>,
    store_up: Gauge,
    store_restarts: Counter,
    store_clock_skew: Gauge<f64, AtomicU64>,
    store_nonces: Gauge,
    cache_lookups: CacheLookups,
    cache_invalidations: Family<ChangedLabel, Counter>,
    checks_degraded: Family<DegradedLabel, Counter>,
    cache_entries: Gauge,
    cache_bytes: Gauge,
    changes_heard: Gauge,
    changes_untold: Counter,
    changes_remade: Counter,
    unreadable_records: Counter,
    records_under_old_keys: OptionalGauge,
    connections: Family<ListenerLabel, Gauge>,
    connections_closed: Family<CloseLabels, Counter>,
    config_reloads: Family<ResultLabel, Counter>,
    config_reloaded: Gauge,
    config_reloaded_at: Gauge,
    config_hash: Gauge,
    certificate_expiry: Family<ListenerLabel, Gauge>,
}

impl Metrics {
    /// Counts a decision and its duration. `result` is `allow`, `anonymous`, `deny`, `would_deny`
    /// or `error`; `reason` is from a closed set.
    pub fn decision(&self, result: &'static str, reason: &'static str, took: Duration) {
        self.decisions
            .count(&DecisionLabels { result, reason }, took);
    }

    /// Counts a signature mismatch; `cause` is from a closed set.
    pub fn diagnosis(&self, cause: &'static str) {
        self.diagnoses.get_or_create(&CauseLabel { cause }).inc();
    }

    /// Counts a request for credentials. `result` is `issue`, `deny` or `error`; `endpoint` and
    /// `reason` are from closed sets.
    pub fn token_request(
        &self,
        endpoint: &'static str,
        result: &'static str,
        reason: &'static str,
    ) {
        self.token_requests
            .get_or_create(&EndpointLabels {
                endpoint,
                result,
                reason,
            })
            .inc();
    }

    /// Counts a failed call to the store; `kind` is from a closed set.
    pub fn store_error(&self, kind: &'static str) {
        self.store_errors.get_or_create(&KindLabel { kind }).inc();
    }

    /// Sets whether the store answers.
    pub fn store_up(&self, up: bool) {
        self.store_up.set(i64::from(up));
    }

    /// Sets the number of detected restarts and of nonces stored in this process.
    pub fn store_status(&self, restarts_seen: u64, nonces: u64) {
        self.store_restarts
            .inner()
            .store(restarts_seen, std::sync::atomic::Ordering::Relaxed);
        self.store_nonces
            .set(i64::try_from(nonces).unwrap_or(i64::MAX));
    }

    /// Sets the clock of the store minus this host's.
    pub fn store_clock_skew(&self, millis: i64) {
        self.store_clock_skew.set(millis as f64 / 1000.0);
    }

    /// Counts a lookup of credentials; a hit needed no call to the store.
    pub fn cache_lookup(&self, hit: bool) {
        if hit {
            &self.cache_lookups.hits
        } else {
            &self.cache_lookups.misses
        }
        .increment();
    }

    /// Counts a change that invalidated cached records; `changed` is from a closed set.
    pub fn cache_invalidation(&self, changed: &'static str) {
        self.cache_invalidations
            .get_or_create(&ChangedLabel { changed })
            .inc();
    }

    /// Counts a check that passed although the store is unavailable; `what` was weakened, and is from
    /// a closed set.
    pub fn check_degraded(&self, what: &'static str) {
        self.checks_degraded
            .get_or_create(&DegradedLabel { what })
            .inc();
    }

    /// Sets the number of cached records and their size.
    pub fn cache_size(&self, entries: u64, bytes: u64) {
        self.cache_entries
            .set(i64::try_from(entries).unwrap_or(i64::MAX));
        self.cache_bytes
            .set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// Sets whether changes by other replicas arrive, and the number of changes that could not be
    /// announced to them so far.
    pub fn changes(&self, heard: bool, untold: u64) {
        self.changes_heard.set(i64::from(heard));
        self.changes_untold
            .inner()
            .store(untold, std::sync::atomic::Ordering::Relaxed);
    }

    /// Sets the number of acknowledged changes that the store lost and this process made again.
    pub fn changes_remade(&self, remade: u64) {
        self.changes_remade
            .inner()
            .store(remade, std::sync::atomic::Ordering::Relaxed);
    }

    /// Sets the number of records and index entries that lists skipped because they cannot be read.
    pub fn unreadable_records(&self, skipped: u64) {
        self.unreadable_records
            .inner()
            .store(skipped, std::sync::atomic::Ordering::Relaxed);
    }

    /// Sets the number of records that other master keys than the first one seal; `None` removes it.
    pub fn records_under_old_keys(&self, count: Option<u64>) {
        self.records_under_old_keys.set(count);
    }

    /// Counts a connection as open until the returned value is dropped.
    pub fn connection(&self, listener: &'static str) -> OpenConnection {
        let open = self
            .connections
            .get_or_create(&ListenerLabel { listener })
            .clone();
        open.inc();
        OpenConnection { open }
    }

    /// Counts a connection that this side closed; `reason` is from a closed set.
    pub fn connection_closed(&self, listener: &'static str, reason: &'static str) {
        self.connections_closed
            .get_or_create(&CloseLabels { listener, reason })
            .inc();
    }

    /// Counts a reload, and sets whether the last one succeeded.
    pub fn config_reload(&self, succeeded: bool) {
        let result = if succeeded { "success" } else { "failure" };
        self.config_reloads
            .get_or_create(&ResultLabel { result })
            .inc();
        self.config_reloaded.set(i64::from(succeeded));
    }

    /// Sets the hash of the configuration in use, and the Unix time since when it is in use.
    pub fn config_in_use(&self, hash: u64, since: u64) {
        self.config_hash.set(hash.try_into().unwrap_or(i64::MAX));
        self.config_reloaded_at
            .set(since.try_into().unwrap_or(i64::MAX));
    }

    /// Sets the Unix time at which the certificate of a listener expires.
    pub fn certificate_expiry(&self, listener: &'static str, at: u64) {
        self.certificate_expiry
            .get_or_create(&ListenerLabel { listener })
            .set(at.try_into().unwrap_or(i64::MAX));
    }

    /// Returns every series in the OpenMetrics text format, media type [`Self::CONTENT_TYPE`].
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Only the writer can fail, and a `String` never does.
        let _: fmt::Result = encode(&mut text, &self.registry);
        text
    }

    /// The media type of [`Self::render`].
    pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
}

impl Default for Metrics {
    fn default() -> Self {
        let metrics = Self {
            registry: Registry::with_prefix("countersign"),
            decisions: DecisionSeries::default(),
            diagnoses: Family::default(),
            token_requests: Family::default(),
            store_errors: Family::default(),
            store_up: Gauge::default(),
            store_restarts: Counter::default(),
            store_clock_skew: Gauge::default(),
            store_nonces: Gauge::default(),
            cache_lookups: CacheLookups::default(),
            cache_invalidations: Family::default(),
            checks_degraded: Family::default(),
            cache_entries: Gauge::default(),
            cache_bytes: Gauge::default(),
            changes_heard: Gauge::default(),
            changes_untold: Counter::default(),
            changes_remade: Counter::default(),
            unreadable_records: Counter::default(),
            records_under_old_keys: OptionalGauge::default(),
            connections: Family::default(),
            connections_closed: Family::default(),
            config_reloads: Family::default(),
            config_reloaded: Gauge::default(),
            config_reloaded_at: Gauge::default(),
            config_hash: Gauge::default(),
            certificate_expiry: Family::default(),
        };
        metrics.register()
    }
}

/// The names of the instruments. The registry adds `countersign_` in front, the unit, and `_total`
/// or `_info`.
impl Metrics {
    fn register(mut self) -> Self {
        self.register_checks();
        self.register_store();
        self.register_cache();
        self.register_connections();
        self.register_config();
        self
    }

    fn register_checks(&mut self) {
        let registry = &mut self.registry;
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The running version", build);
        let help = "Checks by result and reason";
        registry.register("decisions", help, self.decisions.by_reason.clone());
        let help = "Duration of checks, from the request to the answer";
        let took = self.decisions.took.clone();
        registry.register_with_unit("check_duration", help, Unit::Seconds, took);
        let help = "Signature mismatches by cause";
        registry.register("diagnoses", help, self.diagnoses.clone());
        let help = "Requests for credentials by endpoint, result and reason";
        registry.register("token_requests", help, self.token_requests.clone());
    }

    fn register_store(&mut self) {
        let registry = &mut self.registry;
        let help = "Failed calls to the store by kind of failure";
        registry.register("store_errors", help, self.store_errors.clone());
        let help = "1 if the store answers, 0 if it does not";
        registry.register("store_up", help, self.store_up.clone());
        let help = "Detected restarts of the store's server, each of which may have lost nonces";
        registry.register("store_restarts_seen", help, self.store_restarts.clone());
        let help = "The clock of Redis minus this host's; 0 for the embedded store";
        let skew = self.store_clock_skew.clone();
        registry.register_with_unit("store_clock_skew", help, Unit::Seconds, skew);
        let help = "Nonces stored in this process; 0 if Redis stores them";
        registry.register("store_nonces", help, self.store_nonces.clone());
    }

    fn register_cache(&mut self) {
        let registry = &mut self.registry;
        let help =
            "Look-ups of credentials by outcome: hit if the cache had all of them, else miss";
        registry.register("cache_lookups", help, self.cache_lookups.family.clone());
        let help = "Changes that invalidated cached records, by kind of record";
        let invalidations = self.cache_invalidations.clone();
        registry.register("cache_invalidations", help, invalidations);
        let help = "Checks that passed while the store was unavailable, by what was weakened";
        registry.register("checks_degraded", help, self.checks_degraded.clone());
        let help = "Records in the cache";
        registry.register("cache_entries", help, self.cache_entries.clone());
        let help = "Memory of the cache in bytes, estimated";
        registry.register("cache_bytes", help, self.cache_bytes.clone());
        let help = "1 if changes by other replicas arrive at once, 0 if the channel is interrupted";
        registry.register("changes_heard", help, self.changes_heard.clone());
        let help = "Changes that could not be announced to other replicas at once";
        registry.register("changes_untold", help, self.changes_untold.clone());
        let help = "Acknowledged changes that Redis lost and this replica made again";
        registry.register("changes_remade", help, self.changes_remade.clone());
        let help = "Records and index entries that lists skipped because they cannot be read";
        let skipped = self.unreadable_records.clone();
        registry.register("store_unreadable_records", help, skipped);
        let help = "Records that a master key other than the first one seals, at the last count";
        let under_old_keys = self.records_under_old_keys.clone();
        registry.register("store_records_under_old_keys", help, under_old_keys);
    }

    fn register_connections(&mut self) {
        let registry = &mut self.registry;
        let help = "Open connections by listener";
        registry.register("connections", help, self.connections.clone());
        let help = "Connections that this side closed while it serves, by listener and reason";
        let closed = self.connections_closed.clone();
        registry.register("connections_closed", help, closed);
    }

    fn register_config(&mut self) {
        // A rate needs a first value, so both results exist from the start.
        for result in ["success", "failure"] {
            drop(self.config_reloads.get_or_create(&ResultLabel { result }));
        }
        self.config_reloaded.set(1);
        let registry = &mut self.registry;
        let help = "Reloads of the configuration and its files, by result";
        registry.register("config_reloads", help, self.config_reloads.clone());
        let help = "1 if the last reload succeeded or there was none, 0 if it was refused";
        let reloaded = self.config_reloaded.clone();
        registry.register("config_last_reload_successful", help, reloaded);
        let help = "Unix time of the last successful reload, or of the start";
        let (name, at) = (
            "config_last_reload_success_timestamp",
            self.config_reloaded_at.clone(),
        );
        registry.register_with_unit(name, help, Unit::Seconds, at);
        let help = "Hash of the configuration in use, without the address of the store";
        registry.register("config_hash", help, self.config_hash.clone());
        let help = "Unix time at which the first certificate of a listener's file expires";
        let expiry = self.certificate_expiry.clone();
        registry.register_with_unit("certificate_expiry", help, Unit::Seconds, expiry);
    }
}

/// Decisions by result and reason, and their durations by result. The series of allowed checks, the
/// most frequent ones, need no lookup.
#[derive(Default)]
struct DecisionSeries {
    by_reason: Family<DecisionLabels, LaneCounter>,
    took: Family<ResultLabel, DurationHistogram>,
    allowed: OnceLock<(LaneCounter, DurationHistogram)>,
}

impl DecisionSeries {
    fn count(&self, labels: &DecisionLabels, took: Duration) {
        if *labels == ALLOWED {
            add(self.allowed.get_or_init(|| self.series(labels)), took);
        } else {
            add(&self.series(labels), took);
        }
    }

    fn series(&self, labels: &DecisionLabels) -> (LaneCounter, DurationHistogram) {
        let result = ResultLabel {
            result: labels.result,
        };
        (
            self.by_reason.get_or_create_owned(labels),
            self.took.get_or_create_owned(&result),
        )
    }
}

fn add((count, durations): &(LaneCounter, DurationHistogram), took: Duration) {
    count.increment();
    durations.observe(took);
}

/// The labels of an allowed check.
const ALLOWED: DecisionLabels = DecisionLabels {
    result: "allow",
    reason: "ok",
};

/// Both series of a family, which every check needs without a lookup.
struct CacheLookups {
    family: Family<OutcomeLabel, LaneCounter>,
    hits: LaneCounter,
    misses: LaneCounter,
}

impl Default for CacheLookups {
    fn default() -> Self {
        let family = Family::<OutcomeLabel, LaneCounter>::default();
        let series = |outcome| family.get_or_create(&OutcomeLabel { outcome }).clone();
        let (hits, misses) = (series("hit"), series("miss"));
        Self {
            family,
            hits,
            misses,
        }
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// An open connection in the metrics.
#[derive(Debug)]
#[must_use = "the connection counts as closed once this is dropped"]
pub struct OpenConnection {
    open: Gauge,
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.open.dec();
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DecisionLabels {
    result: &'static str,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CauseLabel {
    cause: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndpointLabels {
    endpoint: &'static str,
    result: &'static str,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabel {
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ChangedLabel {
    changed: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DegradedLabel {
    what: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ListenerLabel {
    listener: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CloseLabels {
    listener: &'static str,
    reason: &'static str,
}
