//! What operators' machines ask: `/livez`, `/readyz` and `/metrics`; [`super::console`] is what operators look at.
//!
//! `/livez` says that the process answers, whatever the store does: a restart would not bring Redis back.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::sync::watch;

use super::health::{Readiness, Standing};
use crate::telemetry::Metrics;

/// The routes of the ops listener.
pub(super) fn routes(standing: watch::Receiver<Standing>, metrics: Arc<Metrics>) -> Router {
    Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(readyz).with_state(standing))
        .route("/metrics", get(render).with_state(metrics))
}

async fn readyz(State(standing): State<watch::Receiver<Standing>>) -> impl IntoResponse {
    let readiness = standing.borrow().readiness;
    let ready = readiness == Readiness::Ready;
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let json = format!(
        "{{\"ready\":{ready},\"reason\":\"{}\"}}\n",
        readiness.reason()
    );
    (status, [(header::CONTENT_TYPE, "application/json")], json)
}

async fn render(State(metrics): State<Arc<Metrics>>) -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, Metrics::CONTENT_TYPE)],
        metrics.render(),
    )
}
