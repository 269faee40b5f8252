//! The record of an access token.

use serde::{Deserialize, Serialize};

use super::secret_text::SecretText;
use super::{RecordKind, RecordWriter, Records, unreadable};
use crate::clock::UnixTime;
use crate::model::{AccessToken, ConsumerKey, Generation, Scopes, Token, TokenStatus, UserId};
use crate::store::StoreError;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenRecord {
    secret: SecretText,
    consumer_key: String,
    user_id: Option<String>,
    scopes: String,
    consumer_generation: u64,
    user_generation: u64,
    revoked: bool,
    expires_at_ms: Option<u64>,
    created_at_ms: u64,
    revision: u64,
}

impl RecordWriter<'_> {
    /// Writes a token.
    pub(in crate::store) fn encode_token(
        &self,
        token: &AccessToken,
    ) -> Result<Vec<u8>, StoreError> {
        let record = TokenRecord {
            secret: SecretText::of(&token.secret),
            consumer_key: token.consumer_key.to_string(),
            user_id: token.user_id.as_ref().map(UserId::to_string),
            scopes: token.scopes.to_string(),
            consumer_generation: token.consumer_generation.number(),
            user_generation: token.user_generation.number(),
            revoked: token.status == TokenStatus::Revoked,
            expires_at_ms: token.expires_at.map(UnixTime::as_millis),
            created_at_ms: token.created_at.as_millis(),
            revision: token.revision,
        };
        self.seal(RecordKind::Token, token.token.as_str().as_bytes(), &record)
    }
}

impl Records {
    /// Reads the token with the name `token`, of any consumer.
    pub(in crate::store) fn decode_token(
        &self,
        token: &Token,
        bytes: &[u8],
    ) -> Result<AccessToken, StoreError> {
        let name = token.as_str().as_bytes();
        let record: TokenRecord = self.open(RecordKind::Token, name, bytes)?;
        Ok(AccessToken {
            token: token.clone(),
            secret: record.secret.secret()?,
            consumer_key: ConsumerKey::new(record.consumer_key).map_err(unreadable)?,
            user_id: record
                .user_id
                .map(UserId::new)
                .transpose()
                .map_err(unreadable)?,
            scopes: Scopes::parse(&record.scopes).map_err(unreadable)?,
            consumer_generation: Generation::from_number(record.consumer_generation),
            user_generation: Generation::from_number(record.user_generation),
            status: if record.revoked {
                TokenStatus::Revoked
            } else {
                TokenStatus::Active
            },
            expires_at: record.expires_at_ms.map(UnixTime::from_millis),
            created_at: UnixTime::from_millis(record.created_at_ms),
            revision: record.revision,
        })
    }
}
