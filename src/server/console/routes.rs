//! The routes of the console and their handlers.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::middleware::from_fn;
use axum::routing::{MethodRouter, get, post};

use super::gate::LoginRefusal;
use super::pages;
use super::paths::{LOG_IN, LOG_OUT, PATH};
use super::query::ConsoleQuery;
use super::site::{ConsoleSite, ConsoleSources};
use crate::config::ListenerConfig;
use crate::issue::Actor;
use crate::server::app::App;
use crate::server::pages::{BrowserCookie, FormFields, PageResponse, is_same_origin};
use crate::server::{api, guard};

/// Returns the routes of the console; none if the operator disables it.
pub(in crate::server) fn routes(app: &App, sources: ConsoleSources) -> Router {
    let ops = &app.config.ops;
    if !ops.console {
        return Router::new();
    }
    let routes = if is_interceptable(&ops.listener) {
        closed_routes()
    } else {
        open_routes(ConsoleSite::new(app, sources))
    };
    routes.layer(from_fn(guard::guard))
}

/// Returns whether others could read the admin token on its way to the listener.
fn is_interceptable(listener: &ListenerConfig) -> bool {
    listener.is_exposed_plaintext() && !listener.insecure_plaintext
}

fn open_routes(site: ConsoleSite) -> Router {
    let only = |methods: MethodRouter<Arc<ConsoleSite>>, allowed| {
        methods.fallback(async move || pages::method_not_allowed(allowed))
    };
    Router::new()
        .route(PATH, only(get(show), "GET, HEAD"))
        .route(LOG_IN, only(post(log_in), "POST"))
        .route(LOG_OUT, only(post(log_out), "POST"))
        .with_state(Arc::new(site))
}

fn closed_routes() -> Router {
    let closed = || get(async || pages::closed()).fallback(async || pages::closed());
    Router::new()
        .route(PATH, closed())
        .route(LOG_IN, closed())
        .route(LOG_OUT, closed())
}

/// Shows the page, or the form without a session.
async fn show(State(site): State<Arc<ConsoleSite>>, uri: Uri, headers: HeaderMap) -> PageResponse {
    let query = ConsoleQuery::parse(uri.query().unwrap_or_default());
    if site.session_cookie(&headers).is_none() {
        return pages::log_in(&query.unwrap_or_default(), None);
    }
    match query {
        Ok(query) => site.overview(&query),
        Err(error) => pages::unreadable(error),
    }
}

/// Opens a session, and sends the browser to the page that it requested first.
async fn log_in(
    State(site): State<Arc<ConsoleSite>>,
    headers: HeaderMap,
    request: Request,
) -> PageResponse {
    if !is_same_origin(&headers, None) {
        return pages::foreign_form();
    }
    let (parts, body) = request.into_parts();
    let fields = match FormFields::read(&headers, body, &site.sources.bodies).await {
        Ok(fields) => fields,
        Err(error) => return pages::unreadable(error),
    };
    let opened = site
        .sources
        .gate
        .log_in(fields.text("token").trim().as_bytes());
    audit_log_in(&opened, api::peer_address(&parts.extensions));
    let query = ConsoleQuery::parse(fields.text("then")).unwrap_or_default();
    match opened {
        Ok(cookie) => replace_session(&site, &headers, &cookie, &query),
        Err(refusal) => pages::log_in(&query, Some(refusal)),
    }
}

/// Ends the previous session of the browser, and sets the cookie of the new one.
fn replace_session(
    site: &ConsoleSite,
    headers: &HeaderMap,
    cookie: &BrowserCookie,
    query: &ConsoleQuery,
) -> PageResponse {
    if let Some(previous) = site.session_cookie(headers) {
        site.sources.gate.log_out(&previous);
    }
    redirect(query).with(header::SET_COOKIE, cookie.set(site.cookie))
}

/// Writes the audit event of a login.
fn audit_log_in(opened: &Result<BrowserCookie, LoginRefusal>, peer: Option<SocketAddr>) {
    match opened {
        Ok(_) => {
            let actor = Actor::ADMIN;
            tracing::info!(target: "countersign::audit", %actor, action = "console.open", ?peer);
        }
        Err(refusal) => {
            let reason = refusal.label();
            tracing::info!(target: "countersign::audit", reason, call = LOG_IN, ?peer, "refused");
        }
    }
}

/// Ends the session.
async fn log_out(State(site): State<Arc<ConsoleSite>>, headers: HeaderMap) -> PageResponse {
    if !is_same_origin(&headers, None) {
        return pages::foreign_form();
    }
    if let Some(cookie) = BrowserCookie::sent(&headers, site.cookie) {
        site.sources.gate.log_out(&cookie);
    }
    redirect(&ConsoleQuery::default()).with(header::SET_COOKIE, site.cookie.removal())
}

/// Sends the browser to the page.
fn redirect(query: &ConsoleQuery) -> PageResponse {
    HeaderValue::from_str(&query.address()).map_or_else(|_| pages::failure(), pages::see_other)
}
