//! The routes of the http listener.

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::Response;

use super::parts::HttpParts;
use super::tokens::TokenEndpoints;
use super::{authorize, client_address};
use crate::diagnostics::Diagnostics;
use crate::issue::Issuer;
use crate::server::app::App;
use crate::server::body::BodyBudget;
use crate::server::guard;
use crate::verify::EndpointVerifier;

/// Returns the routes of the http listener.
pub(in crate::server) fn routes(
    app: &App,
    issuer: Issuer,
    diagnostics: Diagnostics,
    bodies: BodyBudget,
) -> Router {
    let parts = HttpParts {
        issuer,
        config: Arc::clone(&app.config),
        logo: app.logo.clone(),
        clock: Arc::clone(&app.clock),
        entropy: Arc::clone(&app.entropy),
        bodies,
    };
    let note_address = from_fn_with_state(app.config.http.trusted_hops, client_address::note);
    Router::new()
        .merge(token_endpoints(app, parts.clone(), diagnostics).routes())
        .merge(authorize::routes(parts))
        .fallback(not_found)
        .layer(note_address)
        .layer(from_fn(guard::guard))
}

fn token_endpoints(app: &App, parts: HttpParts, diagnostics: Diagnostics) -> TokenEndpoints {
    let verifier = EndpointVerifier::new(
        Arc::clone(&app.store),
        Arc::clone(&app.clock),
        &app.config.verify,
    );
    TokenEndpoints::new(parts, verifier, Arc::clone(&app.metrics), diagnostics)
}

async fn not_found() -> Response {
    guard::refusal(
        StatusCode::NOT_FOUND,
        "No such path; use /oauth/request_token, /oauth/authorize or /oauth/access_token",
    )
}
