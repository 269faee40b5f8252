//! What is said beside the page itself: the form for the token, and why something is not shown.
//!
//! The templates in `templates/console/` escape everything that they are given.

use std::sync::LazyLock;

use askama::Template;
use axum::http::{HeaderValue, StatusCode, header};

use super::STYLE;
use super::asked::Asked;
use super::gate::Shut;
use crate::server::pages::{Answer, BadFields, style_source, whole_seconds};

/// The form for the admin token.
#[derive(Template)]
#[template(path = "console/login.html")]
struct LogIn {
    /// What is shown afterwards.
    then: String,
    problem: Option<String>,
}

/// Something to know.
#[derive(Template)]
#[template(path = "console/notice.html")]
struct Notice {
    title: &'static str,
    text: &'static str,
    again: bool,
}

/// The form for the token, and what was wrong with the last one.
pub(super) fn log_in(asked: &Asked, shut: Option<Shut>) -> Answer {
    let problem = shut.map(|shut| match shut {
        Shut::Wrong => WRONG.to_owned(),
        Shut::TooOften(wait) => format!(
            "{TOO_OFTEN} Try again in {} seconds.",
            whole_seconds(wait).max(1)
        ),
    });
    let form = LogIn {
        then: asked.query(),
        problem,
    };
    match shut {
        None => rendered(StatusCode::OK, &form),
        Some(Shut::Wrong) => {
            // RFC 9110 section 15.5.2 wants a challenge; no browser knows this scheme, so each shows the page.
            let challenge = HeaderValue::from_static("Form realm=\"console\"");
            rendered(StatusCode::UNAUTHORIZED, &form).with(header::WWW_AUTHENTICATE, challenge)
        }
        Some(Shut::TooOften(wait)) => {
            rendered(StatusCode::TOO_MANY_REQUESTS, &form).retry_after(wait)
        }
    }
}

/// Why the console takes no token here.
pub(super) fn closed() -> Answer {
    notice(
        StatusCode::FORBIDDEN,
        "The console is closed here",
        CLOSED,
        false,
    )
}

/// Another site posted that form.
pub(super) fn foreign() -> Answer {
    notice(
        StatusCode::FORBIDDEN,
        "That form came from another site",
        FOREIGN,
        true,
    )
}

/// What was sent can not be read.
pub(super) fn unread(bad: BadFields) -> Answer {
    notice(bad.status(), "That can not be read", UNREAD, true)
}

/// It is asked with another method.
pub(super) fn method(allowed: &'static str) -> Answer {
    let answer = notice(
        StatusCode::METHOD_NOT_ALLOWED,
        "That can not be asked like that",
        METHOD,
        true,
    );
    answer.with(header::ALLOW, HeaderValue::from_static(allowed))
}

/// Our failure.
pub(super) fn failure() -> Answer {
    notice(
        StatusCode::INTERNAL_SERVER_ERROR,
        "That did not work",
        FAILURE,
        true,
    )
}

/// Sends the browser somewhere else, where it asks with GET.
pub(super) fn see_other(location: HeaderValue) -> Answer {
    Answer::see_other(location, &STYLE_SOURCE)
}

/// A page.
pub(super) fn rendered(status: StatusCode, page: &impl Template) -> Answer {
    let (status, html) = match page.render() {
        Ok(html) => (status, html),
        Err(error) => {
            tracing::error!(%error, "a page of the console could not be rendered");
            (StatusCode::INTERNAL_SERVER_ERROR, String::new())
        }
    };
    Answer::page(status, html, &STYLE_SOURCE)
}

fn notice(status: StatusCode, title: &'static str, text: &'static str, again: bool) -> Answer {
    rendered(status, &Notice { title, text, again })
}

static STYLE_SOURCE: LazyLock<String> = LazyLock::new(|| style_source(STYLE));

const WRONG: &str = "That is not the admin token of this server.";
const TOO_OFTEN: &str = "There were too many wrong tokens.";
const CLOSED: &str = "This listener is beyond loopback and not encrypted, so the admin token could be overheard on its way \
                      here. Set ops.tls.certificate_file and ops.tls.key_file, or ops.insecure_plaintext = true if \
                      something else encrypts it.";
const FOREIGN: &str = "Nothing was done with it.";
const UNREAD: &str = "Nothing was done with it.";
const METHOD: &str = "The console is looked at with GET; its forms are posted.";
const FAILURE: &str = "The server's log says why.";
