//! One check: from Envoy's request to a decision, and from the decision to an answer and a report.

use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::answer::{self, CheckAnswer, Permit};
use super::attributes::RequestAttributes;
use super::failure::CheckFailure;
use super::metadata::{Metadata, MetadataCaller};
use super::policy::{self, EffectivePolicy};
use super::{CheckCall, CheckService, body};
use crate::config::Mode;
use crate::diagnostics::SentRequest;
use crate::model::Scopes;
use crate::oauth::diagnosis::{OriginSetting, ReceivedOrigin};
use crate::oauth::{self, ParseLimits, RequestBody, Scheme, SignatureMethod};
use crate::server::denial::report::{
    AnswerTerms, CheckTerms, Outcome, OwnFailure as _, PendingDenial, ReportedRequest,
};
use crate::server::negotiation::{AcceptHeader, AnswerFormat};
use crate::verify::{BodyGap, Decision, Demands, Denial, Reason, RequestStage};

/// One request to check.
pub(super) struct Check<'a> {
    pub(super) service: &'a CheckService,
    pub(super) call: &'a CheckCall,
    pub(super) attributes: RequestAttributes<'a>,
    pub(super) policy: EffectivePolicy<'a>,
}

// === the decision ===

impl Check<'_> {
    /// Decides about the request.
    ///
    /// # Errors
    /// Our own failure.
    pub(super) async fn decide(&self) -> Result<Decision, CheckFailure> {
        let scheme = match self.unambiguous_scheme() {
            Ok(scheme) => scheme,
            Err(reason) => return Ok(Decision::Deny(Denial::of(reason))),
        };
        let check = &self.service.config.check;
        let no_scopes = Scopes::default();
        let origin = self.policy.origin();
        let demands = Demands {
            require: self.policy.require(),
            scopes: self.policy.scopes().unwrap_or(&no_scopes),
            realm: check.realm_match.then(|| self.policy.realm()),
            body_hash: self.policy.body_hash(),
            untyped_body: self.policy.untyped_body(),
            max_form_bytes: self.policy.max_form_bytes(),
            https_is_configured: origin.is_some_and(|origin| origin.scheme == Scheme::Https),
            check_id: self.nonce_check_id(),
        };
        let body = self.body();
        let request = self.request(scheme, body);
        let decision = self.service.verifier.check(&request, &demands).await?;
        Ok(name_body_gap(decision, body.err()))
    }

    /// Refuses a request that the backend might route differently, and returns its scheme.
    fn unambiguous_scheme(&self) -> Result<Scheme, Reason> {
        let config = &self.service.config;
        policy::unambiguous_path(config, self.attributes.path())?;
        policy::unambiguous_host(config, &self.attributes)?;
        self.scheme().ok_or(Reason::UnknownScheme)
    }

    /// Returns the whole body, or the reason why it is incomplete.
    fn body(&self) -> Result<&[u8], BodyGap> {
        body::whole(
            &self.attributes,
            self.service.config.check.envoy_sends_whole_bodies,
        )
    }

    /// Returns true if nothing shows that the request has a body.
    fn body_is_unseen(&self) -> bool {
        body::is_unseen(
            &self.attributes,
            self.service.config.check.envoy_sends_whole_bodies,
        )
    }

    /// Returns the request as the client signed it, according to the configuration.
    fn request<'r>(
        &'r self,
        scheme: Scheme,
        body: Result<&'r [u8], BodyGap>,
    ) -> oauth::Request<'r> {
        let origin = self.policy.origin();
        let headers = &self.attributes.headers;
        oauth::Request {
            method: self.attributes.method.as_bytes(),
            scheme,
            authority: origin
                .map_or(self.attributes.host, |origin| &origin.authority)
                .as_bytes(),
            path_prefix: origin.map_or("", |origin| &origin.path_prefix).as_bytes(),
            target: self.attributes.target,
            authorization: &headers.authorization,
            content_type: &headers.content_type,
            body: match body {
                Ok(body) => RequestBody::Whole(body),
                Err(_) if self.body_is_unseen() => RequestBody::Unseen,
                Err(_) => RequestBody::NotWhole,
            },
        }
    }

    /// Returns the scheme of the configured origin, else Envoy's; `None` is neither http nor https.
    fn scheme(&self) -> Option<Scheme> {
        match self.policy.origin() {
            Some(origin) => Some(origin.scheme),
            None => self.received_scheme(),
        }
    }

    /// Returns the scheme as Envoy reports it.
    fn received_scheme(&self) -> Option<Scheme> {
        match self.attributes.scheme {
            "http" => Some(Scheme::Http),
            "https" => Some(Scheme::Https),
            _ => None,
        }
    }

    /// Returns the id that makes a repeated nonce claim the same claim: our own random id, unless
    /// the operator trusts Envoy's.
    fn nonce_check_id(&self) -> [u8; 16] {
        if !self.service.config.verify.trust_envoy_request_id || self.attributes.id.is_empty() {
            return self.call.report.id.0;
        }
        let digest = Sha256::new()
            .chain_update(self.attributes.source)
            .chain_update([0])
            .chain_update(self.attributes.id)
            .finalize();
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        id
    }
}

/// Adds the reason that a body is incomplete, which the verifier does not know.
fn name_body_gap(decision: Decision, gap: Option<BodyGap>) -> Decision {
    match (decision, gap) {
        (Decision::Deny(denial), Some(gap))
            if denial.reason.stage() == RequestStage::BodyNotWhole =>
        {
            Decision::Deny(Denial {
                reason: Reason::Body(gap),
                ..denial
            })
        }
        (decision, _) => decision,
    }
}

// === the answer ===

impl Check<'_> {
    /// Reports a decision, and answers it.
    pub(super) async fn respond(&self, decision: &Decision) -> CheckAnswer {
        let headers = &self.attributes.headers;
        let is_shadow = self.policy.is_shadow();
        let hide = self.policy.hides_credentials();
        match Permit::of(decision) {
            Ok(permit) => {
                let allowance = permit.allowance();
                self.service.reporter.pass(&self.call.report, allowance);
                answer::allow(&permit, headers, hide, &self.metadata(decision))
            }
            Err(denial) => {
                let pending = self.report(denial);
                let metadata = self.metadata(decision);
                if is_shadow {
                    answer::allow(&Permit::shadow(), headers, hide, &metadata)
                } else {
                    self.deny(pending, &metadata).await
                }
            }
        }
    }

    /// Lets a request pass on a route in shadow mode although we failed to decide about it.
    pub(super) fn pass_failure(&self, failure: &CheckFailure) -> CheckAnswer {
        let call = &self.call.report;
        self.service
            .reporter
            .fail_in_shadow(call, &self.reported(None), failure);
        let metadata = Metadata {
            problem: Some(failure.label()),
            ..Metadata::of(Outcome::WouldDeny, call.id)
        };
        answer::allow(
            &Permit::shadow(),
            &self.attributes.headers,
            false,
            &metadata,
        )
    }

    async fn deny(&self, pending: PendingDenial, metadata: &Metadata<'_>) -> CheckAnswer {
        let accept = AcceptHeader::parse(self.attributes.headers.accept.iter().copied());
        let terms = AnswerTerms {
            realm: self.policy.realm(),
            format: accept.denial(),
            explain_until: half_way(self.call.deadline),
        };
        answer::deny(&pending.respond(terms).await, metadata)
    }

    fn metadata<'d>(&self, decision: &'d Decision) -> Metadata<'d> {
        let id = self.call.report.id;
        match decision {
            Decision::Anonymous => Metadata::of(Outcome::Anonymous, id),
            Decision::Allow(allowance) => Metadata {
                signature_method: Some(allowance.signature_method.name()),
                weakened: allowance.weakened,
                caller: MetadataCaller::Proven(&allowance.identity),
                ..Metadata::of(Outcome::Allow, id)
            },
            Decision::Deny(denial) => Metadata {
                problem: Some(denial.reason.label()),
                signature_method: denial.signature_method.map(SignatureMethod::name),
                caller: MetadataCaller::of(denial),
                ..Metadata::of(Outcome::denied(self.mode()), id)
            },
        }
    }
}

// === the report ===

impl Check<'_> {
    fn report(&self, denial: &Denial) -> PendingDenial {
        let reported = self.reported(Some(denial.reason));
        self.service
            .reporter
            .deny(&self.call.report, &reported, denial, None)
    }

    /// Returns the request for reports: of a denial for this reason, or of a failure.
    fn reported(&self, reason: Option<Reason>) -> ReportedRequest<'_> {
        let attributes = &self.attributes;
        ReportedRequest {
            method: attributes.method.as_bytes(),
            host: attributes.host.as_bytes(),
            target: attributes.target,
            client_address: attributes.source.to_owned(),
            request_id: attributes.request_id().unwrap_or_default(),
            envoy_id: attributes.id,
            rule: self.policy.rule(&self.service.config, reason),
            terms: Some(self.terms()),
            mode: self.mode(),
            sent: self.sent(),
        }
    }

    fn terms(&self) -> CheckTerms<'_> {
        let attributes = &self.attributes;
        CheckTerms {
            scopes: self.policy.scopes(),
            realm: self.policy.realm(),
            scheme: attributes.scheme,
            content_length: attributes.headers.content_length.first().copied(),
            body_len: attributes.body.len(),
            max_body_len: self.service.config.check.max_body_bytes,
        }
    }

    fn mode(&self) -> Mode {
        if self.policy.is_shadow() {
            Mode::Shadow
        } else {
            Mode::Enforce
        }
    }

    /// Returns the request as it was verified, and the original request as proxies report it.
    fn sent(&self) -> Option<SentRequest<'_>> {
        let received = self.policy.origin().and_then(|_| self.received_scheme());
        Some(SentRequest {
            request: self.request(self.scheme()?, self.body()),
            limits: ParseLimits {
                form_bytes: self.policy.max_form_bytes(),
                ..*self.service.verifier.limits()
            },
            forwarded: self.attributes.forwarded(),
            received: received.map(|scheme| ReceivedOrigin {
                scheme,
                authority: self.attributes.host.as_bytes(),
            }),
            setting: OriginSetting::Origin,
        })
    }
}

/// Denies a request without HTTP attributes. No route applies to it, not even one in shadow mode.
pub(super) async fn deny_unreadable(
    service: &CheckService,
    call: &CheckCall,
    source: &str,
    reason: Reason,
) -> CheckAnswer {
    let request = ReportedRequest {
        client_address: source.to_owned(),
        mode: Mode::Enforce,
        ..ReportedRequest::default()
    };
    let pending = service
        .reporter
        .deny(&call.report, &request, &Denial::of(reason), None);
    let terms = AnswerTerms {
        realm: &service.config.check.realm,
        format: AnswerFormat::Json,
        explain_until: call.deadline,
    };
    let metadata = Metadata {
        problem: Some(reason.label()),
        ..Metadata::of(Outcome::Deny, call.report.id)
    };
    answer::deny(&pending.respond(terms).await, &metadata)
}

/// Returns the middle of the time until `deadline`, so that the other half is left for the answer.
fn half_way(deadline: Instant) -> Instant {
    deadline - deadline.duration_since(Instant::now()) / 2
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn half_of_the_remaining_time_is_left_for_the_answer() {
        let now = Instant::now();
        assert_eq!(
            half_way(now + Duration::from_millis(100)),
            now + Duration::from_millis(50)
        );
        tokio::time::advance(Duration::from_millis(100)).await;
        assert_eq!(half_way(now), now, "no time is left");
    }
}
