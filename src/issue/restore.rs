//! Restores of exports into this store.
//!
//! A restore creates records as they were: with their ids, secrets, states, generations and
//! revisions, so that everything that callers see stays the same, and a revoked token stays revoked.
//! It never changes a record that exists, so it can be repeated.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::audit::{AuditEvent, audited};
use super::{Actor, IssueError, Issuer, Violations};
use crate::model::AccessToken;
use crate::store::{RestorableRecord, SealedRecord, StoreError, StoreErrorKind, UnusableRecord};

/// The outcome of the restore of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RestoreOutcome {
    /// The record was created, or would be.
    Created,
    /// The store has the same record.
    Existed,
    /// The store has another record of that name, which stays.
    Differs,
    /// The record is a token of a consumer that is not in the store, so it was left out.
    Orphaned,
    /// The record cannot be restored, for this reason.
    Refused(String),
}

/// The proof that an export is complete and unchanged.
#[derive(Clone, Debug)]
pub struct ExportProof {
    /// The seal in the end of the export.
    pub seal: Vec<u8>,
    /// The digest of what was read.
    pub digest: Vec<u8>,
}

impl Issuer {
    /// Checks that an export is complete and unchanged, and raises the fence of the store, unless
    /// `validate_only` is true.
    ///
    /// # Errors
    /// [`IssueError::Invalid`], [`IssueError::MissingMasterKey`], [`IssueError::Store`].
    pub async fn begin_restore(
        &self,
        proof: &ExportProof,
        validate_only: bool,
        actor: &Actor,
    ) -> Result<(), IssueError> {
        let sealed = self.store.open_digest(&proof.seal);
        if sealed.map_err(|problem| unusable("seal", &problem))? != *proof.digest {
            let changed = Violations::of("digest", "is not that of the export: it was changed");
            return Err(IssueError::Invalid(changed));
        }
        if validate_only {
            return Ok(());
        }
        let event = AuditEvent::of_store(actor, "store.begin_restore");
        Ok(audited(event, self.store.raise_fence()).await?)
    }

    /// Raises the fence of the store again at the end of a restore.
    ///
    /// # Errors
    /// [`IssueError::Invalid`], [`IssueError::MissingMasterKey`], [`IssueError::Store`].
    pub async fn end_restore(&self, seal: &[u8], actor: &Actor) -> Result<(), IssueError> {
        let sealed = self.store.open_digest(seal);
        sealed.map_err(|problem| unusable("seal", &problem))?;
        let event = AuditEvent::of_store(actor, "store.end_restore");
        Ok(audited(event, self.store.raise_fence()).await?)
    }

    /// Restores records, or only checks them. Returns the outcome of each, in their order.
    ///
    /// # Errors
    /// [`IssueError::MissingMasterKey`], before any of them is written; [`IssueError::Store`].
    pub async fn restore_records(
        &self,
        records: &[SealedRecord],
        validate_only: bool,
        actor: &Actor,
    ) -> Result<Vec<RestoreOutcome>, IssueError> {
        let opened = records.iter().map(|record| self.store.open_record(record));
        let opened: Vec<_> = opened.collect();
        for problem in opened.iter().filter_map(|opened| opened.as_ref().err()) {
            if let Some(id) = problem.missing_key() {
                return Err(IssueError::MissingMasterKey(id.into()));
            }
        }
        let outcomes = opened.into_iter().map(|opened| async {
            match opened {
                Ok(record) if validate_only => self.compare(&record).await,
                Ok(record) => self.restore(&record, actor).await,
                Err(problem) => Ok(RestoreOutcome::Refused(problem.to_string())),
            }
        });
        let outcomes = stream::iter(outcomes).buffered(CONCURRENCY);
        outcomes.try_collect().await
    }

    /// Returns the outcome that a restore would have.
    async fn compare(&self, record: &RestorableRecord) -> Result<RestoreOutcome, IssueError> {
        let stored = match record {
            RestorableRecord::Consumer(consumer) => {
                let stored = self.store.consumer(&consumer.key).await?;
                stored.map(RestorableRecord::Consumer)
            }
            RestorableRecord::User(user) => {
                let stored = self.store.user(&user.id).await?;
                stored.map(RestorableRecord::User)
            }
            RestorableRecord::Token(token) => {
                let stored = self.store.token(&token.token).await?;
                stored.map(RestorableRecord::Token)
            }
        };
        Ok(match stored {
            None if self.is_username_taken(record).await? => RestoreOutcome::Refused(taken(record)),
            None => RestoreOutcome::Created,
            Some(stored) if stored == *record => RestoreOutcome::Existed,
            Some(_) => RestoreOutcome::Differs,
        })
    }

    /// Returns `true` for a user whose username belongs to another one.
    async fn is_username_taken(&self, record: &RestorableRecord) -> Result<bool, IssueError> {
        let RestorableRecord::User(user) = record else {
            return Ok(false);
        };
        Ok(match &user.username {
            Some(username) => self.store.user_named(username).await?.is_some(),
            None => false,
        })
    }

    async fn restore(
        &self,
        record: &RestorableRecord,
        actor: &Actor,
    ) -> Result<RestoreOutcome, IssueError> {
        let found = self.compare(record).await?;
        if found != RestoreOutcome::Created {
            return Ok(found);
        }
        let created = match record {
            RestorableRecord::Consumer(consumer) => {
                let event = AuditEvent::of_consumer(actor, "consumer.restore", &consumer.key);
                audited(event, self.store.create_consumer(consumer)).await
            }
            RestorableRecord::User(user) => {
                let event = AuditEvent::of_user(actor, "user.restore", &user.id);
                audited(event, self.store.create_user(user)).await
            }
            RestorableRecord::Token(token) if self.is_orphan(token).await? => {
                return Ok(RestoreOutcome::Orphaned);
            }
            RestorableRecord::Token(token) => {
                let event = AuditEvent::of_token(actor, "token.restore", token);
                audited(event, self.store.create_token(token)).await
            }
        };
        self.outcome(record, created).await
    }

    /// Returns `true` if the consumer of a token does not exist: it was deleted, or created after
    /// the export listed the consumers.
    async fn is_orphan(&self, token: &AccessToken) -> Result<bool, IssueError> {
        Ok(self.store.consumer(&token.consumer_key).await?.is_none())
    }

    /// Returns the outcome of a creation. The name may have been taken since it was found free; the
    /// username of a user may be another user's.
    async fn outcome(
        &self,
        record: &RestorableRecord,
        created: Result<(), StoreError>,
    ) -> Result<RestoreOutcome, IssueError> {
        match created {
            Ok(()) => Ok(RestoreOutcome::Created),
            Err(error) if error.kind() == StoreErrorKind::AlreadyExists => {
                let found = self.compare(record).await?;
                Ok(if found == RestoreOutcome::Created {
                    RestoreOutcome::Refused(taken(record))
                } else {
                    found
                })
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn unusable(field: &str, problem: &UnusableRecord) -> IssueError {
    match problem.missing_key() {
        Some(id) => IssueError::MissingMasterKey(id.into()),
        None => IssueError::Invalid(Violations::of(field, problem)),
    }
}

/// Returns the problem of a record that was refused, although no record has its name.
fn taken(record: &RestorableRecord) -> String {
    let problem = match record {
        RestorableRecord::User(_) => "its username belongs to another user",
        RestorableRecord::Consumer(_) | RestorableRecord::Token(_) => {
            "its name was in use at the same time; try again"
        }
    };
    problem.to_owned()
}

/// The number of records that are restored at a time.
const CONCURRENCY: usize = 16;
