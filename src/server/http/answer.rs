//! Answers to requests for credentials.
//!
//! | outcome | status | body |
//! |---|---|---|
//! | credentials | 200 | a form (RFC 5849 sections 2.1 and 2.3), or JSON if the client prefers it |
//! | denial | by [`problem`] | problem+json, or a form if the client prefers it; always with a challenge |
//! | failure of ours | 503, 500 for a bug | problem+json |

use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use serde_json::Value;

use super::refusal::CredentialFailure;
use crate::clock::UnixTime;
use crate::issue::IssuedToken;
use crate::model::{Consumer, RequestToken, Secret, Token};
use crate::server::denial::decision_id::{self, DecisionId};
use crate::server::denial::problem::{self, DenialResponse};
use crate::server::denial::sunset;
use crate::server::guard;
use crate::server::negotiation::AnswerFormat;
use crate::verify::Reason;

/// Credentials as the consumer receives them.
pub(super) struct IssuedCredentials(Vec<(&'static str, Value)>);

impl IssuedCredentials {
    /// Returns temporary credentials (RFC 5849 section 2.1).
    pub(super) fn temporary(token: &RequestToken) -> Self {
        Self::of(&token.token, &token.secret).with("oauth_callback_confirmed", true)
    }

    /// Returns token credentials, with the user that they act for.
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

    /// Returns token credentials for a password, with the seconds until they expire, 0 for never.
    pub(super) fn token_by_password(issued: &IssuedToken, now: UnixTime) -> Self {
        let left = issued
            .token
            .expires_at
            .map(|end| end.as_secs().saturating_sub(now.as_secs()).max(1));
        Self::token(issued).with("x_auth_expires", left.unwrap_or(0))
    }

    fn of(token: &Token, secret: &Secret) -> Self {
        // Generated secrets have only unreserved characters, and imported secrets are text too.
        let secret = String::from_utf8_lossy(secret.expose());
        Self(Vec::new())
            .with("oauth_token", token.as_str())
            .with("oauth_token_secret", secret)
    }

    fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.0.push((name, value.into()));
        self
    }

    /// Writes the answer.
    pub(super) fn answer(self, format: AnswerFormat) -> Response {
        let (content_type, body) = match format {
            AnswerFormat::Form => (problem::FORM, self.into_form()),
            AnswerFormat::Json => ("application/json", self.into_json()),
        };
        answer(StatusCode::OK, content_type, body)
    }

    fn into_form(self) -> String {
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
        problem::form(texts.iter().map(|(name, text)| (*name, text.as_str())))
    }

    fn into_json(self) -> String {
        let members = self
            .0
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value));
        Value::Object(members.collect()).to_string()
    }
}

/// Denies a request for this reason.
pub(super) fn denied(denial: DenialResponse, reason: Reason) -> Response {
    let status = StatusCode::from_u16(denial.status).unwrap_or(StatusCode::UNAUTHORIZED);
    let mut answer = answer(status, denial.content_type, denial.body);
    // A challenge of printable ASCII is always a header value.
    if let Ok(challenge) = HeaderValue::from_str(&denial.challenge) {
        answer.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    if let Reason::TooManyAttempts { retry_after } = reason {
        answer.headers_mut().insert(RETRY_AFTER, retry_after.into());
    }
    answer
}

/// Adds the headers that announce to this consumer that its access ends, if it does.
pub(super) fn with_sunset(mut answer: Response, consumer: &Consumer) -> Response {
    for (name, value) in sunset::headers(consumer) {
        // A date is always a header value.
        if let Ok(value) = HeaderValue::from_str(&value) {
            answer.headers_mut().insert(name, value);
        }
    }
    answer
}

/// Adds the id of the decision to a refusal, also to one without a body.
pub(super) fn with_decision_id(mut answer: Response, id: DecisionId) -> Response {
    // Digits are always a header value.
    let value = HeaderValue::from_str(id.hex().as_str());
    if let (false, Ok(value)) = (answer.status().is_success(), value) {
        answer.headers_mut().insert(decision_id::HEADER, value);
    }
    answer
}

/// Reports a failure of ours, without internals.
pub(super) fn failed(failure: &CredentialFailure) -> Response {
    if matches!(failure, CredentialFailure::Panic) {
        return guard::refusal(
            StatusCode::INTERNAL_SERVER_ERROR,
            "The request failed because of a bug in the service",
        );
    }
    let detail = "The service is unavailable; sign the request again later";
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
