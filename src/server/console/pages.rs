//! The pages other than the overview: the login form and notices.
//!
//! The templates in `templates/console/` escape all values.

use std::sync::LazyLock;

use askama::Template;
use axum::http::{HeaderValue, StatusCode, header};

use super::gate::LoginRefusal;
use super::query::ConsoleQuery;
use crate::server::pages::{FormError, PageResponse, PageSources, whole_seconds};

/// The form for the admin token.
#[derive(Template)]
#[template(path = "console/login.html")]
struct LoginPage {
    /// The query of the page to show after the login.
    then: String,
    problem: Option<String>,
}

/// A notice.
#[derive(Template)]
#[template(path = "console/notice.html")]
struct ConsoleNotice {
    title: &'static str,
    text: &'static str,
    again: bool,
}

/// Returns the login form. After a refused login it shows the reason.
pub(super) fn log_in(query: &ConsoleQuery, refusal: Option<LoginRefusal>) -> PageResponse {
    let form = LoginPage {
        then: query.encoded(),
        problem: refusal.map(problem),
    };
    match refusal {
        None => rendered(StatusCode::OK, &form),
        Some(LoginRefusal::WrongToken) => {
            // RFC 9110 section 15.5.2 requires a challenge. No browser knows this scheme, so each
            // shows the page.
            let challenge = HeaderValue::from_static("Form realm=\"console\"");
            rendered(StatusCode::UNAUTHORIZED, &form).with(header::WWW_AUTHENTICATE, challenge)
        }
        Some(LoginRefusal::TooManyFailures(wait)) => {
            rendered(StatusCode::TOO_MANY_REQUESTS, &form).retry_after(wait)
        }
    }
}

fn problem(refusal: LoginRefusal) -> String {
    match refusal {
        LoginRefusal::WrongToken => WRONG_TOKEN.to_owned(),
        LoginRefusal::TooManyFailures(wait) => format!(
            "{TOO_MANY_FAILURES} Try again in {} seconds.",
            whole_seconds(wait).max(1)
        ),
    }
}

/// Returns the notice that the console is closed on this listener.
pub(super) fn closed() -> PageResponse {
    notice(
        StatusCode::FORBIDDEN,
        "The console is closed on this listener",
        CLOSED,
        false,
    )
}

/// Returns the notice that another site posted the form.
pub(super) fn foreign_form() -> PageResponse {
    notice(
        StatusCode::FORBIDDEN,
        "The form came from another site",
        FOREIGN_FORM,
        true,
    )
}

/// Returns the notice that the request is malformed.
pub(super) fn unreadable(error: FormError) -> PageResponse {
    notice(
        error.status(),
        "The request cannot be read",
        UNREADABLE,
        true,
    )
}

/// Returns the notice that the method is not allowed.
pub(super) fn method_not_allowed(allowed: &'static str) -> PageResponse {
    let response = notice(
        StatusCode::METHOD_NOT_ALLOWED,
        "Method not allowed",
        METHOD,
        true,
    );
    response.with(header::ALLOW, HeaderValue::from_static(allowed))
}

/// Returns the notice of an internal error.
pub(super) fn failure() -> PageResponse {
    notice(
        StatusCode::INTERNAL_SERVER_ERROR,
        "Internal error",
        FAILURE,
        true,
    )
}

/// Sends the browser to another address, with GET.
pub(super) fn see_other(location: HeaderValue) -> PageResponse {
    PageResponse::see_other(location, &SOURCES)
}

/// Renders a page.
pub(super) fn rendered(status: StatusCode, page: &impl Template) -> PageResponse {
    let (status, html) = match page.render() {
        Ok(html) => (status, html),
        Err(error) => {
            tracing::error!(%error, "cannot render a page of the console");
            (StatusCode::INTERNAL_SERVER_ERROR, String::new())
        }
    };
    PageResponse::page(status, html, &SOURCES)
}

fn notice(
    status: StatusCode,
    title: &'static str,
    text: &'static str,
    again: bool,
) -> PageResponse {
    rendered(status, &ConsoleNotice { title, text, again })
}

/// The style of all pages.
pub(super) const STYLE: &str = include_str!("../../../templates/console/style.css");

static SOURCES: LazyLock<PageSources> = LazyLock::new(|| PageSources::of_style(STYLE));

const WRONG_TOKEN: &str = "Wrong admin token.";
const TOO_MANY_FAILURES: &str = "Too many wrong tokens.";
const CLOSED: &str = "This listener accepts connections from other hosts and is not encrypted, so \
    the admin token could be intercepted. Set ops.tls.certificate_file and ops.tls.key_file, or \
    ops.insecure_plaintext = true if something else encrypts the connection.";
const FOREIGN_FORM: &str = "The form was ignored.";
const UNREADABLE: &str = "The request was ignored.";
const METHOD: &str = "Open the console with GET. Its forms use POST.";
const FAILURE: &str = "The server's log has the details.";
