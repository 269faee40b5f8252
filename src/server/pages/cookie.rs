//! The cookie that a browser is known by: 256 random bits, which say nothing by themselves.

use axum::http::{HeaderMap, HeaderValue, header};

use crate::clock::Entropy;
use crate::issue::random;
use crate::model::Secret;

/// The cookie of a browser.
#[derive(Clone, Debug)]
pub(in crate::server) struct Cookie(Secret);

/// How a cookie is called and kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) struct CookieKind {
    /// Its name.
    pub(in crate::server) name: &'static str,
    /// What stands behind it in `Set-Cookie`.
    pub(in crate::server) attributes: &'static str,
}

impl Cookie {
    /// A new one.
    pub(in crate::server) fn draw(entropy: &dyn Entropy) -> Self {
        Self(random::secret(entropy))
    }

    /// The one that the browser sent; `None` when there is none of ours, or two.
    pub(in crate::server) fn sent(headers: &HeaderMap, kind: CookieKind) -> Option<Self> {
        let sent = headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok());
        let pairs = sent
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='));
        let mut own = pairs
            .filter(|(name, _)| *name == kind.name)
            .map(|(_, value)| value);
        let (only, None) = (own.next()?, own.next()) else {
            return None;
        };
        let is_ours = only.len() == COOKIE_LEN && only.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_ours.then(|| Self(Secret::new(only.as_bytes())))
    }

    /// What a session is opened and found with.
    pub(in crate::server) fn expose(&self) -> &[u8] {
        self.0.expose()
    }

    /// `Set-Cookie` that has the browser keep it.
    #[expect(
        clippy::expect_used,
        reason = "hexadecimal digits stand in every header"
    )]
    pub(in crate::server) fn keep(&self, kind: CookieKind) -> HeaderValue {
        let value = String::from_utf8_lossy(self.0.expose());
        let mut value =
            HeaderValue::from_str(&format!("{}={value}; {}", kind.name, kind.attributes))
                .expect("a cookie has visible ASCII characters only");
        value.set_sensitive(true);
        value
    }
}

impl CookieKind {
    /// `Set-Cookie` that has the browser forget it.
    #[expect(clippy::expect_used, reason = "made of constants")]
    pub(in crate::server) fn forget(self) -> HeaderValue {
        HeaderValue::from_str(&format!("{}=; {}; Max-Age=0", self.name, self.attributes))
            .expect("a cookie's attributes are visible ASCII characters")
    }
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
    fn a_cookie_has_256_bits_and_comes_back_as_it_was_set() {
        let drawn = Cookie::draw(&SystemEntropy);
        let set = drawn.keep(KIND);
        let pair = set.to_str().unwrap().split(';').next().unwrap();
        assert_eq!(pair.len(), KIND.name.len() + 1 + 64);
        assert!(
            set.to_str()
                .unwrap()
                .ends_with("; Path=/; Secure; HttpOnly")
        );
        let sent = Cookie::sent(&cookies(&[&format!("a=b; {pair}; c=d")]), KIND).unwrap();
        assert_eq!(sent.expose(), drawn.expose());
        assert!(
            !format!("{set:?}").contains("countersign="),
            "it is not logged"
        );
        assert_eq!(
            KIND.forget(),
            "__Host-countersign=; Path=/; Secure; HttpOnly; Max-Age=0"
        );
    }

    #[test]
    fn what_is_no_cookie_of_ours_is_none() {
        let right = "0".repeat(64);
        let ours = |value: &str| format!("__Host-countersign={value}");
        assert!(Cookie::sent(&cookies(&[&ours(&right)]), KIND).is_some());
        for wrong in ["", &right[1..], &format!("{right}0"), &"g".repeat(64)] {
            assert!(
                Cookie::sent(&cookies(&[&ours(wrong)]), KIND).is_none(),
                "{wrong}"
            );
        }
        let planted = format!("countersign={right}");
        assert!(
            Cookie::sent(&cookies(&[&planted]), KIND).is_none(),
            "over http, anybody can set it"
        );
        let twice = format!("{}; {}", ours(&right), ours(&"1".repeat(64)));
        assert!(Cookie::sent(&cookies(&[&twice]), KIND).is_none());
        assert!(Cookie::sent(&cookies(&[&ours(&right), &ours(&right)]), KIND).is_none());
    }

    fn cookies(values: &[&str]) -> HeaderMap {
        values
            .iter()
            .map(|value| (header::COOKIE, value.parse().unwrap()))
            .collect()
    }
}
