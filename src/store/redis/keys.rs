//! The names of the keys; the table is in the module above.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::model::{ConsumerKey, Token};
use crate::store::nonce::NonceId;

/// The index of consumer keys: a sorted set with one score, so in the order of its bytes.
pub(super) const CONSUMERS: &str = "countersign:consumers";

/// What a probe writes.
pub(super) const PROBE: &str = "countersign:{probe}";

/// A consumer's record.
pub(super) fn consumer(key: &ConsumerKey) -> String {
    format!("countersign:{{{}}}:consumer", encode(key.as_str()))
}

/// The record of a consumer's token.
pub(super) fn token(consumer: &ConsumerKey, token: &Token) -> String {
    format!("countersign:{{{}}}:token:{}", encode(consumer.as_str()), encode(token.as_str()))
}

/// A claimed nonce of a consumer.
pub(super) fn nonce(consumer: &ConsumerKey, id: NonceId) -> String {
    format!("countersign:{{{}}}:nonce:{:032x}", encode(consumer.as_str()), u128::from_be_bytes(id.0))
}

/// Whose a token is.
pub(super) fn owner(token: &Token) -> String {
    format!("countersign:{{{}}}:owner", encode(token.as_str()))
}

fn encode(text: &str) -> impl std::fmt::Display {
    utf8_percent_encode(text, ENCODED)
}

/// Everything but the unreserved characters of RFC 3986: neither the braces of a hash tag nor a colon stays.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_of_one_consumer_are_in_one_slot() {
        let ck = ConsumerKey::new("a}{b:c").unwrap();
        let t = Token::new("t:{x}").unwrap();
        let tag = "countersign:{a%7D%7Bb%3Ac}:";
        assert_eq!(consumer(&ck), format!("{tag}consumer"));
        assert_eq!(token(&ck, &t), format!("{tag}token:t%3A%7Bx%7D"));
        assert_eq!(nonce(&ck, NonceId([1; 16])), format!("{tag}nonce:{}", "01".repeat(16)));
        assert_eq!(owner(&t), "countersign:{t%3A%7Bx%7D}:owner");
    }
}
