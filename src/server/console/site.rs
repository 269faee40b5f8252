//! The state of the console.

use std::sync::Arc;

use axum::http::HeaderMap;
use tokio::sync::watch;

use super::gate::ConsoleGate;
use crate::clock::Clock;
use crate::config::Config;
use crate::diagnostics::Diagnostics;
use crate::server::app::App;
use crate::server::body::BodyBudget;
use crate::server::health::HealthState;
use crate::server::pages::{BrowserCookie, CookieKind};
use crate::store::StoreHealth;

/// The data that the console shows.
pub(in crate::server) struct ConsoleSources {
    /// Denials and counts.
    pub(in crate::server) diagnostics: Diagnostics,
    /// The readiness of the service.
    pub(in crate::server) health: watch::Receiver<HealthState>,
    /// The state of the store.
    pub(in crate::server) store: Arc<dyn StoreHealth>,
    /// The memory for request bodies.
    pub(in crate::server) bodies: BodyBudget,
    /// The sessions.
    pub(in crate::server) gate: Arc<ConsoleGate>,
}

/// The data and the configuration of the console.
pub(super) struct ConsoleSite {
    /// The data.
    pub(super) sources: ConsoleSources,
    /// The configuration.
    pub(super) config: Arc<Config>,
    /// The source of time.
    pub(super) clock: Arc<dyn Clock>,
    /// The cookie of a session.
    pub(super) cookie: CookieKind,
}

impl ConsoleSite {
    /// Creates the state.
    pub(super) fn new(app: &App, sources: ConsoleSources) -> Self {
        let (config, clock) = (Arc::clone(&app.config), Arc::clone(&app.clock));
        let is_encrypted = config.ops.listener.tls.is_some();
        Self {
            sources,
            config,
            clock,
            cookie: if is_encrypted { SECURE } else { PLAIN },
        }
    }

    /// Returns the cookie of a browser with a session.
    pub(super) fn session_cookie(&self, headers: &HeaderMap) -> Option<BrowserCookie> {
        let cookie = BrowserCookie::sent(headers, self.cookie);
        cookie.filter(|cookie| self.sources.gate.has_session(cookie))
    }
}

/// The cookie of an encrypted listener. Only https can send or set it (`__Secure-`, RFC 6265bis
/// section 4.1.3.1).
const SECURE: CookieKind = CookieKind {
    name: "__Secure-countersign-console",
    attributes: "Path=/console; Secure; HttpOnly; SameSite=Strict",
};

/// The cookie of a plaintext listener, where a browser would reject the other.
const PLAIN: CookieKind = CookieKind {
    name: "countersign-console",
    attributes: "Path=/console; HttpOnly; SameSite=Strict",
};
