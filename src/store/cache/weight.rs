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
