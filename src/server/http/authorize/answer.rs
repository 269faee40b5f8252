//! An answer of the page, and the headers that every one of them has.
//!
//! - Nothing is loaded and nothing runs: `default-src 'none'`, and the one style by its hash. There is no script.
//! - Nobody frames the page (`frame-ancestors`, `X-Frame-Options`), keeps it (`no-store`), guesses its type (`nosniff`),
//!   holds a handle on its window (`Cross-Origin-Opener-Policy`), or learns the temporary credentials from its address
//!   (`Referrer-Policy`).
//! - Forms go to the page itself. Browsers hold `form-action` against every redirect that follows a form, and an
//!   application may send its user on to another host than its callback's, so the form of the decision may end at any
//!   address with the callback's scheme.

use std::sync::LazyLock;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use super::STYLE;
use crate::model::Callback;

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    status: StatusCode,
    html: String,
    forms: Forms,
    headers: HeaderMap,
}

/// Where the forms of a page may lead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Forms {
    /// To the page.
    Own,
    /// To the page, and from there to an address with this scheme.
    OwnThen(String),
}

impl Forms {
    /// Where the form leads with which a user decides.
    pub(super) fn of_decision(callback: &Callback) -> Self {
        match callback {
            Callback::OutOfBand => Self::Own,
            Callback::Uri(uri) => Self::OwnThen(scheme_of(uri).to_ascii_lowercase()),
        }
    }

    fn sources(&self) -> String {
        match self {
            Self::Own => "'self'".to_owned(),
            Self::OwnThen(scheme) => format!("'self' {scheme}:"),
        }
    }
}

/// The scheme of an absolute URI.
pub(super) fn scheme_of(uri: &str) -> &str {
    uri.split(':').next().unwrap_or_default()
}

impl Answer {
    /// A page.
    pub(super) fn page(status: StatusCode, html: String) -> Self {
        Self { status, html, forms: Forms::Own, headers: HeaderMap::new() }
    }

    /// Sends the browser somewhere else, where it asks with GET.
    pub(super) fn see_other(location: HeaderValue) -> Self {
        Self::page(StatusCode::SEE_OTHER, String::new()).with(header::LOCATION, location)
    }

    /// The same, whose forms may lead there.
    pub(super) fn with_forms(mut self, forms: Forms) -> Self {
        self.forms = forms;
        self
    }

    /// The same, with one more header.
    pub(super) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    /// The same, which says how long to wait.
    pub(super) fn retry_after(self, wait: Duration) -> Self {
        self.with(header::RETRY_AFTER, whole_seconds(wait).into())
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response<Body> {
        let policy = policy(&self.forms);
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

/// Seconds, rounded up: who comes back then is not too early.
pub(super) fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

fn policy(forms: &Forms) -> String {
    format!(
        "default-src 'none'; style-src '{}'; form-action {}; frame-ancestors 'none'; base-uri 'none'",
        *STYLE_HASH,
        forms.sources()
    )
}

static STYLE_HASH: LazyLock<String> = LazyLock::new(|| format!("sha256-{}", STANDARD.encode(Sha256::digest(STYLE))));

const ALWAYS: [(HeaderName, &str); 9] = [
    (header::CONTENT_TYPE, "text/html; charset=utf-8"),
    (header::CACHE_CONTROL, "no-store"),
    (header::PRAGMA, "no-cache"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_may_end_at_the_callbacks_scheme_and_nowhere_else() {
        let forms = |callback: Callback| policy(&Forms::of_decision(&callback));
        let uri = |uri: &str| Callback::Uri(uri.to_owned());
        assert!(forms(Callback::OutOfBand).contains("; form-action 'self'; "));
        assert!(forms(uri("HTTPS://a.example/cb")).contains("; form-action 'self' https:; "));
        assert!(forms(uri("com.example.app:/done")).contains("; form-action 'self' com.example.app:; "));
        let hostile = forms(uri("https://a;script-src *,b/"));
        assert!(hostile.contains("; form-action 'self' https:; ") && !hostile.contains("script-src"), "{hostile}");
    }

    #[test]
    fn who_comes_back_after_the_time_told_is_not_too_early() {
        assert_eq!(whole_seconds(Duration::from_millis(1)), 1);
        assert_eq!(whole_seconds(Duration::from_secs(2)), 2);
        assert_eq!(whole_seconds(Duration::from_millis(2001)), 3);
    }
}
