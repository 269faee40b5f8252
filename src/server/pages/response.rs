//! A page with the security headers of every page.
//!
//! - The browser loads and runs nothing: `default-src 'none'`, and the style is allowed by its
//!   hash. There is no script. A page that contains an image allows `data:` URLs for images.
//! - Other sites cannot frame the page (`frame-ancestors`, `X-Frame-Options`), get a handle to its
//!   window (`Cross-Origin-Opener-Policy`), or learn its address from its links
//!   (`Referrer-Policy`). Browsers do not cache it (`no-store`) or guess its type (`nosniff`).
//! - Forms go to the site of the page, unless the page names other targets.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

/// A page, or a redirect to one.
#[derive(Debug)]
pub(in crate::server) struct PageResponse {
    status: StatusCode,
    html: String,
    sources: PageSources,
    forms: Cow<'static, str>,
    headers: HeaderMap,
}

/// The sources that a page loads, as directives of a content security policy.
#[derive(Clone, Debug)]
pub(in crate::server) struct PageSources(Arc<str>);

impl PageResponse {
    /// Returns a page.
    pub(in crate::server) fn page(status: StatusCode, html: String, sources: &PageSources) -> Self {
        Self {
            status,
            html,
            sources: sources.clone(),
            forms: Cow::Borrowed("'self'"),
            headers: HeaderMap::new(),
        }
    }

    /// Returns a redirect, which the browser follows with GET.
    pub(in crate::server) fn see_other(location: HeaderValue, sources: &PageSources) -> Self {
        Self::page(StatusCode::SEE_OTHER, String::new(), sources).with(header::LOCATION, location)
    }

    /// Sets the allowed targets of forms.
    pub(in crate::server) fn with_forms(mut self, sources: String) -> Self {
        self.forms = Cow::Owned(sources);
        self
    }

    /// Adds a header.
    pub(in crate::server) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    /// Adds `Retry-After`.
    pub(in crate::server) fn retry_after(self, wait: Duration) -> Self {
        self.with(header::RETRY_AFTER, whole_seconds(wait).into())
    }
}

impl IntoResponse for PageResponse {
    fn into_response(self) -> Response<Body> {
        let policy = policy(&self.sources, &self.forms);
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

impl PageSources {
    /// Returns the source of a page's only style.
    pub(in crate::server) fn of_style(style: &str) -> Self {
        let hash = STANDARD.encode(Sha256::digest(style));
        Self(format!("style-src 'sha256-{hash}'").into())
    }

    /// Adds the images that the page itself contains.
    #[must_use]
    pub(in crate::server) fn with_data_images(self) -> Self {
        Self(format!("{}; img-src data:", self.0).into())
    }
}

/// Returns the duration in seconds, rounded up, so that a retry after it is not too early.
pub(in crate::server) fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

fn policy(PageSources(sources): &PageSources, forms: &str) -> String {
    format!(
        "default-src 'none'; {sources}; form-action {forms}; \
         frame-ancestors 'none'; base-uri 'none'"
    )
}

/// The headers of every page.
const ALWAYS: [(HeaderName, &str); 9] = [
    (header::CONTENT_TYPE, "text/html; charset=utf-8"),
    (header::CACHE_CONTROL, "no-store"),
    (header::PRAGMA, "no-cache"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    // `no-referrer` would hide the origin of our own forms as well.
    (header::REFERRER_POLICY, "same-origin"),
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
    fn a_wait_is_rounded_up() {
        assert_eq!(whole_seconds(Duration::from_millis(1)), 1);
        assert_eq!(whole_seconds(Duration::from_secs(2)), 2);
        assert_eq!(whole_seconds(Duration::from_millis(2001)), 3);
    }
}
