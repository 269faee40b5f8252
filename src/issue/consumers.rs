//! Administration of consumers; their secrets and RSA keys are changed in `consumer_keys`.

use super::audit::{Event, Subject, audited};
use super::{ATTEMPTS, Actor, ConsumerDraft, IssueError, Issuer, etag, replaced};
use crate::clock::UnixTime;
use crate::model::{Consumer, ConsumerKey, ConsumerStatus};
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
    /// The name of how much denials tell it; empty is as the configuration says.
    pub deny_detail: Option<String>,
    /// From when on it ought not to call any more; `Some(None)` takes that back.
    pub deprecated_at: Option<Option<UnixTime>>,
    /// When it is expected to be refused; `Some(None)` takes that back.
    pub sunset_at: Option<Option<UnixTime>>,
}

impl Issuer {
    /// Creates a consumer; its key and secret are made unless the draft has them. Of a draft that only checks, what was
    /// made means nothing.
    ///
    /// # Errors
    /// [`IssueError::Invalid`], [`IssueError::ConsumerExists`], [`IssueError::Store`].
    pub async fn create_consumer(
        &self,
        draft: &ConsumerDraft,
        actor: &Actor,
    ) -> Result<Created<Consumer>, IssueError> {
        let consumer = draft
            .to_consumer(self.clock.now(), &*self.entropy)
            .map_err(IssueError::Invalid)?;
        if (draft.allow_existing || draft.validate_only)
            && let Some(stored) = self.store.consumer(&consumer.key).await?
        {
            return existing(draft, &consumer, stored);
        }
        if draft.validate_only {
            return Ok(Created {
                record: consumer,
                existed: false,
            });
        }
        let event = event(actor, "consumer.create", &consumer.key);
        match audited(event, self.store.create_consumer(&consumer)).await {
            Err(error) if error.kind() == StoreErrorKind::AlreadyExists => {
                match self.store.consumer(&consumer.key).await? {
                    Some(stored) => return existing(draft, &consumer, stored),
                    None => return Err(IssueError::Conflict),
                }
            }
            created => created?,
        }
        Ok(Created {
            record: consumer,
            existed: false,
        })
    }

    /// The consumer with that key.
    ///
    /// # Errors
    /// [`IssueError::UnknownConsumer`], [`IssueError::Store`].
    pub async fn consumer(&self, key: &ConsumerKey) -> Result<Consumer, IssueError> {
        self.store
            .consumer(key)
            .await?
            .ok_or_else(|| IssueError::UnknownConsumer(key.clone()))
    }

    /// Consumers in the byte order of their keys, at most `limit`, only those after the key `after`.
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
        let change = |consumer: &mut Consumer| {
            let changes = consumer.status != status;
            consumer.status = status;
            Ok(changes)
        };
        self.change_consumer(key, None, change, (actor, status_action(status)))
            .await
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
        let update = |consumer: &mut Consumer| {
            let draft = ConsumerDraft::changed(consumer, change);
            let new = draft
                .to_consumer(consumer.updated_at, &*self.entropy)
                .map_err(IssueError::Invalid)?;
            Ok(take_over(consumer, new))
        };
        self.change_consumer(key, etag, update, (actor, "consumer.update"))
            .await
    }

    /// Deletes a consumer and its tokens for good. With an `etag`, only the consumer as it was read with it.
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
            let consumer = self.consumer_as_read(key, etag).await?;
            let event = event(actor, "consumer.delete", key);
            if replaced(audited(event, self.store.delete_consumer(&consumer)).await)? {
                return Ok(());
            }
        }
        Err(IssueError::Conflict)
    }

    /// Changes a consumer by `change`, which says whether there is anything to write, and is asked again when somebody
    /// else was faster.
    pub(super) async fn change_consumer(
        &self,
        key: &ConsumerKey,
        etag: Option<&str>,
        change: impl Fn(&mut Consumer) -> Result<bool, IssueError>,
        (actor, action): (&Actor, &'static str),
    ) -> Result<Consumer, IssueError> {
        for _ in 0..ATTEMPTS {
            let mut consumer = self.consumer_as_read(key, etag).await?;
            if !change(&mut consumer)? {
                return Ok(consumer);
            }
            consumer.updated_at = self.clock.now();
            consumer.revision += 1;
            let event = event(actor, action, key);
            if replaced(audited(event, self.store.update_consumer(&consumer)).await)? {
                return Ok(consumer);
            }
        }
        Err(IssueError::Conflict)
    }

    async fn consumer_as_read(
        &self,
        key: &ConsumerKey,
        read: Option<&str>,
    ) -> Result<Consumer, IssueError> {
        let consumer = self.consumer(key).await?;
        let current = etag(consumer.generation, consumer.revision);
        if read.is_none_or(|read| read == current) {
            Ok(consumer)
        } else {
            Err(IssueError::Conflict)
        }
    }
}

/// What is answered where the key is taken.
fn existing(
    draft: &ConsumerDraft,
    asked: &Consumer,
    stored: Consumer,
) -> Result<Created<Consumer>, IssueError> {
    if draft.allow_existing && draft.has_own_secret() && is_as_asked(asked, &stored) {
        return Ok(Created {
            record: stored,
            existed: true,
        });
    }
    Err(IssueError::ConsumerExists(stored.key))
}

/// Whether nothing that a draft can say differs; an older secret that is still accepted does not count.
fn is_as_asked(asked: &Consumer, stored: &Consumer) -> bool {
    let mut same = stored.clone();
    let newest = |consumer: &Consumer| consumer.secrets.first().map(|newest| newest.secret.clone());
    newest(asked) == newest(stored)
        && !take_over(&mut same, asked.clone())
        && asked.rsa_public_keys == stored.rsa_public_keys
}

/// Gives a consumer what an update can change of it, and says whether that is anything.
fn take_over(consumer: &mut Consumer, new: Consumer) -> bool {
    let changed = Consumer {
        name: new.name,
        description: new.description,
        platform: new.platform,
        app_url: new.app_url,
        verified: new.verified,
        signature_methods: new.signature_methods,
        flows: new.flows,
        callbacks: new.callbacks,
        scopes: new.scopes,
        compat: new.compat,
        deny_detail: new.deny_detail,
        deprecated_at: new.deprecated_at,
        sunset_at: new.sunset_at,
        ..consumer.clone()
    };
    let changes = changed != *consumer;
    *consumer = changed;
    changes
}

fn event<'a>(actor: &'a Actor, action: &'static str, key: &'a ConsumerKey) -> Event<'a> {
    Event {
        actor,
        action,
        subject: Subject {
            consumer_key: Some(key.as_str()),
            ..Subject::default()
        },
    }
}

const fn status_action(status: ConsumerStatus) -> &'static str {
    match status {
        ConsumerStatus::Active => "consumer.enable",
        ConsumerStatus::Disabled => "consumer.disable",
    }
}
