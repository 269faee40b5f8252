//! Rotation of the secrets and RSA keys of a consumer that is in use.

use std::time::Duration;

use super::audit::AuditEvent;
use super::{Actor, IssueError, Issuer, Violations, draft, random};
use crate::model::{Consumer, ConsumerKey, ConsumerSecret, Secret};
use crate::oauth::{RsaPublicKey, SignatureMethod};

impl Issuer {
    /// Gives a consumer a new shared secret: `secret`, or a generated one.
    ///
    /// The new secret is the first of the returned consumer. The previous newest secret stays valid
    /// for `overlap`; an older one expires at once. A consumer that signed with RSA only can sign
    /// with the secret too.
    ///
    /// # Errors
    /// [`IssueError::Invalid`] with the fields `consumer_secret` and `overlap`,
    /// [`IssueError::UnknownConsumer`], [`IssueError::Conflict`], [`IssueError::Store`].
    pub async fn rotate_consumer_secret(
        &self,
        key: &ConsumerKey,
        secret: Option<&Secret>,
        overlap: Duration,
        actor: &Actor,
    ) -> Result<Consumer, IssueError> {
        let new = self.new_secret(secret, overlap)?;
        let rotate = |consumer: &mut Consumer| self.rotate(consumer, &new, overlap).map(|()| true);
        let event = AuditEvent::of_consumer(actor, "consumer.rotate_secret", key);
        self.change_consumer(key, None, rotate, event).await
    }

    /// Expires the older of two shared secrets. A consumer with one secret stays unchanged.
    ///
    /// # Errors
    /// [`IssueError::UnknownConsumer`], [`IssueError::Conflict`], [`IssueError::Store`].
    pub async fn expire_previous_secret(
        &self,
        key: &ConsumerKey,
        actor: &Actor,
    ) -> Result<Consumer, IssueError> {
        let expire = |consumer: &mut Consumer| {
            let had_previous = consumer.secrets.len() > 1;
            consumer.secrets.truncate(1);
            Ok(had_previous)
        };
        let event = AuditEvent::of_consumer(actor, "consumer.expire_previous_secret", key);
        self.change_consumer(key, None, expire, event).await
    }

    /// Adds an RSA public key in PEM. A consumer that has the key stays unchanged.
    ///
    /// # Errors
    /// [`IssueError::Invalid`] with the field `rsa_public_key.pem`,
    /// [`IssueError::UnknownConsumer`], [`IssueError::Conflict`], [`IssueError::Store`].
    pub async fn add_rsa_public_key(
        &self,
        key: &ConsumerKey,
        pem: &str,
        actor: &Actor,
    ) -> Result<Consumer, IssueError> {
        let new = draft::rsa_public_key(pem).map_err(|problem| invalid(PEM, problem))?;
        let add = |consumer: &mut Consumer| add_key(consumer, &new);
        let event = AuditEvent::of_consumer(actor, "consumer.add_rsa_public_key", key);
        self.change_consumer(key, None, add, event).await
    }

    /// Removes the RSA public key with that fingerprint. A consumer without it stays unchanged.
    ///
    /// # Errors
    /// [`IssueError::Invalid`] with the field `fingerprint`, [`IssueError::UnknownConsumer`],
    /// [`IssueError::Conflict`], [`IssueError::Store`].
    pub async fn remove_rsa_public_key(
        &self,
        key: &ConsumerKey,
        fingerprint: &str,
        actor: &Actor,
    ) -> Result<Consumer, IssueError> {
        let remove = |consumer: &mut Consumer| remove_key(consumer, fingerprint);
        let event = AuditEvent::of_consumer(actor, "consumer.remove_rsa_public_key", key);
        self.change_consumer(key, None, remove, event).await
    }

    fn new_secret(&self, given: Option<&Secret>, overlap: Duration) -> Result<Secret, IssueError> {
        let mut wrong = Violations::default();
        let new = given.map_or_else(|| Ok(random::secret(&*self.entropy)), draft::secret);
        let new = wrong.check("consumer_secret", new);
        check_overlap("overlap", overlap, &mut wrong);
        wrong.or(new).map_err(IssueError::Invalid)
    }

    /// Puts a new secret first, and keeps the newest one for `overlap`.
    pub(super) fn rotate(
        &self,
        consumer: &mut Consumer,
        new: &Secret,
        overlap: Duration,
    ) -> Result<(), IssueError> {
        let now = self.clock.now();
        let previous = consumer
            .secrets
            .first()
            .filter(|newest| newest.is_valid(now))
            .map(|newest| newest.secret.clone());
        if previous.as_ref() == Some(new) {
            return Err(invalid(
                "consumer_secret",
                "is the current secret: pass another one",
            ));
        }
        let overlaps = !overlap.is_zero();
        let previous = previous.filter(|_| overlaps);
        let previous = previous.map(|secret| ConsumerSecret {
            secret,
            expires_at: Some(now.plus(overlap)),
        });
        let new = ConsumerSecret {
            secret: new.clone(),
            expires_at: None,
        };
        consumer.secrets = std::iter::once(new).chain(previous).collect();
        Ok(())
    }
}

/// Checks the time for which two secrets are valid.
pub(super) fn check_overlap(field: &str, overlap: Duration, wrong: &mut Violations) {
    if overlap > MAX_OVERLAP {
        let days = MAX_OVERLAP.as_secs() / 86_400;
        wrong.add(field, format_args!("must be at most {days} days"));
    }
}

fn add_key(consumer: &mut Consumer, new: &RsaPublicKey) -> Result<bool, IssueError> {
    if consumer.rsa_public_keys.contains(new) {
        return Ok(false);
    }
    if consumer.rsa_public_keys.len() >= draft::MAX_RSA_KEYS {
        let limit = draft::MAX_RSA_KEYS;
        let problem = format!("exceeds the limit of {limit} keys: remove another key first");
        return Err(invalid(PEM, problem));
    }
    consumer.rsa_public_keys.push(new.clone());
    Ok(true)
}

fn remove_key(consumer: &mut Consumer, fingerprint: &str) -> Result<bool, IssueError> {
    let before = consumer.rsa_public_keys.len();
    consumer
        .rsa_public_keys
        .retain(|key| key.fingerprint() != fingerprint);
    if consumer.rsa_public_keys.len() == before {
        return Ok(false);
    }
    require_key_material(consumer).map(|()| true)
}

/// Refuses a consumer without any key material, or without a key for a signature method that it
/// lists.
fn require_key_material(consumer: &Consumer) -> Result<(), IssueError> {
    if !consumer.rsa_public_keys.is_empty() {
        return Ok(());
    }
    if consumer.secrets.is_empty() {
        return Err(invalid("fingerprint", LAST_KEY));
    }
    let mut methods = consumer.signature_methods.iter();
    match methods.find(|method| method.is_rsa()) {
        Some(method) => Err(invalid("fingerprint", needed_by(*method))),
        None => Ok(()),
    }
}

fn needed_by(method: SignatureMethod) -> String {
    format!(
        "names the only RSA key, which {method} in signature_methods needs: remove that method first"
    )
}

fn invalid(field: &'static str, problem: impl ToString) -> IssueError {
    IssueError::Invalid(Violations::of(field, problem))
}

const PEM: &str = "rsa_public_key.pem";

const LAST_KEY: &str = "names the only key of a consumer without a secret, which could never sign again: add another key or rotate the secret first";

/// Enough time to update every installation of an application. A longer overlap would be a second
/// secret, not a rotation.
const MAX_OVERLAP: Duration = Duration::from_hours(90 * 24);
