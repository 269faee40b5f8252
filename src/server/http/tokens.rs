//! `/oauth/request_token` and `/oauth/access_token`: from a request to credentials, an answer and a
//! report.
//!
//! A request is parsed, its sender is proven and its nonce is claimed ([`EndpointVerifier`]); only
//! then are credentials issued. Before the proof, all denials get the same answer; after it, the
//! answer names the reason.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{ALLOW, RETRY_AFTER};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::Response;
use axum::routing::any;
use futures_util::FutureExt as _;
use tokio::time::{Instant, timeout_at};

use super::answer::{self, IssuedCredentials};
use super::client_address::ClientAddress;
use super::credential_request::CredentialRequest;
use super::grant::{Endpoint, GrantRequest};
use super::parts::HttpParts;
use super::refusal::{CredentialDenial, CredentialError, CredentialFailure};
use crate::diagnostics::Diagnostics;
use crate::issue::{Actor, Login, RequestTokenDraft};
use crate::model::Secret;
use crate::oauth::RequestBody;
use crate::server::body::BodyFault;
use crate::server::denial::decision_id::DecisionIds;
use crate::server::denial::report::{AnswerTerms, Call, CallKind, Outcome, Reporter};
use crate::server::guard;
use crate::telemetry::Metrics;
use crate::verify::{Applicant, BodyGap, Denial, EndpointVerifier, Reason};

/// The token endpoints.
pub(super) struct TokenEndpoints {
    parts: HttpParts,
    verifier: EndpointVerifier,
    reporter: Reporter,
    ids: DecisionIds,
}

impl TokenEndpoints {
    pub(super) fn new(
        parts: HttpParts,
        verifier: EndpointVerifier,
        metrics: Arc<Metrics>,
        diagnostics: Diagnostics,
    ) -> Self {
        let reporter = Reporter::new(metrics, diagnostics, parts.config.check.deny_detail);
        let ids = DecisionIds::new(Arc::clone(&parts.entropy));
        Self {
            parts,
            verifier,
            reporter,
            ids,
        }
    }

    /// Returns the routes of the endpoints.
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
        let kind = CallKind::Credentials(endpoint.label());
        let call = Call::start(kind, self.ids.next());
        let answer = self.decide(endpoint, &call, request).await;
        answer::with_decision_id(answer, call.id)
    }

    async fn decide(&self, endpoint: Endpoint, call: &Call, request: Request) -> Response {
        let (head, body) = request.into_parts();
        if !self.accepts(&head.method) {
            return self.wrong_method(endpoint, call, &head);
        }
        let body = match self.parts.bodies.read(body, BODY_LIMIT).await {
            Ok(body) => Some(body),
            Err(BodyFault::TooLarge) => None,
            Err(fault) => return self.unreadable(call, fault),
        };
        let body = body
            .as_deref()
            .map_or(RequestBody::NotWhole, RequestBody::Whole);
        let request = CredentialRequest::of(endpoint, &head, body, &self.parts.config.http);
        let issued = self.issue_in_time(endpoint, call, &request).await;
        self.answer(call, &request, issued).await
    }

    /// Returns `true` if the endpoints accept the method. RFC 5849 requires POST unless the server
    /// allows another method.
    fn accepts(&self, method: &Method) -> bool {
        *method == Method::POST || (*method == Method::GET && self.parts.config.http.allow_get)
    }

    /// Refuses a request with another method. Operators see it among the denials: an old client that
    /// sends a GET is a matter of `http.allow_get`.
    fn wrong_method(&self, endpoint: Endpoint, call: &Call, head: &Parts) -> Response {
        let http = &self.parts.config.http;
        let request = CredentialRequest::of(endpoint, head, RequestBody::NotWhole, http);
        let signed = self.verifier.read(&request.signed(), request.rules());
        let denial = signed.map_or_else(
            |_| Denial::of(Reason::HttpMethod),
            |signed| Denial::unproven(Reason::HttpMethod, &signed),
        );
        let (allowed, detail) = match http.allow_get {
            true => ("GET, POST", "Send a POST or a GET"),
            false => ("POST", "Send a POST"),
        };
        let reported = request.reported(self.verifier.limits(request.rules()));
        let advice = Some(detail.to_owned());
        drop(self.reporter.deny(call, &reported, &denial, advice));
        let mut answer = guard::refusal(StatusCode::METHOD_NOT_ALLOWED, detail);
        answer
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static(allowed));
        answer
    }

    /// Answers a request whose body could not be read.
    fn unreadable(&self, call: &Call, fault: BodyFault) -> Response {
        let (status, detail) = match fault {
            BodyFault::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "The body is too large"),
            BodyFault::TooSlow => (
                StatusCode::REQUEST_TIMEOUT,
                "The body did not arrive in time",
            ),
            BodyFault::Broken => (StatusCode::BAD_REQUEST, "The body is incomplete"),
            BodyFault::Busy => {
                self.reporter.count(call, Outcome::Error, "busy");
                (StatusCode::SERVICE_UNAVAILABLE, BUSY)
            }
        };
        let mut answer = guard::refusal(status, detail);
        if fault == BodyFault::Busy {
            let soon = HeaderValue::from_static("1");
            answer.headers_mut().insert(RETRY_AFTER, soon);
        }
        answer
    }
}

// === the credentials ===

/// Issued credentials, and the applicant that they are for.
struct Issuance {
    credentials: IssuedCredentials,
    applicant: Applicant,
}

impl TokenEndpoints {
    /// Issues credentials before the deadline.
    async fn issue_in_time(
        &self,
        endpoint: Endpoint,
        call: &Call,
        request: &CredentialRequest<'_>,
    ) -> Result<Issuance, CredentialError> {
        if request.is_too_large() {
            return Err(Denial::of(Reason::Body(BodyGap::TooLarge)).into());
        }
        let issuing = AssertUnwindSafe(self.issue(endpoint, call, request)).catch_unwind();
        match timeout_at(call.start + ISSUE_LIMIT, issuing).await {
            Ok(Ok(issued)) => issued,
            Ok(Err(_)) => Err(CredentialFailure::Panic.into()),
            Err(_) => Err(CredentialFailure::Deadline.into()),
        }
    }

    async fn issue(
        &self,
        endpoint: Endpoint,
        call: &Call,
        request: &CredentialRequest<'_>,
    ) -> Result<Issuance, CredentialError> {
        let signed = self.verifier.read(&request.signed(), request.rules())?;
        let grant = GrantRequest::parse(endpoint, &signed)
            .map_err(|reason| Denial::unproven(reason, &signed))?;
        let proven = self
            .verifier
            .prove(signed, call.id.0)
            .await
            .map_err(CredentialFailure::Store)?;
        let applicant = proven?;
        let address = ClientAddress::noted(request.extensions());
        let credentials = self.grant(grant, &applicant, address).await?;
        Ok(Issuance {
            credentials,
            applicant,
        })
    }

    async fn grant(
        &self,
        grant: GrantRequest,
        applicant: &Applicant,
        address: ClientAddress,
    ) -> Result<IssuedCredentials, CredentialError> {
        match grant {
            GrantRequest::RequestToken { callback, scopes } => {
                self.request_token(applicant, callback, scopes).await
            }
            GrantRequest::Exchange { verifier } => self.exchange(applicant, &verifier).await,
            GrantRequest::Password {
                username,
                password,
                scopes,
            } => {
                let login = Login {
                    username,
                    password,
                    consumer_key: applicant.consumer.key.clone(),
                    client_address: address.0,
                };
                self.exchange_password(applicant, &login, &scopes).await
            }
        }
    }

    async fn request_token(
        &self,
        applicant: &Applicant,
        callback: String,
        scopes: Vec<String>,
    ) -> Result<IssuedCredentials, CredentialError> {
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
        let token = created.map_err(|error| CredentialError::of(error, applicant))?;
        Ok(IssuedCredentials::temporary(&token))
    }

    async fn exchange(
        &self,
        applicant: &Applicant,
        verifier: &Secret,
    ) -> Result<IssuedCredentials, CredentialError> {
        let Some(name) = &applicant.request_token else {
            return Err(applicant.denial(Reason::TokenRejected).into());
        };
        let key = &applicant.consumer.key;
        let exchanged = self
            .parts
            .issuer
            .exchange_request_token(key, name, verifier, &actor(applicant))
            .await;
        let issued = exchanged.map_err(|error| CredentialError::of(error, applicant))?;
        Ok(IssuedCredentials::token(&issued))
    }

    async fn exchange_password(
        &self,
        applicant: &Applicant,
        login: &Login,
        scopes: &[String],
    ) -> Result<IssuedCredentials, CredentialError> {
        let exchanged = self
            .parts
            .issuer
            .exchange_password(login, scopes, &actor(applicant))
            .await;
        let issued = exchanged.map_err(|error| CredentialError::of(error, applicant))?;
        Ok(IssuedCredentials::token_by_password(
            &issued,
            self.parts.clock.now(),
        ))
    }
}

fn actor(applicant: &Applicant) -> Actor {
    Actor::Consumer(applicant.consumer.key.clone())
}

// === the answer ===

impl TokenEndpoints {
    async fn answer(
        &self,
        call: &Call,
        request: &CredentialRequest<'_>,
        issued: Result<Issuance, CredentialError>,
    ) -> Response {
        match issued {
            Ok(Issuance {
                credentials,
                applicant,
            }) => {
                self.reporter.issue(call, &applicant);
                let format = request.accept().credentials();
                answer::with_sunset(credentials.answer(format), &applicant.consumer)
            }
            Err(CredentialError::Denied(denial)) => self.deny(call, request, *denial).await,
            Err(CredentialError::Failed(failure)) => {
                self.reporter.fail(call, &failure);
                answer::failed(&failure)
            }
        }
    }

    async fn deny(
        &self,
        call: &Call,
        request: &CredentialRequest<'_>,
        CredentialDenial { denial, advice }: CredentialDenial,
    ) -> Response {
        let reported = request.reported(self.verifier.limits(request.rules()));
        let pending = self.reporter.deny(call, &reported, &denial, advice);
        let terms = AnswerTerms {
            realm: &self.parts.config.check.realm,
            format: request.accept().denial(),
            explain_until: Instant::now() + EXPLANATION_LIMIT,
        };
        let answer = answer::denied(pending.respond(terms).await, denial.reason);
        match &denial.identity {
            Some(identity) => answer::with_sunset(answer, identity.consumer()),
            None => answer,
        }
    }
}

const BUSY: &str = "Too many requests are in progress; try again later";

/// Several times the size of any request for credentials.
const BODY_LIMIT: usize = 64 * 1024;

/// The wait for an explanation: many times what all waiting explanations take.
const EXPLANATION_LIMIT: Duration = Duration::from_secs(5);

/// Longer than the delay after a wrong password, and than the timeout of a user directory.
const ISSUE_LIMIT: Duration = Duration::from_secs(25);
