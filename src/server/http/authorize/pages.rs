//! What users read: the templates in `templates/authorize/`, which escape everything that they are given.

use askama::Template;
use axum::http::StatusCode;

use super::answer::{self, forms_of_decision, scheme_of};
use crate::config::ScopeWords;
use crate::issue::AuthorizationRequest;
use crate::model::{Callback, Consumer, Session};
use crate::server::pages::{Answer, Cookie};

/// The form to log in with.
#[derive(Template)]
#[template(path = "authorize/login.html")]
struct LogIn<'a> {
    application: Application<'a>,
    form: Form<'a>,
    username: &'a str,
    problem: Option<&'a str>,
}

/// The question whether to allow it.
#[derive(Template)]
#[template(path = "authorize/consent.html")]
struct Consent<'a> {
    application: Application<'a>,
    form: Form<'a>,
    scopes: Vec<&'a str>,
    destination: Destination<'a>,
    screen_name: &'a str,
}

/// The PIN to type into the application.
#[derive(Template)]
#[template(path = "authorize/pin.html")]
struct Pin<'a> {
    name: &'a str,
    spoken: String,
    groups: Vec<String>,
}

/// The form for temporary credentials that the application did not send along (RFC 5849 section 2.2).
#[derive(Template)]
#[template(path = "authorize/token.html")]
struct TypeToken<'a> {
    problem: Option<&'a str>,
}

/// Something to know, and perhaps a way to start again.
#[derive(Template)]
#[template(path = "authorize/notice.html")]
struct NoticePage<'a> {
    title: &'a str,
    text: &'a str,
    again: Option<&'a str>,
}

/// Who asks.
struct Application<'a> {
    name: &'a str,
    description: &'a str,
    app_url: &'a str,
    verified: bool,
}

/// What makes a form ours.
struct Form<'a> {
    oauth_token: &'a str,
    csrf_token: String,
}

/// Where the user gets afterwards.
#[derive(Debug, PartialEq, Eq)]
enum Destination<'a> {
    Pin,
    /// A web site, by its host.
    Site(&'a str),
    /// An application on the device, by the scheme that it opens.
    App(&'a str),
}

impl Application<'_> {
    /// Short enough for a phone; what is not encrypted is seen to be.
    fn shown_url(&self) -> &str {
        self.app_url
            .strip_prefix("https://")
            .unwrap_or(self.app_url)
            .trim_end_matches('/')
    }
}

impl<'a> From<&'a Consumer> for Application<'a> {
    fn from(consumer: &'a Consumer) -> Self {
        Self {
            name: consumer.name.as_str(),
            description: &consumer.profile.description,
            app_url: &consumer.profile.app_url,
            verified: consumer.verified,
        }
    }
}

impl<'a> Form<'a> {
    fn of(asking: &'a AuthorizationRequest, cookie: &Cookie) -> Self {
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
        match uri.split_once("://") {
            Some((_, rest))
                if ["http", "https"]
                    .iter()
                    .any(|web| scheme.eq_ignore_ascii_case(web)) =>
            {
                Self::Site(rest.split(['/', '?', '#']).next().unwrap_or_default())
            }
            _ => Self::App(scheme),
        }
    }
}

/// The form to log in with; `problem` is what was wrong with the last one, whose user name is kept.
pub(super) fn log_in(
    asking: &AuthorizationRequest,
    cookie: &Cookie,
    username: &str,
    problem: Option<(StatusCode, &str)>,
) -> Answer {
    let page = LogIn {
        application: Application::from(&asking.consumer),
        form: Form::of(asking, cookie),
        username,
        problem: problem.map(|(_, text)| text),
    };
    rendered(problem.map_or(StatusCode::OK, |(status, _)| status), &page)
}

/// The question whether to allow it.
pub(super) fn consent(
    asking: &AuthorizationRequest,
    cookie: &Cookie,
    session: &Session,
    words: &ScopeWords,
) -> Answer {
    let callback = &asking.request_token.callback;
    let page = Consent {
        application: Application::from(&asking.consumer),
        form: Form::of(asking, cookie),
        scopes: asking
            .request_token
            .scopes
            .iter()
            .map(|scope| words.of(scope).unwrap_or(scope))
            .collect(),
        destination: Destination::of(callback),
        screen_name: if session.screen_name.is_empty() {
            session.user_id.as_str()
        } else {
            &session.screen_name
        },
    };
    rendered(StatusCode::OK, &page).with_forms(forms_of_decision(callback))
}

/// The PIN, in groups for the eye and in single characters for the ear.
pub(super) fn pin(consumer: &Consumer, verifier: &[u8]) -> Answer {
    let characters: Vec<char> = verifier.escape_ascii().map(char::from).collect();
    let groups = characters
        .chunks(4)
        .map(|group| group.iter().collect())
        .collect();
    let spoken: Vec<_> = characters.iter().map(char::to_string).collect();
    rendered(
        StatusCode::OK,
        &Pin {
            name: consumer.name.as_str(),
            spoken: spoken.join(" "),
            groups,
        },
    )
}

/// The form for temporary credentials; `problem` is what was wrong with the last ones.
pub(super) fn type_token(problem: Option<&str>) -> Answer {
    rendered(
        if problem.is_some() {
            StatusCode::BAD_REQUEST
        } else {
            StatusCode::OK
        },
        &TypeToken { problem },
    )
}

/// Something to know; `again` is where to start again.
pub(super) fn notice(status: StatusCode, title: &str, text: &str, again: Option<&str>) -> Answer {
    rendered(status, &NoticePage { title, text, again })
}

fn rendered(status: StatusCode, page: &impl Template) -> Answer {
    match page.render() {
        Ok(html) => answer::page(status, html),
        Err(error) => {
            tracing::error!(%error, "a page could not be rendered");
            answer::page(StatusCode::INTERNAL_SERVER_ERROR, String::new())
        }
    }
}
