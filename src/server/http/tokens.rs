//! `/oauth/request_token` and `/oauth/access_token`: from a request to credentials, an answer, a log event and a count.
//!
//! The order: read the request, prove who sent it, claim its nonce ([`EndpointVerifier`]), and only then issue. What is
//! refused before the proof is the same answer for everybody; after it, the reason is told.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::ALLOW;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::Response;
use axum::routing::any;
use futures_util::FutureExt as _;
use tokio::time::{Instant, timeout_at};

use super::answer::{self, Credentials};
use super::body::{self, BodyFault};
use super::client_address::ClientAddress;
use super::grant::{Endpoint, GrantRequest};
use super::negotiation::{self, Format};
use super::parts::HttpParts;
use super::refusal::{Failure, Refusal, Stop};
use super::signed::Signed;
use crate::config::{DenyDetail, Mode};
use crate::diagnostics::{Diagnostics, PendingExplanation, RefusedRequest};
use crate::issue::{Actor, Login, RequestTokenDraft};
use crate::model::{ConsumerKey, Secret};
use crate::oauth::Body;
use crate::server::denial::decision_id::{DecisionId, DecisionIds};
use crate::server::denial::explained;
use crate::server::denial::problem::DenialStyle;
use crate::server::guard;
use crate::telemetry::Metrics;
use crate::verify::{Applicant, BodyGap, Denial, EndpointVerifier, Reason};

/// The token endpoints.
pub(super) struct TokenEndpoints {
    parts: HttpParts,
    verifier: EndpointVerifier,
    metrics: Arc<Metrics>,
    diagnostics: Diagnostics,
    ids: DecisionIds,
}

impl TokenEndpoints {
    pub(super) fn new(
        parts: HttpParts,
        verifier: EndpointVerifier,
        metrics: Arc<Metrics>,
        diagnostics: Diagnostics,
    ) -> Self {
        let ids = DecisionIds::new(Arc::clone(&parts.entropy));
        Self {
            parts,
            verifier,
            metrics,
            diagnostics,
            ids,
        }
    }

    /// Their routes.
    pub(super) fn routes(self) -> Router {
        type Endpoints = State<Arc<TokenEndpoints>>;
        let request_token = async |State(own): Endpoints, request: Request| {
            own.serve(Endpoint::RequestToken, request).await
        };
        let access_token = async |State(own): Endpoints, request: Request| {
            own.serve(Endpoint::AccessToken, request).await
        };
        Router::new()
            .route("/oauth/request_token", any(request_token))
            .route("/oauth/access_token", any(access_token))
            .with_state(Arc::new(self))
    }

    async fn serve(&self, endpoint: Endpoint, request: Request) -> Response {
        let (head, body) = request.into_parts();
        let asked = Asked {
            endpoint,
            id: self.ids.next(),
            at: Instant::now(),
        };
        if !self.takes(&head.method) {
            return self.wrong_method(&asked);
        }
        let body = match body::whole(body).await {
            Ok(body) => body,
            Err(BodyFault::TooLarge) => {
                let signed = Signed::of(&head, Body::NotWhole, &self.parts.config.http);
                let too_large = Denial::of(Reason::Body(BodyGap::TooLarge));
                return self.answer(&asked, &signed, Err(too_large.into())).await;
            }
            Err(BodyFault::TooSlow) => {
                return guard::refusal(
                    StatusCode::REQUEST_TIMEOUT,
                    "The body did not come in time",
                );
            }
            Err(BodyFault::Broken) => {
                return guard::refusal(StatusCode::BAD_REQUEST, "The body is not whole");
            }
        };
        let signed = Signed::of(&head, Body::Whole(&body), &self.parts.config.http);
        let deciding = AssertUnwindSafe(self.decide(&asked, &signed)).catch_unwind();
        let decided = match timeout_at(asked.at + DECISION_LIMIT, deciding).await {
            Ok(Ok(decided)) => decided,
            Ok(Err(_)) => Err(Failure::Panic.into()),
            Err(_) => Err(Failure::Deadline.into()),
        };
        self.answer(&asked, &signed, decided).await
    }

    /// RFC 5849 has POST unless the server says otherwise.
    fn takes(&self, method: &Method) -> bool {
        *method == Method::POST || (*method == Method::GET && self.parts.config.http.allow_get)
    }

    fn wrong_method(&self, asked: &Asked) -> Response {
        self.metrics
            .token_request(asked.endpoint.label(), "deny", "http_method");
        let (allowed, detail) = match self.parts.config.http.allow_get {
            true => ("GET, POST", "Send a POST or a GET"),
            false => ("POST", "Send a POST"),
        };
        let mut answer = guard::refusal(StatusCode::METHOD_NOT_ALLOWED, detail);
        answer
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static(allowed));
        answer
    }
}

/// One request: where, its id, and when it came.
struct Asked {
    endpoint: Endpoint,
    id: DecisionId,
    at: Instant,
}

// === deciding ===

impl TokenEndpoints {
    async fn decide(&self, asked: &Asked, signed: &Signed<'_>) -> Result<Granted, Stop> {
        let request = self
            .verifier
            .read(&signed.request(), signed.https_is_configured())?;
        let (method, claimed) = (
            request.signature_method(),
            ConsumerKey::from_bytes(request.consumer_key()),
        );
        let unproven = |reason| Denial {
            claimed_consumer_key: claimed,
            signature_method: Some(method),
            ..Denial::of(reason)
        };
        let grant = GrantRequest::parse(asked.endpoint, &request).map_err(unproven)?;
        let proven = self
            .verifier
            .prove(request, asked.id.0)
            .await
            .map_err(Failure::Store)?;
        let applicant = proven?;
        let address = ClientAddress::noted(&signed.head().extensions);
        let credentials = match grant {
            GrantRequest::RequestToken { callback, scopes } => {
                self.request_token(&applicant, callback, scopes).await
            }
            GrantRequest::Exchange { verifier } => self.exchange(&applicant, &verifier).await,
            GrantRequest::Password {
                username,
                password,
                scopes,
            } => {
                let consumer_key = applicant.consumer.key.clone();
                let login = Login {
                    username,
                    password,
                    consumer_key,
                    client_address: address.0,
                };
                self.exchange_password(&applicant, &login, &scopes).await
            }
        };
        credentials.map(|credentials| Granted {
            credentials,
            applicant,
        })
    }

    async fn request_token(
        &self,
        applicant: &Applicant,
        callback: String,
        scopes: Vec<String>,
    ) -> Result<Credentials, Stop> {
        let draft = RequestTokenDraft {
            consumer_key: applicant.consumer.key.clone(),
            callback,
            scopes,
        };
        let created = self
            .parts
            .issuer
            .create_request_token(&draft, &actor(applicant))
            .await;
        let token = created.map_err(|error| Stop::of(error, applicant))?;
        Ok(Credentials::temporary(&token))
    }

    async fn exchange(
        &self,
        applicant: &Applicant,
        verifier: &Secret,
    ) -> Result<Credentials, Stop> {
        let Some(name) = &applicant.request_token else {
            return Err(applicant.refused(Reason::TokenRejected).into());
        };
        let key = &applicant.consumer.key;
        let exchanged = self
            .parts
            .issuer
            .exchange(key, name, verifier, &actor(applicant))
            .await;
        let issued = exchanged.map_err(|error| Stop::of(error, applicant))?;
        Ok(Credentials::token(&issued))
    }

    async fn exchange_password(
        &self,
        applicant: &Applicant,
        login: &Login,
        scopes: &[String],
    ) -> Result<Credentials, Stop> {
        let exchanged = self
            .parts
            .issuer
            .exchange_password(login, scopes, &actor(applicant))
            .await;
        let issued = exchanged.map_err(|error| Stop::of(error, applicant))?;
        Ok(Credentials::token_by_password(
            &issued,
            self.parts.clock.now(),
        ))
    }
}

/// Credentials, and who got them.
struct Granted {
    credentials: Credentials,
    applicant: Applicant,
}

fn actor(applicant: &Applicant) -> Actor {
    Actor::Consumer(applicant.consumer.key.clone())
}

// === answering ===

impl TokenEndpoints {
    async fn answer(
        &self,
        asked: &Asked,
        signed: &Signed<'_>,
        decided: Result<Granted, Stop>,
    ) -> Response {
        match decided {
            Ok(Granted {
                credentials,
                applicant,
            }) => {
                let consumer = &applicant.consumer;
                self.record(asked, "issue", "ok");
                self.diagnostics
                    .record_allowed(&consumer.key, applicant.signature_method);
                tracing::info!(decision_id = %asked.id, endpoint = asked.endpoint.label(), result = "issue",
                    consumer = consumer.key.as_str(), latency_us = asked.latency_us(), "token request");
                answer::with_farewell(
                    credentials.answer(Format::wanted(&signed.head().headers)),
                    consumer,
                )
            }
            Err(Stop::Refused(refusal)) => {
                self.record(asked, "deny", refusal.denial.reason.label());
                let explaining = self.keep(asked, signed, &refusal.denial);
                log_refusal(asked, &refusal);
                self.refuse(asked, signed, *refusal, explaining).await
            }
            Err(Stop::Failed(failure)) => self.fail(asked, &failure),
        }
    }

    /// Counts and keeps what is refused, and has it explained.
    fn keep(
        &self,
        asked: &Asked,
        signed: &Signed<'_>,
        denial: &Denial,
    ) -> Option<PendingExplanation> {
        self.diagnostics.record_refused(&RefusedRequest {
            decision_id: asked.id.hex().as_str(),
            reason: denial.reason.label(),
            denial: Some(denial),
            method: signed.head().method.as_str().as_bytes(),
            host: signed.host(),
            target: signed.target(),
            mode: Mode::Enforce,
            sent: Some(&signed.sent(self.verifier.limits())),
        })
    }

    async fn refuse(
        &self,
        asked: &Asked,
        signed: &Signed<'_>,
        refusal: Refusal,
        explaining: Option<PendingExplanation>,
    ) -> Response {
        let check = &self.parts.config.check;
        let decision_id = asked.id.to_string();
        let detail = refusal.denial.detail(check.deny_detail);
        let style = DenialStyle {
            realm: &check.realm,
            detail,
            form: negotiation::wants_form_denial(&signed.head().headers),
            decision_id: &decision_id,
            base_string: if detail == DenyDetail::Debug {
                self.masked_base_string(signed)
            } else {
                None
            },
            explained: explained::to_caller(explaining, detail, Instant::now() + EXPLANATION_LIMIT)
                .await,
        };
        let proven = refusal.denial.identity.clone();
        let answer = answer::refused(refusal, &style);
        match proven {
            Some(identity) => answer::with_farewell(answer, identity.consumer()),
            None => answer,
        }
    }

    /// The base string with the values of other parameters masked.
    fn masked_base_string(&self, signed: &Signed<'_>) -> Option<String> {
        let signed = signed.request();
        let signed = signed.parse(self.verifier.limits()).ok().flatten()?;
        Some(signed.masked_base_string().escape_ascii().to_string())
    }

    fn fail(&self, asked: &Asked, failure: &Failure) -> Response {
        if let Failure::Store(error) = failure {
            self.metrics.store_error(error.kind().label());
        }
        self.record(asked, "error", failure.label());
        tracing::warn!(decision_id = %asked.id, endpoint = asked.endpoint.label(), result = "error",
            reason = failure.label(), error = failure.to_string(), latency_us = asked.latency_us(), "token request");
        answer::failed(failure)
    }

    fn record(&self, asked: &Asked, result: &'static str, reason: &'static str) {
        self.metrics
            .token_request(asked.endpoint.label(), result, reason);
    }
}

impl Asked {
    fn latency_us(&self) -> u64 {
        u64::try_from(self.at.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

/// One event a refusal: enough to act on, and no header, no query and no body.
fn log_refusal(asked: &Asked, Refusal { denial, advice, .. }: &Refusal) {
    let claimed = denial
        .claimed_consumer_key
        .as_ref()
        .filter(|_| denial.identity.is_none());
    tracing::info!(
        decision_id = %asked.id,
        endpoint = asked.endpoint.label(),
        result = "deny",
        reason = denial.reason.label(),
        detail = advice.clone().or_else(|| denial.reason.detail()),
        consumer = denial.identity.as_ref().map(|identity| identity.consumer_key().as_str()),
        claimed_consumer = claimed.map(ConsumerKey::as_str),
        signature_method = denial.signature_method.map(tracing::field::display),
        latency_us = asked.latency_us(),
        "token request"
    );
}

/// Many times what it takes to explain all that waits for it.
const EXPLANATION_LIMIT: Duration = Duration::from_secs(5);

/// Longer than a wrong password is made to wait and a user directory may take.
const DECISION_LIMIT: Duration = Duration::from_secs(25);
