//! `/oauth/…` over HTTP/1.1: where consumers get credentials and users allow it (RFC 5849 section 2).
//!
//! - `tokens`: the token endpoints, by way of `body`, `credential_request`, `grant` (what is asked for), `refusal`
//!   and `answer`.
//! - `client_address`: where it comes from, through proxies that the operator trusts.
//! - `authorize`: the page.
//!
//! The rules of issuing are left to [`crate::issue`], those of signatures to [`crate::verify`].

mod answer;
mod authorize;
mod body;
mod client_address;
mod credential_request;
mod grant;
mod refusal;
mod tokens;

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::Response;

use super::{App, guard};
use crate::clock::{Clock, Entropy};
use crate::config::Config;
use crate::diagnostics::Diagnostics;
use crate::issue::Issuer;
use crate::verify::EndpointVerifier;
use tokens::TokenEndpoints;

/// What the routes are made of.
#[derive(Clone)]
pub(super) struct Parts {
    /// Issues.
    pub(super) issuer: Issuer,
    /// What the operator set.
    pub(super) config: Arc<Config>,
    /// Tells the time.
    pub(super) clock: Arc<dyn Clock>,
    /// Draws random bytes.
    pub(super) entropy: Arc<dyn Entropy>,
}

/// The routes of the http listener.
pub(super) fn routes(app: &App, issuer: Issuer, diagnostics: Diagnostics) -> Router {
    let parts = Parts {
        issuer,
        config: Arc::clone(&app.config),
        clock: Arc::clone(&app.clock),
        entropy: Arc::clone(&app.entropy),
    };
    let verifier = EndpointVerifier::new(
        Arc::clone(&app.store),
        Arc::clone(&app.clock),
        &app.config.verify,
    );
    let endpoints = TokenEndpoints::new(
        parts.clone(),
        verifier,
        Arc::clone(&app.metrics),
        diagnostics,
    );
    Router::new()
        .merge(endpoints.routes())
        .merge(authorize::routes(parts))
        .fallback(nothing_here)
        .layer(from_fn_with_state(
            app.config.http.trusted_hops,
            client_address::note,
        ))
        .layer(from_fn(guard::guard))
}

async fn nothing_here() -> Response {
    guard::refusal(
        StatusCode::NOT_FOUND,
        "There is nothing here; /oauth/ has request_token, authorize and access_token",
    )
}
