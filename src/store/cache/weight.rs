//! The memory that a cache entry takes, in bytes: an estimate that is rather too high than too low.

use std::mem::size_of;

use crate::model::{
    AccessToken, Consumer, ConsumerKey, ConsumerSecret, Flow, Scopes, Secret, Token,
};
use crate::oauth::{KeySchedule, SignatureMethod};

/// Returns the weight of a consumer and its key.
pub(super) fn consumer(key: &ConsumerKey, consumer: &Consumer) -> usize {
    let texts = [
        key.as_str(),
        consumer.id.as_str(),
        consumer.key.as_str(),
        consumer.name.as_str(),
    ];
    let secret =
        |secret: &ConsumerSecret| size_of::<ConsumerSecret>() + self::secret(&secret.secret);
    ENTRY
        + size_of::<Consumer>()
        + texts.map(str::len).iter().sum::<usize>()
        + consumer.profile.text_len()
        + consumer.secrets.iter().map(secret).sum::<usize>()
        + consumer.rsa_public_keys.len() * RSA_KEY
        + consumer
            .callbacks
            .iter()
            .map(|callback| size_of::<String>() + callback.len())
            .sum::<usize>()
        + tree::<SignatureMethod>(consumer.signature_methods.len())
        + tree::<Flow>(consumer.flows.len())
        + scopes(&consumer.scopes)
}

/// Returns the weight of a token and its name.
pub(super) fn token(name: &Token, token: &AccessToken) -> usize {
    let user_id = token.user_id.as_ref().map_or("", |id| id.as_str());
    let texts = [
        name.as_str(),
        token.token.as_str(),
        token.consumer_key.as_str(),
        user_id,
    ];
    ENTRY
        + size_of::<AccessToken>()
        + texts.map(str::len).iter().sum::<usize>()
        + secret(&token.secret)
        + scopes(&token.scopes)
}

/// Returns the weight of a note that a record does not exist.
pub(super) const fn missing(name: &str, of: &str) -> usize {
    ENTRY + name.len() + of.len()
}

/// Returns the weight of a secret and its cached HMAC keys, each with two secrets of the same
/// length.
fn secret(secret: &Secret) -> usize {
    let length = secret.expose().len();
    length + KeySchedule::heap_size(2 * length)
}

fn scopes(scopes: &Scopes) -> usize {
    // Two reference counts precede the text.
    2 * size_of::<usize>() + scopes.as_str().len()
}

/// Returns the weight of a B-tree of `count` values: nodes of eleven, half of them empty at worst.
const fn tree<T>(count: usize) -> usize {
    count.div_ceil(6) * (11 * size_of::<T>() + 2 * size_of::<usize>())
}

/// The overhead of an entry: its place in a table and a queue, the history of evicted entries, and
/// the allocator's share of a dozen texts. Measured with 300 000 names of each kind: if all are
/// cached, the process grows by 0.2 to 0.8 of the counted weight; if 64 MiB are full and entries
/// are evicted all the time, by 60 MiB in all.
pub(super) const ENTRY: usize = 768;

/// The weight of an RSA key of the maximum length with its precomputed values: an estimate, times
/// three.
const RSA_KEY: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::UnixTime;
    use crate::model::{ConsumerName, ConsumerProfile, Generation, TokenStatus, UserId};

    #[test]
    fn a_consumer_weighs_what_it_holds() {
        let plain = Consumer::example();
        let base = weight(&plain);
        let texts = "key".len() + "c-1".len() + "key".len() + "Printer Example".len();
        assert_eq!(
            base,
            ENTRY + size_of::<Consumer>() + texts + scopes(&plain.scopes)
        );
        let more = |change: &dyn Fn(&mut Consumer)| {
            let mut changed = plain.clone();
            change(&mut changed);
            weight(&changed) - base
        };
        let with_secrets = |consumer: &mut Consumer| {
            let secret = ConsumerSecret {
                secret: Secret::new([b'k'; 16]),
                expires_at: None,
            };
            consumer.secrets = vec![secret.clone(), secret];
        };
        let one_secret = size_of::<ConsumerSecret>() + 16 + KeySchedule::heap_size(32);
        assert_eq!(more(&with_secrets), 2 * one_secret);
        let with_name = |consumer: &mut Consumer| {
            consumer.name = ConsumerName::new("Printer Example 2000").unwrap();
        };
        assert_eq!(more(&with_name), 5);
        let with_profile = |consumer: &mut Consumer| consumer.profile = ConsumerProfile::example();
        assert_eq!(more(&with_profile), ConsumerProfile::example().text_len());
        let with_callbacks = |consumer: &mut Consumer| consumer.callbacks = vec!["oob".into(); 2];
        assert_eq!(more(&with_callbacks), 2 * (size_of::<String>() + 3));
        let with_flows = |consumer: &mut Consumer| consumer.flows = [Flow::TwoLegged].into();
        assert_eq!(more(&with_flows), tree::<Flow>(1));
        let with_methods = |consumer: &mut Consumer| {
            consumer.signature_methods = [SignatureMethod::HmacSha1].into();
        };
        assert_eq!(more(&with_methods), tree::<SignatureMethod>(1));
        let with_scopes = |consumer: &mut Consumer| {
            consumer.scopes = Scopes::parse("read write").unwrap();
        };
        assert_eq!(more(&with_scopes), "read write".len());
    }

    #[test]
    fn a_token_weighs_what_it_holds() {
        let secret_of = |length| secret(&Secret::new(vec![b'k'; length]));
        assert_eq!(secret_of(16), 16 + KeySchedule::heap_size(32));
        assert_eq!(
            KeySchedule::heap_size(32) - KeySchedule::heap_size(0),
            3 * 32,
            "each of three hashes keeps its secrets"
        );
        assert_eq!(
            scopes(&Scopes::parse("read").unwrap()),
            2 * size_of::<usize>() + 4
        );
        assert_eq!(missing("token", "key"), ENTRY + 8);
        let mut token = AccessToken {
            token: Token::new("t-1").unwrap(),
            secret: Secret::new([b's'; 16]),
            consumer_key: ConsumerKey::new("key").unwrap(),
            user_id: None,
            scopes: Scopes::parse("read").unwrap(),
            consumer_generation: Generation::default(),
            user_generation: Generation::default(),
            status: TokenStatus::Active,
            expires_at: None,
            created_at: UnixTime::default(),
            revision: 1,
        };
        let own = ENTRY + size_of::<AccessToken>() + secret_of(16) + scopes(&token.scopes);
        assert_eq!(super::token(&token.token, &token), own + 3 + 3 + 3);
        token.user_id = Some(UserId::new("jane").unwrap());
        assert_eq!(super::token(&token.token, &token), own + 3 + 3 + 3 + 4);
    }

    #[test]
    fn a_tree_has_nodes_of_eleven_values_half_of_them_empty() {
        let node = 11 * size_of::<u64>() + 2 * size_of::<usize>();
        assert_eq!([0, 1, 6, 7].map(tree::<u64>), [0, node, node, 2 * node]);
    }

    fn weight(consumer: &Consumer) -> usize {
        super::consumer(&consumer.key, consumer)
    }
}
