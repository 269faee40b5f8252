//! The pages for users. The templates in `templates/authorize/` escape all values and isolate their
//! direction. Characters that make one text look like another are refused in new texts, and left out
//! here of those in the store.

use std::borrow::Cow;

use askama::Template;
use axum::http::StatusCode;

use super::brand::PageBrand;
use super::response::{self, decision_targets, scheme_of};
use crate::config::ScopeWords;
use crate::issue::AuthorizationRequest;
use crate::model::{Callback, Consumer, RequestToken, Session, visible};
use crate::server::pages::{BrowserCookie, PageResponse};

/// The login form.
#[derive(Template)]
#[template(path = "authorize/login.html")]
struct LoginPage<'a> {
    brand: &'a PageBrand,
    application: ShownApplication<'a>,
    form: FormTokens<'a>,
    username: &'a str,
    problem: Option<&'a str>,
}

/// The question whether to allow the request.
#[derive(Template)]
#[template(path = "authorize/consent.html")]
struct ConsentPage<'a> {
    brand: &'a PageBrand,
    application: ShownApplication<'a>,
    form: FormTokens<'a>,
    scopes: Vec<Cow<'a, str>>,
    destination: Destination<'a>,
    screen_name: Cow<'a, str>,
}

/// The PIN for the application.
#[derive(Template)]
#[template(path = "authorize/pin.html")]
struct PinPage<'a> {
    brand: &'a PageBrand,
    name: &'a str,
    spoken: String,
    groups: Vec<String>,
}

/// The form for temporary credentials that the application did not add to the address (RFC 5849
/// section 2.2).
#[derive(Template)]
#[template(path = "authorize/token.html")]
struct TokenPage<'a> {
    brand: &'a PageBrand,
    problem: Option<&'a str>,
}

/// A notice, with an optional link to start again.
#[derive(Template)]
#[template(path = "authorize/notice.html")]
struct NoticePage<'a> {
    brand: &'a PageBrand,
    title: &'a str,
    text: &'a str,
    again: Option<&'a str>,
}

/// The consumer that requests access.
struct ShownApplication<'a> {
    name: &'a str,
    description: Cow<'a, str>,
    app_url: &'a str,
    verified: bool,
}

/// The hidden fields of a form.
struct FormTokens<'a> {
    oauth_token: &'a str,
    csrf_token: String,
}

/// The destination of the user after the decision.
#[derive(Debug, PartialEq, Eq)]
enum Destination<'a> {
    /// The page with the PIN.
    Pin,
    /// A web site, by its host.
    Site(&'a str),
    /// An application on the device, by its scheme.
    App(&'a str),
}

impl ShownApplication<'_> {
    /// Returns the URL without `https://`, which is short enough for a phone. `http://` stays
    /// visible.
    fn shown_url(&self) -> &str {
        self.app_url
            .strip_prefix("https://")
            .unwrap_or(self.app_url)
            .trim_end_matches('/')
    }
}

impl<'a> From<&'a Consumer> for ShownApplication<'a> {
    fn from(consumer: &'a Consumer) -> Self {
        Self {
            name: consumer.name.as_str(),
            description: visible(&consumer.profile.description),
            app_url: &consumer.profile.app_url,
            verified: consumer.verified,
        }
    }
}

impl<'a> FormTokens<'a> {
    fn of(asking: &'a AuthorizationRequest, cookie: &BrowserCookie) -> Self {
        Self {
            oauth_token: asking.request_token.token.as_str(),
            csrf_token: cookie.csrf_token(asking),
        }
    }
}

impl<'a> Destination<'a> {
    fn of(callback: &'a Callback) -> Self {
        let Callback::Uri(uri) = callback else {
            return Self::Pin;
        };
        let scheme = scheme_of(uri);
        let is_web = ["http", "https"]
            .iter()
            .any(|web| scheme.eq_ignore_ascii_case(web));
        match uri.split_once("://") {
            Some((_, rest)) if is_web => {
                Self::Site(rest.split(['/', '?', '#']).next().unwrap_or_default())
            }
            _ => Self::App(scheme),
        }
    }
}

/// Returns the login form. After a failed login it shows the problem and keeps the user name.
pub(super) fn log_in(
    brand: &PageBrand,
    asking: &AuthorizationRequest,
    cookie: &BrowserCookie,
    username: &str,
    problem: Option<(StatusCode, &str)>,
) -> PageResponse {
    let page = LoginPage {
        brand,
        application: ShownApplication::from(&asking.consumer),
        form: FormTokens::of(asking, cookie),
        username,
        problem: problem.map(|(_, text)| text),
    };
    let status = problem.map_or(StatusCode::OK, |(status, _)| status);
    rendered(brand, status, &page)
}

/// Returns the question whether to allow the request.
pub(super) fn consent(
    brand: &PageBrand,
    asking: &AuthorizationRequest,
    cookie: &BrowserCookie,
    session: &Session,
    words: &ScopeWords,
) -> PageResponse {
    let RequestToken {
        callback, scopes, ..
    } = &asking.request_token;
    let page = ConsentPage {
        brand,
        application: ShownApplication::from(&asking.consumer),
        form: FormTokens::of(asking, cookie),
        scopes: scopes
            .iter()
            .map(|scope| visible(words.of(scope).unwrap_or(scope)))
            .collect(),
        destination: Destination::of(callback),
        screen_name: visible(screen_name(session)),
    };
    rendered(brand, StatusCode::OK, &page).with_forms(decision_targets(callback))
}

fn screen_name(session: &Session) -> &str {
    if session.screen_name.is_empty() {
        session.user_id.as_str()
    } else {
        &session.screen_name
    }
}

/// Returns the page with the PIN: in groups for the eye, and in single characters for screen
/// readers.
pub(super) fn pin(brand: &PageBrand, consumer: &Consumer, verifier: &[u8]) -> PageResponse {
    let characters: Vec<char> = verifier.escape_ascii().map(char::from).collect();
    let spoken: Vec<_> = characters.iter().map(char::to_string).collect();
    let groups = characters.chunks(4).map(|group| group.iter().collect());
    let page = PinPage {
        brand,
        name: consumer.name.as_str(),
        spoken: spoken.join(" "),
        groups: groups.collect(),
    };
    rendered(brand, StatusCode::OK, &page)
}

/// Returns the form for temporary credentials, with the problem of the last ones.
pub(super) fn token_form(brand: &PageBrand, problem: Option<&str>) -> PageResponse {
    let status = match problem {
        Some(_) => StatusCode::BAD_REQUEST,
        None => StatusCode::OK,
    };
    rendered(brand, status, &TokenPage { brand, problem })
}

/// Returns a notice. `again` is the address to start again.
pub(super) fn notice(
    brand: &PageBrand,
    status: StatusCode,
    title: &str,
    text: &str,
    again: Option<&str>,
) -> PageResponse {
    let page = NoticePage {
        brand,
        title,
        text,
        again,
    };
    rendered(brand, status, &page)
}

fn rendered(brand: &PageBrand, status: StatusCode, page: &impl Template) -> PageResponse {
    match page.render() {
        Ok(html) => response::page(brand, status, html),
        Err(error) => {
            tracing::error!(%error, "cannot render an authorize page");
            response::page(brand, StatusCode::INTERNAL_SERVER_ERROR, String::new())
        }
    }
}
