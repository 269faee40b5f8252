//! What an administrator asks for, and the rules that make a record of it.
//!
//! A draft has text as it came; its fields are named as in `proto/`, and so are the [`Violations`].

mod compat;
#[cfg(test)]
mod tests;
mod told;

use std::collections::BTreeSet;
use std::time::Duration;

use super::violations::Violations;
use super::{ConsumerChange, random, uri};
use crate::clock::{Entropy, UnixTime};
use crate::model::{
    AccessToken, Consumer, ConsumerId, ConsumerKey, ConsumerName, ConsumerSecret, ConsumerStatus,
    DenyDetail, Flow, Generation, MIN_RSA_BITS, Scopes, Secret, Token, TokenStatus, UserId,
    ValueError,
};
use crate::oauth::{RsaPublicKey, SignatureMethod};

/// A consumer to be created.
#[derive(Clone, Debug, Default)]
pub struct ConsumerDraft {
    /// The key that the application has already; `None` makes one.
    pub consumer_key: Option<String>,
    /// The shared secret that the application has already; `None` makes one, unless `no_shared_secret`.
    pub consumer_secret: Option<Secret>,
    /// Gives it no shared secret; it needs an RSA key then.
    pub no_shared_secret: bool,
    /// Its name.
    pub name: String,
    /// What it is.
    pub description: String,
    /// Where it runs.
    pub platform: String,
    /// Where a user reads about it; may be empty.
    pub app_url: String,
    /// Whether the operator vouches for what it says of itself.
    pub verified: bool,
    /// Names of signature methods; empty is the default of [`Consumer::allows`].
    pub signature_methods: Vec<String>,
    /// Names of flows; empty is two-legged and three-legged.
    pub flows: Vec<String>,
    /// Where users may be sent back to.
    pub callbacks: Vec<String>,
    /// The scopes that it may have.
    pub scopes: Vec<String>,
    /// RSA public keys, each in PEM.
    pub rsa_public_keys: Vec<String>,
    /// Names of compat profiles.
    pub compat_profiles: Vec<String>,
    /// The name of how much denials tell it; empty is as the configuration says.
    pub deny_detail: String,
    /// From when on it ought not to call any more.
    pub deprecated_at: Option<UnixTime>,
    /// When it is expected to be refused.
    pub sunset_at: Option<UnixTime>,
    /// Where the key is taken by a consumer that has exactly these values and this secret, takes that one. A secret that
    /// would be made is never the same.
    pub allow_existing: bool,
    /// Checks everything and changes nothing.
    pub validate_only: bool,
}

/// A token to be issued.
#[derive(Clone, Debug, Default)]
pub struct TokenDraft {
    /// The token that the application has already; `None` makes one.
    pub token: Option<String>,
    /// The token secret that the application has already; `None` makes one.
    pub token_secret: Option<Secret>,
    /// The consumer that it is issued to.
    pub consumer_key: String,
    /// The user whom it acts for; `None` for a token of the consumer itself.
    pub user_id: Option<String>,
    /// Its scopes, each one of the consumer's.
    pub scopes: Vec<String>,
    /// Until when it is valid.
    pub expiry: Expiry,
    /// Where the same token is there already, with this secret, takes that one, whatever became of it since.
    pub allow_existing: bool,
    /// Checks everything and changes nothing.
    pub validate_only: bool,
}

/// Until when a token is valid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expiry {
    /// For ever.
    #[default]
    Never,
    /// Until then.
    At(UnixTime),
    /// For so long from now on.
    After(Duration),
}

// === impl ConsumerDraft ===

impl ConsumerDraft {
    /// What a consumer would have been created from, were it created as `change` makes it.
    pub(super) fn changed(consumer: &Consumer, change: &ConsumerChange) -> Self {
        let list =
            |change: &Option<Vec<String>>, stored: Vec<String>| change.clone().unwrap_or(stored);
        let text = |change: &Option<String>, stored: &str| {
            change.clone().unwrap_or_else(|| stored.to_owned())
        };
        let methods = consumer
            .signature_methods
            .iter()
            .map(|method| method.name().to_owned())
            .collect();
        let flows = consumer
            .flows
            .iter()
            .map(|flow| flow.name().to_owned())
            .collect();
        let compat = consumer
            .compat
            .iter()
            .map(|profile| profile.name().to_owned())
            .collect();
        Self {
            consumer_key: Some(consumer.key.to_string()),
            no_shared_secret: consumer.secrets.is_empty(),
            name: text(&change.name, consumer.name.as_str()),
            description: text(&change.description, &consumer.description),
            platform: text(&change.platform, &consumer.platform),
            app_url: text(&change.app_url, &consumer.app_url),
            verified: change.verified.unwrap_or(consumer.verified),
            signature_methods: list(&change.signature_methods, methods),
            flows: list(&change.flows, flows),
            callbacks: list(&change.callbacks, consumer.callbacks.clone()),
            scopes: list(
                &change.scopes,
                consumer.scopes.iter().map(str::to_owned).collect(),
            ),
            rsa_public_keys: consumer
                .rsa_public_keys
                .iter()
                .map(RsaPublicKey::to_pem)
                .collect(),
            compat_profiles: list(&change.compat_profiles, compat),
            deny_detail: text(
                &change.deny_detail,
                consumer.deny_detail.map_or("", DenyDetail::name),
            ),
            deprecated_at: change.deprecated_at.unwrap_or(consumer.deprecated_at),
            sunset_at: change.sunset_at.unwrap_or(consumer.sunset_at),
            ..Self::default()
        }
    }

    /// Whether it says which secret, so that it can be compared.
    pub(super) const fn has_own_secret(&self) -> bool {
        self.consumer_secret.is_some() || self.no_shared_secret
    }

    pub(super) fn to_consumer(
        &self,
        now: UnixTime,
        entropy: &dyn Entropy,
    ) -> Result<Consumer, Violations> {
        let mut wrong = Violations::default();
        let id = wrong.check("consumer_id", ConsumerId::new(random::identifier(entropy)));
        let key = self
            .consumer_key
            .clone()
            .unwrap_or_else(|| random::identifier(entropy));
        let key = wrong.check("consumer_key", ConsumerKey::new(key));
        let name = wrong.check("name", ConsumerName::new(self.name.as_str()));
        let secrets = self.secrets(entropy, &mut wrong);
        let rsa_public_keys = wrong.check_each(
            "rsa_public_keys",
            &self.rsa_public_keys,
            MAX_RSA_KEYS,
            rsa_public_key,
        );
        let signature_methods = self.signature_methods(&mut wrong);
        let flows = self.flows(&mut wrong);
        let callbacks =
            wrong.check_each("callbacks", &self.callbacks, MAX_CALLBACKS, uri::callback);
        let scopes = scopes(&self.scopes, &mut wrong);
        self.check_texts(&mut wrong);
        let compat = compat::checked(&self.compat_profiles, &signature_methods, &mut wrong);
        let deny_detail = told::deny_detail(&self.deny_detail, &mut wrong);
        told::check_end(self.deprecated_at, self.sunset_at, &mut wrong);

        let (id, key, name) = wrong.or(id
            .zip(key)
            .zip(name)
            .map(|((id, key), name)| (id, key, name)))?;
        Ok(Consumer {
            id,
            key,
            name,
            description: self.description.clone(),
            platform: self.platform.clone(),
            app_url: self.app_url.clone(),
            verified: self.verified,
            status: ConsumerStatus::Active,
            secrets,
            rsa_public_keys,
            signature_methods,
            flows,
            callbacks,
            scopes,
            compat,
            deny_detail,
            deprecated_at: self.deprecated_at,
            sunset_at: self.sunset_at,
            generation: Generation::draw(entropy),
            created_at: now,
            updated_at: now,
            revision: 1,
        })
    }

    /// A missing secret is no secret, never the empty one.
    fn secrets(&self, entropy: &dyn Entropy, wrong: &mut Violations) -> Vec<ConsumerSecret> {
        let secret = match (&self.consumer_secret, self.no_shared_secret) {
            (Some(_), true) => {
                wrong.add(
                    "no_shared_secret",
                    "contradicts consumer_secret: leave one of them out",
                );
                None
            }
            (None, true) => {
                if self.rsa_public_keys.is_empty() {
                    wrong.add(
                        "no_shared_secret",
                        "needs rsa_public_keys: with neither it could never sign",
                    );
                }
                None
            }
            (Some(given), false) => wrong.check("consumer_secret", secret(given)),
            (None, false) => Some(random::secret(entropy)),
        };
        secret
            .into_iter()
            .map(|secret| ConsumerSecret {
                secret,
                expires_at: None,
            })
            .collect()
    }

    fn signature_methods(&self, wrong: &mut Violations) -> BTreeSet<SignatureMethod> {
        let usable = |name: &str| {
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
        };
        let limit = SignatureMethod::ALL.len();
        wrong
            .check_each("signature_methods", &self.signature_methods, limit, usable)
            .into_iter()
            .collect()
    }

    fn flows(&self, wrong: &mut Violations) -> BTreeSet<Flow> {
        if self.flows.is_empty() {
            return DEFAULT_FLOWS.into();
        }
        let known = |name: &str| Flow::from_name(name).ok_or_else(unknown_flow);
        wrong
            .check_each("flows", &self.flows, Flow::ALL.len(), known)
            .into_iter()
            .collect()
    }

    fn check_texts(&self, wrong: &mut Violations) {
        wrong.check("description", text(&self.description, MAX_DESCRIPTION_LEN));
        wrong.check("platform", text(&self.platform, MAX_PLATFORM_LEN));
        if !self.app_url.is_empty() {
            wrong.check("app_url", uri::web_page(&self.app_url));
        }
    }
}

// === impl TokenDraft ===

impl TokenDraft {
    pub(super) fn to_token(
        &self,
        now: UnixTime,
        entropy: &dyn Entropy,
    ) -> Result<AccessToken, Violations> {
        let mut wrong = Violations::default();
        let token = self
            .token
            .clone()
            .unwrap_or_else(|| random::identifier(entropy));
        let token = wrong.check("token", Token::new(token));
        let secret = match &self.token_secret {
            Some(given) => wrong.check("token_secret", secret(given)),
            None => Some(random::secret(entropy)),
        };
        let consumer_key =
            wrong.check("consumer_key", ConsumerKey::new(self.consumer_key.as_str()));
        let user_id = self
            .user_id
            .as_deref()
            .and_then(|user| wrong.check("user_id", UserId::new(user)));
        let scopes = scopes(&self.scopes, &mut wrong);
        let expires_at = self.expiry.check(now, &mut wrong);

        let required = token
            .zip(secret)
            .zip(consumer_key)
            .map(|((token, secret), key)| (token, secret, key));
        let (token, secret, consumer_key) = wrong.or(required)?;
        Ok(AccessToken {
            token,
            secret,
            consumer_key,
            user_id,
            scopes,
            consumer_generation: Generation::default(),
            user_generation: Generation::default(),
            status: TokenStatus::Active,
            expires_at,
            created_at: now,
            revision: 1,
        })
    }
}

/// Whether a token asks for nothing that its consumer does not have: more would have no effect, and take effect
/// unnoticed on the day when the consumer gets it.
pub(super) fn within_scopes(token: &Scopes, consumer: &Scopes) -> Result<(), Violations> {
    let beyond = |&(_, scope): &(usize, &str)| !consumer.iter().any(|has| has == scope);
    match token.iter().enumerate().find(beyond) {
        Some((_, scope)) => Err(Violations::of(
            "scopes",
            format_args!("has {scope:?}, which its consumer does not have"),
        )),
        None => Ok(()),
    }
}

// === impl Expiry ===

impl Expiry {
    /// Whether a token that was issued with it would end when `token` does.
    pub(super) fn is_of(self, token: &AccessToken) -> bool {
        token.expires_at
            == match self {
                Self::Never => None,
                Self::At(end) => Some(end),
                Self::After(ttl) => Some(token.created_at.plus(ttl)),
            }
    }

    fn check(self, now: UnixTime, wrong: &mut Violations) -> Option<UnixTime> {
        let (field, end) = match self {
            Self::Never => return None,
            Self::At(end) => ("expire_time", end),
            Self::After(ttl) => ("ttl", now.plus(ttl)),
        };
        if end <= now {
            wrong.add(field, "must end in the future");
        }
        if end > LAST_TIME {
            wrong.add(field, TOO_LATE);
        }
        Some(end)
    }
}

/// Checks a shared secret that was brought in.
pub(super) fn secret(given: &Secret) -> Result<Secret, String> {
    match given.expose() {
        [] => Err(ValueError::Empty.to_string()),
        bytes if bytes.len() > MAX_SECRET_LEN => Err(too_long(bytes.len(), MAX_SECRET_LEN)),
        bytes if bytes.iter().any(u8::is_ascii_control) => {
            Err("has a control character, perhaps a line break at its end".to_owned())
        }
        _ => Ok(given.clone()),
    }
}

/// Checks words for people.
pub(super) fn text(text: &str, limit: usize) -> Result<(), String> {
    if text.len() > limit {
        return Err(too_long(text.len(), limit));
    }
    match text.char_indices().find(|(_, c)| c.is_control()) {
        Some((at, _)) => Err(format!("has a control character at byte {at}")),
        None => Ok(()),
    }
}

/// Checks a list of scopes, under the name `scopes`.
pub(super) fn scopes(list: &[String], wrong: &mut Violations) -> Scopes {
    let one = |scope: &str| match scope {
        "" => Err(ValueError::Empty.to_string()),
        _ if scope.contains(char::is_whitespace) => {
            Err("has a space: give each scope a value of its own".to_owned())
        }
        _ => Scopes::parse(scope)
            .map(|_| scope.to_owned())
            .map_err(|problem| problem.to_string()),
    };
    let right = wrong.check_each("scopes", list, MAX_SCOPES, one).join(" ");
    wrong
        .check("scopes", Scopes::parse(&right))
        .unwrap_or_default()
}

/// Reads and checks an RSA public key.
pub(super) fn rsa_public_key(pem: &str) -> Result<RsaPublicKey, String> {
    if pem.len() > MAX_PEM_LEN {
        return Err(too_long(pem.len(), MAX_PEM_LEN));
    }
    let key = RsaPublicKey::from_pem(pem).map_err(|problem| format!("is {problem}"))?;
    match key.bits() {
        bits if bits < MIN_RSA_BITS => Err(format!(
            "has {bits} bits, at least {MIN_RSA_BITS} are needed"
        )),
        bits if bits > MAX_RSA_BITS => Err(format!("has {bits} bits, the limit is {MAX_RSA_BITS}")),
        _ => Ok(key),
    }
}

pub(super) fn too_long(len: usize, limit: usize) -> String {
    ValueError::TooLong { len, limit }.to_string()
}

fn unknown_method() -> String {
    format!(
        "is no signature method; known are {}",
        SignatureMethod::ALL.map(SignatureMethod::name).join(", ")
    )
}

fn unknown_flow() -> String {
    format!(
        "is no flow; known are {}",
        Flow::ALL.map(Flow::name).join(", ")
    )
}

/// Without xAuth, which hands users' passwords to the application and is given to few.
const DEFAULT_FLOWS: [Flow; 2] = [Flow::TwoLegged, Flow::ThreeLegged];

/// Longer is not safer; the ones that real providers give are 16 to 100 bytes long.
const MAX_SECRET_LEN: usize = 1024;

// A hundred of the largest records that these limits allow fit in one message of 4 MiB, the default limit of gRPC
// clients: so large is the largest page.
const MAX_DESCRIPTION_LEN: usize = 1000;
const MAX_PLATFORM_LEN: usize = 255;
const MAX_CALLBACKS: usize = 8;
const MAX_SCOPES: usize = 64;
pub(super) const MAX_RSA_KEYS: usize = 4;

/// The largest modulus that signatures are verified with.
const MAX_RSA_BITS: usize = 8192;

/// A certificate with an 8192-bit key and a long list of names still fits.
const MAX_PEM_LEN: usize = 16 * 1024;

/// The last second that RFC 3339 and `google.protobuf.Timestamp` can write: 9999-12-31T23:59:59Z.
const LAST_TIME: UnixTime = UnixTime::from_secs(253_402_300_799);

const TOO_LATE: &str = "must end before the year 10000";
