//! The cookie that identifies a browser: 256 random bits without other content.

use axum::http::{HeaderMap, HeaderValue, header};

use crate::clock::Entropy;
use crate::issue::random;
use crate::model::Secret;

/// The cookie of a browser.
#[derive(Clone, Debug)]
pub(in crate::server) struct BrowserCookie(Secret);

/// The name and the attributes of a cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) struct CookieKind {
    /// The name.
    pub(in crate::server) name: &'static str,
    /// The attributes in `Set-Cookie`.
    pub(in crate::server) attributes: &'static str,
}

impl BrowserCookie {
    /// Returns a new random cookie.
    pub(in crate::server) fn random(entropy: &dyn Entropy) -> Self {
        Self(random::secret(entropy))
    }

    /// Returns the cookie that the browser sent; `None` if it sent none of ours, or several.
    pub(in crate::server) fn sent(headers: &HeaderMap, kind: CookieKind) -> Option<Self> {
        let mut values = values(headers, kind.name);
        let (only, None) = (values.next()?, values.next()) else {
            return None;
        };
        is_valid(only).then(|| Self(Secret::new(only.as_bytes())))
    }

    /// Returns the bytes that open and identify a session.
    pub(in crate::server) fn expose(&self) -> &[u8] {
        self.0.expose()
    }

    /// Returns the `Set-Cookie` value that stores the cookie.
    #[expect(
        clippy::expect_used,
        reason = "hexadecimal digits are valid in every header"
    )]
    pub(in crate::server) fn set(&self, kind: CookieKind) -> HeaderValue {
        let value = String::from_utf8_lossy(self.0.expose());
        let mut value =
            HeaderValue::from_str(&format!("{}={value}; {}", kind.name, kind.attributes))
                .expect("a cookie has visible ASCII characters only");
        value.set_sensitive(true);
        value
    }
}

impl CookieKind {
    /// Returns the `Set-Cookie` value that removes the cookie.
    #[expect(clippy::expect_used, reason = "made of constants")]
    pub(in crate::server) fn removal(self) -> HeaderValue {
        HeaderValue::from_str(&format!("{}=; {}; Max-Age=0", self.name, self.attributes))
            .expect("a cookie's attributes are visible ASCII characters")
    }
}

/// Returns the values of all cookies with that name.
fn values<'h>(headers: &'h HeaderMap, name: &str) -> impl Iterator<Item = &'h str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(move |(own, _)| *own == name)
        .map(|(_, value)| value)
}

fn is_valid(value: &str) -> bool {
    value.len() == COOKIE_LEN && value.bytes().all(|byte| byte.is_ascii_hexdigit())
}

const COOKIE_LEN: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemEntropy;

    const KIND: CookieKind = CookieKind {
        name: "__Host-countersign",
        attributes: "Path=/; Secure; HttpOnly",
    };

    #[test]
    fn a_cookie_has_256_bits_and_is_read_as_it_was_set() {
        let drawn = BrowserCookie::random(&SystemEntropy);
        let set = drawn.set(KIND);
        let pair = set.to_str().unwrap().split(';').next().unwrap();
        assert_eq!(pair.len(), KIND.name.len() + 1 + 64);
        assert!(
            set.to_str()
                .unwrap()
                .ends_with("; Path=/; Secure; HttpOnly")
        );
        let sent = BrowserCookie::sent(&cookies(&[&format!("a=b; {pair}; c=d")]), KIND).unwrap();
        assert_eq!(sent.expose(), drawn.expose());
        assert!(
            !format!("{set:?}").contains("countersign="),
            "it is not logged"
        );
        assert_eq!(
            KIND.removal(),
            "__Host-countersign=; Path=/; Secure; HttpOnly; Max-Age=0"
        );
    }

    #[test]
    fn invalid_and_repeated_cookies_are_ignored() {
        let right = "0".repeat(64);
        let ours = |value: &str| format!("__Host-countersign={value}");
        assert!(BrowserCookie::sent(&cookies(&[&ours(&right)]), KIND).is_some());
        for wrong in ["", &right[1..], &format!("{right}0"), &"g".repeat(64)] {
            assert!(
                BrowserCookie::sent(&cookies(&[&ours(wrong)]), KIND).is_none(),
                "{wrong}"
            );
        }
        let planted = format!("countersign={right}");
        assert!(
            BrowserCookie::sent(&cookies(&[&planted]), KIND).is_none(),
            "any http site can set it"
        );
        let twice = format!("{}; {}", ours(&right), ours(&"1".repeat(64)));
        assert!(BrowserCookie::sent(&cookies(&[&twice]), KIND).is_none());
        assert!(BrowserCookie::sent(&cookies(&[&ours(&right), &ours(&right)]), KIND).is_none());
    }

    fn cookies(values: &[&str]) -> HeaderMap {
        values
            .iter()
            .map(|value| (header::COOKIE, value.parse().unwrap()))
            .collect()
    }
}
