//! The consumer: the application that signs requests.

use std::collections::BTreeSet;

use strum::{EnumString, IntoStaticStr, VariantArray, VariantNames};

use super::{ConsumerId, ConsumerKey, ConsumerName, Generation, Scopes, Secret};
use crate::clock::UnixTime;
use crate::oauth::{CompatSet, RsaPublicKey, SignatureMethod};

/// The state of a consumer: active or disabled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConsumerStatus {
    /// The consumer's requests are verified.
    #[default]
    Active,
    /// The consumer's requests are refused with `consumer_key_refused`.
    Disabled,
}

/// A way in which a consumer obtains or uses credentials.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    EnumString,
    IntoStaticStr,
    VariantArray,
    VariantNames,
)]
#[strum(serialize_all = "kebab-case")]
pub enum Flow {
    /// Requests signed with the consumer's credentials alone, without a token.
    TwoLegged,
    /// Requests signed with a token that a user authorized (RFC 5849 section 2).
    ThreeLegged,
    /// Requests signed with a token that was exchanged for a user's name and password.
    #[strum(serialize = "xauth")]
    XAuth,
}

/// The amount of detail that a denial shows to the caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum DenyDetail {
    /// The status and the realm only.
    None,
    /// The problem and advice.
    #[default]
    Problem,
    /// The problem, advice, the base string with masked parameter values, and the cause of the
    /// mismatch.
    Debug,
}

/// A shared secret of a consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerSecret {
    /// The secret.
    pub secret: Secret,
    /// The time from which the secret is refused; `None` if it does not expire. Rotation sets it on
    /// the older of the two secrets.
    pub expires_at: Option<UnixTime>,
}

/// The texts that describe a consumer to people. No rule depends on them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsumerProfile {
    /// The purpose of the application, in a user's words.
    pub description: String,
    /// The platform of the application, for example `ios`.
    pub platform: String,
    /// The page about the application: empty, or an `http` or `https` URL.
    pub app_url: String,
}

/// The application that signs: a client in RFC 5849, a consumer in OAuth Core 1.0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consumer {
    /// The id.
    pub id: ConsumerId,
    /// The `oauth_consumer_key`.
    pub key: ConsumerKey,
    /// The name, shown to users and sent to upstreams.
    pub name: ConsumerName,
    /// The texts that describe the consumer to people.
    pub profile: ConsumerProfile,
    /// True if the operator vouches for the name and the profile; users see a warning otherwise.
    pub verified: bool,
    /// The state: active or disabled.
    pub status: ConsumerStatus,
    /// The shared secrets, newest first: none (RSA only), one, or two during a rotation.
    pub secrets: Vec<ConsumerSecret>,
    /// The RSA public keys.
    pub rsa_public_keys: Vec<RsaPublicKey>,
    /// The permitted signature methods; empty stands for the defaults of [`Consumer::allows`].
    pub signature_methods: BTreeSet<SignatureMethod>,
    /// The permitted flows; empty stands for the defaults of [`Consumer::may`].
    pub flows: BTreeSet<Flow>,
    /// The registered callbacks.
    pub callbacks: Vec<String>,
    /// The permitted scopes.
    pub scopes: Scopes,
    /// The accepted deviations from RFC 5849.
    pub compat: CompatSet,
    /// The detail of denials; `None` stands for the configured `check.deny_detail`.
    pub deny_detail: Option<DenyDetail>,
    /// The time from which the consumer is deprecated; announced in responses.
    pub deprecated_at: Option<UnixTime>,
    /// The time of the announced shutdown; announced in responses, and enforced nowhere.
    pub sunset_at: Option<UnixTime>,
    /// The generation that each of the consumer's tokens must have.
    pub generation: Generation,
    /// The time of creation.
    pub created_at: UnixTime,
    /// The time of the last change.
    pub updated_at: UnixTime,
    /// The number of changes; a store replaces a record only with the revision that follows the
    /// stored one.
    pub revision: u64,
}

/// The smallest accepted modulus of an RSA key, in bits.
pub const MIN_RSA_BITS: usize = 2048;

// === impl Flow ===

impl Flow {
    /// All flows, in the order in which help texts and errors list them.
    pub const ALL: &'static [Self] = <Self as VariantArray>::VARIANTS;

    /// The names of all flows, in the same order.
    pub const NAMES: &'static [&'static str] = <Self as VariantNames>::VARIANTS;

    /// Returns the name in configuration, records and the API.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

// === impl DenyDetail ===

impl DenyDetail {
    /// The names of all levels, the least detailed first.
    pub const NAMES: &'static [&'static str] = <Self as VariantNames>::VARIANTS;

    /// Returns the name in configuration, records and the API.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

// === impl ConsumerSecret ===

impl ConsumerSecret {
    /// Returns true if the secret is accepted at `now`.
    pub fn is_valid(&self, now: UnixTime) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }
}

// === impl ConsumerProfile ===

impl ConsumerProfile {
    /// Returns the length of all texts together, in bytes.
    pub const fn text_len(&self) -> usize {
        let Self {
            description,
            platform,
            app_url,
        } = self;
        description.len() + platform.len() + app_url.len()
    }
}

#[cfg(test)]
impl ConsumerProfile {
    /// Returns a profile with a different text in every field, for tests of round trips.
    pub(crate) fn example() -> Self {
        Self {
            description: "prints \u{1F5A8} \"photos\"".to_owned(),
            platform: "ios".to_owned(),
            app_url: "https://printer.example/".to_owned(),
        }
    }
}

// === impl Consumer ===

#[cfg(test)]
impl Consumer {
    /// Returns an active consumer without credentials, for tests to start from.
    pub(crate) fn example() -> Self {
        Self {
            id: ConsumerId::new("c-1").unwrap(),
            key: ConsumerKey::new("key").unwrap(),
            name: ConsumerName::new("Printer Example").unwrap(),
            profile: ConsumerProfile::default(),
            verified: false,
            status: ConsumerStatus::Active,
            secrets: Vec::new(),
            rsa_public_keys: Vec::new(),
            signature_methods: BTreeSet::new(),
            flows: BTreeSet::new(),
            callbacks: Vec::new(),
            scopes: Scopes::default(),
            compat: CompatSet::NONE,
            deny_detail: None,
            deprecated_at: None,
            sunset_at: None,
            generation: Generation::default(),
            created_at: UnixTime::default(),
            updated_at: UnixTime::default(),
            revision: 1,
        }
    }
}

impl Consumer {
    /// Returns true if the consumer may sign with `method` and has the key material for it.
    ///
    /// The defaults of an empty list are HMAC-SHA1, -256 and -512 with a shared secret, and
    /// RSA-SHA256 and -512 with a public key. RSA-SHA1 and PLAINTEXT must be listed.
    pub fn allows(&self, method: SignatureMethod) -> bool {
        let by_default = !matches!(
            method,
            SignatureMethod::RsaSha1 | SignatureMethod::Plaintext
        );
        let permitted = if self.signature_methods.is_empty() {
            by_default
        } else {
            self.signature_methods.contains(&method)
        };
        let has_key = if method.is_rsa() {
            !self.rsa_public_keys.is_empty()
        } else {
            !self.secrets.is_empty()
        };
        permitted && has_key
    }

    /// Returns true if the consumer may use `flow`.
    ///
    /// The default of an empty list is every flow except xAuth, which handles passwords.
    pub fn may(&self, flow: Flow) -> bool {
        if self.flows.is_empty() {
            flow != Flow::XAuth
        } else {
            self.flows.contains(&flow)
        }
    }

    /// Returns true if the consumer is [`ConsumerStatus::Active`].
    pub fn is_active(&self) -> bool {
        self.status == ConsumerStatus::Active
    }
}
