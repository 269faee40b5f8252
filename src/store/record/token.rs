//! The record of an access token.

use serde::{Deserialize, Serialize};

use super::{Records, VERSION, check_version, parse, unreadable, unwritable, write};
use crate::clock::UnixTime;
use crate::model::{AccessToken, ConsumerKey, Generation, Scopes, Token, TokenStatus, UserId};
use crate::store::StoreError;
use crate::store::seal::RecordId;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenRecord {
    version: u32,
    token: String,
    secret: String,
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

impl Records {
    /// Reads the consumer and the user of a token, without opening its secret.
    pub(in crate::store) fn token_holders(
        bytes: &[u8],
    ) -> Result<(ConsumerKey, Option<UserId>), StoreError> {
        let record: TokenRecord = parse(bytes)?;
        check_version(record.version)?;
        let user_id = record
            .user_id
            .map(UserId::new)
            .transpose()
            .map_err(unreadable)?;
        Ok((
            ConsumerKey::new(record.consumer_key).map_err(unreadable)?,
            user_id,
        ))
    }

    /// Writes a token.
    pub(in crate::store) fn encode_token(
        &self,
        token: &AccessToken,
    ) -> Result<Vec<u8>, StoreError> {
        let id = token_id(&token.consumer_key, &token.token);
        let record = TokenRecord {
            version: VERSION,
            token: token.token.to_string(),
            secret: self.sealer.seal(&token.secret, &id).map_err(unwritable)?,
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
        write(&record)
    }

    /// Reads the token with the name `token`, of any consumer.
    pub(in crate::store) fn decode_token(
        &self,
        token: &Token,
        bytes: &[u8],
    ) -> Result<AccessToken, StoreError> {
        let record: TokenRecord = parse(bytes)?;
        check_version(record.version)?;
        if record.token != token.as_str() {
            return Err(unreadable("it is stored under the name of another token"));
        }
        let consumer_key = ConsumerKey::new(record.consumer_key).map_err(unreadable)?;
        let id = token_id(&consumer_key, token);
        Ok(AccessToken {
            token: token.clone(),
            secret: self.sealer.open(&record.secret, &id).map_err(unreadable)?,
            consumer_key,
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

fn token_id(consumer: &ConsumerKey, token: &Token) -> RecordId {
    RecordId::new("token", &[consumer.as_str(), token.as_str()])
}
