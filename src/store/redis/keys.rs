//! The names of the keys; the table is in the module above.

use std::fmt::Write as _;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::model::{ConsumerKey, SessionId, Token, UserId};
use crate::store::AttemptCounter;

/// The index of consumer keys: a sorted set with one score, so in the order of its bytes.
pub(super) const CONSUMERS: &str = "countersign:consumers";

/// The index of the ids of users who are not deleted.
pub(super) const USERS: &str = "countersign:users";

/// The index of what was put aside: consumer key, a space, and the id under which its tokens are.
pub(super) const ASIDE: &str = "countersign:aside";

/// What a probe writes.
pub(super) const PROBE: &str = "countersign:{probe}";

/// A consumer's record.
pub(super) fn consumer(key: &ConsumerKey) -> String {
    format!("countersign:{{{}}}:consumer", encode(key.as_str()))
}

/// The record of a consumer's token.
pub(super) fn token(consumer: &ConsumerKey, token: &Token) -> String {
    format!(
        "countersign:{{{}}}:token:{}",
        encode(consumer.as_str()),
        encode(token.as_str())
    )
}

/// The index of a consumer's tokens.
pub(super) fn tokens(consumer: &ConsumerKey) -> String {
    format!("countersign:{{{}}}:tokens", encode(consumer.as_str()))
}

/// An index of tokens that an earlier consumer of that key had, put aside under an id.
pub(super) fn aside(consumer: &ConsumerKey, id: &str) -> String {
    format!(
        "countersign:{{{}}}:aside:{}",
        encode(consumer.as_str()),
        encode(id)
    )
}

/// The id of a consumer's deletion.
pub(super) fn deleted(consumer: &ConsumerKey) -> String {
    format!("countersign:{{{}}}:deleted", encode(consumer.as_str()))
}

/// The record of a consumer's temporary credentials.
pub(super) fn request(consumer: &ConsumerKey, token: &Token) -> String {
    format!(
        "countersign:{{{}}}:request:{}",
        encode(consumer.as_str()),
        encode(token.as_str())
    )
}

/// A part of the nonces that a consumer claimed with one timestamp. Made for each check, so without a detour.
pub(super) fn nonces(consumer: &ConsumerKey, timestamp: u64, part: u8) -> String {
    let mut key = String::with_capacity(consumer.as_str().len() + 48);
    key.push_str("countersign:{");
    key.extend(utf8_percent_encode(consumer.as_str(), ENCODED));
    key.push_str("}:nonces:");
    // Writing to a string does not fail.
    let _ = write!(key, "{timestamp}:{part:x}");
    key
}

/// Whether two keys have one hash tag, which no part before or in it ends early.
pub(super) fn share_a_slot(one: &str, other: &str) -> bool {
    let tag = |key: &str| key.find('}').map_or(0, |end| end);
    tag(one) > 0 && one.get(..tag(one)) == other.get(..tag(other))
}

/// Whose a token is.
pub(super) fn owner(token: &Token) -> String {
    format!("countersign:{{{}}}:owner", encode(token.as_str()))
}

/// Whose temporary credentials are.
pub(super) fn request_owner(token: &Token) -> String {
    format!("countersign:{{{}}}:request-owner", encode(token.as_str()))
}

/// A user's record.
pub(super) fn user(id: &UserId) -> String {
    format!("countersign:{{{}}}:user", encode(id.as_str()))
}

/// What nobody is kept under, in the slot of a token: read where a token has no user.
pub(super) fn nobody(token: &Token) -> String {
    format!("countersign:{{{}}}:nobody", encode(token.as_str()))
}

/// The index of the tokens that act for a user: token, a space, and its consumer's key.
pub(super) fn user_tokens(id: &UserId) -> String {
    format!("countersign:{{{}}}:user-tokens", encode(id.as_str()))
}

/// That a user is barred from a username, which is in lower case.
pub(super) fn barred(id: &UserId, username: &str) -> String {
    format!(
        "countersign:{{{}}}:barred:{}",
        encode(id.as_str()),
        encode(username)
    )
}

/// Who has a username, which is in lower case.
pub(super) fn username(username: &str) -> String {
    format!("countersign:{{{}}}:username", encode(username))
}

/// A session.
pub(super) fn session(id: &SessionId) -> String {
    let hex: String = id
        .as_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("countersign:{{{hex}}}:session")
}

/// A counter of attempts.
pub(super) fn attempts(counter: &AttemptCounter) -> String {
    format!(
        "countersign:{{{:032x}}}:attempts",
        u128::from_be_bytes(*counter.as_bytes())
    )
}

/// That attempts were taken back from a counter.
pub(super) fn taken_back(counter: &AttemptCounter, id: u128) -> String {
    format!(
        "countersign:{{{:032x}}}:taken-back:{id:032x}",
        u128::from_be_bytes(*counter.as_bytes())
    )
}

fn encode(text: &str) -> impl std::fmt::Display {
    utf8_percent_encode(text, ENCODED)
}

/// Everything but the unreserved characters of RFC 3986: neither the braces of a hash tag nor a colon stays.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

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
        assert_eq!(
            nonces(&ck, 1_700_000_000, 31),
            format!("{tag}nonces:1700000000:1f")
        );
        assert_eq!(owner(&t), "countersign:{t%3A%7Bx%7D}:owner");
    }

    #[test]
    fn keys_share_a_slot_by_their_consumer_alone() {
        let of =
            |consumer: &str, timestamp| nonces(&ConsumerKey::new(consumer).unwrap(), timestamp, 0);
        assert!(share_a_slot(&of("a}b", 1), &of("a}b", 2)));
        assert!(!share_a_slot(&of("a}b", 1), &of("a}c", 1)));
        assert!(!share_a_slot(&of("a", 1), &of("ab", 1)));
        assert!(!share_a_slot("", ""));
    }
}
