//! The draft of a consumer.

use std::collections::BTreeSet;

use super::values::{rsa_public_key, scopes, secret, text, unknown_word, word};
use super::{announcement, compat};
use crate::clock::{Entropy, UnixTime};
use crate::issue::{Violations, random, uri};
use crate::model::{
    Consumer, ConsumerId, ConsumerKey, ConsumerName, ConsumerProfile, ConsumerSecret,
    ConsumerStatus, DenyDetail, Flow, Generation, Secret,
};
use crate::oauth::{RsaPublicKey, SignatureMethod};

/// The draft of a consumer.
#[derive(Clone, Debug, Default)]
pub struct ConsumerDraft {
    /// The key that the application already has; `None` generates one.
    pub consumer_key: Option<String>,
    /// The shared secret that the application already has; `None` generates one, unless
    /// `no_shared_secret` is set.
    pub consumer_secret: Option<Secret>,
    /// Creates a consumer without a shared secret, which needs an RSA key.
    pub no_shared_secret: bool,
    /// The RSA public keys, each in PEM.
    pub rsa_public_keys: Vec<String>,
    /// The attributes.
    pub attributes: ConsumerAttributes,
    /// Accepts an existing consumer with the same values and secret. A generated secret is never
    /// the same.
    pub allow_existing: bool,
    /// Checks the draft and changes nothing.
    pub validate_only: bool,
}

/// The attributes of a consumer that an administrator sets at creation and by update, unchecked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsumerAttributes {
    /// The name.
    pub name: String,
    /// The texts that describe the consumer to people.
    pub profile: ConsumerProfile,
    /// True if the operator vouches for the name and the profile.
    pub verified: bool,
    /// The names of signature methods; empty stands for the defaults of [`Consumer::allows`].
    pub signature_methods: Vec<String>,
    /// The names of flows; empty stands for two-legged and three-legged.
    pub flows: Vec<String>,
    /// The callbacks.
    pub callbacks: Vec<String>,
    /// The scopes.
    pub scopes: Vec<String>,
    /// The names of compat profiles.
    pub compat_profiles: Vec<String>,
    /// The name of a [`DenyDetail`]; empty stands for the configured `check.deny_detail`.
    pub deny_detail: String,
    /// The time from which the consumer is deprecated.
    pub deprecated_at: Option<UnixTime>,
    /// The time of the announced shutdown.
    pub sunset_at: Option<UnixTime>,
}

// === impl ConsumerDraft ===

impl ConsumerDraft {
    /// Returns the draft that an existing consumer corresponds to.
    ///
    /// The draft has no secret: the secrets of the consumer stay where they are.
    pub(in crate::issue) fn of(consumer: &Consumer) -> Self {
        Self {
            consumer_key: Some(consumer.key.to_string()),
            no_shared_secret: consumer.secrets.is_empty(),
            rsa_public_keys: consumer
                .rsa_public_keys
                .iter()
                .map(RsaPublicKey::to_pem)
                .collect(),
            attributes: ConsumerAttributes::of(consumer),
            ..Self::default()
        }
    }

    /// Returns true if the draft says which secret the consumer has, so that it can be compared.
    pub(in crate::issue) const fn has_own_secret(&self) -> bool {
        self.consumer_secret.is_some() || self.no_shared_secret
    }

    /// Returns the consumer, or every rule that the draft breaks.
    pub(in crate::issue) fn to_consumer(
        &self,
        now: UnixTime,
        entropy: &dyn Entropy,
    ) -> Result<Consumer, Violations> {
        let attributes = &self.attributes;
        let mut wrong = Violations::default();
        let id = wrong.check("consumer_id", ConsumerId::new(random::identifier(entropy)));
        let key = self.checked_key(entropy, &mut wrong);
        let name = wrong.check("name", ConsumerName::new(attributes.name.as_str()));
        let secrets = self.checked_secrets(entropy, &mut wrong);
        let rsa_public_keys = self.checked_rsa_keys(&mut wrong);
        let signature_methods = self.checked_methods(&mut wrong);
        let flows = attributes.checked_flows(&mut wrong);
        let callbacks = attributes.checked_callbacks(&mut wrong);
        let scopes = scopes(&attributes.scopes, &mut wrong);
        check_profile(&attributes.profile, &mut wrong);
        let compat = compat::checked(&attributes.compat_profiles, &signature_methods, &mut wrong);
        let deny_detail = announcement::deny_detail(&attributes.deny_detail, &mut wrong);
        let (deprecated_at, sunset_at) = (attributes.deprecated_at, attributes.sunset_at);
        announcement::check_times(deprecated_at, sunset_at, &mut wrong);

        let ((id, key), name) = wrong.or(id.zip(key).zip(name))?;
        Ok(Consumer {
            id,
            key,
            name,
            profile: attributes.profile.clone(),
            verified: attributes.verified,
            status: ConsumerStatus::Active,
            secrets,
            rsa_public_keys,
            signature_methods,
            flows,
            callbacks,
            scopes,
            compat,
            deny_detail,
            deprecated_at,
            sunset_at,
            generation: Generation::draw(entropy),
            created_at: now,
            updated_at: now,
            revision: 1,
        })
    }

    fn checked_key(&self, entropy: &dyn Entropy, wrong: &mut Violations) -> Option<ConsumerKey> {
        let given = self.consumer_key.clone();
        let key = given.unwrap_or_else(|| random::identifier(entropy));
        wrong.check("consumer_key", ConsumerKey::new(key))
    }

    fn checked_secrets(
        &self,
        entropy: &dyn Entropy,
        wrong: &mut Violations,
    ) -> Vec<ConsumerSecret> {
        self.checked_secret(entropy, wrong)
            .into_iter()
            .map(|secret| ConsumerSecret {
                secret,
                expires_at: None,
            })
            .collect()
    }

    /// Returns the shared secret of the draft, or a generated one. A missing secret is no secret,
    /// never the empty secret.
    fn checked_secret(&self, entropy: &dyn Entropy, wrong: &mut Violations) -> Option<Secret> {
        match (&self.consumer_secret, self.no_shared_secret) {
            (Some(_), true) => {
                wrong.add(NO_SHARED_SECRET, TWO_SECRETS);
                None
            }
            (None, true) => {
                if self.rsa_public_keys.is_empty() {
                    wrong.add(NO_SHARED_SECRET, NO_CREDENTIALS);
                }
                None
            }
            (Some(given), false) => wrong.check("consumer_secret", secret(given)),
            (None, false) => Some(random::secret(entropy)),
        }
    }

    fn checked_rsa_keys(&self, wrong: &mut Violations) -> Vec<RsaPublicKey> {
        let pems = &self.rsa_public_keys;
        wrong.check_each("rsa_public_keys", pems, MAX_RSA_KEYS, rsa_public_key)
    }

    fn checked_methods(&self, wrong: &mut Violations) -> BTreeSet<SignatureMethod> {
        let names = &self.attributes.signature_methods;
        let limit = SignatureMethod::ALL.len();
        wrong
            .check_each("signature_methods", names, limit, |name| self.method(name))
            .into_iter()
            .collect()
    }

    fn method(&self, name: &str) -> Result<SignatureMethod, String> {
        let method = SignatureMethod::from_name(name.as_bytes()).ok_or_else(unknown_method)?;
        if method.is_rsa() && self.rsa_public_keys.is_empty() {
            return Err(format!("{method} needs rsa_public_keys"));
        }
        if !method.is_rsa() && self.no_shared_secret {
            return Err(format!(
                "{method} needs a shared secret, and the consumer has none"
            ));
        }
        Ok(method)
    }
}

// === impl ConsumerAttributes ===

impl ConsumerAttributes {
    /// Returns the attributes of an existing consumer.
    pub(in crate::issue) fn of(consumer: &Consumer) -> Self {
        let names = |names: &mut dyn Iterator<Item = &'static str>| {
            names.map(str::to_owned).collect::<Vec<_>>()
        };
        Self {
            name: consumer.name.to_string(),
            profile: consumer.profile.clone(),
            verified: consumer.verified,
            signature_methods: names(&mut consumer.signature_methods.iter().map(|one| one.name())),
            flows: names(&mut consumer.flows.iter().map(|flow| flow.name())),
            callbacks: consumer.callbacks.clone(),
            scopes: consumer.scopes.iter().map(str::to_owned).collect(),
            compat_profiles: names(&mut consumer.compat.iter().map(|profile| profile.name())),
            deny_detail: consumer.deny_detail.map_or("", DenyDetail::name).to_owned(),
            deprecated_at: consumer.deprecated_at,
            sunset_at: consumer.sunset_at,
        }
    }

    fn checked_flows(&self, wrong: &mut Violations) -> BTreeSet<Flow> {
        if self.flows.is_empty() {
            return DEFAULT_FLOWS.into();
        }
        let limit = Flow::ALL.len();
        wrong
            .check_each("flows", &self.flows, limit, |name| word("flow", name))
            .into_iter()
            .collect()
    }

    fn checked_callbacks(&self, wrong: &mut Violations) -> Vec<String> {
        wrong.check_each("callbacks", &self.callbacks, MAX_CALLBACKS, uri::callback)
    }
}

fn check_profile(profile: &ConsumerProfile, wrong: &mut Violations) {
    let ConsumerProfile {
        description,
        platform,
        app_url,
    } = profile;
    wrong.check("description", text(description, MAX_DESCRIPTION_LEN));
    wrong.check("platform", text(platform, MAX_PLATFORM_LEN));
    if !app_url.is_empty() {
        wrong.check("app_url", uri::web_page(app_url));
    }
}

fn unknown_method() -> String {
    let known = SignatureMethod::ALL.map(SignatureMethod::name).join(", ");
    unknown_word("signature method", &known)
}

const NO_SHARED_SECRET: &str = "no_shared_secret";

const TWO_SECRETS: &str = "contradicts consumer_secret: omit one of them";

const NO_CREDENTIALS: &str =
    "needs rsa_public_keys: without a secret and a key the consumer could never sign";

/// Every flow except xAuth, which hands the passwords of users to the application.
const DEFAULT_FLOWS: [Flow; 2] = [Flow::TwoLegged, Flow::ThreeLegged];

// The largest page has 100 records. With these limits it fits in one message of 4 MiB, the default
// limit of gRPC clients.
const MAX_DESCRIPTION_LEN: usize = 1000;
const MAX_PLATFORM_LEN: usize = 255;
const MAX_CALLBACKS: usize = 8;
pub(in crate::issue) const MAX_RSA_KEYS: usize = 4;
