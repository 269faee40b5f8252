//! The browser of a user: its cookie, and tokens against forged forms.
//!
//! 1. A browser gets a cookie of 256 random bits before it sees the first form, and a new one at
//!    login: knowledge of the first cookie is useless for the session.
//! 2. Every form has an HMAC of the temporary credentials and the consumer's revision, keyed by the
//!    cookie. Another site does not know the cookie, another browser has another one, and a form
//!    for one request is invalid for any other. The description of the consumer cannot change
//!    between the page and the decision.
//! 3. A form must come from our site, if the browser states its origin ([`crate::server::pages`]).
//!
//! `SameSite=Lax` withholds the cookie from forms of other sites, and sends it when a user arrives
//! from an application. With `Strict`, the user would have to log in again.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::digest::KeyInit as _;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use crate::issue::AuthorizationRequest;
use crate::server::pages::{BrowserCookie, CookieKind};

impl BrowserCookie {
    /// Returns the token for a form about a request.
    pub(super) fn csrf_token(&self, asking: &AuthorizationRequest) -> String {
        URL_SAFE_NO_PAD.encode(self.mac(asking).finalize().into_bytes())
    }

    /// Returns whether a form with this token was shown to this browser about this request.
    pub(super) fn has_issued(&self, csrf_token: &str, asking: &AuthorizationRequest) -> bool {
        URL_SAFE_NO_PAD
            .decode(csrf_token)
            .is_ok_and(|sent| self.mac(asking).verify_slice(&sent).is_ok())
    }

    #[expect(
        clippy::expect_used,
        reason = "HMAC takes keys of any length, which its trait cannot express"
    )]
    fn mac(&self, asking: &AuthorizationRequest) -> Hmac<Sha256> {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(self.expose()).expect("HMAC takes a key of any length");
        mac.update(b"authorize form\0");
        mac.update(&asking.consumer.revision.to_be_bytes());
        mac.update(asking.request_token.token.as_str().as_bytes());
        mac
    }
}

/// The cookie for https. Only this host, not a subdomain, can set it (`__Host-`, RFC 6265bis
/// section 4.1.3.2).
pub(super) const SECURE: CookieKind = CookieKind {
    name: "__Host-countersign",
    attributes: "Path=/; Secure; HttpOnly; SameSite=Lax",
};

/// The cookie for plaintext, where a browser would reject the other.
pub(super) const PLAIN: CookieKind = CookieKind {
    name: "countersign",
    attributes: "Path=/; HttpOnly; SameSite=Lax",
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::CountingEntropy;
    use crate::server::http::authorize::tests::asking;

    #[test]
    fn a_form_is_valid_for_one_browser_and_one_request() {
        let entropy = CountingEntropy::default();
        let (cookie, other) = (
            BrowserCookie::random(&entropy),
            BrowserCookie::random(&entropy),
        );
        let (asked, other_request) = (asking("t1"), asking("t2"));
        let mut changed = asking("t1");
        changed.consumer.revision += 1;
        let token = cookie.csrf_token(&asked);
        assert!(cookie.has_issued(&token, &asked));
        assert!(!other.has_issued(&token, &asked));
        assert!(!cookie.has_issued(&token, &other_request));
        assert!(
            !cookie.has_issued(&token, &changed),
            "the user saw another description"
        );
        for wrong in [
            "",
            &token[1..],
            &format!("{token}A"),
            "!",
            &other.csrf_token(&asked),
        ] {
            assert!(!cookie.has_issued(wrong, &asked), "{wrong}");
        }
    }
}
