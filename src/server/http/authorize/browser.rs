//! The browser that asks: its cookie, and whether a form that it posts is one that we showed to it.
//!
//! 1. The browser gets a cookie of 256 random bits before it sees the first form, and another one when its user logs in:
//!    what was known of it before is worth nothing afterwards.
//! 2. Every form carries an HMAC, keyed by that cookie, of the temporary credentials and of the consumer's revision. Another
//!    site knows no cookie, another browser has another one, and a form for one request is good for no other. What the
//!    consumer says of itself can not change between the user's seeing it and deciding.
//! 3. A form must come from here, as far as the browser says ([`crate::server::pages`]).
//!
//! `SameSite=Lax` keeps the cookie away from forms of other sites, and lets it through when a user arrives from an
//! application; `Strict` would have the user log in again.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::digest::KeyInit as _;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use crate::issue::AuthorizationRequest;
use crate::server::pages::{Cookie, CookieKind};

impl Cookie {
    /// The field that makes a form ours.
    pub(super) fn csrf_token(&self, asking: &AuthorizationRequest) -> String {
        URL_SAFE_NO_PAD.encode(self.mac(asking).finalize().into_bytes())
    }

    /// Whether that field is of a form that this browser was shown about these temporary credentials.
    pub(super) fn is_genuine(&self, csrf_token: &str, asking: &AuthorizationRequest) -> bool {
        URL_SAFE_NO_PAD
            .decode(csrf_token)
            .is_ok_and(|sent| self.mac(asking).verify_slice(&sent).is_ok())
    }

    #[expect(
        clippy::expect_used,
        reason = "the trait allows for MACs whose keys have one length; HMAC's have any"
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

/// Over https alone, and only this host can set it, no sub-domain (`__Host-`, RFC 6265bis section 4.1.3.2).
pub(super) const SECURE: CookieKind = CookieKind {
    name: "__Host-countersign",
    attributes: "Path=/; Secure; HttpOnly; SameSite=Lax",
};

/// Where the page is served without TLS, a browser would not keep the other.
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
    fn a_form_is_good_for_one_browser_and_one_request() {
        let entropy = CountingEntropy::default();
        let (cookie, other) = (Cookie::draw(&entropy), Cookie::draw(&entropy));
        let (asked, asked_else) = (asking("t1"), asking("t2"));
        let mut changed = asking("t1");
        changed.consumer.revision += 1;
        let token = cookie.csrf_token(&asked);
        assert!(cookie.is_genuine(&token, &asked));
        assert!(!other.is_genuine(&token, &asked));
        assert!(!cookie.is_genuine(&token, &asked_else));
        assert!(
            !cookie.is_genuine(&token, &changed),
            "the user saw something else"
        );
        for wrong in [
            "",
            &token[1..],
            &format!("{token}A"),
            "!",
            &other.csrf_token(&asked),
        ] {
            assert!(!cookie.is_genuine(wrong, &asked), "{wrong}");
        }
    }
}
