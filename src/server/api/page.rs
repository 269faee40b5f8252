//! Pages (AIP-158): how many, and where the last one ended.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use crate::issue::Violations;
use crate::model::ConsumerKey;

/// What `page_size` and `page_token` ask for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) size: usize,
    pub(super) after: Option<ConsumerKey>,
}

impl Page {
    pub(super) fn parse(size: i32, token: &str) -> Result<Self, Violations> {
        let size = match usize::try_from(size) {
            Ok(0) => DEFAULT_SIZE,
            Ok(size) => size.min(MAX_SIZE),
            Err(_) => return Err(Violations::of("page_size", "must not be negative")),
        };
        let after = if token.is_empty() { None } else { Some(key_of(token).ok_or_else(unknown_token)?) };
        Ok(Self { size, after })
    }
}

/// The `page_token` of the page after that key.
pub(super) fn token(last: &ConsumerKey) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(last.as_str())
}

fn key_of(token: &str) -> Option<ConsumerKey> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(token).ok()?;
    ConsumerKey::new(String::from_utf8(bytes).ok()?).ok()
}

fn unknown_token() -> Violations {
    Violations::of("page_token", "is none that this server made")
}

const DEFAULT_SIZE: usize = 50;

/// So many of the largest consumers fit in an answer of 4 MiB, the default limit of gRPC clients.
const MAX_SIZE: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_begins_where_the_last_one_ended() {
        let last = ConsumerKey::new("dpf43f3p2l4k3l03").unwrap();
        assert_eq!(Page::parse(7, &token(&last)), Ok(Page { size: 7, after: Some(last) }));
    }

    #[test]
    fn a_page_has_a_size_even_if_none_is_asked_for() {
        assert_eq!(Page::parse(0, ""), Ok(Page { size: DEFAULT_SIZE, after: None }));
        assert_eq!(Page::parse(i32::MAX, ""), Ok(Page { size: MAX_SIZE, after: None }));
        assert_eq!(Page::parse(-1, "").unwrap_err().to_string(), "page_size must not be negative");
    }

    #[test]
    fn a_made_up_page_token_is_refused() {
        for wrong in ["?", "a", "gA", "AA"] {
            let refused = Page::parse(0, wrong).unwrap_err();
            assert_eq!(refused.to_string(), "page_token is none that this server made", "{wrong:?}");
        }
    }
}
