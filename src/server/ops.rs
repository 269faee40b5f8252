//! The routes for machines: `/livez`, `/readyz` and `/metrics`. [`super::console`] is the page for
//! operators.
//!
//! `/livez` succeeds while the process responds, even without the store: a restart would not
//! restore Redis. `/readyz` names the error for which checks cannot be answered.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use serde::Serialize;
use tokio::sync::watch;

use super::health::HealthState;
use crate::telemetry::Metrics;

/// The answer of `/readyz`.
#[derive(Serialize)]
struct ReadinessAnswer<'a> {
    ready: bool,
    reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'a str>,
}

/// Returns the routes for probes and Prometheus.
pub(super) fn routes(health: watch::Receiver<HealthState>, metrics: Arc<Metrics>) -> Router {
    Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(readyz).with_state(health))
        .route("/metrics", get(render).with_state(metrics))
}

async fn readyz(State(health): State<watch::Receiver<HealthState>>) -> impl IntoResponse {
    let HealthState {
        readiness, cause, ..
    } = health.borrow().clone();
    let ready = readiness.is_ready();
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let answer = ReadinessAnswer {
        ready,
        reason: readiness.reason(),
        cause: cause.as_deref(),
    };
    let mut json = serde_json::to_string(&answer).unwrap_or_default();
    json.push('\n');
    (status, [(header::CONTENT_TYPE, "application/json")], json)
}

async fn render(State(metrics): State<Arc<Metrics>>) -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, Metrics::CONTENT_TYPE)],
        metrics.render(),
    )
}
