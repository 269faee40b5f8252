//! Declarative administration: makes a consumer equal to a request, in one change.

use std::time::Duration;

use super::audit::{AuditEvent, audited};
use super::consumer_keys::check_overlap;
use super::{
    ATTEMPTS, Actor, ConsumerAttributes, ConsumerDraft, IssueError, Issuer, Violations, etag,
    written,
};
use crate::clock::UnixTime;
use crate::model::{Consumer, ConsumerKey, ConsumerSecret, ConsumerStatus, Secret};
use crate::oauth::RsaPublicKey;
use crate::store::StoreError;

/// The consumer that a caller wants to exist.
#[derive(Clone, Debug)]
pub struct WantedConsumer {
    /// The key, which identifies the consumer.
    pub consumer_key: ConsumerKey,
    /// The state that the consumer must have before the change.
    pub expected: ExpectedState,
    /// The state; `None` keeps it.
    pub status: Option<ConsumerStatus>,
    /// The shared secret; `None` keeps the secrets.
    pub consumer_secret: Option<Secret>,
    /// The time for which a replaced secret stays valid.
    pub secret_overlap: Duration,
    /// Generates the secret of a new consumer without one.
    pub generate_secret: bool,
    /// The RSA public keys, each in PEM.
    pub rsa_public_keys: Vec<String>,
    /// The attributes.
    pub attributes: ConsumerAttributes,
    /// Checks everything and changes nothing.
    pub validate_only: bool,
}

/// The state that a caller has seen, so that no other state is changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ExpectedState {
    /// Any state, and no consumer.
    #[default]
    Any,
    /// No consumer.
    Absent,
    /// A consumer with this etag.
    Etag(String),
}

/// A consumer before and after [`Issuer::apply_consumer`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplyOutcome {
    /// The consumer after the call.
    pub consumer: Consumer,
    /// The consumer before the call; `None` if the call created it.
    pub previous: Option<Consumer>,
}

// === impl Issuer ===

impl Issuer {
    /// Makes a consumer equal to `wanted`: creates it, changes it, or leaves it unchanged.
    ///
    /// With `validate_only`, the generated values of the result have no meaning.
    ///
    /// # Errors
    /// [`IssueError::Invalid`], [`IssueError::Conflict`], [`IssueError::Store`].
    pub async fn apply_consumer(
        &self,
        wanted: &WantedConsumer,
        actor: &Actor,
    ) -> Result<ApplyOutcome, IssueError> {
        for _ in 0..ATTEMPTS {
            let previous = self.store.consumer(&wanted.consumer_key).await?;
            wanted.expected.check(previous.as_ref())?;
            let consumer = self.applied(wanted, previous.as_ref())?;
            let outcome = ApplyOutcome { consumer, previous };
            if wanted.validate_only
                || outcome.is_unchanged()
                || written(self.write(&outcome, actor).await)?
            {
                return Ok(outcome);
            }
        }
        Err(IssueError::Conflict)
    }

    /// Returns the consumer that `wanted` leads to.
    fn applied(
        &self,
        wanted: &WantedConsumer,
        previous: Option<&Consumer>,
    ) -> Result<Consumer, IssueError> {
        let now = self.clock.now();
        let mut wrong = Violations::default();
        let draft = wanted.draft(previous, &mut wrong);
        check_overlap("secret_overlap", wanted.secret_overlap, &mut wrong);
        let new = wrong.merge(draft.to_consumer(now, &*self.entropy));
        let new = wrong.or(new).map_err(IssueError::Invalid)?;
        match previous {
            None => Ok(Consumer {
                status: wanted.status.unwrap_or_default(),
                ..new
            }),
            Some(old) => self.changed(wanted, old, new, now),
        }
    }

    /// Returns `old` with what `wanted` states, and its next revision if that changes it.
    fn changed(
        &self,
        wanted: &WantedConsumer,
        old: &Consumer,
        new: Consumer,
        now: UnixTime,
    ) -> Result<Consumer, IssueError> {
        let mut consumer = Consumer {
            id: old.id.clone(),
            key: old.key.clone(),
            status: wanted.status.unwrap_or(old.status),
            secrets: old.secrets.clone(),
            rsa_public_keys: in_order_of(&old.rsa_public_keys, &new.rsa_public_keys),
            generation: old.generation,
            created_at: old.created_at,
            updated_at: old.updated_at,
            revision: old.revision,
            ..new
        };
        if let Some(secret) = &wanted.consumer_secret
            && newest_secret(old) != Some(secret)
        {
            self.rotate(&mut consumer, secret, wanted.secret_overlap)?;
        }
        if consumer != *old {
            consumer.updated_at = now;
            consumer.revision += 1;
        }
        Ok(consumer)
    }

    async fn write(&self, outcome: &ApplyOutcome, actor: &Actor) -> Result<(), StoreError> {
        let ApplyOutcome { consumer, previous } = outcome;
        let Some(previous) = previous else {
            let event = AuditEvent::of_consumer(actor, "consumer.create", &consumer.key);
            return audited(event, self.store.create_consumer(consumer)).await;
        };
        let changed = changed_parts(previous, consumer).join(" ");
        let event = AuditEvent::of_consumer(actor, "consumer.apply", &consumer.key);
        let event = event.with_changed(&changed);
        audited(event, self.store.update_consumer(consumer)).await
    }
}

// === impl ExpectedState ===

impl ExpectedState {
    fn check(&self, stored: Option<&Consumer>) -> Result<(), IssueError> {
        let is_expected = match (self, stored) {
            (Self::Any, _) | (Self::Absent, None) => true,
            (Self::Absent, Some(_)) | (Self::Etag(_), None) => false,
            (Self::Etag(seen), Some(stored)) => *seen == etag(stored.generation, stored.revision),
        };
        if is_expected {
            Ok(())
        } else {
            Err(IssueError::Conflict)
        }
    }
}

// === impl WantedConsumer ===

impl WantedConsumer {
    /// Returns the draft of a new consumer with the same values.
    fn draft(&self, previous: Option<&Consumer>, wrong: &mut Violations) -> ConsumerDraft {
        let has_secret = match previous {
            _ if self.consumer_secret.is_some() => true,
            Some(consumer) => !consumer.secrets.is_empty(),
            None => self.generate_secret,
        };
        let has_key = !self.rsa_public_keys.is_empty();
        if !has_secret && !has_key {
            wrong.add("consumer_secret", NO_CREDENTIALS);
        }
        ConsumerDraft {
            consumer_key: Some(self.consumer_key.to_string()),
            consumer_secret: self.consumer_secret.clone(),
            no_shared_secret: !has_secret && has_key,
            rsa_public_keys: self.rsa_public_keys.clone(),
            attributes: self.attributes.clone(),
            ..ConsumerDraft::default()
        }
    }
}

// === impl ApplyOutcome ===

impl ApplyOutcome {
    /// Returns true if the consumer was equal to the wanted one already.
    pub fn is_unchanged(&self) -> bool {
        self.previous.as_ref() == Some(&self.consumer)
    }

    /// Returns true if the newest secret of an existing consumer changed.
    pub fn secret_changed(&self) -> bool {
        let previous = self.previous.as_ref();
        previous.is_some_and(|previous| newest_secret(previous) != newest_secret(&self.consumer))
    }
}

/// Returns the names of the parts that differ.
fn changed_parts(old: &Consumer, new: &Consumer) -> Vec<&'static str> {
    let same_attributes = Consumer {
        status: old.status,
        secrets: old.secrets.clone(),
        rsa_public_keys: old.rsa_public_keys.clone(),
        scopes: old.scopes.clone(),
        updated_at: old.updated_at,
        revision: old.revision,
        ..new.clone()
    };
    let parts = [
        ("status", old.status != new.status),
        ("consumer_secret", old.secrets != new.secrets),
        (
            "rsa_public_keys",
            old.rsa_public_keys != new.rsa_public_keys,
        ),
        ("scopes", old.scopes != new.scopes),
        ("attributes", same_attributes != *old),
    ];
    let changed = parts.into_iter().filter(|(_, is_changed)| *is_changed);
    changed.map(|(part, _)| part).collect()
}

fn newest_secret(consumer: &Consumer) -> Option<&Secret> {
    let newest: Option<&ConsumerSecret> = consumer.secrets.first();
    newest.map(|newest| &newest.secret)
}

/// Returns the wanted keys, in the stored order if they are the same ones.
fn in_order_of(stored: &[RsaPublicKey], wanted: &[RsaPublicKey]) -> Vec<RsaPublicKey> {
    let is_in =
        |keys: &[RsaPublicKey], of: &[RsaPublicKey]| of.iter().all(|key| keys.contains(key));
    if is_in(stored, wanted) && is_in(wanted, stored) {
        stored.to_vec()
    } else {
        wanted.to_vec()
    }
}

const NO_CREDENTIALS: &str = "is missing, and so are rsa_public_keys: without either the consumer \
                              could never sign";
