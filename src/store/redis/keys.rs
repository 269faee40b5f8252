//! The names of the keys; the table is in the module above.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::model::{ConsumerKey, SessionId, Token, UserId};
use crate::store::AttemptCounter;
use crate::store::nonce::NonceId;

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
    format!("countersign:{{{}}}:token:{}", encode(consumer.as_str()), encode(token.as_str()))
}

/// The index of a consumer's tokens.
pub(super) fn tokens(consumer: &ConsumerKey) -> String {
    format!("countersign:{{{}}}:tokens", encode(consumer.as_str()))
}

/// An index of tokens that an earlier consumer of that key had, put aside under an id.
pub(super) fn aside(consumer: &ConsumerKey, id: &str) -> String {
    format!("countersign:{{{}}}:aside:{}", encode(consumer.as_str()), encode(id))
}

/// The id of a consumer's deletion.
pub(super) fn deleted(consumer: &ConsumerKey) -> String {
    format!("countersign:{{{}}}:deleted", encode(consumer.as_str()))
}

/// The record of a consumer's temporary credentials.
pub(super) fn request(consumer: &ConsumerKey, token: &Token) -> String {
    format!("countersign:{{{}}}:request:{}", encode(consumer.as_str()), encode(token.as_str()))
}

/// A claimed nonce of a consumer.
pub(super) fn nonce(consumer: &ConsumerKey, id: NonceId) -> String {
    format!("countersign:{{{}}}:nonce:{:032x}", encode(consumer.as_str()), u128::from_be_bytes(id.0))
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
    format!("countersign:{{{}}}:barred:{}", encode(id.as_str()), encode(username))
}

/// Who has a username, which is in lower case.
pub(super) fn username(username: &str) -> String {
    format!("countersign:{{{}}}:username", encode(username))
}

/// A session.
pub(super) fn session(id: &SessionId) -> String {
    let hex: String = id.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("countersign:{{{hex}}}:session")
}

/// A counter of attempts.
pub(super) fn attempts(counter: &AttemptCounter) -> String {
    format!("countersign:{{{:032x}}}:attempts", u128::from_be_bytes(*counter.as_bytes()))
}

/// That attempts were taken back from a counter.
pub(super) fn taken_back(counter: &AttemptCounter, id: u128) -> String {
    format!("countersign:{{{:032x}}}:taken-back:{id:032x}", u128::from_be_bytes(*counter.as_bytes()))
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
