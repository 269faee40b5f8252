//! An answer of the page.
//!
//! Forms go to the page itself. Browsers hold `form-action` against every redirect that follows a form, and an application
//! may send its user on to another host than its callback's, so the form of the decision may end at any address with the
//! callback's scheme. The other headers are those of every page ([`crate::server::pages`]).

use std::sync::LazyLock;

use axum::http::{HeaderValue, StatusCode};

use super::STYLE;
use crate::model::Callback;
use crate::server::pages::{Answer, style_source};

/// A page.
pub(super) fn page(status: StatusCode, html: String) -> Answer {
    Answer::page(status, html, &STYLE_SOURCE)
}

/// Sends the browser somewhere else, where it asks with GET.
pub(super) fn see_other(location: HeaderValue) -> Answer {
    Answer::see_other(location, &STYLE_SOURCE)
}

/// Where the form leads with which a user decides: to the page, and from there to an address with the callback's scheme.
pub(super) fn forms_of_decision(callback: &Callback) -> String {
    match callback {
        Callback::OutOfBand => "'self'".to_owned(),
        Callback::Uri(uri) => format!("'self' {}:", scheme_of(uri).to_ascii_lowercase()),
    }
}

/// The scheme of an absolute URI.
pub(super) fn scheme_of(uri: &str) -> &str {
    uri.split(':').next().unwrap_or_default()
}

static STYLE_SOURCE: LazyLock<String> = LazyLock::new(|| style_source(STYLE));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_may_end_at_the_callbacks_scheme_and_nowhere_else() {
        let uri = |uri: &str| forms_of_decision(&Callback::Uri(uri.to_owned()));
        assert_eq!(forms_of_decision(&Callback::OutOfBand), "'self'");
        assert_eq!(uri("HTTPS://a.example/cb"), "'self' https:");
        assert_eq!(uri("com.example.app:/done"), "'self' com.example.app:");
        assert_eq!(uri("https://a;script-src *,b/"), "'self' https:");
    }
}
