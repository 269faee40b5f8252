//! The middleware of all routes for people and OAuth clients: unambiguous requests, a time limit,
//! and headers for browsers.
//!
//! - An ambiguous request gets 400: several `Host` headers or none, a target that is not a path, or
//!   a transfer encoding other than `chunked`. HTTP/1.0 needs a `Host` too, since it is part of
//!   what clients sign.
//! - hyper hides a `Content-Length` next to a chunked body, and a proxy in front may have read the
//!   body by it. So the connection closes after the response (RFC 9112 section 6.1): the end of one
//!   body cannot become the start of another request.
//! - A response takes at most [`RESPONSE_TIMEOUT`]; a panic becomes a 500. A handler finishes even
//!   if its client disconnects.
//! - Browsers do not cache, sniff, frame or load anything. A route that needs more sets its own
//!   header.
//!
//! hyper itself answers requests that it cannot read, such as those with more than 16 KiB of
//! headers, without these headers.

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

/// Refuses ambiguous requests, and guarantees a response with the headers of this module.
pub(super) async fn guard(request: Request, next: Next) -> Response {
    let is_chunked = request.headers().contains_key(TRANSFER_ENCODING);
    let mut response = match ambiguity(&request) {
        Some(detail) => refusal(StatusCode::BAD_REQUEST, detail),
        None => completed(to_its_end(next.run(request))).await,
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    if is_chunked {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Waits for a response, and replaces a panic or a timeout with an error.
async fn completed(handler: impl Future<Output = Response>) -> Response {
    match timeout(RESPONSE_TIMEOUT, AssertUnwindSafe(handler).catch_unwind()).await {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => {
            tracing::error!("the handler of a request panicked");
            refusal(
                StatusCode::INTERNAL_SERVER_ERROR,
                "Internal error; the server's log has the details",
            )
        }
        Err(_) => refusal(
            StatusCode::SERVICE_UNAVAILABLE,
            "The request timed out; try again later",
        ),
    }
}

/// Returns an error response with problem details (RFC 9457).
pub(super) fn refusal(status: StatusCode, detail: &str) -> Response {
    let title = status.canonical_reason().unwrap_or_default();
    let body = serde_json::json!({
        "type": "about:blank",
        "title": title,
        "status": status.as_u16(),
        "detail": detail,
    });
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    let media_type = HeaderValue::from_static("application/problem+json");
    response.headers_mut().insert(CONTENT_TYPE, media_type);
    response
}

/// Returns why a request is ambiguous, if it is (RFC 9112 sections 3.2 and 6.3).
fn ambiguity(request: &Request) -> Option<&'static str> {
    let target = request.uri();
    if target.authority().is_some() || !target.path().starts_with('/') {
        return Some("Send only the path and the query in the request line");
    }
    if count(request.headers(), &HOST) != 1 {
        return Some("Send exactly one Host header");
    }
    (!has_one_length(request.headers()))
        .then_some("Send a body with Content-Length or with Transfer-Encoding: chunked")
}

/// Returns whether every reader finds the same end of the body.
fn has_one_length(headers: &HeaderMap) -> bool {
    let mut encodings = headers.get_all(TRANSFER_ENCODING).iter();
    match (encodings.next(), encodings.next()) {
        (None, _) => true,
        (Some(only), None) => only.as_bytes().eq_ignore_ascii_case(b"chunked"),
        (Some(_), Some(_)) => false,
    }
}

fn count(headers: &HeaderMap, name: &HeaderName) -> usize {
    headers.get_all(name).iter().count()
}

/// The headers of responses whose route does not set its own.
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

/// Longer than the delay of a wrong password plus the timeout of a user directory.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::middleware::from_fn;
    use axum::routing::get;
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn a_panic_becomes_a_500_without_details() {
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
    async fn a_timeout_becomes_a_503() {
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
