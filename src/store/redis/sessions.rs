//! The [`SessionStore`] part of the Redis store.

use async_trait::async_trait;
use redis::cmd;

use super::recent_changes::{ChangeKind, RecentChange};
use super::{CREATING, DELETING, RedisStore, keys};
use crate::model::{Session, SessionId};
use crate::store::{SessionStore, StoreError};

#[async_trait]
impl SessionStore for RedisStore {
    async fn create_session(&self, session: &Session) -> Result<(), StoreError> {
        let mut set = cmd("SET");
        set.arg(keys::session(&session.id))
            .arg(self.writer().await?.encode_session(session)?)
            .arg("PX")
            .arg(self.millis_until(session.expires_at));
        self.call(CREATING, &set).await
    }

    async fn session(&self, id: &SessionId) -> Result<Option<Session>, StoreError> {
        let bytes = self
            .fetch_one("looking up a session", keys::session(id))
            .await?;
        let session = bytes
            .map(|bytes| self.records.decode_session(id, &bytes))
            .transpose()?;
        Ok(session.filter(|session| session.expires_at > self.clock.now()))
    }

    async fn delete_session(&self, id: &SessionId) -> Result<(), StoreError> {
        let made = RecentChange::new(ChangeKind::SessionDeletion(*id), 0, []);
        let mut delete = cmd("DEL");
        delete.arg(keys::session(id));
        let work = self.call::<u64>(DELETING, &delete);
        self.remember([made], work).await.map(drop)
    }
}
