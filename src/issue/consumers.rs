//! Administration of consumers.

use std::time::Duration;

use super::audit::{Subject, audit};
use super::{ATTEMPTS, Actor, ConsumerDraft, IssueError, Issuer, replaced};
use crate::model::{Consumer, ConsumerKey, ConsumerStatus, Secret};
use crate::store::StoreErrorKind;

/// What was created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created<T> {
    /// The record.
    pub record: T,
    /// It was there already, and the draft allowed that.
    pub existed: bool,
}

/// What is to be changed of a consumer: `None` leaves a field as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsumerChange {
    /// Its name.
    pub name: Option<String>,
    /// What it is.
    pub description: Option<String>,
    /// Where it runs.
    pub platform: Option<String>,
    /// Where a user reads about it.
    pub app_url: Option<String>,
    /// Whether the operator vouches for what it says of itself.
    pub verified: Option<bool>,
    /// Names of signature methods.
    pub signature_methods: Option<Vec<String>>,
    /// Names of flows.
    pub flows: Option<Vec<String>>,
    /// Where users may be sent back to.
    pub callbacks: Option<Vec<String>>,
    /// The scopes that it may have.
    pub scopes: Option<Vec<String>>,
    /// Names of compat profiles.
    pub compat_profiles: Option<Vec<String>>,
}

impl Issuer {
    /// Creates a consumer; its key and secret are made unless the draft has them.
    ///
    /// # Errors
    /// [`IssueError::Invalid`], [`IssueError::ConsumerExists`], [`IssueError::Store`].
    pub async fn create_consumer(&self, draft: &ConsumerDraft, actor: &Actor) -> Result<Created<Consumer>, IssueError> {
        let consumer = draft.to_consumer(self.clock.now(), &*self.entropy).map_err(IssueError::Invalid)?;
        match self.store.create_consumer(&consumer).await {
            Err(error) if error.kind() == StoreErrorKind::AlreadyExists => {
                return Err(IssueError::ConsumerExists(consumer.key));
            }
            created => created?,
        }
        audited(actor, "consumer.create", &consumer.key);
        Ok(Created { record: consumer, existed: false })
    }

    /// The consumer with that key.
    ///
    /// # Errors
    /// [`IssueError::UnknownConsumer`], [`IssueError::Store`].
    pub async fn consumer(&self, key: &ConsumerKey) -> Result<Consumer, IssueError> {
        self.store.consumer(key).await?.ok_or_else(|| IssueError::UnknownConsumer(key.clone()))
    }

    /// Consumers in the byte order of their keys, at most `limit`, only those after the key `after`.
    ///
    /// # Errors
    /// [`IssueError::Store`].
    pub async fn consumers(&self, after: Option<&ConsumerKey>, limit: usize) -> Result<Vec<Consumer>, IssueError> {
        Ok(self.store.consumers(after, limit).await?)
    }

    /// Forbids a consumer to sign, or lets it again. One that has that status already is left as it is.
    ///
    /// # Errors
    /// [`IssueError::UnknownConsumer`], [`IssueError::Conflict`], [`IssueError::Store`].
    pub async fn set_consumer_status(
        &self,
        key: &ConsumerKey,
        status: ConsumerStatus,
        actor: &Actor,
    ) -> Result<Consumer, IssueError> {
        for _ in 0..ATTEMPTS {
            let mut consumer = self.consumer(key).await?;
            if consumer.status == status {
                return Ok(consumer);
            }
            consumer.status = status;
            consumer.updated_at = self.clock.now();
            consumer.revision += 1;
            if replaced(self.store.replace_consumer(&consumer).await)? {
                audited(actor, status_action(status), key);
                return Ok(consumer);
            }
        }
        Err(IssueError::Conflict)
    }

    /// Changes a consumer, all of `change` or nothing. With an `etag`, only the consumer as it was read with it.
    ///
    /// # Errors
    /// [`IssueError::Invalid`], [`IssueError::UnknownConsumer`], [`IssueError::Conflict`], [`IssueError::Store`].
    pub async fn update_consumer(
        &self,
        key: &ConsumerKey,
        change: &ConsumerChange,
        etag: Option<&str>,
        actor: &Actor,
    ) -> Result<Consumer, IssueError> {
        let _ = (key, change, etag, actor);
        Err(unbuilt().into())
    }

    /// Deletes a consumer and its tokens for good.
    ///
    /// # Errors
    /// [`IssueError::UnknownConsumer`], [`IssueError::Conflict`], [`IssueError::Store`].
    pub async fn delete_consumer(
        &self,
        key: &ConsumerKey,
        etag: Option<&str>,
        actor: &Actor,
    ) -> Result<(), IssueError> {
        let _ = (key, etag, actor);
        Err(unbuilt().into())
    }

    /// Gives a consumer a new shared secret, `secret` or one that is made; it is the first of the returned consumer's.
    /// The newest that it had is accepted for `overlap` longer.
    ///
    /// # Errors
    /// [`IssueError::Invalid`], [`IssueError::UnknownConsumer`], [`IssueError::Conflict`], [`IssueError::Store`].
    pub async fn rotate_consumer_secret(
        &self,
        key: &ConsumerKey,
        secret: Option<&Secret>,
        overlap: Duration,
        actor: &Actor,
    ) -> Result<Consumer, IssueError> {
        let _ = (key, secret, overlap, actor);
        Err(unbuilt().into())
    }

    /// Adds an RSA public key, in PEM. A key that is there already stays.
    ///
    /// # Errors
    /// [`IssueError::Invalid`], [`IssueError::UnknownConsumer`], [`IssueError::Conflict`], [`IssueError::Store`].
    pub async fn add_rsa_public_key(
        &self,
        key: &ConsumerKey,
        pem: &str,
        actor: &Actor,
    ) -> Result<Consumer, IssueError> {
        let _ = (key, pem, actor);
        Err(unbuilt().into())
    }

    /// Removes the RSA public key of that fingerprint. One that is not there stays so.
    ///
    /// # Errors
    /// [`IssueError::Invalid`], [`IssueError::UnknownConsumer`], [`IssueError::Conflict`], [`IssueError::Store`].
    pub async fn remove_rsa_public_key(
        &self,
        key: &ConsumerKey,
        fingerprint: &str,
        actor: &Actor,
    ) -> Result<Consumer, IssueError> {
        let _ = (key, fingerprint, actor);
        Err(unbuilt().into())
    }
}

fn audited(actor: &Actor, action: &'static str, key: &ConsumerKey) {
    audit(actor, action, Subject { consumer_key: Some(key.as_str()), ..Subject::default() });
}

const fn status_action(status: ConsumerStatus) -> &'static str {
    match status {
        ConsumerStatus::Active => "consumer.enable",
        ConsumerStatus::Disabled => "consumer.disable",
    }
}

fn unbuilt() -> crate::store::StoreError {
    crate::store::StoreError::new(StoreErrorKind::Unusable, "not built yet")
}
