//! The application that signs.

use std::collections::BTreeSet;

use super::{ConsumerId, ConsumerKey, ConsumerName, Generation, Scopes, Secret};
use crate::clock::UnixTime;
use crate::oauth::{CompatSet, RsaPublicKey, SignatureMethod};

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

/// How much a denial tells the caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DenyDetail {
    /// Only the status and the realm.
    None,
    /// The problem and an advice.
    #[default]
    Problem,
    /// Also the base string, with the values of other parameters masked, and why the signature did not match.
    Debug,
}

impl DenyDetail {
    /// Every level, the quietest first.
    pub const ALL: [Self; 3] = [Self::None, Self::Problem, Self::Debug];

    /// The name in configuration, records and the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Problem => "problem",
            Self::Debug => "debug",
        }
    }

    /// The level of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|detail| detail.name() == name)
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
    /// Whether the operator vouches for what it says of itself; users are told.
    pub verified: bool,
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
    pub compat: CompatSet,
    /// How much denials tell it; `None` is as the configuration says.
    pub deny_detail: Option<DenyDetail>,
    /// Since when, or from when on, it ought not to call any more; its answers say so.
    pub deprecated_at: Option<UnixTime>,
    /// When it is expected to be refused; its answers say so, and nothing is refused because of it.
    pub sunset_at: Option<UnixTime>,
    /// What every one of its tokens must have.
    pub generation: Generation,
    /// When it was created.
    pub created_at: UnixTime,
    /// When it was last changed.
    pub updated_at: UnixTime,
    /// Counts its changes; a store replaces a record only by the revision that follows the stored one.
    pub revision: u64,
}

#[cfg(test)]
impl Consumer {
    /// An active one that holds nothing yet: for tests to begin with.
    pub(crate) fn example() -> Self {
        Self {
            id: ConsumerId::new("c-1").unwrap(),
            key: ConsumerKey::new("key").unwrap(),
            name: ConsumerName::new("Printer Example").unwrap(),
            description: String::new(),
            platform: String::new(),
            app_url: String::new(),
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
    /// Whether it may sign with `method` and has the key material for it.
    ///
    /// Without a list of its own: HMAC-SHA1/256/512 with a shared secret, RSA-SHA256/512 with a public key. RSA-SHA1
    /// and PLAINTEXT only when they are listed.
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

    /// Whether it may use `flow`: without a list of its own every flow but xAuth, which handles passwords.
    pub fn may(&self, flow: Flow) -> bool {
        if self.flows.is_empty() {
            flow != Flow::XAuth
        } else {
            self.flows.contains(&flow)
        }
    }

    /// Whether it is a [`ConsumerStatus::Active`] one.
    pub fn is_active(&self) -> bool {
        self.status == ConsumerStatus::Active
    }
}
