//! Responses of the page, and the targets of its forms.
//!
//! Forms post to the page itself. Browsers apply `form-action` to every redirect after a form, and
//! an application may send its user on to another host than that of its callback. So the form with
//! the decision may end at any address with the scheme of the callback. [`crate::server::pages`]
//! has the other headers.

use axum::http::{HeaderValue, StatusCode};

use super::brand::PageBrand;
use crate::model::Callback;
use crate::server::pages::PageResponse;

/// Returns a page.
pub(super) fn page(brand: &PageBrand, status: StatusCode, html: String) -> PageResponse {
    PageResponse::page(status, html, brand.sources())
}

/// Returns a redirect, which the browser follows with GET.
pub(super) fn see_other(brand: &PageBrand, location: HeaderValue) -> PageResponse {
    PageResponse::see_other(location, brand.sources())
}

/// Returns the targets of the form with the decision: the page, and addresses with the scheme of
/// the callback.
pub(super) fn decision_targets(callback: &Callback) -> String {
    match callback {
        Callback::OutOfBand => "'self'".to_owned(),
        Callback::Uri(uri) => format!("'self' {}:", scheme_of(uri).to_ascii_lowercase()),
    }
}

/// Returns the scheme of an absolute URI.
pub(super) fn scheme_of(uri: &str) -> &str {
    uri.split(':').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_may_lead_only_to_the_scheme_of_the_callback() {
        let uri = |uri: &str| decision_targets(&Callback::Uri(uri.to_owned()));
        assert_eq!(decision_targets(&Callback::OutOfBand), "'self'");
        assert_eq!(uri("HTTPS://a.example/cb"), "'self' https:");
        assert_eq!(uri("com.example.app:/done"), "'self' com.example.app:");
        assert_eq!(uri("https://a;script-src *,b/"), "'self' https:");
    }
}
