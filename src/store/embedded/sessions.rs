//! The [`SessionStore`] part of the embedded store.

use async_trait::async_trait;

use super::expiring::{self, EntryKind, ExpiringEntry};
use super::{CREATING, DELETING, EmbeddedStore};
use crate::model::{Session, SessionId};
use crate::store::{SessionStore, StoreError};

#[async_trait]
impl SessionStore for EmbeddedStore {
    async fn create_session(&self, session: &Session) -> Result<(), StoreError> {
        let id = *session.id.as_bytes();
        let value = ExpiringEntry {
            expires_at: session.expires_at,
            bytes: self.records.writer()?.encode_session(session)?,
        };
        self.change(CREATING, None, move |file| {
            expiring::put(file, EntryKind::Session, &id, &value)
        })
        .await
    }

    async fn session(&self, id: &SessionId) -> Result<Option<Session>, StoreError> {
        let found = self.expiring(EntryKind::Session, id.as_bytes())?;
        let session = found
            .map(|found| self.records.decode_session(id, &found.bytes))
            .transpose()?;
        Ok(session.filter(|session| session.expires_at > self.clock.now()))
    }

    async fn delete_session(&self, id: &SessionId) -> Result<(), StoreError> {
        let id = *id.as_bytes();
        self.change(DELETING, None, move |file| {
            expiring::delete(file, EntryKind::Session, &id)
        })
        .await
    }
}
