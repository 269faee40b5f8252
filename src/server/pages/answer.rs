//! An answer that a browser shows, and the headers that every one of them has.
//!
//! - Nothing is loaded and nothing runs: `default-src 'none'`, and the one style by its hash. There is no script.
//! - Nobody frames the page (`frame-ancestors`, `X-Frame-Options`), keeps it (`no-store`), guesses its type (`nosniff`),
//!   holds a handle on its window (`Cross-Origin-Opener-Policy`), or learns its address from what it links to
//!   (`Referrer-Policy`).
//! - Forms go to the site that the page came from, unless the page says where else.

use std::borrow::Cow;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

/// An answer.
#[derive(Debug)]
pub(in crate::server) struct Answer {
    status: StatusCode,
    html: String,
    style: &'static str,
    forms: Cow<'static, str>,
    headers: HeaderMap,
}

impl Answer {
    /// A page, and the [`style_source`] of the style in it.
    pub(in crate::server) fn page(status: StatusCode, html: String, style: &'static str) -> Self {
        Self {
            status,
            html,
            style,
            forms: Cow::Borrowed("'self'"),
            headers: HeaderMap::new(),
        }
    }

    /// Sends the browser somewhere else, where it asks with GET.
    pub(in crate::server) fn see_other(location: HeaderValue, style: &'static str) -> Self {
        Self::page(StatusCode::SEE_OTHER, String::new(), style).with(header::LOCATION, location)
    }

    /// The same, whose forms may lead to these sources.
    pub(in crate::server) fn with_forms(mut self, sources: String) -> Self {
        self.forms = Cow::Owned(sources);
        self
    }

    /// The same, with one more header.
    pub(in crate::server) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    /// The same, which says how long to wait.
    pub(in crate::server) fn retry_after(self, wait: Duration) -> Self {
        self.with(header::RETRY_AFTER, whole_seconds(wait).into())
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response<Body> {
        let policy = policy(self.style, &self.forms);
        let mut response = Response::new(Body::from(self.html));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        for (name, value) in ALWAYS {
            headers.insert(name, HeaderValue::from_static(value));
        }
        if let Ok(policy) = HeaderValue::from_str(&policy) {
            headers.insert(header::CONTENT_SECURITY_POLICY, policy);
        }
        headers.extend(self.headers);
        response
    }
}

/// What a policy calls the style of that text.
pub(in crate::server) fn style_source(style: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(style)))
}

/// Seconds, rounded up: who comes back then is not too early.
pub(in crate::server) fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

fn policy(style: &str, forms: &str) -> String {
    format!(
        "default-src 'none'; style-src '{style}'; form-action {forms}; frame-ancestors 'none'; base-uri 'none'"
    )
}

const ALWAYS: [(HeaderName, &str); 9] = [
    (header::CONTENT_TYPE, "text/html; charset=utf-8"),
    (header::CACHE_CONTROL, "no-store"),
    (header::PRAGMA, "no-cache"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=()",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_back_after_the_time_told_is_not_too_early() {
        assert_eq!(whole_seconds(Duration::from_millis(1)), 1);
        assert_eq!(whole_seconds(Duration::from_secs(2)), 2);
        assert_eq!(whole_seconds(Duration::from_millis(2001)), 3);
    }
}
