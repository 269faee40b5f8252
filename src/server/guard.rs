//! What is the same of every request and every answer that people and OAuth clients get over HTTP/1.1: one reading of it, a
//! time limit, headers for browsers.
//!
//! - A request that could be read in two ways gets 400: several or no `Host`, a target that is not a path, a body that is
//!   encoded otherwise than `chunked`. HTTP/1.0 needs a `Host` too: it is part of what clients sign.
//! - Of a chunked body hyper hides whether a `Content-Length` came along, by which a proxy in front may have read it. So its
//!   connection ends with the answer (RFC 9112 section 6.1): what one of us takes for the rest of a body can not become
//!   a request to the other.
//! - An answer takes [`ANSWER_LIMIT`] at most; a panic is a 500. What was begun is finished, whoever goes away.
//! - Browsers keep nothing, guess at nothing, frame nothing and load nothing; a route that needs more than that says so.
//!
//! What hyper can not read at all, such as headers of more than 16 KiB, it answers itself, without these headers.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, PRAGMA,
    REFERRER_POLICY, TRANSFER_ENCODING, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use futures_util::FutureExt as _;
use tokio::time::timeout;

use crate::server::detached::to_its_end;

/// Refuses what can be read in two ways, and sees to it that there is an answer with all that belongs to it.
pub(super) async fn guard(request: Request, next: Next) -> Response {
    let is_chunked = request.headers().contains_key(TRANSFER_ENCODING);
    let mut answer = match ambiguity(&request) {
        Some(detail) => refusal(StatusCode::BAD_REQUEST, detail),
        None => answered(to_its_end(next.run(request))).await,
    };
    for (name, value) in HEADERS {
        answer
            .headers_mut()
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    if is_chunked {
        answer
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
    }
    answer
}

async fn answered(answering: impl Future<Output = Response>) -> Response {
    match timeout(ANSWER_LIMIT, AssertUnwindSafe(answering).catch_unwind()).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => {
            tracing::error!("a request made its handler panic");
            refusal(
                StatusCode::INTERNAL_SERVER_ERROR,
                "The request could not be answered",
            )
        }
        Err(_) => refusal(
            StatusCode::SERVICE_UNAVAILABLE,
            "The request was not answered in time; try again",
        ),
    }
}

/// An answer of a few words (RFC 9457).
pub(super) fn refusal(status: StatusCode, detail: &str) -> Response {
    let title = status.canonical_reason().unwrap_or_default();
    let body = serde_json::json!({ "type": "about:blank", "title": title, "status": status.as_u16(), "detail": detail });
    let mut answer = Response::new(Body::from(body.to_string()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    answer
}

/// Why a request could be read in two ways (RFC 9112 sections 3.2 and 6.3).
fn ambiguity(request: &Request) -> Option<&'static str> {
    let target = request.uri();
    if target.authority().is_some() || !target.path().starts_with('/') {
        return Some("Send the path and the query alone in the request line");
    }
    if count(request.headers(), &HOST) != 1 {
        return Some("Send one Host header");
    }
    let mut encodings = request.headers().get_all(TRANSFER_ENCODING).iter();
    let is_readable = match (encodings.next(), encodings.next()) {
        (None, _) => true,
        (Some(only), None) => only.as_bytes().eq_ignore_ascii_case(b"chunked"),
        (Some(_), Some(_)) => false,
    };
    (!is_readable)
        .then_some("Send a body with Content-Length, or in no other Transfer-Encoding than chunked")
}

fn count(headers: &HeaderMap, name: &HeaderName) -> usize {
    headers.get_all(name).iter().count()
}

/// Where a route did not set its own.
const HEADERS: [(HeaderName, &str); 6] = [
    (CACHE_CONTROL, "no-store"),
    (PRAGMA, "no-cache"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
    (X_FRAME_OPTIONS, "DENY"),
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
];

/// Longer than a wrong password is made to wait and a user directory may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::middleware::from_fn;
    use axum::routing::get;
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn a_panic_is_a_500_that_tells_nothing() {
        let answer = ask(Router::new().route(
            "/",
            get(async || -> &'static str { panic!("the password was 123") }),
        ))
        .await;
        assert_eq!(answer.status(), 500);
        let body = axum::body::to_bytes(answer.into_body(), 1000)
            .await
            .unwrap();
        assert!(!body.escape_ascii().to_string().contains("123"));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_does_not_come_is_a_503() {
        let answer = ask(Router::new().route("/", get(std::future::pending::<&'static str>))).await;
        assert_eq!(answer.status(), 503);
        assert_eq!(answer.headers()[CACHE_CONTROL], "no-store");
    }

    #[tokio::test]
    async fn a_route_may_set_its_own_headers() {
        let answer = ask(Router::new().route(
            "/",
            get(async || [(CONTENT_SECURITY_POLICY, "default-src 'self'")]),
        ))
        .await;
        assert_eq!(
            answer.headers()[CONTENT_SECURITY_POLICY],
            "default-src 'self'"
        );
        assert_eq!(answer.headers()[X_FRAME_OPTIONS], "DENY");
    }

    async fn ask(routes: Router) -> Response {
        let request = Request::get("/")
            .header(HOST, "a")
            .body(Body::empty())
            .unwrap();
        routes.layer(from_fn(guard)).oneshot(request).await.unwrap()
    }
}
