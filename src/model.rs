//! What Countersign keeps: consumers, access tokens, and the newtypes of their keys and secrets.
//!
//! The types hold what is true of a record whoever stores it. How it is stored and sealed is left to [`crate::store`],
//! who may change it to the administration in `crate::issue`.

use std::collections::BTreeSet;
use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::clock::UnixTime;
use crate::oauth::{RsaPublicKey, SignatureMethod};

/// A shared secret, a token secret or a private token of an administrator.
///
/// # Security
/// Wiped when dropped, compared in constant time, and never shown: `Debug` is redacted, and there is neither `Display`
/// nor `Serialize`.
#[derive(Clone)]
pub struct Secret(Zeroizing<Box<[u8]>>);

impl Secret {
    /// Takes the bytes of a secret.
    pub fn new(bytes: impl Into<Box<[u8]>>) -> Self {
        Self(Zeroizing::new(bytes.into()))
    }

    /// The bytes, for the one place that computes with them.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

/// Why a value can not become a key, a name or a scope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// The value is empty.
    #[error("must not be empty")]
    Empty,
    /// The value is longer than the limit.
    #[error("is {len} bytes long, the limit is {limit}")]
    TooLong {
        /// Its length in bytes.
        len: usize,
        /// The most bytes that are allowed.
        limit: usize,
    },
    /// A character that may not stand there.
    #[error("has the character {found:?} at byte {at}; allowed are {allowed}")]
    Character {
        /// The character.
        found: char,
        /// Its place, in bytes.
        at: usize,
        /// What is allowed, in words.
        allowed: &'static str,
    },
}

/// The longest key, token, id or name, in bytes.
pub const MAX_VALUE_LEN: usize = 255;

fn visible_ascii(value: &str, spaces: bool) -> Result<(), ValueError> {
    let allowed = if spaces { "visible ASCII characters and inner spaces" } else { "visible ASCII characters" };
    if value.is_empty() {
        return Err(ValueError::Empty);
    }
    if value.len() > MAX_VALUE_LEN {
        return Err(ValueError::TooLong { len: value.len(), limit: MAX_VALUE_LEN });
    }
    let edge = |at: usize| at == 0 || at + 1 == value.len();
    let wrong = |&(at, c): &(usize, char)| !(c.is_ascii_graphic() || (spaces && c == ' ' && !edge(at)));
    match value.char_indices().find(wrong) {
        Some((at, found)) => Err(ValueError::Character { found, at, allowed }),
        None => Ok(()),
    }
}

macro_rules! text_newtype {
    ($(#[$doc:meta])* $name:ident, spaces: $spaces:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            /// Checks and takes a value.
            ///
            /// # Errors
            /// When it is empty, too long or has a character that can not stand in an HTTP header.
            pub fn new(value: impl Into<Box<str>>) -> Result<Self, ValueError> {
                let value = value.into();
                visible_ascii(&value, $spaces)?;
                Ok(Self(value))
            }

            /// The value of these bytes, or `None` where [`new`](Self::new) would refuse them.
            pub fn from_bytes(value: &[u8]) -> Option<Self> {
                Self::new(std::str::from_utf8(value).ok()?).ok()
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.0)
            }
        }
    };
}

text_newtype! {
    /// `oauth_consumer_key`: the public name of a consumer's credentials (`x-credential-identifier`).
    ConsumerKey, spaces: false
}
text_newtype! {
    /// `oauth_token`: the public name of an access token.
    Token, spaces: false
}
text_newtype! {
    /// The stable id of a consumer (`x-consumer-id`), made by Countersign.
    ConsumerId, spaces: false
}
text_newtype! {
    /// The name of a consumer (`x-consumer-username`).
    ConsumerName, spaces: true
}
text_newtype! {
    /// The id of the user whom a token acts for (`x-authenticated-userid`).
    UserId, spaces: true
}

/// A set of scopes: space-separated, each of visible ASCII characters without `"` and `\`, in alphabetical order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scopes(BTreeSet<Box<str>>);

impl Scopes {
    /// Reads a space-separated list.
    ///
    /// # Errors
    /// When a scope is too long or has a character that may not stand in one.
    pub fn parse(list: &str) -> Result<Self, ValueError> {
        list.split_ascii_whitespace().map(scope).collect::<Result<_, _>>().map(Self)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether every scope of `needed` is here.
    pub fn contains_all(&self, needed: &Self) -> bool {
        needed.0.is_subset(&self.0)
    }

    /// The scopes that are in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        Self(self.0.intersection(&other.0).cloned().collect())
    }

    /// The scopes in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(AsRef::as_ref)
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, scope) in self.iter().enumerate() {
            if at > 0 {
                f.write_str(" ")?;
            }
            f.write_str(scope)?;
        }
        Ok(())
    }
}

fn scope(text: &str) -> Result<Box<str>, ValueError> {
    visible_ascii(text, false)?;
    match text.char_indices().find(|(_, c)| matches!(c, '"' | '\\')) {
        Some((at, found)) => Err(ValueError::Character { found, at, allowed: "visible ASCII without \" and \\" }),
        None => Ok(text.into()),
    }
}

/// Whether a consumer may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConsumerStatus {
    /// Its requests are verified and let through.
    #[default]
    Active,
    /// Its requests are refused with `consumer_key_refused`.
    Disabled,
}

/// A way in which a consumer may get or use credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Flow {
    /// Signed with the consumer's credentials alone, without a token.
    TwoLegged,
    /// With a token that a user authorized (RFC 5849 section 2).
    ThreeLegged,
    /// With a token that was exchanged for a user's name and password.
    XAuth,
}

impl Flow {
    /// Every flow, in the order in which they are listed to people.
    pub const ALL: [Self; 3] = [Self::TwoLegged, Self::ThreeLegged, Self::XAuth];

    /// The name in configuration, records and the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TwoLegged => "two-legged",
            Self::ThreeLegged => "three-legged",
            Self::XAuth => "xauth",
        }
    }

    /// The flow of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|flow| flow.name() == name)
    }
}

/// A known deviation from RFC 5849 that a consumer's client library makes and that is tolerated for it alone.
///
/// They are kept with a consumer; whether one may be set is left to the administration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CompatProfile {
    /// `oauth_version` may be written otherwise, for example `1.0A`.
    VersionLenient,
    /// The base string URI has no `/` when the path is the root.
    NoRootSlash,
    /// A `+` in the query is a plus, not a space.
    PlusLiteral,
    /// Values of header and query are signed as they are sent, without decoding.
    RawValues,
    /// A form body is not in the base string; `oauth_body_hash` must cover it.
    BodyUnsignedForm,
    /// The query of a POST is not in the base string.
    IgnoreQueryOnPost,
    /// Brackets in names are encoded once.
    BracketsOnce,
    /// Signed for `http` or `https`, whichever the request came by.
    SchemeAny,
    /// The port is left out even where it is not the scheme's default.
    DefaultPortAny,
}

impl CompatProfile {
    /// Every profile, in the order in which they are listed to people.
    pub const ALL: [Self; 9] = [
        Self::VersionLenient,
        Self::NoRootSlash,
        Self::PlusLiteral,
        Self::RawValues,
        Self::BodyUnsignedForm,
        Self::IgnoreQueryOnPost,
        Self::BracketsOnce,
        Self::SchemeAny,
        Self::DefaultPortAny,
    ];

    /// The name in configuration, records and the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::VersionLenient => "version-lenient",
            Self::NoRootSlash => "no-root-slash",
            Self::PlusLiteral => "plus-literal",
            Self::RawValues => "raw-values",
            Self::BodyUnsignedForm => "body-unsigned-form",
            Self::IgnoreQueryOnPost => "ignore-query-on-post",
            Self::BracketsOnce => "brackets-once",
            Self::SchemeAny => "scheme-any",
            Self::DefaultPortAny => "default-port-any",
        }
    }

    /// The profile of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.name() == name)
    }
}

/// One of a consumer's shared secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerSecret {
    /// The secret.
    pub secret: Secret,
    /// From when on it is not accepted any more; `None` is never. Set on the older of two while one is rotated.
    pub expires_at: Option<UnixTime>,
}

impl ConsumerSecret {
    /// Whether it is accepted at `now`.
    pub fn is_valid(&self, now: UnixTime) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }
}

/// The fewest bits of an RSA modulus that a consumer may register.
pub const MIN_RSA_BITS: usize = 2048;

/// A client in the words of RFC 5849, a consumer in those of OAuth Core 1.0: the application that signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consumer {
    /// Its id.
    pub id: ConsumerId,
    /// Its `oauth_consumer_key`.
    pub key: ConsumerKey,
    /// Its name, shown to users and sent to upstreams.
    pub name: ConsumerName,
    /// What it is, in words for a user.
    pub description: String,
    /// Where it runs, for example `ios`.
    pub platform: String,
    /// Where a user reads about it; empty or an `http` or `https` URL.
    pub app_url: String,
    /// Whether it may be used.
    pub status: ConsumerStatus,
    /// Its shared secrets, newest first: none (RSA only), one, or two while one is rotated.
    pub secrets: Vec<ConsumerSecret>,
    /// Its RSA public keys.
    pub rsa_public_keys: Vec<RsaPublicKey>,
    /// The signature methods that it may use; empty is the default of [`Consumer::allows`].
    pub signature_methods: BTreeSet<SignatureMethod>,
    /// The flows that it may use; empty is the default of [`Consumer::may`].
    pub flows: BTreeSet<Flow>,
    /// The callbacks that it registered.
    pub callbacks: Vec<String>,
    /// The scopes that it may have.
    pub scopes: Scopes,
    /// The deviations from RFC 5849 that it needs; empty is none.
    pub compat: BTreeSet<CompatProfile>,
    /// When it was created.
    pub created_at: UnixTime,
    /// When it was last changed.
    pub updated_at: UnixTime,
    /// Counts its changes; a store replaces a record only by the revision that follows the stored one.
    pub revision: u64,
}

impl Consumer {
    /// Whether it may sign with `method` and has the key material for it.
    ///
    /// Without a list of its own: HMAC-SHA1/256/512 with a shared secret, RSA-SHA256/512 with a public key. RSA-SHA1
    /// and PLAINTEXT only when they are listed.
    pub fn allows(&self, method: SignatureMethod) -> bool {
        let by_default = !matches!(method, SignatureMethod::RsaSha1 | SignatureMethod::Plaintext);
        let permitted =
            if self.signature_methods.is_empty() { by_default } else { self.signature_methods.contains(&method) };
        let has_key = if method.is_rsa() { !self.rsa_public_keys.is_empty() } else { !self.secrets.is_empty() };
        permitted && has_key
    }

    /// Whether it may use `flow`: without a list of its own every flow but xAuth, which handles passwords.
    pub fn may(&self, flow: Flow) -> bool {
        if self.flows.is_empty() { flow != Flow::XAuth } else { self.flows.contains(&flow) }
    }

    /// Whether it is a [`ConsumerStatus::Active`] one.
    pub fn is_active(&self) -> bool {
        self.status == ConsumerStatus::Active
    }
}

/// Whether an access token may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenStatus {
    /// It may.
    #[default]
    Active,
    /// It was revoked, for good.
    Revoked,
}

/// Token credentials (RFC 5849 section 2.3), bound to one consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessToken {
    /// Its `oauth_token`.
    pub token: Token,
    /// Its shared secret.
    pub secret: Secret,
    /// The consumer that it was issued to, and the only one that can use it.
    pub consumer_key: ConsumerKey,
    /// The user whom it acts for; `None` for a token of the consumer itself.
    pub user_id: Option<UserId>,
    /// Its scopes; what a request gets is what both the token and the consumer have.
    pub scopes: Scopes,
    /// Whether it may be used.
    pub status: TokenStatus,
    /// From when on it is refused; `None` is never.
    pub expires_at: Option<UnixTime>,
    /// When it was issued.
    pub created_at: UnixTime,
    /// Counts its changes, as [`Consumer::revision`] does.
    pub revision: u64,
}

impl AccessToken {
    /// Whether it has expired at `now`.
    pub fn is_expired(&self, now: UnixTime) -> bool {
        self.expires_at.is_some_and(|end| now >= end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_shown() {
        let secret = Secret::new(*b"kd94hf93k423kf44");
        assert_eq!(format!("{secret:?}"), "Secret(redacted)");
    }

    #[test]
    fn a_key_holds_only_what_a_header_can_carry() {
        assert_eq!(ConsumerKey::new(""), Err(ValueError::Empty));
        assert!(ConsumerKey::new("dpf43f3p2l4k3l03").is_ok());
        for wrong in ["a b", "a\r\nx: y", "schlüssel", "a\0"] {
            assert!(matches!(ConsumerKey::new(wrong), Err(ValueError::Character { .. })), "{wrong:?}");
        }
        assert!(ConsumerName::new("Printer Example").is_ok());
        assert!(ConsumerName::new(" Printer").is_err());
        assert!(matches!(Token::new("t".repeat(256)), Err(ValueError::TooLong { len: 256, limit: 255 })));
    }

    #[test]
    fn scopes_are_an_ordered_set() {
        let scopes = Scopes::parse("write read  read").unwrap();
        assert_eq!(scopes.to_string(), "read write");
        assert!(scopes.contains_all(&Scopes::parse("read").unwrap()));
        assert!(!scopes.contains_all(&Scopes::parse("read admin").unwrap()));
        assert_eq!(scopes.intersection(&Scopes::parse("admin write").unwrap()).to_string(), "write");
    }
}
