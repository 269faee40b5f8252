//! The authorize page (RFC 5849 section 2.2): a user logs in, sees who asks for what, and allows or refuses.
//!
//! ```text
//!  GET ?oauth_token=… ──▶ log-in form ──POST log-in──▶ 303 ──▶ question ──POST allow / refuse──▶ 303 to the callback
//!        │                     ▲                                  │                              or PIN, or "refused"
//!        └─ logged in ─────────│──────────────────────────────────┤
//!                              └─────────── POST log-out ─────────┘
//! ```
//!
//! Every form is posted to the page itself and says in `action` what it is. There is no script, and no automatic approval:
//! each decision is one click of a user who is logged in, and ends the log-in. `oauth_token` may be left out; the page asks
//! for it then. Of other parameters, such as the `oauth_callback` of OAuth 1.0 before 1.0a, nothing is taken.
//!
//! - `browser`: cookies, and whether a form is one of ours.
//! - `decide`: what a form that is one of ours does.
//! - `pages`, `notices`: what users read; `answer`: where its forms may lead.
//!
//! Left to others: who a user is, how guessing is slowed down, and what becomes of a decision ([`crate::issue`]).

mod answer;
mod browser;
mod decide;
mod notices;
mod pages;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, HeaderValue, Uri};
use axum::response::IntoResponse;
use axum::routing::get;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use self::notices::Notice;
use super::Parts;
use crate::clock::{Clock, Entropy};
use crate::config::Config;
use crate::issue::{AuthorizationRequest, IssueError, Issuer};
use crate::model::{Session, Token};
use crate::oauth::Scheme;
use crate::server::pages::{Answer, Cookie, CookieKind, Fields};

/// What the page is made of.
#[derive(Clone)]
struct Page {
    issuer: Issuer,
    config: Arc<Config>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

/// The route of the page.
pub(super) fn routes(parts: Parts) -> Router {
    let Parts {
        issuer,
        config,
        clock,
        entropy,
        ..
    } = parts;
    let methods = match config.authorize.external_url {
        Some(_) => get(send_away).fallback(async || Notice::Method("GET, HEAD").answer(None)),
        None => get(show)
            .post(decide::posted)
            .fallback(async || Notice::Method("GET, HEAD, POST").answer(None)),
    };
    let page = Page {
        issuer,
        config,
        clock,
        entropy,
    };
    Router::new().route(PATH, methods.with_state(page))
}

/// Sends the user to the operator's own page.
async fn send_away(State(page): State<Page>, uri: Uri) -> impl IntoResponse {
    let external = page
        .config
        .authorize
        .external_url
        .as_deref()
        .unwrap_or_default();
    match requested(&uri) {
        Ok(name) => {
            let location = HeaderValue::from_str(&external_address(external, name.as_ref()));
            location.map_or_else(|_| Notice::Failure.answer(None), answer::see_other)
        }
        Err(IllToken) => pages::type_token(Some(ILL)),
    }
}

/// The page as a user comes to it.
async fn show(State(page): State<Page>, uri: Uri, headers: HeaderMap) -> impl IntoResponse {
    match requested(&uri) {
        Ok(Some(name)) => page
            .shown(&name, &headers)
            .await
            .unwrap_or_else(|notice| notice.answer(Some(&name))),
        Ok(None) => pages::type_token(None),
        Err(IllToken) => pages::type_token(Some(ILL)),
    }
}

impl Page {
    async fn shown(&self, name: &Token, headers: &HeaderMap) -> Result<Answer, Notice> {
        let asking = self.asking(name).await?;
        let Some(cookie) = Cookie::sent(headers, self.cookie_kind()) else {
            let cookie = Cookie::draw(&*self.entropy);
            return Ok(self.keeping(&cookie, pages::log_in(&asking, &cookie, "", None)));
        };
        Ok(match self.session(&cookie).await? {
            Some(session) => pages::consent(&asking, &cookie, &session, &self.config.scopes),
            None => pages::log_in(&asking, &cookie, "", None),
        })
    }

    /// Who asks with these temporary credentials, if it is still time to decide.
    async fn asking(&self, name: &Token) -> Result<AuthorizationRequest, Notice> {
        let asking = self
            .issuer
            .authorization_request(name)
            .await
            .map_err(|error| failed("look up temporary credentials", &error))?;
        Notice::about(&asking, self.clock.now()).map_or(Ok(asking), Err)
    }

    async fn session(&self, cookie: &Cookie) -> Result<Option<Session>, Notice> {
        self.issuer
            .session(cookie.expose())
            .await
            .map_err(|error| failed("look up a session", &error))
    }

    /// The answer, with which the browser gets this cookie.
    fn keeping(&self, cookie: &Cookie, answer: Answer) -> Answer {
        answer.with(SET_COOKIE, cookie.keep(self.cookie_kind()))
    }

    /// What the operator says that browsers see, or what is known of the listener: whether that is encrypted.
    fn cookie_kind(&self) -> CookieKind {
        let http = &self.config.http;
        let secure = http.public_url.as_ref().map_or_else(
            || http.listener.tls.is_some(),
            |url| url.scheme == Scheme::Https,
        );
        if secure {
            browser::SECURE
        } else {
            browser::PLAIN
        }
    }
}

/// What a user is told of an error; our own failures are logged.
fn failed(doing: &'static str, error: &IssueError) -> Notice {
    let notice = Notice::from(error);
    if notice == Notice::Failure {
        tracing::warn!(
            doing,
            error = error as &dyn std::error::Error,
            "the authorize page failed"
        );
    }
    notice
}

/// An `oauth_token` that can be none.
struct IllToken;

/// `oauth_token` of the query; `None` when there is none.
fn requested(uri: &Uri) -> Result<Option<Token>, IllToken> {
    let fields = Fields::parse(uri.query().unwrap_or_default().as_bytes()).map_err(|_| IllToken)?;
    let named = |text: &str| Token::new(text.trim()).map_err(|_| IllToken);
    fields.get("oauth_token").map(named).transpose()
}

/// The operator's page, with the temporary credentials at the end of its query.
fn external_address(external: &str, name: Option<&Token>) -> String {
    let Some(name) = name else {
        return external.to_owned();
    };
    let joint = match external.split_once('?') {
        None => "?",
        Some((_, query)) if query.is_empty() || query.ends_with('&') => "",
        Some(_) => "&",
    };
    format!(
        "{external}{joint}oauth_token={}",
        utf8_percent_encode(name.as_str(), NON_ALPHANUMERIC)
    )
}

/// The one style of all pages.
pub(super) const STYLE: &str = include_str!("../../../../templates/authorize/style.css");

/// Where the page is.
const PATH: &str = "/oauth/authorize";

const ILL: &str = "That is no code of an application. Type it as it is shown there.";
