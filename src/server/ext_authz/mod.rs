//! `envoy.service.auth.v3.Authorization`: reads Envoy's request, gets a decision from [`Verifier`],
//! and writes the decision as an answer.
//!
//! A failure of ours becomes a gRPC status (or an `error_response`), never a denial and never an
//! allowance. The one exception is a route in shadow mode, where everything passes.

mod answer;
mod attributes;
mod body;
mod check;
mod deadline;
mod failure;
mod grpc;
mod headers;
mod identity;
mod metadata;
mod policy;
mod refusals;
mod routes;
mod wire;

pub use grpc::UnaryBody;
pub(super) use routes::CheckRoutes;

use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;

use futures_util::FutureExt as _;
use http::{HeaderMap, Request, Response};
use hyper::body::{Body, Bytes};
use tokio::time::Instant;
use tonic::Status;

use self::answer::CheckAnswer;
use self::attributes::RequestAttributes;
use self::check::Check;
use self::failure::CheckFailure;
use self::metadata::Metadata;
use self::policy::EffectivePolicy;
use self::refusals::RefusalLog;
use self::wire::{CheckRequest, InvalidMessage};
use crate::clock::Entropy;
use crate::config::{Config, OnError};
use crate::diagnostics::Diagnostics;
use crate::server::denial::decision_id::DecisionIds;
use crate::server::denial::report::{Call, CallKind, Outcome, OwnFailure as _, Reporter};
use crate::server::transport::{Admission, CheckTime, Overloaded};
use crate::telemetry::Metrics;
use crate::verify::Verifier;

/// The size of a `CheckRequest` without the body: headers, and attributes that Envoy adds.
const OVERHEAD_BYTES: usize = 1024 * 1024;

/// The Check service.
#[derive(Debug)]
pub struct CheckService {
    verifier: Verifier,
    config: Arc<Config>,
    reporter: Reporter,
    refusals: RefusalLog,
    ids: DecisionIds,
}

/// One call of `Check`.
#[derive(Debug)]
struct CheckCall {
    report: Call,
    /// The time at which Envoy expects the answer.
    deadline: Instant,
}

impl CheckService {
    /// Returns a service that decides with `verifier` and reports to `metrics` and `diagnostics`.
    pub fn new(
        verifier: Verifier,
        config: Arc<Config>,
        metrics: Arc<Metrics>,
        diagnostics: Diagnostics,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        let reporter = Reporter::new(metrics, diagnostics, config.check.deny_detail);
        Self {
            verifier,
            config,
            reporter,
            refusals: RefusalLog::default(),
            ids: DecisionIds::new(entropy),
        }
    }

    /// Answers a call of `Check` as it comes over a connection.
    pub async fn serve<B>(&self, request: Request<B>) -> Response<UnaryBody>
    where
        B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Unpin,
    {
        let call = self.call(request.headers(), Instant::now());
        framed(self.read_and_answer(request, &call).await)
    }

    /// Answers a call that arrived then, or refuses it if its thread is overloaded.
    async fn serve_admitted<B>(
        &self,
        request: Request<B>,
        arrival: Instant,
        admission: &Admission,
    ) -> Response<UnaryBody>
    where
        B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Unpin,
    {
        let call = self.call(request.headers(), arrival);
        let deadline = call.deadline;
        framed(
            match admission.enter(CheckTime { arrival, deadline }).await {
                Ok(()) => self.read_and_answer(request, &call).await,
                Err(Overloaded) => self.refuse(request.into_body(), &call).await,
            },
        )
    }

    async fn read_and_answer<B>(
        &self,
        request: Request<B>,
        call: &CheckCall,
    ) -> Result<CheckAnswer, Status>
    where
        B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Unpin,
    {
        let limit = self
            .config
            .check
            .max_body_bytes
            .saturating_add(OVERHEAD_BYTES);
        let (head, body) = request.into_parts();
        let reading = pin!(grpc::message(&head.headers, body, limit));
        match deadline::by(call.deadline, reading).await {
            Some(message) => self.answer(&message?, call).await,
            None => self.fail(&CheckFailure::Deadline, call),
        }
    }

    /// Answers a `CheckRequest` that came with these headers with a `CheckResponse`.
    ///
    /// # Errors
    /// The message is not a `CheckRequest`, or we failed.
    pub async fn check(&self, headers: &HeaderMap, message: &[u8]) -> Result<Bytes, Status> {
        let call = self.call(headers, Instant::now());
        let answer = self.answer(message, &call).await?;
        Ok(answer.into_bytes().split_off(grpc::PREFIX))
    }

    /// Returns a call that arrived then with these headers.
    fn call(&self, headers: &HeaderMap, arrival: Instant) -> CheckCall {
        CheckCall {
            report: Call {
                kind: CallKind::Check,
                id: self.ids.next(),
                start: arrival,
            },
            deadline: arrival + deadline::of(headers, self.config.check.timeout),
        }
    }

    async fn answer(&self, message: &[u8], call: &CheckCall) -> Result<CheckAnswer, Status> {
        let request = CheckRequest::read(message)
            .map_err(|InvalidMessage| Status::internal("the message is not a CheckRequest"))?;
        let answered = guarded(pin!(self.answer_request(request, call))).await;
        answered.or_else(|failure| self.fail(&failure, call))
    }

    /// Answers a request; an `Err` is our failure on a route that is not in shadow mode.
    async fn answer_request(
        &self,
        request: CheckRequest<'_>,
        call: &CheckCall,
    ) -> Result<CheckAnswer, CheckFailure> {
        let CheckRequest {
            source,
            http,
            context_extensions,
        } = request;
        let attributes = match RequestAttributes::read(http, source) {
            Ok(attributes) => attributes,
            Err(reason) => return Ok(check::deny_unreadable(self, call, source, reason).await),
        };
        let extensions = policy::from_extensions(&context_extensions)?;
        let policy = EffectivePolicy::of(&self.config, &attributes, extensions.as_ref());
        let check = Check {
            service: self,
            call,
            attributes,
            policy,
        };
        let deciding = pin!(check.decide());
        let in_time = pin!(async {
            deadline::by(call.deadline, deciding)
                .await
                .unwrap_or(Err(CheckFailure::Deadline))
        });
        match guarded(in_time).await {
            Ok(decision) => Ok(check.respond(&decision).await),
            Err(failure) if check.policy.is_shadow() => Ok(check.pass_failure(&failure)),
            Err(failure) => Err(failure),
        }
    }

    /// Refuses a call whose thread is overloaded. The rest of the request is discarded, because a
    /// response to a part of it would reset the stream.
    async fn refuse<B>(&self, body: B, call: &CheckCall) -> Result<CheckAnswer, Status>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let failure = CheckFailure::Overloaded;
        self.reporter
            .count(&call.report, Outcome::Error, failure.label());
        self.refusals.note();
        deadline::by(call.deadline, pin!(grpc::discard(body))).await;
        self.failed(&failure, call)
    }

    /// Reports our failure, and answers as `check.on_error` says.
    fn fail(&self, failure: &CheckFailure, call: &CheckCall) -> Result<CheckAnswer, Status> {
        self.reporter.fail(&call.report, failure);
        self.failed(failure, call)
    }

    fn failed(&self, failure: &CheckFailure, call: &CheckCall) -> Result<CheckAnswer, Status> {
        match self.config.check.on_error {
            OnError::Grpc => Err(failure.status()),
            OnError::ErrorResponse => Ok(answer::error(
                failure.status().message(),
                &Metadata::of(Outcome::Error, call.report.id),
            )),
        }
    }
}

fn framed(answered: Result<CheckAnswer, Status>) -> Response<UnaryBody> {
    match answered {
        Ok(answer) => grpc::response(answer.into_bytes()),
        Err(status) => status.into_http(),
    }
}

/// Turns a panic into a [`CheckFailure`].
async fn guarded<T>(
    deciding: Pin<&mut impl Future<Output = Result<T, CheckFailure>>>,
) -> Result<T, CheckFailure> {
    AssertUnwindSafe(deciding)
        .catch_unwind()
        .await
        .unwrap_or(Err(CheckFailure::Panic))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_our_failure() {
        let failed = guarded::<()>(pin!(async { panic!("a bug") })).await;
        assert!(matches!(failed, Err(CheckFailure::Panic)));
    }
}
