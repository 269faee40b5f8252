//! The browser that asks: its cookie, and whether a form that it posts is one that we showed to it.
//!
//! 1. The browser gets a cookie of 256 random bits before it sees the first form, and another one when its user logs in:
//!    what was known of it before is worth nothing afterwards.
//! 2. Every form carries an HMAC, keyed by that cookie, of the temporary credentials and of the consumer's revision. Another
//!    site knows no cookie, another browser has another one, and a form for one request is good for no other. What the
//!    consumer says of itself can not change between the user's seeing it and deciding.
//! 3. Where the browser says where a form comes from (`Sec-Fetch-Site`, `Origin`), it must come from here. `Origin: null`
//!    says nothing: with our `Referrer-Policy`, browsers send it with our own forms.
//!
//! `SameSite=Lax` keeps the cookie away from forms of other sites, and lets it through when a user arrives from an
//! application; `Strict` would have the user log in again.

use axum::http::{HeaderMap, HeaderValue, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::digest::KeyInit as _;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use crate::clock::Entropy;
use crate::config::Origin;
use crate::issue::{Asking, random};
use crate::model::Secret;
use crate::oauth::Scheme;

/// The cookie of a browser.
#[derive(Clone, Debug)]
pub(super) struct Cookie(Secret);

/// How the cookie is called and kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CookieKind {
    /// Over https alone, and only this host can set it, no sub-domain (`__Host-`, RFC 6265bis section 4.1.3.2).
    Secure,
    /// Where the page is served without TLS, a browser would not keep the other.
    Plain,
}

impl Cookie {
    /// A new one.
    pub(super) fn draw(entropy: &dyn Entropy) -> Self {
        Self(random::secret(entropy))
    }

    /// The one that the browser sent; `None` when there is none of ours, or two.
    pub(super) fn sent(headers: &HeaderMap, kind: CookieKind) -> Option<Self> {
        let sent = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let pairs = sent.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let mut own = pairs.filter(|(name, _)| *name == kind.name()).map(|(_, value)| value);
        let (only, None) = (own.next()?, own.next()) else { return None };
        let is_ours = only.len() == COOKIE_LEN && only.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_ours.then(|| Self(Secret::new(only.as_bytes())))
    }

    /// What a session is opened and found with.
    pub(super) fn expose(&self) -> &[u8] {
        self.0.expose()
    }

    /// `Set-Cookie` that has the browser keep it.
    #[expect(clippy::expect_used, reason = "hexadecimal digits stand in every header")]
    pub(super) fn keep(&self, kind: CookieKind) -> HeaderValue {
        let value = String::from_utf8_lossy(self.0.expose());
        let mut value = HeaderValue::from_str(&format!("{}={value}; {}", kind.name(), kind.attributes()))
            .expect("a cookie has visible ASCII characters only");
        value.set_sensitive(true);
        value
    }

    /// The field that makes a form ours.
    pub(super) fn csrf_token(&self, asking: &Asking) -> String {
        URL_SAFE_NO_PAD.encode(self.mac(asking).finalize().into_bytes())
    }

    /// Whether that field is of a form that this browser was shown about these temporary credentials.
    pub(super) fn is_genuine(&self, csrf_token: &str, asking: &Asking) -> bool {
        URL_SAFE_NO_PAD.decode(csrf_token).is_ok_and(|sent| self.mac(asking).verify_slice(&sent).is_ok())
    }

    #[expect(clippy::expect_used, reason = "the trait allows for MACs whose keys have one length; HMAC's have any")]
    fn mac(&self, asking: &Asking) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.expose()).expect("HMAC takes a key of any length");
        mac.update(b"authorize form\0");
        mac.update(&asking.consumer.revision.to_be_bytes());
        mac.update(asking.request_token.token.as_str().as_bytes());
        mac
    }
}

impl CookieKind {
    /// Its name.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Secure => "__Host-countersign",
            Self::Plain => "countersign",
        }
    }

    const fn attributes(self) -> &'static str {
        match self {
            Self::Secure => "Path=/; Secure; HttpOnly; SameSite=Lax",
            Self::Plain => "Path=/; HttpOnly; SameSite=Lax",
        }
    }

    /// `Set-Cookie` that has the browser forget it.
    #[expect(clippy::expect_used, reason = "made of constants")]
    pub(super) fn forget(self) -> HeaderValue {
        HeaderValue::from_str(&format!("{}=; {}; Max-Age=0", self.name(), self.attributes()))
            .expect("a cookie's attributes are visible ASCII characters")
    }
}

/// Whether a form comes from this site, as far as the browser says. `public` is what the operator says that browsers see.
pub(super) fn comes_from_here(headers: &HeaderMap, public: Option<&Origin>) -> bool {
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    if !matches!(site, None | Some(b"same-origin" | b"none")) {
        return false;
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    origin == "null" || origin.to_str().is_ok_and(|origin| is_ours(origin, headers, public))
}

fn is_ours(origin: &str, headers: &HeaderMap, public: Option<&Origin>) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    match public {
        Some(public) => {
            let own = match public.scheme {
                Scheme::Http => "http",
                Scheme::Https => "https",
            };
            let bare = |authority: &str| {
                let default = if own == "https" { ":443" } else { ":80" };
                authority.strip_suffix(default).unwrap_or(authority).to_ascii_lowercase()
            };
            scheme == own && bare(authority) == bare(&public.authority)
        }
        None => {
            headers.get(header::HOST).is_some_and(|host| host.as_bytes().eq_ignore_ascii_case(authority.as_bytes()))
        }
    }
}

const COOKIE_LEN: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{CountingEntropy, SystemEntropy};
    use crate::server::http::authorize::tests::asking;

    #[test]
    fn a_cookie_has_256_bits_and_comes_back_as_it_was_set() {
        for kind in [CookieKind::Secure, CookieKind::Plain] {
            let drawn = Cookie::draw(&SystemEntropy);
            let set = drawn.keep(kind);
            let pair = set.to_str().unwrap().split(';').next().unwrap();
            assert_eq!(pair.len(), kind.name().len() + 1 + 64);
            let sent = Cookie::sent(&cookies(&[&format!("a=b; {pair}; c=d")]), kind).unwrap();
            assert_eq!(sent.expose(), drawn.expose());
        }
    }

    #[test]
    fn a_cookie_is_kept_from_scripts_other_sites_and_plaintext() {
        let secure = Cookie::draw(&SystemEntropy).keep(CookieKind::Secure);
        assert!(secure.to_str().unwrap().ends_with("; Path=/; Secure; HttpOnly; SameSite=Lax"));
        assert!(secure.to_str().unwrap().starts_with("__Host-countersign="));
        let forgotten = CookieKind::Secure.forget();
        assert_eq!(forgotten, "__Host-countersign=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0");
        assert!(!format!("{secure:?}").contains("countersign="), "it is not logged");
    }

    #[test]
    fn what_is_no_cookie_of_ours_is_none() {
        let right = "0".repeat(64);
        let ours = |value: &str| format!("__Host-countersign={value}");
        assert!(Cookie::sent(&cookies(&[&ours(&right)]), CookieKind::Secure).is_some());
        for wrong in ["", &right[1..], &format!("{right}0"), &"g".repeat(64)] {
            assert!(Cookie::sent(&cookies(&[&ours(wrong)]), CookieKind::Secure).is_none(), "{wrong}");
        }
        let planted = format!("countersign={right}");
        assert!(Cookie::sent(&cookies(&[&planted]), CookieKind::Secure).is_none(), "over http, anybody can set it");
        let twice = format!("{}; {}", ours(&right), ours(&"1".repeat(64)));
        assert!(Cookie::sent(&cookies(&[&twice]), CookieKind::Secure).is_none());
        assert!(Cookie::sent(&cookies(&[&ours(&right), &ours(&right)]), CookieKind::Secure).is_none());
    }

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
        assert!(!cookie.is_genuine(&token, &changed), "the user saw something else");
        for wrong in ["", &token[1..], &format!("{token}A"), "!", &other.csrf_token(&asked)] {
            assert!(!cookie.is_genuine(wrong, &asked), "{wrong}");
        }
    }

    #[test]
    fn a_form_comes_from_here_or_from_who_does_not_say() {
        let public = Origin::parse("https://Login.example.com:443/x").unwrap();
        let site = |value: &'static str| ("sec-fetch-site", value);
        let origin = |value: &'static str| ("origin", value);
        for here in [
            &[][..],
            &[site("same-origin"), origin("https://login.example.com")],
            &[site("same-origin"), origin("null")],
            &[site("none")],
            &[origin("null")],
            &[origin("https://login.example.com:443")],
        ] {
            assert!(comes_from_here(&headers(here), Some(&public)), "{here:?}");
        }
        for elsewhere in [
            &[site("cross-site")][..],
            &[site("same-site"), origin("https://login.example.com")],
            &[site("")],
            &[site("same-origin"), origin("https://evil.example")],
            &[origin("http://login.example.com")],
            &[origin("https://login.example.com.evil.example")],
            &[origin("https://login.example.com:444")],
            &[origin("")],
        ] {
            assert!(!comes_from_here(&headers(elsewhere), Some(&public)), "{elsewhere:?}");
        }
    }

    #[test]
    fn without_a_public_url_here_is_the_host_that_was_asked() {
        let host = ("host", "127.0.0.1:8080");
        assert!(comes_from_here(&headers(&[host, ("origin", "http://127.0.0.1:8080")]), None));
        assert!(!comes_from_here(&headers(&[host, ("origin", "http://127.0.0.1:8081")]), None));
        assert!(!comes_from_here(&headers(&[("origin", "http://127.0.0.1:8081")]), None));
    }

    fn cookies(values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (header::COOKIE, value.parse().unwrap())).collect()
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }
}
