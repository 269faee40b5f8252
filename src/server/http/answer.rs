//! What a request for credentials is answered with.
//!
//! | outcome | status | body |
//! |---|---|---|
//! | credentials | 200 | a form (RFC 5849 sections 2.1 and 2.3), or JSON where the client would rather have it |
//! | refused | by [`Problem`] | problem+json, or a form where the client names it; always with a challenge |
//! | our failure | 503, 500 for a bug | problem+json |

use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use serde_json::Value;

use super::negotiation::Format;
use super::refusal::{Failure, Refusal};
use crate::clock::UnixTime;
use crate::issue::IssuedToken;
use crate::model::{Consumer, RequestToken, Secret, Token};
use crate::server::denial::problem::{self, DenialStyle, Problem, Written};
use crate::server::denial::sunset;
use crate::server::guard;
use crate::verify::Reason;

/// Credentials as they are given out.
pub(super) struct Credentials(Vec<(&'static str, Value)>);

impl Credentials {
    /// Temporary credentials (RFC 5849 section 2.1).
    pub(super) fn temporary(token: &RequestToken) -> Self {
        Self::of(&token.token, &token.secret).with("oauth_callback_confirmed", true)
    }

    /// A token, and whom it acts for.
    pub(super) fn token(issued: &IssuedToken) -> Self {
        let token = &issued.token;
        let credentials = Self::of(&token.token, &token.secret);
        match &token.user_id {
            Some(user) => credentials
                .with("user_id", user.as_str())
                .with("screen_name", issued.screen_name.as_str()),
            None => credentials,
        }
    }

    /// A token that was exchanged for a password: also how many seconds it is valid, 0 for ever.
    pub(super) fn token_by_password(issued: &IssuedToken, now: UnixTime) -> Self {
        let left = issued
            .token
            .expires_at
            .map(|end| end.as_secs().saturating_sub(now.as_secs()).max(1));
        Self::token(issued).with("x_auth_expires", left.unwrap_or(0))
    }

    fn of(token: &Token, secret: &Secret) -> Self {
        // What is issued here has unreserved characters only, and imported secrets are text as well.
        let secret = String::from_utf8_lossy(secret.expose());
        Self(Vec::new())
            .with("oauth_token", token.as_str())
            .with("oauth_token_secret", secret)
    }

    fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.0.push((name, value.into()));
        self
    }

    /// Writes them.
    pub(super) fn answer(self, format: Format) -> Response {
        match format {
            Format::Form => {
                let text = |value: &Value| {
                    value
                        .as_str()
                        .map_or_else(|| value.to_string(), str::to_owned)
                };
                let texts: Vec<_> = self
                    .0
                    .iter()
                    .map(|(name, value)| (*name, text(value)))
                    .collect();
                let body = problem::form(texts.iter().map(|(name, text)| (*name, text.as_str())));
                answer(StatusCode::OK, problem::FORM, body)
            }
            Format::Json => {
                let fields = self
                    .0
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value));
                answer(
                    StatusCode::OK,
                    "application/json",
                    Value::Object(fields.collect()).to_string(),
                )
            }
        }
    }
}

/// Refuses.
pub(super) fn refused(refusal: Refusal, style: &DenialStyle<'_>) -> Response {
    let reason = refusal.denial.reason;
    let mut problem = Problem::of(reason);
    if let Some(advice) = refusal.advice {
        problem.advice = advice.into();
    }
    let Written {
        challenge,
        content_type,
        body,
    } = problem.write(style);
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::UNAUTHORIZED);
    let mut answer = answer(status, content_type, body);
    // A challenge of printable ASCII is always a header value.
    if let Ok(challenge) = HeaderValue::from_str(&challenge) {
        answer.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    if let Reason::TooManyAttempts { retry_after } = reason {
        answer.headers_mut().insert(RETRY_AFTER, retry_after.into());
    }
    answer
}

/// The same answer, which tells this consumer that it ought to leave, if it ought to.
pub(super) fn with_farewell(mut answer: Response, consumer: &Consumer) -> Response {
    for (name, value) in sunset::headers(consumer) {
        // A date is always a header value.
        if let Ok(value) = HeaderValue::from_str(&value) {
            answer.headers_mut().insert(name, value);
        }
    }
    answer
}

/// Says that we failed; tells nothing of the inside.
pub(super) fn failed(failure: &Failure) -> Response {
    if matches!(failure, Failure::Panic) {
        return guard::refusal(
            StatusCode::INTERNAL_SERVER_ERROR,
            "The request could not be answered",
        );
    }
    let detail = "The service can not answer now; sign the request again later";
    let mut answer = guard::refusal(StatusCode::SERVICE_UNAVAILABLE, detail);
    answer
        .headers_mut()
        .insert(RETRY_AFTER, TRY_AGAIN.as_secs().into());
    answer
}

fn answer(status: StatusCode, content_type: &'static str, body: String) -> Response {
    let mut answer = Response::new(Body::from(body));
    *answer.status_mut() = status;
    answer
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

const TRY_AGAIN: Duration = Duration::from_secs(1);
