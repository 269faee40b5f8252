//! The wrong secrets that clients make of the right ones: copied with something around them,
//! converted, exchanged, or taken for each other.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::super::encode::decode;
use super::MismatchCause;
use super::remedy;
use super::secret_keys::made_otherwise;
use super::secret_padding::{PADDINGS, SecretPadding};
use super::wrong_key::{
    BOTH, CONSUMER, SecretBytes, TOKEN, WrongKey, encoded_secret, glued, hexadecimal, joined,
};

/// The texts that a client may take for secrets.
#[derive(Clone, Copy)]
pub(super) struct KeyTexts<'s> {
    pub(super) consumer_secret: &'s [u8],
    /// Empty without a token.
    pub(super) token_secret: &'s [u8],
    pub(super) consumer_key: &'s [u8],
    /// Empty without a token.
    pub(super) token: &'s [u8],
}

impl KeyTexts<'_> {
    /// Returns the keys that clients wrongly make of the right secrets, in the order of their
    /// causes. Never returns an empty key, nor the right one.
    pub(super) fn wrong_keys(self) -> Vec<WrongKey> {
        let mut keys = self.misjoined();
        keys.extend(self.exchanged());
        keys.extend(self.identifiers());
        keys.extend(self.padded());
        keys.extend(self.converted());
        keys.extend(made_otherwise(self.consumer_secret, self.token_secret));
        let right = joined(self.consumer_secret, self.token_secret);
        keys.retain(|wrong| *wrong.key != *right && !matches!(&wrong.key[..], b"" | b"&"));
        keys.sort_by_key(|wrong| (self.is_unlikely(wrong.cause), wrong.cause));
        distinct(keys)
    }

    /// Returns whether a cause is less likely than another one with the same key: a secret full of
    /// escapes was encoded when it was registered.
    fn is_unlikely(self, cause: MismatchCause) -> bool {
        let is_escaped = |secret: &[u8]| {
            let decoded = Zeroizing::new(decode(&Cow::Borrowed(secret)).into_owned());
            **decoded != *secret && *encoded_secret(&decoded) == secret
        };
        cause == MismatchCause::SecretsNotEncoded
            && (is_escaped(self.consumer_secret) || is_escaped(self.token_secret))
    }

    /// Joins the right secrets in the ways in which clients get it wrong.
    fn misjoined(self) -> Vec<WrongKey> {
        let (consumer, token) = (self.consumer_secret, self.token_secret);
        let mut keys = vec![
            WrongKey::new(
                MismatchCause::AmpersandMissing,
                BOTH,
                glued(&encoded_secret(consumer), b"", &encoded_secret(token)),
            ),
            WrongKey::new(
                MismatchCause::AmpersandMissing,
                BOTH,
                glued(consumer, b"", token),
            ),
        ];
        keys.extend(without_token_secret(consumer));
        if !token.is_empty() {
            keys.extend(without_consumer_secret(token));
        }
        let raw = [
            glued(consumer, b"&", token),
            glued(&encoded_secret(consumer), b"&", token),
            glued(consumer, b"&", &encoded_secret(token)),
        ];
        keys.extend(raw.map(|key| WrongKey::new(MismatchCause::SecretsNotEncoded, BOTH, key)));
        keys.into_iter().map(|wrong| wrong.usual(true)).collect()
    }

    /// Puts a secret where the other one belongs.
    fn exchanged(self) -> Vec<WrongKey> {
        let (consumer, token) = (self.consumer_secret, self.token_secret);
        if token.is_empty() {
            return Vec::new();
        }
        let placed = [
            ("each secret in the other's place", token, consumer),
            (
                "the consumer secret as the token secret too",
                consumer,
                consumer,
            ),
            ("the token secret as the consumer secret too", token, token),
        ];
        placed
            .map(|(secret, one, other)| {
                WrongKey::new(MismatchCause::SecretsExchanged, secret, joined(one, other))
            })
            .into()
    }

    /// Puts the consumer key or the token where a secret belongs.
    fn identifiers(self) -> Vec<WrongKey> {
        let (key, token) = (self.consumer_key, self.token);
        let (consumer_secret, token_secret) = (self.consumer_secret, self.token_secret);
        let placed = [
            ("the consumer key as the token secret", consumer_secret, key),
            ("the token as the token secret", consumer_secret, token),
            ("the consumer key as the consumer secret", key, token_secret),
            ("the token as the consumer secret", token, token_secret),
            ("the consumer key and the token as the secrets", key, token),
            ("the token and the consumer key as the secrets", token, key),
            (
                "the consumer key in front of the consumer secret",
                key,
                consumer_secret,
            ),
            ("the consumer key as the only secret", key, b""),
            ("the token as the only secret", token, b""),
        ];
        placed
            .into_iter()
            .filter(|(_, one, _)| !one.is_empty())
            .map(|(secret, one, other)| {
                let key = joined(one, other);
                let wrong = WrongKey::new(MismatchCause::SecretIsIdentifier, secret, key);
                let are_public = [one, other].iter().all(|part| self.is_public(part));
                wrong.with_remedy_if(are_public, remedy::SECRETS_PUBLIC)
            })
            .collect()
    }

    /// Returns whether a text is not a secret: anybody can sign with it.
    fn is_public(self, text: &[u8]) -> bool {
        text.is_empty() || text == self.consumer_key || text == self.token
    }

    /// Puts texts around the consumer's secret, the token's, and both.
    fn padded(self) -> Vec<WrongKey> {
        let paddings = PADDINGS.iter();
        paddings
            .flat_map(|padding| {
                let SecretPadding { before, after, .. } = padding;
                let around = |secret: &[u8]| Some(Zeroizing::new([before, secret, after].concat()));
                self.converted_by(&Conversion {
                    cause: MismatchCause::SecretPadded,
                    remedy: padding.remedy,
                    convert: around,
                    is_usual: padding.is_usual,
                })
            })
            .collect()
    }

    /// Converts the consumer's secret, the token's, and both.
    fn converted(self) -> Vec<WrongKey> {
        CONVERSIONS
            .iter()
            .flat_map(|conversion| self.converted_by(conversion))
            .collect()
    }

    fn converted_by<C: Fn(&[u8]) -> Option<SecretBytes>>(
        self,
        conversion: &Conversion<C>,
    ) -> Vec<WrongKey> {
        let Self {
            consumer_secret,
            token_secret,
            ..
        } = self;
        let has_token = !token_secret.is_empty();
        let consumer = (conversion.convert)(consumer_secret);
        let token = (conversion.convert)(token_secret).filter(|_| has_token);
        let consumer = consumer.as_ref().map(|secret| &secret[..]);
        let token = token.as_ref().map(|secret| &secret[..]);
        let one = [
            (CONSUMER, consumer.map(|consumer| (consumer, token_secret))),
            (TOKEN, token.map(|token| (consumer_secret, token))),
        ];
        let mut keys = Vec::new();
        for (secret, pair) in one {
            let (Some(pair), is_usual) = (pair, conversion.is_usual) else {
                continue;
            };
            let [encoded, raw] = conversion.keys(secret, pair);
            keys.extend([encoded.usual(is_usual), raw]);
        }
        let both = consumer.zip(token);
        keys.extend(
            both.into_iter()
                .flat_map(|pair| conversion.keys(BOTH, pair)),
        );
        keys
    }
}

/// Returns the keys of a client that signs without the token's secret.
pub(super) fn without_token_secret(consumer: &[u8]) -> Vec<WrongKey> {
    let encoded = encoded_secret(consumer);
    [glued(&encoded, b"&", b""), glued(&encoded, b"", b"")]
        .map(|key| WrongKey::new(MismatchCause::SecretMissing, TOKEN, key).usual(true))
        .into()
}

/// Returns the keys of a client that signs without the consumer's secret.
pub(super) fn without_consumer_secret(token: &[u8]) -> Vec<WrongKey> {
    let encoded = encoded_secret(token);
    [glued(b"", b"&", &encoded), glued(&encoded, b"", b"")]
        .map(|key| WrongKey::new(MismatchCause::SecretMissing, CONSUMER, key).usual(true))
        .into()
}

/// Removes every key that another one equals.
fn distinct(keys: Vec<WrongKey>) -> Vec<WrongKey> {
    let mut kept: Vec<WrongKey> = Vec::with_capacity(keys.len());
    for wrong in keys {
        if kept.iter().all(|other| *other.key != *wrong.key) {
            kept.push(wrong);
        }
    }
    kept
}

/// A way in which a client changes a secret, and the cause if it does.
struct Conversion<C = fn(&[u8]) -> Option<SecretBytes>> {
    cause: MismatchCause,
    remedy: &'static str,
    convert: C,
    /// The mistake is frequent.
    is_usual: bool,
}

impl Conversion {
    const fn new(
        cause: MismatchCause,
        remedy: &'static str,
        convert: fn(&[u8]) -> Option<SecretBytes>,
    ) -> Self {
        Self {
            cause,
            remedy,
            convert,
            is_usual: false,
        }
    }

    const fn usual(mut self) -> Self {
        self.is_usual = true;
        self
    }
}

impl<C> Conversion<C> {
    /// Returns the keys of two secrets, encoded and as they are.
    fn keys(&self, secret: &'static str, (consumer, token): (&[u8], &[u8])) -> [WrongKey; 2] {
        [joined(consumer, token), glued(consumer, b"&", token)].map(|key| WrongKey {
            remedy: Some(self.remedy),
            ..WrongKey::new(self.cause, secret, key)
        })
    }
}

const CONVERSIONS: [Conversion; 13] = [
    Conversion::new(
        MismatchCause::SecretPadded,
        remedy::SECRET_TRIMMED,
        |secret| different(secret, secret.trim_ascii()),
    ),
    Conversion::new(
        MismatchCause::SecretEncoded,
        remedy::SECRET_PERCENT_ENCODED,
        |secret| different(secret, &encoded_secret(secret)),
    ),
    Conversion::new(
        MismatchCause::SecretEncoded,
        remedy::SECRET_IN_BASE64,
        |secret| Some(Zeroizing::new(STANDARD.encode(secret).into_bytes())),
    ),
    Conversion::new(
        MismatchCause::SecretEncoded,
        remedy::SECRET_IN_HEX,
        |secret| Some(Zeroizing::new(hexadecimal(secret))),
    ),
    Conversion::new(
        MismatchCause::SecretDecoded,
        remedy::SECRET_PERCENT_DECODED,
        |secret| {
            let decoded = Zeroizing::new(decode(&Cow::Borrowed(secret)).into_owned());
            different(secret, &decoded)
        },
    ),
    Conversion::new(
        MismatchCause::SecretDecoded,
        remedy::SECRET_FROM_FORM,
        from_form,
    ),
    Conversion::new(
        MismatchCause::SecretDecoded,
        remedy::SECRET_FROM_BASE64,
        from_base64,
    ),
    Conversion::new(
        MismatchCause::SecretDecoded,
        remedy::SECRET_FROM_HEX,
        |secret| super::reading::hexadecimal(secret).map(Zeroizing::new),
    ),
    Conversion::new(
        MismatchCause::SecretTruncated,
        remedy::SECRET_WITHOUT_PADDING,
        |secret| {
            let end = secret.iter().rposition(|&byte| byte != b'=')?;
            different(secret, &secret[..=end])
        },
    )
    .usual(),
    Conversion::new(
        MismatchCause::SecretTruncated,
        remedy::SECRET_WITHOUT_LAST,
        |secret| {
            secret
                .split_last()
                .map(|(_, rest)| Zeroizing::new(rest.to_vec()))
        },
    ),
    Conversion::new(
        MismatchCause::SecretTruncated,
        remedy::SECRET_WITHOUT_FIRST,
        |secret| {
            secret
                .split_first()
                .map(|(_, rest)| Zeroizing::new(rest.to_vec()))
        },
    ),
    Conversion::new(MismatchCause::SecretCase, remedy::SECRET_CASE, |secret| {
        let lower = Zeroizing::new(secret.to_ascii_lowercase());
        different(secret, &lower)
    }),
    Conversion::new(MismatchCause::SecretCase, remedy::SECRET_CASE, |secret| {
        let upper = Zeroizing::new(secret.to_ascii_uppercase());
        different(secret, &upper)
    }),
];

/// Copies a changed secret; `None` if the change changes nothing.
fn different(secret: &[u8], changed: &[u8]) -> Option<SecretBytes> {
    (secret != changed).then(|| Zeroizing::new(changed.to_vec()))
}

/// Reads a secret as a value of a form: `+` is a space.
fn from_form(secret: &[u8]) -> Option<SecretBytes> {
    let mut spaced = Zeroizing::new(secret.to_vec());
    for byte in spaced.iter_mut().filter(|byte| **byte == b'+') {
        *byte = b' ';
    }
    let decoded = Zeroizing::new(decode(&Cow::Borrowed(&**spaced)).into_owned());
    different(secret, &decoded)
}

/// Decodes a secret in base64 of any alphabet, with or without padding.
fn from_base64(secret: &[u8]) -> Option<SecretBytes> {
    super::reading::lenient(secret).map(Zeroizing::new)
}
