//! Keys that clients make of the right secrets in another way: with a word for a missing secret, by
//! another separator or encoding, or of a hash.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::super::hash::HashFunction;
use super::super::variant::Encoding;
use super::MismatchCause;
use super::wrong_key::{
    BOTH, CONSUMER, SecretBytes, TOKEN, WrongKey, encoded_secret, glued, hexadecimal,
};

/// Returns every key of the right secrets that is made in another way.
pub(super) fn made_otherwise(consumer: &[u8], token: &[u8]) -> Vec<WrongKey> {
    let mut keys = words(consumer, token);
    keys.extend(separated(consumer, token));
    keys.extend(as_a_whole(consumer, token));
    keys.extend(encoded_otherwise(consumer, token));
    keys
}

/// Returns the keys of clients that print a word for a secret that they do not have.
fn words(consumer: &[u8], token: &[u8]) -> Vec<WrongKey> {
    let (consumer, token) = (encoded_secret(consumer), encoded_secret(token));
    let key =
        |secret, key| WrongKey::new(MismatchCause::SecretMissing, secret, key).with_remedy(WORD);
    let mut keys = Vec::new();
    for word in WORDS {
        keys.push(key(TOKEN, glued(&consumer, b"&", word)));
        if !token.is_empty() {
            // Otherwise anybody could make the key.
            keys.push(key(CONSUMER, glued(word, b"&", &token)));
        }
    }
    let double = glued(&consumer, b"&", &consumer);
    keys.push(WrongKey::new(
        MismatchCause::SecretsExchanged,
        TWICE,
        double,
    ));
    keys
}

/// Returns the keys of clients that join the secrets by another text.
fn separated(consumer: &[u8], token: &[u8]) -> Vec<WrongKey> {
    let (consumer, token) = (encoded_secret(consumer), encoded_secret(token));
    let by = SEPARATORS.map(|separator| glued(&consumer, separator, &token));
    let around = [
        glued(b"&", &consumer, &glued(b"&", &token, b"")),
        glued(&consumer, b"&", &glued(b"", &token, b"&")),
        glued(&token, b"", &consumer),
    ];
    by.into_iter()
        .chain(around)
        .map(|key| WrongKey::new(MismatchCause::AmpersandMissing, BOTH, key).with_remedy(JOINED))
        .collect()
}

/// Returns the keys of clients that convert the whole key, or hash a secret.
fn as_a_whole(consumer: &[u8], token: &[u8]) -> Vec<WrongKey> {
    let key = glued(&encoded_secret(consumer), b"&", &encoded_secret(token));
    let wide = key.iter().flat_map(|&byte| [byte, 0]);
    let mut wide_key = Zeroizing::new(Vec::with_capacity(2 * key.len()));
    wide_key.extend(wide);
    let token = encoded_secret(token);
    let of_hash = |secret: &[u8]| glued(secret, b"&", &token);
    let hashes = HASHES.map(|hash| hash.wiped_digest(consumer));
    let converted = [
        Zeroizing::new(STANDARD.encode(&*key).into_bytes()),
        Zeroizing::new(hexadecimal(&key)),
        encoded_secret(&key),
        wide_key,
    ];
    let hashed = hashes.iter().flat_map(|hash| {
        let text = Zeroizing::new(STANDARD.encode(hash).into_bytes());
        let digits = Zeroizing::new(hexadecimal(hash));
        [of_hash(&digits), of_hash(&encoded_secret(&text))]
    });
    let whole = |secret, key| WrongKey::new(MismatchCause::SecretEncoded, secret, key);
    let of_key = HASHES.map(|hash| hash.wiped_digest(&key));
    let of_key = of_key.map(|hash| Zeroizing::new(hexadecimal(&hash)));
    converted
        .into_iter()
        .chain(of_key)
        .map(|key| whole(BOTH, key).with_remedy(WHOLE))
        .chain(hashed.map(|key| whole(CONSUMER, key).with_remedy(HASHED)))
        .collect()
}

/// Returns the keys of clients that encode the secrets with another encoder.
fn encoded_otherwise(consumer: &[u8], token: &[u8]) -> Vec<WrongKey> {
    let keys = ENCODERS.iter().map(|encoder| {
        let [consumer, token] = [consumer, token].map(|secret| by(encoder, secret));
        glued(&consumer, b"&", &token)
    });
    let keys = keys.map(|key| WrongKey::new(MismatchCause::SecretsNotEncoded, BOTH, key));
    let mut keys: Vec<_> = keys.map(|key| key.with_remedy(ENCODER)).collect();
    if let Some(narrow) = latin1(consumer) {
        let token = encoded_secret(token);
        for narrow in [encoded_secret(&narrow), narrow] {
            let key = glued(&narrow, b"&", &token);
            let key = WrongKey::new(MismatchCause::SecretEncoded, CONSUMER, key);
            keys.push(key.with_remedy(CHARSET));
        }
    }
    keys
}

fn by(encoder: &Encoding, secret: &[u8]) -> SecretBytes {
    // With room for all: growing would leave a copy behind.
    let mut out = Zeroizing::new(Vec::with_capacity(3 * secret.len()));
    encoder.write(secret, &mut |piece| out.extend_from_slice(piece));
    out
}

fn latin1(secret: &[u8]) -> Option<SecretBytes> {
    let text = str::from_utf8(secret)
        .ok()
        .filter(|text| !text.is_ascii())?;
    let mut out = Zeroizing::new(Vec::with_capacity(secret.len()));
    for character in text.chars() {
        out.push(u8::try_from(character).ok()?);
    }
    Some(out)
}

/// The hash functions that clients run over secrets.
const HASHES: [HashFunction; 2] = [HashFunction::Sha1, HashFunction::Sha256];

/// The words that languages print for a secret that is not there.
const WORDS: [&[u8]; 5] = [b"undefined", b"null", b"None", b"nil", b"NULL"];

/// The texts by which clients join secrets.
const SEPARATORS: [&[u8]; 14] = [
    b"%26", b"&amp;", b"+", b":", b" & ", b"&&", b"|", b" ", b"\n", b",", b"/", b"-", b"_", b".",
];

/// The encoders that clients run over secrets instead of that of RFC 5849 section 3.6.
const ENCODERS: [Encoding; 6] = [
    Encoding::RFC.in_lower_case(),
    Encoding::RFC.with_plus(),
    Encoding::RFC.leaving(b"!*'()"),
    Encoding::RFC.leaving(b"/"),
    Encoding::RFC.escaping(b"~"),
    Encoding::RFC.leaving(b"*").escaping(b"~").with_plus(),
];

const TWICE: &str = "the consumer secret as the token secret too";

const WORD: &str = "the client signs without {secret}, or with a word such as `undefined` or `null` in its place: \
     configure both the consumer secret and the token secret in the client; without a token, make \
     it sign with an empty token secret";

const JOINED: &str = "the client does not join its secrets as `SECRET&TOKEN_SECRET`: make it encode both, and join \
     them with a single `&` (RFC 5849 section 3.4.2)";

const WHOLE: &str = "the client encodes or hashes the whole key: make it use the two encoded secrets, joined by `&`, as they are \
     (RFC 5849 section 3.4.2)";

const HASHED: &str = "the client signs with a hash of {secret}: make it use the secret itself";

const ENCODER: &str = "the client encodes its secrets in another way: make it encode every character except letters, \
     digits and `-._~` (RFC 5849 sections 3.4.2 and 3.6), or give it secrets of letters and digits \
     only";

const CHARSET: &str = "the client signs with {secret} in a character set other than UTF-8: make it use UTF-8, or give it \
     a secret of letters and digits only";
