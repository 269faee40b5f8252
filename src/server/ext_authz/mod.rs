//! `envoy.service.auth.v3.Authorization`: Envoy asks, [`Verifier`] decides, and the decision goes back on the wire.
//!
//! Everything that goes wrong on our side is a failure and becomes a gRPC status (or `error_response`), never a
//! denial and never an allowance. The one exception is named: on a route whose mode is `shadow`, everything passes.

mod answer;
mod attributes;
mod body;
mod check;
mod deadline;
mod failure;
mod grpc;
mod headers;
mod identity;
mod policy;
mod refused;
mod routes;
mod wire;

pub use grpc::Answered;
pub(super) use routes::CheckRoutes;

use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use http::{HeaderMap, Request, Response};
use hyper::body::{Body, Bytes};
use tokio::time::Instant;
use tonic::Status;

use self::answer::{Answer, Metadata};
use self::attributes::Attributes;
use self::check::Check;
use self::failure::Failure;
use self::policy::Policy;
use self::wire::{CheckRequest, Malformed};
use crate::clock::Entropy;
use crate::config::{Config, OnError};
use crate::diagnostics::Diagnostics;
use crate::server::denial::decision_id::{DecisionId, DecisionIds};
use crate::telemetry::Metrics;
use crate::verify::Verifier;

/// What a body may be accompanied by in one `CheckRequest`: headers, and what Envoy adds.
const OVERHEAD_BYTES: usize = 1024 * 1024;

/// The Check service.
#[derive(Debug)]
pub struct CheckService {
    verifier: Verifier,
    config: Arc<Config>,
    metrics: Arc<Metrics>,
    diagnostics: Diagnostics,
    ids: DecisionIds,
}

impl CheckService {
    /// A service that decides with `verifier` and tells `diagnostics` of it.
    pub fn new(
        verifier: Verifier,
        config: Arc<Config>,
        metrics: Arc<Metrics>,
        diagnostics: Diagnostics,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self {
            verifier,
            config,
            metrics,
            diagnostics,
            ids: DecisionIds::new(entropy),
        }
    }

    /// Answers a call of `Check`, as it comes over a connection.
    pub async fn serve<B>(&self, call: Request<B>) -> Response<Answered>
    where
        B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Unpin,
    {
        let limit = self
            .config
            .check
            .max_body_bytes
            .saturating_add(OVERHEAD_BYTES);
        let (call, body) = call.into_parts();
        let asked = self.asked(&call.headers);
        let answered = match deadline::by(
            asked.deadline,
            pin!(grpc::message(&call.headers, body, limit)),
        )
        .await
        {
            Some(Ok(message)) => self.answer(&message, &asked).await,
            Some(Err(status)) => Err(status),
            None => self.fail(&Failure::Deadline, &asked),
        };
        match answered {
            Ok(answer) => grpc::response(answer.into_bytes()),
            Err(status) => status.into_http(),
        }
    }

    /// Answers a `CheckRequest`, which came with these headers, with a `CheckResponse`.
    ///
    /// # Errors
    /// What it cannot be answered for: it is none, or we failed.
    pub async fn check(&self, headers: &HeaderMap, message: &[u8]) -> Result<Bytes, Status> {
        let answer = self.answer(message, &self.asked(headers)).await?;
        Ok(answer.into_bytes().split_off(grpc::PREFIX))
    }

    /// Now, by a call with these headers.
    fn asked(&self, headers: &HeaderMap) -> Asked {
        let at = Instant::now();
        Asked {
            id: self.ids.next(),
            at,
            deadline: at + deadline::of(headers, self.config.check.timeout),
        }
    }

    async fn answer(&self, message: &[u8], asked: &Asked) -> Result<Answer, Status> {
        let request = CheckRequest::read(message)
            .map_err(|Malformed| Status::internal("the message is no CheckRequest"))?;
        let answered = guarded(pin!(self.decide(request, asked))).await;
        answered.or_else(|failure| self.fail(&failure, asked))
    }

    /// The whole answer; an `Err` is our failure on a route that is not shadowed.
    async fn decide(&self, request: CheckRequest<'_>, asked: &Asked) -> Result<Answer, Failure> {
        let CheckRequest {
            source,
            http,
            context_extensions,
        } = request;
        let attributes = match Attributes::read(http, source) {
            Ok(attributes) => attributes,
            Err(reason) => return Ok(check::unreadable(self, asked, reason)),
        };
        let extensions = policy::from_extensions(&context_extensions)?;
        let policy = Policy::of(&self.config, &attributes, extensions.as_ref());
        let check = Check {
            service: self,
            asked,
            attributes,
            policy,
        };
        let deciding = pin!(check.decide());
        let in_time = pin!(async {
            deadline::by(asked.deadline, deciding)
                .await
                .unwrap_or(Err(Failure::Deadline))
        });
        match guarded(in_time).await {
            Ok(decision) => Ok(check.respond(&decision).await),
            Err(failure) if check.policy.is_shadow() => Ok(check.let_failure_pass(&failure)),
            Err(failure) => Err(failure),
        }
    }

    /// Our failure, as `check.on_error` wants it.
    fn fail(&self, failure: &Failure, asked: &Asked) -> Result<Answer, Status> {
        self.count_failure(failure);
        self.metrics
            .decision("error", failure.label(), asked.latency());
        tracing::info!(
            decision_id = %asked.id,
            result = "error",
            reason = failure.label(),
            error = failure.to_string(),
            latency_us = asked.latency_us(),
            "check"
        );
        match self.config.check.on_error {
            OnError::Grpc => Err(failure.status()),
            OnError::ErrorResponse => Ok(answer::error(
                failure.status().message(),
                &Metadata::of("error", asked.id),
            )),
        }
    }

    fn count_failure(&self, failure: &Failure) {
        if let Failure::Store(error) = failure {
            self.metrics.store_error(error.kind().label());
        }
    }
}

/// Turns a panic into a [`Failure`].
async fn guarded<T>(
    deciding: Pin<&mut impl Future<Output = Result<T, Failure>>>,
) -> Result<T, Failure> {
    AssertUnwindSafe(deciding)
        .catch_unwind()
        .await
        .unwrap_or(Err(Failure::Panic))
}

/// One call of Check: its id, when it began to come, and when it is to be answered.
#[derive(Debug)]
struct Asked {
    id: DecisionId,
    at: Instant,
    deadline: Instant,
}

impl Asked {
    fn latency(&self) -> Duration {
        self.at.elapsed()
    }

    fn latency_us(&self) -> u64 {
        u64::try_from(self.latency().as_micros()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_our_failure() {
        let failed = guarded::<()>(pin!(async { panic!("a bug") })).await;
        assert!(matches!(failed, Err(Failure::Panic)));
    }
}
