//! The record of a user.

use serde::{Deserialize, Serialize};

use super::{RecordKind, RecordWriter, Records, unreadable};
use crate::clock::UnixTime;
use crate::model::{Generation, PasswordHash, User, UserId, UserStanding, UserStatus, Username};
use crate::store::StoreError;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct UserRecord {
    username: Option<String>,
    password: Option<String>,
    status: StatusRecord,
    generation: u64,
    created_at_ms: u64,
    updated_at_ms: u64,
    revision: u64,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum StatusRecord {
    Active,
    Disabled,
    Deleted,
}

impl RecordWriter<'_> {
    /// Writes a user.
    pub(in crate::store) fn encode_user(&self, user: &User) -> Result<Vec<u8>, StoreError> {
        let record = UserRecord {
            username: user.username.as_ref().map(Username::to_string),
            password: user.password.as_ref().map(|hash| hash.expose().to_owned()),
            status: user.status.into(),
            generation: user.generation.number(),
            created_at_ms: user.created_at.as_millis(),
            updated_at_ms: user.updated_at.as_millis(),
            revision: user.revision,
        };
        self.seal(RecordKind::User, user.id.as_str().as_bytes(), &record)
    }
}

impl Records {
    /// Reads the user with that id.
    pub(in crate::store) fn decode_user(
        &self,
        id: &UserId,
        bytes: &[u8],
    ) -> Result<User, StoreError> {
        let record: UserRecord = self.open(RecordKind::User, id.as_str().as_bytes(), bytes)?;
        Ok(User {
            id: id.clone(),
            username: record
                .username
                .map(Username::new)
                .transpose()
                .map_err(unreadable)?,
            password: record.password.map(PasswordHash::new),
            status: record.status.into(),
            generation: Generation::from_number(record.generation),
            created_at: UnixTime::from_millis(record.created_at_ms),
            updated_at: UnixTime::from_millis(record.updated_at_ms),
            revision: record.revision,
        })
    }

    /// Reads the standing of the user with that id.
    pub(in crate::store) fn decode_standing(
        &self,
        id: &UserId,
        bytes: &[u8],
    ) -> Result<UserStanding, StoreError> {
        self.decode_user(id, bytes).map(|user| user.standing())
    }
}

impl From<UserStatus> for StatusRecord {
    fn from(status: UserStatus) -> Self {
        match status {
            UserStatus::Active => Self::Active,
            UserStatus::Disabled => Self::Disabled,
            UserStatus::Deleted => Self::Deleted,
        }
    }
}

impl From<StatusRecord> for UserStatus {
    fn from(status: StatusRecord) -> Self {
        match status {
            StatusRecord::Active => Self::Active,
            StatusRecord::Disabled => Self::Disabled,
            StatusRecord::Deleted => Self::Deleted,
        }
    }
}
