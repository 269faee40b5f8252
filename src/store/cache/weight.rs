//! What a copy takes of memory, in bytes: rather too much than too little.

use std::mem::size_of;

use crate::model::{
    AccessToken, Consumer, ConsumerKey, ConsumerSecret, Flow, Scopes, Secret, Token,
};
use crate::oauth::{KeySchedule, SignatureMethod};

/// A consumer and its key.
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

/// A token and its name.
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

/// That something is not there.
pub(super) const fn missing(name: &str, of: &str) -> usize {
    ENTRY + name.len() + of.len()
}

/// A secret, and the HMAC keys that are remembered with it, each with two secrets that are as long.
fn secret(secret: &Secret) -> usize {
    let length = secret.expose().len();
    length + KeySchedule::heap_size(2 * length)
}

fn scopes(scopes: &Scopes) -> usize {
    // Two counts of references stand before the text.
    2 * size_of::<usize>() + scopes.as_str().len()
}

/// A B-tree of `count` values: nodes of eleven, half of them empty at worst.
const fn tree<T>(count: usize) -> usize {
    count.div_ceil(6) * (11 * size_of::<T>() + 2 * size_of::<usize>())
}

/// What the cache itself needs for an entry: its place in a table and a queue, what is remembered of those pushed out, and
/// what the allocator adds to each of a dozen texts. Measured with 300 000 names of each kind: all kept, the process grows
/// by 0.2 to 0.8 of what is counted; bounded to 64 MiB and pushed out all the time, by 60 MiB in all.
pub(super) const ENTRY: usize = 768;

/// An RSA key of the most bits, and what is computed from it, three times: an estimate.
const RSA_KEY: usize = 16 * 1024;
