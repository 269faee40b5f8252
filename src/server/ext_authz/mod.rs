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
mod identity;
mod policy;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use envoy_types::ext_authz::v3::pb::{Authorization, AuthorizationServer, CheckRequest, CheckResponse};
use futures_util::FutureExt as _;
use tokio::time::Instant;
use tonic::{Request, Response, Status};

use self::answer::Metadata;
use self::attributes::Attributes;
use self::check::Check;
use self::failure::Failure;
use self::policy::Policy;
use crate::clock::Entropy;
use crate::config::{Config, OnError};
use crate::server::decision_id::{DecisionId, DecisionIds};
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
    ids: DecisionIds,
}

impl CheckService {
    /// A service that decides with `verifier`.
    pub fn new(verifier: Verifier, config: Arc<Config>, metrics: Arc<Metrics>, entropy: &dyn Entropy) -> Self {
        Self { verifier, config, metrics, ids: DecisionIds::new(entropy) }
    }

    /// The gRPC service, with the decode limit that the configured body size needs.
    pub fn into_server(self) -> AuthorizationServer<Self> {
        let limit = self.config.check.max_body_bytes.saturating_add(OVERHEAD_BYTES);
        AuthorizationServer::new(self).max_decoding_message_size(limit)
    }

    /// The whole answer; an `Err` is our failure on a route that is not shadowed.
    async fn answer(&self, request: &Request<CheckRequest>, asked: &Asked) -> Result<CheckResponse, Failure> {
        let message = request.get_ref();
        let attributes = match Attributes::read(message) {
            Ok(attributes) => attributes,
            Err(reason) => return Ok(check::unreadable(self, asked, reason)),
        };
        let extensions = attributes::context_extensions(message).map(policy::from_extensions).transpose()?.flatten();
        let policy = Policy::of(&self.config, &attributes, extensions.as_ref());
        let check = Check { service: self, asked, attributes, policy };
        let deadline = asked.at + deadline::of(request.metadata(), self.config.check.timeout);
        let decided = guarded(async {
            tokio::time::timeout_at(deadline, check.decide()).await.unwrap_or(Err(Failure::Deadline))
        });
        match decided.await {
            Ok(decision) => Ok(check.respond(&decision)),
            Err(failure) if check.policy.is_shadow() => Ok(check.let_failure_pass(&failure)),
            Err(failure) => Err(failure),
        }
    }

    /// Our failure, as `check.on_error` wants it.
    fn fail(&self, failure: &Failure, asked: &Asked) -> Result<CheckResponse, Status> {
        self.count_failure(failure);
        self.metrics.decision("error", failure.label(), asked.latency());
        let decision_id = asked.id.to_string();
        tracing::info!(
            decision_id,
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
                Metadata::default().with("decision", "error").with("decision_id", decision_id),
            )),
        }
    }

    fn count_failure(&self, failure: &Failure) {
        if let Failure::Store(error) = failure {
            self.metrics.store_error(error.kind().label());
        }
    }
}

#[tonic::async_trait]
impl Authorization for CheckService {
    async fn check(&self, request: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        let asked = Asked { id: self.ids.next(), at: Instant::now() };
        let answered = guarded(self.answer(&request, &asked)).await;
        answered.or_else(|failure| self.fail(&failure, &asked)).map(Response::new)
    }
}

/// Turns a panic into a [`Failure`].
async fn guarded<T>(deciding: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    AssertUnwindSafe(deciding).catch_unwind().await.unwrap_or(Err(Failure::Panic))
}

/// One call of Check: its id, and when it came.
#[derive(Debug)]
struct Asked {
    id: DecisionId,
    at: Instant,
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
        let failed = guarded::<()>(async { panic!("a bug") }).await;
        assert!(matches!(failed, Err(Failure::Panic)));
    }
}
