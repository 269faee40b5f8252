//! The record of a user.

use serde::{Deserialize, Serialize};

use super::{Records, VERSION, check_version, parse, unreadable, unwritable, write};
use crate::clock::UnixTime;
use crate::model::{
    Generation, PasswordHash, Secret, User, UserId, UserStanding, UserStatus, Username,
};
use crate::store::StoreError;
use crate::store::seal::RecordId;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct UserRecord {
    version: u32,
    /// See [`Records::mark`].
    mark: u64,
    id: String,
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

impl Records {
    /// Writes a user. The password's hash is sealed too, since passwords can be guessed from it.
    pub(in crate::store) fn encode_user(&self, user: &User) -> Result<Vec<u8>, StoreError> {
        let seal = |password: &PasswordHash| {
            let hash = Secret::new(password.expose().as_bytes());
            self.sealer
                .seal(&hash, &password_id(&user.id))
                .map_err(unwritable)
        };
        write(&UserRecord {
            version: VERSION,
            mark: self.mark(),
            id: user.id.to_string(),
            username: user.username.as_ref().map(Username::to_string),
            password: user.password.as_ref().map(seal).transpose()?,
            status: user.status.into(),
            generation: user.generation.number(),
            created_at_ms: user.created_at.as_millis(),
            updated_at_ms: user.updated_at.as_millis(),
            revision: user.revision,
        })
    }

    /// Reads the user with that id.
    pub(in crate::store) fn decode_user(
        &self,
        id: &UserId,
        bytes: &[u8],
    ) -> Result<User, StoreError> {
        let record = record_of(id, bytes)?;
        let open = |sealed: String| {
            let hash = self
                .sealer
                .open(&sealed, &password_id(id))
                .map_err(unreadable)?;
            std::str::from_utf8(hash.expose())
                .map(PasswordHash::new)
                .map_err(unreadable)
        };
        Ok(User {
            id: id.clone(),
            username: record
                .username
                .map(Username::new)
                .transpose()
                .map_err(unreadable)?,
            password: record.password.map(open).transpose()?,
            status: record.status.into(),
            generation: Generation::from_number(record.generation),
            created_at: UnixTime::from_millis(record.created_at_ms),
            updated_at: UnixTime::from_millis(record.updated_at_ms),
            revision: record.revision,
        })
    }

    /// Reads the standing of the user with that id, without opening the password's hash.
    pub(in crate::store) fn decode_standing(
        id: &UserId,
        bytes: &[u8],
    ) -> Result<UserStanding, StoreError> {
        let record = record_of(id, bytes)?;
        Ok(UserStanding {
            status: record.status.into(),
            generation: Generation::from_number(record.generation),
        })
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

fn record_of(id: &UserId, bytes: &[u8]) -> Result<UserRecord, StoreError> {
    let record: UserRecord = parse(bytes)?;
    check_version(record.version)?;
    if record.id == id.as_str() {
        Ok(record)
    } else {
        Err(unreadable("it is stored under the id of another user"))
    }
}

fn password_id(id: &UserId) -> RecordId {
    RecordId::new("password", &[id.as_str()])
}
