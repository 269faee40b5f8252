//! A consumer's secrets and RSA keys, while it is in use.

use std::time::Duration;

use super::{Actor, IssueError, Issuer, Violations, draft, random};
use crate::model::{Consumer, ConsumerKey, ConsumerSecret, Secret};
use crate::oauth::SignatureMethod;

impl Issuer {
    /// Gives a consumer a new shared secret, `secret` or one that is made; it is the first of the returned consumer's.
    /// The newest that it had is accepted for `overlap` longer, any older one no longer. One that signed with RSA alone
    /// can sign with a secret too then.
    ///
    /// # Errors
    /// [`IssueError::Invalid`] with the fields `consumer_secret` and `overlap`, [`IssueError::UnknownConsumer`],
    /// [`IssueError::Conflict`], [`IssueError::Store`].
    pub async fn rotate_consumer_secret(
        &self,
        key: &ConsumerKey,
        secret: Option<&Secret>,
        overlap: Duration,
        actor: &Actor,
    ) -> Result<Consumer, IssueError> {
        let mut wrong = Violations::default();
        let new = secret.map_or_else(|| Ok(random::secret(&*self.entropy)), draft::secret);
        let new = wrong.check("consumer_secret", new);
        if overlap > MAX_OVERLAP {
            wrong.add(
                "overlap",
                format_args!("must be at most {} days", MAX_OVERLAP.as_secs() / 86_400),
            );
        }
        let new = wrong.or(new).map_err(IssueError::Invalid)?;
        let rotate = |consumer: &mut Consumer| self.rotate(consumer, &new, overlap).map(|()| true);
        self.change_consumer(key, None, rotate, (actor, "consumer.rotate_secret"))
            .await
    }

    /// Adds an RSA public key, in PEM. A key that is there already stays.
    ///
    /// # Errors
    /// [`IssueError::Invalid`] with the field `rsa_public_key.pem`, [`IssueError::UnknownConsumer`],
    /// [`IssueError::Conflict`], [`IssueError::Store`].
    pub async fn add_rsa_public_key(
        &self,
        key: &ConsumerKey,
        pem: &str,
        actor: &Actor,
    ) -> Result<Consumer, IssueError> {
        let new = draft::rsa_public_key(pem).map_err(|problem| invalid(PEM, problem))?;
        let add = |consumer: &mut Consumer| {
            if consumer.rsa_public_keys.contains(&new) {
                return Ok(false);
            }
            if consumer.rsa_public_keys.len() >= draft::MAX_RSA_KEYS {
                let full = format!(
                    "is one too many: a consumer has at most {}; remove one first",
                    draft::MAX_RSA_KEYS
                );
                return Err(invalid(PEM, full));
            }
            consumer.rsa_public_keys.push(new.clone());
            Ok(true)
        };
        self.change_consumer(key, None, add, (actor, "consumer.add_rsa_public_key"))
            .await
    }

    /// Removes the RSA public key of that fingerprint. One that is not there stays so.
    ///
    /// # Errors
    /// [`IssueError::Invalid`] with the field `fingerprint`, [`IssueError::UnknownConsumer`], [`IssueError::Conflict`],
    /// [`IssueError::Store`].
    pub async fn remove_rsa_public_key(
        &self,
        key: &ConsumerKey,
        fingerprint: &str,
        actor: &Actor,
    ) -> Result<Consumer, IssueError> {
        let remove = |consumer: &mut Consumer| {
            let before = consumer.rsa_public_keys.len();
            consumer
                .rsa_public_keys
                .retain(|key| key.fingerprint() != fingerprint);
            if consumer.rsa_public_keys.len() == before {
                return Ok(false);
            }
            can_sign_without(consumer).map(|()| true)
        };
        self.change_consumer(key, None, remove, (actor, "consumer.remove_rsa_public_key"))
            .await
    }

    fn rotate(
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
            return Err(invalid("consumer_secret", "is the one that it has already"));
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

/// Whether a consumer that lost a key still has one for every method that it lists, and one at all.
fn can_sign_without(consumer: &Consumer) -> Result<(), IssueError> {
    if !consumer.rsa_public_keys.is_empty() {
        return Ok(());
    }
    if consumer.secrets.is_empty() {
        return Err(invalid(
            "fingerprint",
            "is of its only key, without which it could never sign; give it another first",
        ));
    }
    match consumer
        .signature_methods
        .iter()
        .find(|method| method.is_rsa())
    {
        Some(method) => Err(invalid("fingerprint", needed_for(*method))),
        None => Ok(()),
    }
}

fn needed_for(method: SignatureMethod) -> String {
    format!(
        "is of its only RSA key, which {method} of its signature_methods needs; take that out first"
    )
}

fn invalid(field: &'static str, problem: impl ToString) -> IssueError {
    IssueError::Invalid(Violations::of(field, problem))
}

const PEM: &str = "rsa_public_key.pem";

/// Time enough to reach every installation of an application; longer is a second secret, not a rotation.
const MAX_OVERLAP: Duration = Duration::from_hours(90 * 24);
