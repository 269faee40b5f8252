//! Reports of outcomes, the same for checks and for requests for credentials.
//!
//! Every call ends in one [`Outcome`], which is counted and logged here. A denied request takes
//! five steps: **count** it in the metrics, **keep** it for operators, **log** it, **style** the
//! answer and wait for an **explanation** that belongs in the answer.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use strum::IntoStaticStr;
use tokio::time::Instant;

use super::decision_id::DecisionId;
use super::explained;
use super::problem::{DenialResponse, DenialStyle, Problem};
use crate::config::{DenyDetail, Mode};
use crate::diagnostics::{Diagnostics, PendingExplanation, RefusedRequest, SentRequest};
use crate::model::{ConsumerKey, UserId};
use crate::server::negotiation::AnswerFormat;
use crate::store::StoreError;
use crate::telemetry::Metrics;
use crate::verify::{Allowance, Applicant, Denial, Reason, Weakened};

/// The outcome of a call, as metrics, log events and dynamic metadata name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub(crate) enum Outcome {
    /// A proven request passes.
    Allow,
    /// An unsigned request passes.
    Anonymous,
    /// A consumer gets credentials.
    Issue,
    /// The request is denied.
    Deny,
    /// The request passes only because its route is in shadow mode.
    WouldDeny,
    /// Countersign failed.
    Error,
}

/// One call: a check or a request for credentials.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub(crate) kind: CallKind,
    pub(crate) id: DecisionId,
    pub(crate) start: Instant,
}

/// The kind of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallKind {
    /// A check.
    Check,
    /// A request for credentials at the endpoint of this name.
    Credentials(&'static str),
}

/// A request, as the reports about it describe it.
pub(crate) struct ReportedRequest<'a> {
    /// The HTTP method; empty if it could not be read, like the two below.
    pub(crate) method: &'a [u8],
    /// The host that the client named.
    pub(crate) host: &'a [u8],
    /// The path and the query.
    pub(crate) target: &'a [u8],
    /// Envoy's id of the request, or an empty text.
    pub(crate) envoy_id: &'a str,
    /// The mode of its route.
    pub(crate) mode: Mode,
    /// The request as the verifier read it, if it could be read.
    pub(crate) sent: Option<SentRequest<'a>>,
}

/// A failure of Countersign, independent of the caller.
pub(crate) trait OwnFailure: fmt::Display {
    /// Returns the label in logs and metrics.
    fn label(&self) -> &'static str;

    /// Returns the error of the store, if the store failed.
    fn store_error(&self) -> Option<&StoreError>;
}

/// Counts, keeps and logs the outcome of calls.
#[derive(Clone, Debug)]
pub(crate) struct Reporter {
    metrics: Arc<Metrics>,
    diagnostics: Diagnostics,
    deny_detail: DenyDetail,
}

/// A reported denial that waits for its answer.
pub(crate) struct PendingDenial {
    decision_id: DecisionId,
    reason: Reason,
    advice: Option<String>,
    detail: DenyDetail,
    base_string: Option<String>,
    /// `None` unless the answer may contain the explanation.
    explaining: Option<PendingExplanation>,
}

/// The terms of the answer to a denied request.
pub(crate) struct AnswerTerms<'a> {
    /// The realm of the challenge.
    pub(crate) realm: &'a str,
    /// The format of the body.
    pub(crate) format: AnswerFormat,
    /// The latest time at which an explanation is still of use.
    pub(crate) explain_until: Instant,
}

// === impl Outcome ===

impl Outcome {
    /// Returns the outcome's name.
    pub(crate) const fn name(self) -> &'static str {
        self.into_str()
    }

    /// Returns the outcome of a denial on a route in this mode.
    pub(crate) const fn denied(mode: Mode) -> Self {
        match mode {
            Mode::Enforce => Self::Deny,
            Mode::Shadow => Self::WouldDeny,
        }
    }
}

// === impl Call ===

impl Call {
    /// Starts a call now.
    pub(crate) fn start(kind: CallKind, id: DecisionId) -> Self {
        Self {
            kind,
            id,
            start: Instant::now(),
        }
    }

    fn latency(&self) -> Duration {
        self.start.elapsed()
    }

    fn latency_us(&self) -> u64 {
        u64::try_from(self.latency().as_micros()).unwrap_or(u64::MAX)
    }
}

impl CallKind {
    /// Returns the message of the call's log events.
    const fn message(self) -> &'static str {
        match self {
            Self::Check => "check",
            Self::Credentials(_) => "token request",
        }
    }

    const fn endpoint(self) -> Option<&'static str> {
        match self {
            Self::Check => None,
            Self::Credentials(endpoint) => Some(endpoint),
        }
    }
}

// === impl Reporter ===

impl Reporter {
    /// Returns a reporter; `deny_detail` applies to consumers that have none of their own.
    pub(crate) const fn new(
        metrics: Arc<Metrics>,
        diagnostics: Diagnostics,
        deny_detail: DenyDetail,
    ) -> Self {
        Self {
            metrics,
            diagnostics,
            deny_detail,
        }
    }

    /// Reports a check that passes; `None` is an unsigned request.
    pub(crate) fn pass(&self, call: &Call, allowance: Option<&Allowance>) {
        let Some(allowance) = allowance else {
            self.count(call, Outcome::Anonymous, NO_REASON);
            self.diagnostics.record_anonymous();
            tracing::debug!(decision_id = %call.id, result = Outcome::Anonymous.name(),
                latency_us = call.latency_us(), "check");
            return;
        };
        let identity = &allowance.identity;
        self.count(call, Outcome::Allow, NO_REASON);
        if allowance.weakened != Weakened::default() {
            self.report_weakened(call, allowance);
        }
        self.diagnostics
            .record_allowed(identity.consumer().into(), allowance.signature_method);
        tracing::debug!(
            decision_id = %call.id,
            result = Outcome::Allow.name(),
            consumer = identity.consumer_key().as_str(),
            user = identity.user_id().map(UserId::as_str),
            signature_method = allowance.signature_method.name(),
            latency_us = call.latency_us(),
            "check"
        );
    }

    /// Counts and logs a check that passes although an outage weakened it.
    #[cold]
    fn report_weakened(&self, call: &Call, allowance: &Allowance) {
        let Weakened {
            nonce_is_local,
            credentials_are_stale,
        } = allowance.weakened;
        if nonce_is_local {
            self.metrics.check_degraded("nonce");
        }
        if credentials_are_stale {
            self.metrics.check_degraded("credentials");
        }
        tracing::info!(
            decision_id = %call.id,
            consumer = allowance.identity.consumer_key().as_str(),
            nonce_is_local,
            credentials_are_stale,
            "the check passed while the store is unavailable"
        );
    }

    /// Reports credentials that `applicant` gets.
    pub(crate) fn issue(&self, call: &Call, applicant: &Applicant) {
        let consumer = &applicant.consumer;
        self.count(call, Outcome::Issue, NO_REASON);
        self.diagnostics
            .record_allowed((&**consumer).into(), applicant.signature_method);
        tracing::info!(
            decision_id = %call.id,
            endpoint = call.kind.endpoint(),
            result = Outcome::Issue.name(),
            consumer = consumer.key.as_str(),
            latency_us = call.latency_us(),
            "token request"
        );
    }

    /// Reports a denied request: counts, keeps and logs it. `advice` replaces that of the reason.
    pub(crate) fn deny(
        &self,
        call: &Call,
        request: &ReportedRequest<'_>,
        denial: &Denial,
        advice: Option<String>,
    ) -> PendingDenial {
        let outcome = Outcome::denied(request.mode);
        self.count(call, outcome, denial.reason.label());
        let explaining = self.keep(call, request, denial.reason.label(), Some(denial));
        log_denial(call, request, denial, advice.as_deref());
        let detail = denial.detail(self.deny_detail);
        let debugs = detail == DenyDetail::Debug && outcome == Outcome::Deny;
        PendingDenial {
            decision_id: call.id,
            reason: denial.reason,
            advice,
            detail,
            base_string: debugs.then(|| request.masked_base_string()).flatten(),
            explaining: explaining.filter(|_| debugs),
        }
    }

    /// Reports a failure of ours.
    pub(crate) fn fail(&self, call: &Call, failure: &impl OwnFailure) {
        self.count_failure(call, Outcome::Error, failure);
        log_failure(call, Outcome::Error, failure);
    }

    /// Reports a failure of ours about a request that passes because its route is in shadow mode.
    pub(crate) fn fail_in_shadow(
        &self,
        call: &Call,
        request: &ReportedRequest<'_>,
        failure: &impl OwnFailure,
    ) {
        self.count_failure(call, Outcome::WouldDeny, failure);
        self.keep(call, request, failure.label(), None);
        log_failure(call, Outcome::WouldDeny, failure);
    }

    /// Counts the outcome of a call; `reason` is from a closed set.
    pub(crate) fn count(&self, call: &Call, outcome: Outcome, reason: &'static str) {
        if outcome == Outcome::Error {
            self.diagnostics.record_failed(reason);
        }
        match call.kind {
            CallKind::Check => self
                .metrics
                .decision(outcome.name(), reason, call.latency()),
            CallKind::Credentials(endpoint) => {
                self.metrics.token_request(endpoint, outcome.name(), reason);
            }
        }
    }

    fn count_failure(&self, call: &Call, outcome: Outcome, failure: &impl OwnFailure) {
        if let Some(error) = failure.store_error() {
            self.metrics.store_error(error.kind().label());
        }
        self.count(call, outcome, failure.label());
    }

    /// Keeps a denied request for operators, and has it explained if possible.
    fn keep(
        &self,
        call: &Call,
        request: &ReportedRequest<'_>,
        reason: &'static str,
        denial: Option<&Denial>,
    ) -> Option<PendingExplanation> {
        self.diagnostics.record_refused(&RefusedRequest {
            decision_id: call.id.hex().as_str(),
            reason,
            denial,
            method: request.method,
            host: request.host,
            target: request.target,
            mode: request.mode,
            sent: request.sent.as_ref(),
        })
    }
}

// === impl ReportedRequest ===

impl ReportedRequest<'_> {
    fn path(&self) -> &[u8] {
        self.target
            .split(|&byte| byte == b'?')
            .next()
            .unwrap_or_default()
    }

    /// Returns the base string with the values of other parameters masked.
    fn masked_base_string(&self) -> Option<String> {
        let sent = self.sent.as_ref()?;
        let signed = sent.request.parse(&sent.limits).ok().flatten()?;
        Some(signed.masked_base_string().escape_ascii().to_string())
    }
}

// === impl PendingDenial ===

impl PendingDenial {
    /// Writes the answer, after the explanation if it belongs in the answer.
    pub(crate) async fn respond(self, terms: AnswerTerms<'_>) -> DenialResponse {
        let cause = explained::public_cause(self.explaining, terms.explain_until).await;
        let mut problem = Problem::of(self.reason);
        if let Some(advice) = self.advice {
            problem.advice = advice.into();
        }
        problem.write(&DenialStyle {
            realm: terms.realm,
            detail: self.detail,
            format: terms.format,
            decision_id: self.decision_id,
            base_string: self.base_string,
            cause,
        })
    }
}

/// Logs a denial: one event with enough to act on, and without header, query and body.
fn log_denial(call: &Call, request: &ReportedRequest<'_>, denial: &Denial, advice: Option<&str>) {
    // The endpoint says as much about a request for credentials.
    let check = (call.kind == CallKind::Check).then_some(request);
    let text = |part: fn(&ReportedRequest<'_>) -> String| check.map(part);
    tracing::info!(
        decision_id = %call.id,
        endpoint = call.kind.endpoint(),
        result = Outcome::denied(request.mode).name(),
        reason = denial.reason.label(),
        detail = advice.map(str::to_owned).or_else(|| denial.reason.detail()),
        consumer = denial.identity.as_ref().map(|identity| identity.consumer_key().as_str()),
        claimed_consumer = denial.claimed_consumer_key.as_ref().map(ConsumerKey::as_str),
        signature_method = denial.signature_method.map(tracing::field::display),
        method = text(|request| loggable(request.method)),
        host = text(|request| loggable(request.host)),
        path = text(|request| loggable(request.path())),
        envoy_request = text(|request| loggable(request.envoy_id.as_bytes())),
        latency_us = call.latency_us(),
        "{}", call.kind.message()
    );
}

/// Logs a failure: a warning for a request for credentials. Checks are too frequent for warnings,
/// and an unavailable store is reported separately.
fn log_failure(call: &Call, outcome: Outcome, failure: &impl OwnFailure) {
    let (result, reason) = (outcome.name(), failure.label());
    let error = failure
        .store_error()
        .map_or_else(|| failure.to_string(), StoreError::with_causes);
    let latency_us = call.latency_us();
    match call.kind {
        CallKind::Check => {
            tracing::info!(decision_id = %call.id, result, reason, error, latency_us, "check");
        }
        CallKind::Credentials(endpoint) => {
            tracing::warn!(decision_id = %call.id, endpoint, result, reason, error, latency_us,
                "token request");
        }
    }
}

/// Escapes a text of the caller, so that it cannot forge a log line, and cuts it.
fn loggable(text: &[u8]) -> String {
    text[..text.len().min(LOGGED_BYTES)]
        .escape_ascii()
        .to_string()
}

/// The reason label of a call that was not denied.
const NO_REASON: &str = "ok";

/// The longest piece of a request's own text that is logged.
const LOGGED_BYTES: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_keep_the_names_that_dashboards_use() {
        let names = [
            (Outcome::Allow, "allow"),
            (Outcome::Anonymous, "anonymous"),
            (Outcome::Issue, "issue"),
            (Outcome::Deny, "deny"),
            (Outcome::WouldDeny, "would_deny"),
            (Outcome::Error, "error"),
        ];
        for (outcome, name) in names {
            assert_eq!(outcome.name(), name);
        }
    }

    #[test]
    fn a_logged_text_is_short_and_escaped() {
        assert_eq!(loggable(b"a\nb\xff"), "a\\nb\\xff");
        assert_eq!(loggable(&[b'x'; 300]).len(), LOGGED_BYTES);
    }
}
