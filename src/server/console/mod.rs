//! The console: one page on the ops listener that shows an operator how the service is, and what it refuses.
//!
//! ```text
//!  GET /console ──▶ form for the admin token ──POST /console/login──▶ 303 ──▶ the page, again and again
//!       ▲                                                                        │
//!       └──────────────────────────── POST /console/logout ──────────────────────┘
//! ```
//!
//! It changes nothing, and it has no script: whoever looks follows links, and the page loads itself again (`Refresh`) where
//! it shows the newest, unless it is told not to (`live=off`). Without a session it tells nothing.
//!
//! Where the listener is beyond loopback and not encrypted, the admin token could be overheard on its way here. The console
//! takes none there, unless the operator says that something else encrypts it (`ops.insecure_plaintext`).
//!
//! - `gate`: who is let in; `asked`: what is asked to be seen.
//! - `overview`: what is seen; `difference`: where two base strings part; `words`: how times and numbers are written; `pages`: everything else that is said.
//!
//! Left to others: what is known of requests, of which nothing is secret ([`crate::diagnostics`]), and what keeps a page to
//! itself ([`crate::server::pages`]).

mod asked;
mod difference;
mod gate;
mod overview;
mod pages;
mod words;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::middleware::from_fn;
use axum::routing::{MethodRouter, get, post};
use tokio::sync::watch;

use self::asked::Asked;
use self::gate::Gate;
use super::guard;
use super::health::Standing;
use super::pages::{Answer, Cookie, CookieKind, Fields, comes_from_here};
use super::{App, api};
use crate::clock::Clock;
use crate::config::{Config, ListenerConfig};
use crate::diagnostics::Diagnostics;
use crate::issue::Actor;
use crate::store::StoreHealth;

/// What is shown.
pub(super) struct Sources {
    /// The denials and the counts.
    pub(super) diagnostics: Diagnostics,
    /// Whether the service is ready.
    pub(super) standing: watch::Receiver<Standing>,
    /// How the store is.
    pub(super) store: Arc<dyn StoreHealth>,
}

/// The page, and who may see it.
struct Console {
    gate: Gate,
    sources: Sources,
    config: Arc<Config>,
    clock: Arc<dyn Clock>,
    cookie: CookieKind,
}

/// The routes of the console; there are none where the operator wants none.
pub(super) fn routes(app: &App, sources: Sources) -> Router {
    let ops = &app.config.ops;
    if !ops.console {
        return Router::new();
    }
    let routes = if is_overheard(&ops.listener) {
        closed()
    } else {
        open(Console::new(app, sources))
    };
    routes.layer(from_fn(guard::guard))
}

/// Whether a token could be read on its way here.
fn is_overheard(listener: &ListenerConfig) -> bool {
    listener.is_exposed_plaintext() && !listener.insecure_plaintext
}

fn open(console: Console) -> Router {
    let only = |methods: MethodRouter<Arc<Console>>, allowed| {
        methods.fallback(async move || pages::method(allowed))
    };
    Router::new()
        .route(PATH, only(get(show), "GET, HEAD"))
        .route(LOG_IN, only(post(log_in), "POST"))
        .route(LOG_OUT, only(post(log_out), "POST"))
        .with_state(Arc::new(console))
}

fn closed() -> Router {
    let closed = || get(async || pages::closed()).fallback(async || pages::closed());
    Router::new()
        .route(PATH, closed())
        .route(LOG_IN, closed())
        .route(LOG_OUT, closed())
}

async fn show(State(console): State<Arc<Console>>, uri: Uri, headers: HeaderMap) -> Answer {
    let asked = Asked::parse(uri.query().unwrap_or_default());
    if console.visitor(&headers).is_none() {
        return pages::log_in(&asked.unwrap_or_default(), None);
    }
    match asked {
        Ok(asked) => console.overview(&asked),
        Err(bad) => pages::unread(bad),
    }
}

async fn log_in(
    State(console): State<Arc<Console>>,
    headers: HeaderMap,
    request: Request,
) -> Answer {
    if !comes_from_here(&headers, None) {
        return pages::foreign();
    }
    let (parts, body) = request.into_parts();
    let fields = match Fields::posted(&headers, body).await {
        Ok(fields) => fields,
        Err(bad) => return pages::unread(bad),
    };
    let asked = Asked::parse(fields.text("then")).unwrap_or_default();
    match console.gate.log_in(fields.text("token").trim().as_bytes()) {
        Ok(cookie) => {
            let peer = api::peer_address(&parts.extensions);
            tracing::info!(target: "countersign::audit", actor = %Actor::ADMIN, action = "console.open", ?peer);
            if let Some(before) = console.visitor(&headers) {
                console.gate.log_out(&before);
            }
            to(&asked).with(header::SET_COOKIE, cookie.keep(console.cookie))
        }
        Err(shut) => {
            let peer = api::peer_address(&parts.extensions);
            tracing::info!(target: "countersign::audit", reason = shut.label(), call = LOG_IN, ?peer, "refused");
            pages::log_in(&asked, Some(shut))
        }
    }
}

async fn log_out(State(console): State<Arc<Console>>, headers: HeaderMap) -> Answer {
    if !comes_from_here(&headers, None) {
        return pages::foreign();
    }
    if let Some(cookie) = Cookie::sent(&headers, console.cookie) {
        console.gate.log_out(&cookie);
    }
    to(&Asked::default()).with(header::SET_COOKIE, console.cookie.forget())
}

/// Sends the browser to the page.
fn to(asked: &Asked) -> Answer {
    HeaderValue::from_str(&asked.address()).map_or_else(|_| pages::failure(), pages::see_other)
}

impl Console {
    fn new(app: &App, sources: Sources) -> Self {
        let (config, clock) = (Arc::clone(&app.config), Arc::clone(&app.clock));
        let gate = Gate::new(
            app.admin_token.clone(),
            Arc::clone(&clock),
            Arc::clone(&app.entropy),
        );
        let cookie = if config.ops.listener.tls.is_some() {
            SECURE
        } else {
            PLAIN
        };
        Self {
            gate,
            sources,
            config,
            clock,
            cookie,
        }
    }

    /// The cookie of a browser that was let in.
    fn visitor(&self, headers: &HeaderMap) -> Option<Cookie> {
        Cookie::sent(headers, self.cookie).filter(|cookie| self.gate.is_open_to(cookie))
    }
}

/// Over https alone, and nobody without https can set it (`__Secure-`, RFC 6265bis section 4.1.3.1).
const SECURE: CookieKind = CookieKind {
    name: "__Secure-countersign-console",
    attributes: "Path=/console; Secure; HttpOnly; SameSite=Strict",
};

/// Where the listener speaks no TLS, a browser would not keep the other.
const PLAIN: CookieKind = CookieKind {
    name: "countersign-console",
    attributes: "Path=/console; HttpOnly; SameSite=Strict",
};

/// The one style of all pages.
pub(super) const STYLE: &str = include_str!("../../../templates/console/style.css");

/// Where the page is.
const PATH: &str = "/console";

/// Where the form with the token goes.
const LOG_IN: &str = "/console/login";

/// Where the form goes that ends a session.
const LOG_OUT: &str = "/console/logout";
