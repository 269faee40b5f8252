//! The record of a session.

use serde::{Deserialize, Serialize};

use super::{RecordKind, RecordWriter, Records, unreadable};
use crate::clock::UnixTime;
use crate::model::{Generation, Session, SessionId, UserId};
use crate::store::StoreError;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SessionRecord {
    user_id: String,
    user_generation: u64,
    screen_name: String,
    expires_at_ms: u64,
}

impl RecordWriter<'_> {
    /// Writes a session.
    pub(in crate::store) fn encode_session(
        &self,
        session: &Session,
    ) -> Result<Vec<u8>, StoreError> {
        let record = SessionRecord {
            user_id: session.user_id.to_string(),
            user_generation: session.user_generation.number(),
            screen_name: session.screen_name.clone(),
            expires_at_ms: session.expires_at.as_millis(),
        };
        self.seal(RecordKind::Session, session.id.as_bytes(), &record)
    }
}

impl Records {
    /// Reads the session with that id.
    pub(in crate::store) fn decode_session(
        &self,
        id: &SessionId,
        bytes: &[u8],
    ) -> Result<Session, StoreError> {
        let record: SessionRecord = self.open(RecordKind::Session, id.as_bytes(), bytes)?;
        Ok(Session {
            id: *id,
            user_id: UserId::new(record.user_id).map_err(unreadable)?,
            user_generation: Generation::from_number(record.user_generation),
            screen_name: record.screen_name,
            expires_at: UnixTime::from_millis(record.expires_at_ms),
        })
    }
}
