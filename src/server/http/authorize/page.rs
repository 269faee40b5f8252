//! The state of the page, and the lookups of its handlers.

use std::sync::Arc;

use axum::http::header::SET_COOKIE;

use super::brand::PageBrand;
use super::browser;
use super::notices::UserNotice;
use crate::clock::{Clock, Entropy};
use crate::config::Config;
use crate::issue::{AuthorizationRequest, IssueError, Issuer};
use crate::model::{Session, Token};
use crate::oauth::Scheme;
use crate::server::body::BodyBudget;
use crate::server::http::parts::HttpParts;
use crate::server::pages::{BrowserCookie, CookieKind, PageResponse};

/// The components of the page.
#[derive(Clone)]
pub(super) struct AuthorizePage {
    /// The issuer of credentials.
    pub(super) issuer: Issuer,
    /// The configuration.
    pub(super) config: Arc<Config>,
    /// The source of random bytes.
    pub(super) entropy: Arc<dyn Entropy>,
    /// The memory for request bodies.
    pub(super) bodies: BodyBudget,
    /// The look of the pages.
    pub(super) brand: Arc<PageBrand>,
    clock: Arc<dyn Clock>,
}

impl AuthorizePage {
    /// Creates the page.
    pub(super) fn new(parts: HttpParts) -> Self {
        let HttpParts {
            issuer,
            config,
            logo,
            clock,
            entropy,
            bodies,
        } = parts;
        Self {
            brand: Arc::new(PageBrand::new(&config, logo)),
            issuer,
            config,
            entropy,
            bodies,
            clock,
        }
    }

    /// Finds the pending request with these temporary credentials.
    ///
    /// # Errors
    /// If the credentials are unknown, or the request can no longer be decided.
    pub(super) async fn asking(&self, name: &Token) -> Result<AuthorizationRequest, UserNotice> {
        let asking = self
            .issuer
            .authorization_request(name)
            .await
            .map_err(|error| failed("look up temporary credentials", &error))?;
        match UserNotice::about(&asking, self.clock.now()) {
            None => Ok(asking),
            Some(notice) => Err(notice),
        }
    }

    /// Finds the session of a browser.
    pub(super) async fn session(
        &self,
        cookie: &BrowserCookie,
    ) -> Result<Option<Session>, UserNotice> {
        self.issuer
            .session(cookie.expose())
            .await
            .map_err(|error| failed("look up a session", &error))
    }

    /// Adds the cookie to a response.
    pub(super) fn with_cookie(
        &self,
        cookie: &BrowserCookie,
        response: PageResponse,
    ) -> PageResponse {
        response.with(SET_COOKIE, cookie.set(self.cookie_kind()))
    }

    /// Removes the cookie from the browser.
    pub(super) fn without_cookie(&self, response: PageResponse) -> PageResponse {
        response.with(SET_COOKIE, self.cookie_kind().removal())
    }

    /// Returns the kind of the cookie: for https if the public URL says so, or else if the listener
    /// is encrypted.
    pub(super) fn cookie_kind(&self) -> CookieKind {
        let http = &self.config.http;
        let is_secure = match &http.public_url {
            Some(url) => url.scheme == Scheme::Https,
            None => http.listener.tls.is_some(),
        };
        if is_secure {
            browser::SECURE
        } else {
            browser::PLAIN
        }
    }
}

/// Returns the notice for an error of the issuer, and logs our own failures. `operation` completes
/// "cannot …".
pub(super) fn failed(operation: &'static str, error: &IssueError) -> UserNotice {
    let notice = UserNotice::from(error);
    if notice == UserNotice::Failure {
        let error: &dyn std::error::Error = error;
        tracing::warn!(operation, error, "the authorize page failed");
    }
    notice
}
