//! The [`UserStore`] part of the embedded store.

use async_trait::async_trait;

use super::rows::ListQuery;
use super::tables::{self, USERS, UserRow};
use super::{CREATING, EmbeddedStore, UPDATING};
use crate::model::{User, UserId, UserStatus, Username};
use crate::store::error::{again_if_resealed, check_follows, conflict};
use crate::store::record::{RecordKind, Records, unreadable};
use crate::store::{RecordChange, StoreError, UserStore};

#[async_trait]
impl UserStore for EmbeddedStore {
    async fn create_user(&self, user: &User) -> Result<(), StoreError> {
        let row = self.user_row(user)?;
        let changed = RecordChange::User(user.id.clone());
        self.change(CREATING, Some(changed), move |file| {
            tables::create_user(file, &row)
        })
        .await
    }

    async fn update_user(&self, user: &User) -> Result<(), StoreError> {
        again_if_resealed(|| async move {
            let before = self.record(USERS, user.id.as_str())?.ok_or_else(conflict)?;
            let stored = self.records.decode_user(&user.id, &before)?;
            check_follows(stored.revision, user.revision)?;
            let old_name = stored.username.as_ref().map(Username::folded);
            let row = self.user_row(user)?;
            let changed = RecordChange::User(user.id.clone());
            self.change(UPDATING, Some(changed), move |file| {
                tables::update_user(file, &row, &before, old_name.as_deref())
            })
            .await
        })
        .await
    }

    async fn user(&self, id: &UserId) -> Result<Option<User>, StoreError> {
        let bytes = self.record(USERS, id.as_str())?;
        bytes
            .map(|bytes| self.records.decode_user(id, &bytes))
            .transpose()
    }

    async fn user_named(&self, username: &Username) -> Result<Option<User>, StoreError> {
        let found = self
            .file
            .read(|file| tables::user_named(file, &username.folded()))?;
        let Some((id, bytes)) = found else {
            return Ok(None);
        };
        let id = UserId::new(id).map_err(unreadable)?;
        self.records.decode_user(&id, &bytes).map(Some)
    }

    async fn users(&self, after: Option<&UserId>, limit: usize) -> Result<Vec<User>, StoreError> {
        let read = |after: Option<&str>, limit| {
            self.file.read(|file| tables::user_page(file, after, limit))
        };
        let query = ListQuery {
            records: &self.records,
            kind: RecordKind::User,
            after: after.map(UserId::as_str),
            limit,
        };
        query.run(read, UserId::new, Records::decode_user)
    }
}

impl EmbeddedStore {
    fn user_row(&self, user: &User) -> Result<UserRow, StoreError> {
        Ok(UserRow {
            id: user.id.to_string(),
            username: user.username.as_ref().map(Username::folded),
            is_listed: user.status != UserStatus::Deleted,
            bytes: self.records.writer()?.encode_user(user)?,
        })
    }
}
