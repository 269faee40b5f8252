//! Administration of consumers; `consumer_keys` changes their secrets and RSA keys.

use super::audit::{AuditEvent, audited};
use super::{
    ATTEMPTS, Actor, ConsumerAttributes, ConsumerDraft, IssueError, Issuer, etag, replaced,
};
use crate::model::{Consumer, ConsumerId, ConsumerKey, ConsumerStatus};
use crate::store::{StoreError, StoreErrorKind};

/// A record that a draft led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateOutcome<T> {
    /// The record.
    pub record: T,
    /// True if the record existed before, and the draft allowed that.
    pub existed: bool,
}

// === impl CreateOutcome ===

impl<T> CreateOutcome<T> {
    /// Returns the outcome with a new record.
    pub(super) const fn new(record: T) -> Self {
        let existed = false;
        Self { record, existed }
    }

    /// Returns the outcome with a record that existed before.
    pub(super) const fn existing(record: T) -> Self {
        let existed = true;
        Self { record, existed }
    }
}

// === impl Issuer ===

impl Issuer {
    /// Creates a consumer, with a generated key and secret unless the draft has its own.
    ///
    /// With `validate_only`, the generated values of the result have no meaning.
    ///
    /// # Errors
    /// [`IssueError::Invalid`], [`IssueError::ConsumerExists`], [`IssueError::Store`].
    pub async fn create_consumer(
        &self,
        draft: &ConsumerDraft,
        actor: &Actor,
    ) -> Result<CreateOutcome<Consumer>, IssueError> {
        let consumer = draft
            .to_consumer(self.clock.now(), &*self.entropy)
            .map_err(IssueError::Invalid)?;
        if (draft.allow_existing || draft.validate_only)
            && let Some(stored) = self.store.consumer(&consumer.key).await?
        {
            return existing(draft, &consumer, stored);
        }
        if draft.validate_only {
            return Ok(CreateOutcome::new(consumer));
        }
        let event = AuditEvent::of_consumer(actor, "consumer.create", &consumer.key);
        match audited(event, self.store.create_consumer(&consumer)).await {
            Ok(()) => Ok(CreateOutcome::new(consumer)),
            Err(error) => self.not_created(draft, &consumer, error).await,
        }
    }

    /// Returns the consumer with that key.
    ///
    /// # Errors
    /// [`IssueError::UnknownConsumer`], [`IssueError::Store`].
    pub async fn consumer(&self, key: &ConsumerKey) -> Result<Consumer, IssueError> {
        self.store
            .consumer(key)
            .await?
            .ok_or_else(|| IssueError::UnknownConsumer(key.clone()))
    }

    /// Returns the consumer with that id. The store has no index of ids, so this reads consumers
    /// until it finds the id, one call at a time: many calls cost the store no more than one.
    ///
    /// # Errors
    /// [`IssueError::UnknownConsumerId`], [`IssueError::Store`].
    pub async fn consumer_by_id(&self, id: &ConsumerId) -> Result<Consumer, IssueError> {
        let _turn = self.search.lock().await;
        let mut after = None;
        loop {
            let page = self.store.consumers(after.as_ref(), PAGE).await?;
            let last = page.last().map(|last| last.key.clone());
            let is_last = page.len() < PAGE;
            if let Some(found) = page.into_iter().find(|consumer| consumer.id == *id) {
                return Ok(found);
            }
            if is_last {
                return Err(IssueError::UnknownConsumerId(id.clone()));
            }
            after = last;
        }
    }

    /// Returns up to `limit` consumers whose keys follow `after`, in byte order of their keys.
    ///
    /// # Errors
    /// [`IssueError::Store`].
    pub async fn consumers(
        &self,
        after: Option<&ConsumerKey>,
        limit: usize,
    ) -> Result<Vec<Consumer>, IssueError> {
        Ok(self.store.consumers(after, limit).await?)
    }

    /// Enables a consumer: its requests are verified again. An active consumer stays unchanged.
    ///
    /// # Errors
    /// [`IssueError::UnknownConsumer`], [`IssueError::Conflict`], [`IssueError::Store`].
    pub async fn enable_consumer(
        &self,
        key: &ConsumerKey,
        actor: &Actor,
    ) -> Result<Consumer, IssueError> {
        let event = AuditEvent::of_consumer(actor, "consumer.enable", key);
        self.set_consumer_status(key, ConsumerStatus::Active, event)
            .await
    }

    /// Disables a consumer: its requests are refused. A disabled consumer stays unchanged.
    ///
    /// # Errors
    /// [`IssueError::UnknownConsumer`], [`IssueError::Conflict`], [`IssueError::Store`].
    pub async fn disable_consumer(
        &self,
        key: &ConsumerKey,
        actor: &Actor,
    ) -> Result<Consumer, IssueError> {
        let event = AuditEvent::of_consumer(actor, "consumer.disable", key);
        self.set_consumer_status(key, ConsumerStatus::Disabled, event)
            .await
    }

    /// Applies `change` to the attributes of a consumer, completely or not at all.
    ///
    /// The result obeys the same rules as a new consumer. With an `etag`, only the consumer that
    /// has it is changed.
    ///
    /// # Errors
    /// [`IssueError::Invalid`], [`IssueError::UnknownConsumer`], [`IssueError::Conflict`],
    /// [`IssueError::Store`].
    pub async fn update_consumer(
        &self,
        key: &ConsumerKey,
        change: impl Fn(&mut ConsumerAttributes),
        etag: Option<&str>,
        actor: &Actor,
    ) -> Result<Consumer, IssueError> {
        let update = |consumer: &mut Consumer| {
            let mut draft = ConsumerDraft::of(consumer);
            change(&mut draft.attributes);
            let new = draft
                .to_consumer(consumer.updated_at, &*self.entropy)
                .map_err(IssueError::Invalid)?;
            Ok(set_attributes(consumer, new))
        };
        let event = AuditEvent::of_consumer(actor, "consumer.update", key);
        self.change_consumer(key, etag, update, event).await
    }

    /// Deletes a consumer and its tokens permanently. With an `etag`, only the consumer that has it
    /// is deleted.
    ///
    /// # Errors
    /// [`IssueError::UnknownConsumer`], [`IssueError::Conflict`], [`IssueError::Store`].
    pub async fn delete_consumer(
        &self,
        key: &ConsumerKey,
        etag: Option<&str>,
        actor: &Actor,
    ) -> Result<(), IssueError> {
        for _ in 0..ATTEMPTS {
            let consumer = self.consumer_with_etag(key, etag).await?;
            let event = AuditEvent::of_consumer(actor, "consumer.delete", key);
            if replaced(audited(event, self.store.delete_consumer(&consumer)).await)? {
                return Ok(());
            }
        }
        Err(IssueError::Conflict)
    }

    /// Applies `change` to a consumer and writes it, unless `change` returns false.
    ///
    /// `change` runs again on the newer consumer if another change was faster.
    pub(super) async fn change_consumer(
        &self,
        key: &ConsumerKey,
        etag: Option<&str>,
        change: impl Fn(&mut Consumer) -> Result<bool, IssueError>,
        event: AuditEvent<'_>,
    ) -> Result<Consumer, IssueError> {
        for _ in 0..ATTEMPTS {
            let mut consumer = self.consumer_with_etag(key, etag).await?;
            if !change(&mut consumer)? {
                return Ok(consumer);
            }
            consumer.updated_at = self.clock.now();
            consumer.revision += 1;
            if replaced(audited(event, self.store.update_consumer(&consumer)).await)? {
                return Ok(consumer);
            }
        }
        Err(IssueError::Conflict)
    }

    async fn set_consumer_status(
        &self,
        key: &ConsumerKey,
        status: ConsumerStatus,
        event: AuditEvent<'_>,
    ) -> Result<Consumer, IssueError> {
        let change = |consumer: &mut Consumer| {
            let changes = consumer.status != status;
            consumer.status = status;
            Ok(changes)
        };
        self.change_consumer(key, None, change, event).await
    }

    async fn consumer_with_etag(
        &self,
        key: &ConsumerKey,
        required: Option<&str>,
    ) -> Result<Consumer, IssueError> {
        let consumer = self.consumer(key).await?;
        let current = etag(consumer.generation, consumer.revision);
        if required.is_none_or(|required| required == current) {
            Ok(consumer)
        } else {
            Err(IssueError::Conflict)
        }
    }

    /// Resolves a failed creation: the key may belong to the same consumer.
    async fn not_created(
        &self,
        draft: &ConsumerDraft,
        new: &Consumer,
        error: StoreError,
    ) -> Result<CreateOutcome<Consumer>, IssueError> {
        if error.kind() != StoreErrorKind::AlreadyExists {
            return Err(error.into());
        }
        match self.store.consumer(&new.key).await? {
            Some(stored) => existing(draft, new, stored),
            None => Err(IssueError::Conflict),
        }
    }
}

/// Returns the stored consumer if the draft accepts it.
fn existing(
    draft: &ConsumerDraft,
    new: &Consumer,
    stored: Consumer,
) -> Result<CreateOutcome<Consumer>, IssueError> {
    if draft.allow_existing && draft.has_own_secret() && is_same(new, &stored) {
        return Ok(CreateOutcome::existing(stored));
    }
    Err(IssueError::ConsumerExists(stored.key))
}

/// Returns true if no field that a draft can set differs. An older secret that is still valid does
/// not count.
fn is_same(new: &Consumer, stored: &Consumer) -> bool {
    let newest = |consumer: &Consumer| consumer.secrets.first().map(|newest| newest.secret.clone());
    newest(new) == newest(stored)
        && new.rsa_public_keys == stored.rsa_public_keys
        && !set_attributes(&mut stored.clone(), new.clone())
}

/// Gives `consumer` the attributes of `new`, and returns true if any of them changed.
fn set_attributes(consumer: &mut Consumer, new: Consumer) -> bool {
    let old = consumer.clone();
    *consumer = Consumer {
        id: old.id.clone(),
        key: old.key.clone(),
        status: old.status,
        secrets: old.secrets.clone(),
        rsa_public_keys: old.rsa_public_keys.clone(),
        generation: old.generation,
        created_at: old.created_at,
        updated_at: old.updated_at,
        revision: old.revision,
        ..new
    };
    *consumer != old
}

/// The number of consumers that a search by id reads at once.
const PAGE: usize = 100;
