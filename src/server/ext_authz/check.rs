//! One check: from Envoy's attributes to a decision, and from the decision to an answer, a log event and a count.

use sha2::{Digest as _, Sha256};

use super::answer::{self, Answer, Metadata, Permit, Who};
use super::attributes::Attributes;
use super::failure::Failure;
use super::headers::{Headers, Values};
use super::policy::{self, Policy};
use super::{Asked, CheckService, body};
use crate::config::{DenyDetail, Mode};
use crate::diagnostics::{PendingExplanation, RefusedRequest};
use crate::model::{ConsumerKey, Scopes, UserId};
use crate::oauth::{self, Body, Scheme, SignatureMethod};
use crate::server::denial::problem::{DenialStyle, Problem};
use crate::verify::{BodyGap, Decision, Demands, Denial, Reason, Stage};

/// The longest piece of a request's own text that is logged.
const LOGGED_BYTES: usize = 255;

/// One request to decide about.
pub(super) struct Check<'a> {
    pub(super) service: &'a CheckService,
    pub(super) asked: &'a Asked,
    pub(super) attributes: Attributes<'a>,
    pub(super) policy: Policy<'a>,
}

// === deciding ===

impl Check<'_> {
    /// Decides.
    ///
    /// # Errors
    /// Our own failure.
    pub(super) async fn decide(&self) -> Result<Decision, Failure> {
        let config = &self.service.config;
        let path = policy::unambiguous_path(config, self.attributes.path());
        if let Err(reason) = path.and_then(|()| policy::unambiguous_host(config, &self.attributes))
        {
            return Ok(Decision::Deny(Denial::of(reason)));
        }
        let Some(scheme) = self.scheme() else {
            return Ok(Decision::Deny(Denial::of(Reason::UnknownScheme)));
        };
        let no_scopes = Scopes::default();
        let check = &config.check;
        let demands = Demands {
            require: self.policy.require(),
            scopes: self.policy.scopes().unwrap_or(&no_scopes),
            realm: check.realm_match.then(|| self.policy.realm()),
            body_hash: self.policy.body_hash(),
            https_is_configured: self
                .policy
                .origin()
                .is_some_and(|origin| origin.scheme == Scheme::Https),
            check_id: self.nonce_check_id(),
        };
        let whole = self.body();
        let headers = SignedHeaders::of(&self.attributes.headers);
        let request = self.request(scheme, whole, &headers);
        let decision = self.service.verifier.check(&request, &demands).await?;
        Ok(name_body_gap(decision, whole.err()))
    }

    /// The whole body, or why it is not here.
    pub(super) fn body(&self) -> Result<&[u8], BodyGap> {
        body::whole(
            &self.attributes,
            self.service.config.check.envoy_sends_whole_bodies,
        )
    }

    /// The request as the client signed it, as far as the configuration knows.
    pub(super) fn request<'r>(
        &'r self,
        scheme: Scheme,
        body: Result<&'r [u8], BodyGap>,
        headers: &'r SignedHeaders<'r>,
    ) -> oauth::Request<'r> {
        let origin = self.policy.origin();
        oauth::Request {
            method: self.attributes.method.as_bytes(),
            scheme,
            authority: origin
                .map_or(self.attributes.host, |origin| &origin.authority)
                .as_bytes(),
            path_prefix: origin.map_or("", |origin| &origin.path_prefix).as_bytes(),
            target: self.attributes.target,
            authorization: headers.authorization,
            content_type: &headers.content_type,
            body: body.map_or(Body::NotWhole, Body::Whole),
        }
    }

    /// What an operator configured, else what Envoy says; `None` is neither http nor https.
    pub(super) fn scheme(&self) -> Option<Scheme> {
        match self.policy.origin() {
            Some(origin) => Some(origin.scheme),
            None => self.received_scheme(),
        }
    }

    /// What Envoy says.
    pub(super) fn received_scheme(&self) -> Option<Scheme> {
        match self.attributes.scheme {
            "http" => Some(Scheme::Http),
            "https" => Some(Scheme::Https),
            _ => None,
        }
    }

    /// What makes a nonce claim sent twice one claim: our own random id, unless the operator trusts Envoy's.
    fn nonce_check_id(&self) -> [u8; 16] {
        if !self.service.config.verify.trust_envoy_request_id || self.attributes.id.is_empty() {
            return self.asked.id.0;
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

    /// The base string with other parameters' values masked.
    fn masked_base_string(&self) -> Option<String> {
        let scheme = self.scheme()?;
        let headers = SignedHeaders::of(&self.attributes.headers);
        let signed = self
            .request(scheme, self.body(), &headers)
            .parse(self.service.verifier.limits())
            .ok()
            .flatten()?;
        Some(signed.masked_base_string().escape_ascii().to_string())
    }
}

/// The headers that the signature depends on.
pub(super) struct SignedHeaders<'a> {
    authorization: &'a [&'a [u8]],
    content_type: Values<'a>,
}

impl<'a> SignedHeaders<'a> {
    pub(super) fn of(headers: &'a Headers<'a>) -> Self {
        Self {
            authorization: &headers.authorization,
            // Envoy joins repeated headers with a comma, also where it sends the others apart.
            content_type: headers
                .content_type
                .iter()
                .copied()
                .flat_map(unquoted_commas)
                .collect(),
        }
    }
}

/// Splits at commas outside of quoted strings.
fn unquoted_commas(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut quoted = false;
    value.split(move |&byte| {
        quoted ^= byte == b'"';
        byte == b',' && !quoted
    })
}

/// The core only knows that the body is not whole; here it is known why.
fn name_body_gap(decision: Decision, gap: Option<BodyGap>) -> Decision {
    match (decision, gap) {
        (Decision::Deny(denial), Some(gap)) if denial.reason.stage() == Stage::BodyNotWhole => {
            Decision::Deny(Denial {
                reason: Reason::Body(gap),
                ..denial
            })
        }
        (decision, _) => decision,
    }
}

// === answering ===

impl Check<'_> {
    /// Answers, logs and counts a decision.
    pub(super) async fn respond(&self, decision: &Decision) -> Answer {
        let headers = &self.attributes.headers;
        let shadow = self.policy.is_shadow();
        let hide = self.service.config.check.hide_credentials && !shadow;
        let explaining = self.record(decision, shadow);
        let about = self.metadata(decision, shadow);
        match Permit::of(decision) {
            Ok(permit) => answer::allow(&permit, headers, hide, &about),
            Err(_) if shadow => answer::allow(&Permit::shadow(), headers, hide, &about),
            Err(denial) => self.deny(denial, explaining, &about).await,
        }
    }

    async fn deny(
        &self,
        denial: &Denial,
        explaining: Option<PendingExplanation>,
        about: &Metadata<'_>,
    ) -> Answer {
        let decision_id = self.asked.id.hex();
        let detail = denial.detail(self.service.config.check.deny_detail);
        let style = DenialStyle {
            realm: self.policy.realm(),
            detail,
            form: wants_form(&self.attributes.headers),
            decision_id: decision_id.as_str(),
            base_string: if detail == DenyDetail::Debug {
                self.masked_base_string()
            } else {
                None
            },
            explained: self.explained(explaining, detail).await,
        };
        answer::deny(&Problem::of(denial.reason), &style, about)
    }

    /// Lets a request pass that we failed to decide about: only where the route is in shadow mode.
    pub(super) fn let_failure_pass(&self, failure: &Failure) -> Answer {
        self.service.count_failure(failure);
        self.service
            .metrics
            .decision("would_deny", failure.label(), self.asked.latency());
        self.keep(failure.label(), None);
        tracing::info!(
            decision_id = %self.asked.id,
            result = "would_deny",
            reason = failure.label(),
            error = failure.to_string(),
            "check"
        );
        let about = Metadata {
            problem: Some(failure.label()),
            ..Metadata::of("would_deny", self.asked.id)
        };
        answer::allow(&Permit::shadow(), &self.attributes.headers, false, &about)
    }

    fn metadata<'d>(&self, decision: &'d Decision, shadow: bool) -> Metadata<'d> {
        let about = Metadata::of(result(decision, shadow), self.asked.id);
        match decision {
            Decision::Anonymous => about,
            Decision::Allow(allowed) => Metadata {
                signature_method: Some(allowed.signature_method.name()),
                caller: Who::Proven(&allowed.identity),
                ..about
            },
            Decision::Deny(denial) => Metadata {
                problem: Some(denial.reason.label()),
                signature_method: denial.signature_method.map(SignatureMethod::name),
                caller: match (&denial.identity, &denial.claimed_consumer_key) {
                    (Some(identity), _) => Who::Proven(identity),
                    (None, Some(key)) => Who::Claimed(key),
                    (None, None) => Who::Nobody,
                },
                ..about
            },
        }
    }

    fn record(&self, decision: &Decision, shadow: bool) -> Option<PendingExplanation> {
        let result = result(decision, shadow);
        let reason = match decision {
            Decision::Deny(denial) => denial.reason.label(),
            Decision::Allow(_) | Decision::Anonymous => "ok",
        };
        self.service
            .metrics
            .decision(result, reason, self.asked.latency());
        let diagnostics = &self.service.diagnostics;
        match decision {
            Decision::Deny(denial) => {
                let explaining = self.keep(denial.reason.label(), Some(denial));
                self.log_denial(denial, result);
                explaining
            }
            Decision::Allow(allowed) => {
                diagnostics
                    .record_allowed(allowed.identity.consumer_key(), allowed.signature_method);
                tracing::debug!(
                    decision_id = %self.asked.id,
                    result,
                    consumer = allowed.identity.consumer_key().as_str(),
                    user = allowed.identity.user_id().map(UserId::as_str),
                    signature_method = allowed.signature_method.name(),
                    latency_us = self.asked.latency_us(),
                    "check"
                );
                None
            }
            Decision::Anonymous => {
                diagnostics.record_anonymous();
                tracing::debug!(decision_id = %self.asked.id, result, latency_us = self.asked.latency_us(), "check");
                None
            }
        }
    }

    /// One event a denial: enough to act on, and no header, no query and no body.
    fn log_denial(&self, denial: &Denial, result: &'static str) {
        let claimed = denial
            .claimed_consumer_key
            .as_ref()
            .filter(|_| denial.identity.is_none());
        tracing::info!(
            decision_id = %self.asked.id,
            result,
            reason = denial.reason.label(),
            detail = denial.reason.detail(),
            consumer = denial.identity.as_ref().map(|identity| identity.consumer_key().as_str()),
            claimed_consumer = claimed.map(ConsumerKey::as_str),
            signature_method = denial.signature_method.map(tracing::field::display),
            method = loggable(self.attributes.method.as_bytes()),
            host = loggable(self.attributes.host.as_bytes()),
            path = loggable(self.attributes.path()),
            envoy_request = loggable(self.attributes.id.as_bytes()),
            latency_us = self.asked.latency_us(),
            "check"
        );
    }
}

/// Denies what is no HTTP request: no route applies to it, and so not even shadow.
pub(super) fn unreadable(service: &CheckService, asked: &Asked, reason: Reason) -> Answer {
    service
        .metrics
        .decision("deny", reason.label(), asked.latency());
    tracing::info!(
        decision_id = %asked.id,
        result = "deny",
        reason = reason.label(),
        latency_us = asked.latency_us(),
        "check"
    );
    let check = &service.config.check;
    let decision_id = asked.id.hex();
    service.diagnostics.record_refused(&RefusedRequest {
        decision_id: decision_id.as_str(),
        reason: reason.label(),
        denial: None,
        method: b"",
        host: b"",
        target: b"",
        mode: Mode::Enforce,
        sent: None,
    });
    let style = DenialStyle {
        realm: &check.realm,
        detail: check.deny_detail,
        form: false,
        decision_id: decision_id.as_str(),
        base_string: None,
        explained: None,
    };
    let about = Metadata {
        problem: Some(reason.label()),
        ..Metadata::of("deny", asked.id)
    };
    answer::deny(&Problem::of(reason), &style, &about)
}

const fn result(decision: &Decision, shadow: bool) -> &'static str {
    match decision {
        Decision::Allow(_) => "allow",
        Decision::Anonymous => "anonymous",
        Decision::Deny(_) if shadow => "would_deny",
        Decision::Deny(_) => "deny",
    }
}

fn wants_form(headers: &Headers<'_>) -> bool {
    const FORM: &[u8] = b"application/x-www-form-urlencoded";
    headers.accept.iter().any(|value| {
        value
            .windows(FORM.len())
            .any(|part| part.eq_ignore_ascii_case(FORM))
    })
}

/// A caller's text without anything that could forge a log line.
fn loggable(text: &[u8]) -> String {
    text[..text.len().min(LOGGED_BYTES)]
        .escape_ascii()
        .to_string()
}
