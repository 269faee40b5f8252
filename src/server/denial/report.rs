//! Reports of outcomes, the same for checks and for requests for credentials.
//!
//! Every call ends in one [`Outcome`], which is counted and logged here. A denied request takes
//! five steps: **count** it in the metrics, **keep** it for operators, **log** it, **style** the
//! answer and wait for an **explanation** that belongs in the answer.

use std::sync::Arc;

use tokio::time::Instant;

use super::decision_id::DecisionId;
use super::details::details;
use super::event;
use super::explained;
use super::problem::{DenialResponse, DenialStyle, Problem};
use crate::config::DenyDetail;
use crate::diagnostics::{
    Diagnostics, PendingExplanation, RefusalContext, RefusedRequest, ToldCaller,
};
use crate::model::UserId;
use crate::server::negotiation::AnswerFormat;
use crate::telemetry::Metrics;
use crate::verify::{Allowance, Applicant, Denial, Weakened};

pub(crate) use super::call::{Call, CallKind, Outcome, OwnFailure};
pub(crate) use super::reported::{CheckTerms, ReportedRequest};

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
    problem: Problem,
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
        let mut problem = Problem::of(denial.reason);
        if let Some(advice) = advice {
            problem.advice = advice.into();
        }
        let details = details(denial, request);
        let told = ToldCaller {
            status: problem.status,
            problem: problem.word,
            advice: &problem.advice,
        };
        let id = call.id.hex();
        let refused = RefusedRequest {
            denial: Some(denial),
            ..refused(id.as_str(), denial.reason.label(), request)
        };
        let refused = RefusedRequest {
            context: RefusalContext {
                told: Some(told),
                details: Some(&details),
                ..refused.context
            },
            ..refused
        };
        let explaining = self.diagnostics.record_refused(&refused);
        event::log_denial(call, &refused, request.envoy_id);
        let detail = denial.detail(self.deny_detail);
        let debugs = detail == DenyDetail::Debug && outcome == Outcome::Deny;
        PendingDenial {
            decision_id: call.id,
            problem,
            detail,
            base_string: debugs.then(|| request.masked_base_string()).flatten(),
            explaining: explaining.filter(|_| debugs),
        }
    }

    /// Reports a failure of ours.
    pub(crate) fn fail(&self, call: &Call, failure: &impl OwnFailure) {
        self.count_failure(call, Outcome::Error, failure);
        event::log_failure(call, Outcome::Error, failure);
    }

    /// Reports a failure of ours about a request that passes because its route is in shadow mode.
    pub(crate) fn fail_in_shadow(
        &self,
        call: &Call,
        request: &ReportedRequest<'_>,
        failure: &impl OwnFailure,
    ) {
        self.count_failure(call, Outcome::WouldDeny, failure);
        let id = call.id.hex();
        let refused = refused(id.as_str(), failure.label(), request);
        self.diagnostics.record_refused(&refused);
        event::log_failure(call, Outcome::WouldDeny, failure);
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
}

/// Returns the record of a refused request: of a failure of ours, unless a denial is added.
fn refused<'a>(
    decision_id: &'a str,
    reason: &'static str,
    request: &'a ReportedRequest<'a>,
) -> RefusedRequest<'a> {
    RefusedRequest {
        decision_id,
        reason,
        denial: None,
        method: request.method,
        host: request.host,
        target: request.target,
        mode: request.mode,
        sent: request.sent.as_ref(),
        context: RefusalContext {
            client_address: request.client_address.as_bytes(),
            request_id: request.request_id,
            rule: &request.rule,
            ..RefusalContext::NONE
        },
    }
}

// === impl PendingDenial ===

impl PendingDenial {
    /// Writes the answer, after the explanation if it belongs in the answer.
    pub(crate) async fn respond(self, terms: AnswerTerms<'_>) -> DenialResponse {
        let cause = explained::public_cause(self.explaining, terms.explain_until).await;
        self.problem.write(&DenialStyle {
            realm: terms.realm,
            detail: self.detail,
            format: terms.format,
            decision_id: self.decision_id,
            base_string: self.base_string,
            cause,
        })
    }
}

/// The reason label of a call that was not denied.
const NO_REASON: &str = "ok";
