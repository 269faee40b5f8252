//! The names of the keys; the parent module has the table.

use std::fmt::Write as _;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::model::{ConsumerId, ConsumerKey, SessionId, Token, UserId};
use crate::store::AttemptCounter;

/// The pattern of all keys.
pub(super) const ALL: &str = "countersign:*";

/// The index of consumer keys.
pub(super) const CONSUMERS: &str = "countersign:consumers";

/// The index of the ids of users, without deleted ones.
pub(super) const USERS: &str = "countersign:users";

/// The index of orphaned tokens: consumer key, a space, and the id that [`orphans`] takes.
pub(super) const ORPHANS: &str = "countersign:orphans";

/// The record that proves the master key.
pub(super) const CANARY: &str = "countersign:{canary}";

/// The hash tag of the canary, which is also the consumer key and the token of synthetic checks.
pub(super) const CANARY_TAG: &str = "canary";
/// The marker of the epoch of one server.
pub(super) const EPOCH: &str = "countersign:{epoch}";

/// The key that a probe writes.
pub(super) const PROBE: &str = "countersign:{probe}";

/// Returns a key in the slot of a script's first key, which is written after the script.
pub(super) fn confirmation(first_key: &str) -> String {
    let tag = first_key.find('}').and_then(|end| first_key.get(..=end));
    format!(
        "{}:confirmation",
        tag.unwrap_or("countersign:{confirmation}")
    )
}

/// Returns the key of a marker of the epoch in a Cluster, in the slot of `tag`.
pub(super) fn cluster_epoch(tag: &str) -> String {
    format!("countersign:{{{tag}}}:epoch")
}

/// Returns the key of a consumer's record.
pub(super) fn consumer(key: &ConsumerKey) -> String {
    format!("countersign:{{{}}}:consumer", encode(key.as_str()))
}

/// Returns the key of the record of a consumer's token.
pub(super) fn token(consumer: &ConsumerKey, token: &Token) -> String {
    format!(
        "countersign:{{{}}}:token:{}",
        encode(consumer.as_str()),
        encode(token.as_str())
    )
}

/// Returns the key of the index of a consumer's tokens.
pub(super) fn tokens(consumer: &ConsumerKey) -> String {
    format!("countersign:{{{}}}:tokens", encode(consumer.as_str()))
}

/// Returns the key of an index of tokens that a deleted consumer of that key left.
pub(super) fn orphans(consumer: &ConsumerKey, id: &str) -> String {
    format!(
        "countersign:{{{}}}:orphans:{}",
        encode(consumer.as_str()),
        encode(id)
    )
}

/// Returns the key of the mark that a consumer was deleted; a later consumer of that key has another
/// id.
pub(super) fn deleted(consumer: &ConsumerKey, id: &ConsumerId) -> String {
    format!(
        "countersign:{{{}}}:deleted:{}",
        encode(consumer.as_str()),
        encode(id.as_str())
    )
}

/// Returns the key of the record of a consumer's temporary credentials.
pub(super) fn request(consumer: &ConsumerKey, token: &Token) -> String {
    format!(
        "countersign:{{{}}}:request:{}",
        encode(consumer.as_str()),
        encode(token.as_str())
    )
}

/// Returns the key of a part of the nonces that a consumer claimed with one timestamp. Every check
/// needs one, so it is built without intermediate strings.
pub(super) fn nonces(consumer: &ConsumerKey, timestamp: u64, part: u8) -> String {
    let mut key = String::with_capacity(consumer.as_str().len() + 48);
    key.push_str("countersign:{");
    key.extend(utf8_percent_encode(consumer.as_str(), ENCODED));
    key.push_str("}:nonces:");
    // Writing to a string does not fail.
    let _ = write!(key, "{timestamp}:{part:x}");
    key
}

/// Returns `true` if two keys have the same hash tag. Neither the text before the tag nor the tag
/// itself contains a closing brace.
pub(super) fn share_a_slot(one: &str, other: &str) -> bool {
    let tag = |key: &str| key.find('}').map_or(0, |end| end);
    tag(one) > 0 && one.get(..tag(one)) == other.get(..tag(other))
}

/// Returns the key of a token's owner.
pub(super) fn owner(token: &Token) -> String {
    format!("countersign:{{{}}}:owner", encode(token.as_str()))
}

/// Returns the key of the owner of temporary credentials.
pub(super) fn request_owner(token: &Token) -> String {
    format!("countersign:{{{}}}:request-owner", encode(token.as_str()))
}

/// Returns the key of a user's record.
pub(super) fn user(id: &UserId) -> String {
    format!("countersign:{{{}}}:user", encode(id.as_str()))
}

/// Returns a key that never has a value, in the slot of a token. A lookup of a token without a
/// user reads it in place of the user.
pub(super) fn nobody(token: &Token) -> String {
    format!("countersign:{{{}}}:nobody", encode(token.as_str()))
}

/// Returns the key of the index of the tokens that act for a user: token, a space, and its
/// consumer's key.
pub(super) fn user_tokens(id: &UserId) -> String {
    format!("countersign:{{{}}}:user-tokens", encode(id.as_str()))
}

/// Returns the key of the mark that a user is barred from a username, given in lower case.
pub(super) fn barred(id: &UserId, username: &str) -> String {
    format!(
        "countersign:{{{}}}:barred:{}",
        encode(id.as_str()),
        encode(username)
    )
}

/// Returns the key of the id of the user with a username, given in lower case.
pub(super) fn username(username: &str) -> String {
    format!("countersign:{{{}}}:username", encode(username))
}

/// Returns the key of a session.
pub(super) fn session(id: &SessionId) -> String {
    let hex: String = id
        .as_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("countersign:{{{hex}}}:session")
}

/// Returns the key of a counter of attempts.
pub(super) fn attempts(counter: &AttemptCounter) -> String {
    format!(
        "countersign:{{{:032x}}}:attempts",
        u128::from_be_bytes(*counter.as_bytes())
    )
}

/// Returns the key of the mark that attempts were subtracted from a counter.
pub(super) fn uncounted(counter: &AttemptCounter, id: u128) -> String {
    format!(
        "countersign:{{{:032x}}}:uncounted:{id:032x}",
        u128::from_be_bytes(*counter.as_bytes())
    )
}

fn encode(text: &str) -> impl std::fmt::Display {
    utf8_percent_encode(text, ENCODED)
}

/// All characters except the unreserved ones of RFC 3986, so that neither a colon nor the braces of
/// a hash tag remain.
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
