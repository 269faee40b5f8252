//! The record of temporary credentials.

use serde::{Deserialize, Serialize};

use super::{Records, VERSION, check_version, parse, unreadable, unwritable, write};
use crate::clock::UnixTime;
use crate::model::{
    Callback, ConsumerKey, Generation, RequestToken, RequestTokenState, Scopes, Token, UserId,
};
use crate::store::StoreError;
use crate::store::seal::RecordId;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestTokenRecord {
    version: u32,
    token: String,
    secret: String,
    consumer_key: String,
    consumer_generation: u64,
    /// `None` means out of band.
    callback: Option<String>,
    scopes: String,
    state: StateRecord,
    wrong_verifiers: u32,
    created_at_ms: u64,
    expires_at_ms: u64,
    revision: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum StateRecord {
    Pending,
    Authorized {
        user_id: String,
        user_generation: u64,
        screen_name: String,
        verifier: String,
        scopes: String,
    },
    Refused,
    Used,
}

impl Records {
    /// Writes temporary credentials.
    pub(in crate::store) fn encode_request_token(
        &self,
        token: &RequestToken,
    ) -> Result<Vec<u8>, StoreError> {
        let ids = SealIds::of(&token.consumer_key, &token.token);
        write(&RequestTokenRecord {
            version: VERSION,
            token: token.token.to_string(),
            secret: self
                .sealer
                .seal(&token.secret, &ids.secret)
                .map_err(unwritable)?,
            consumer_key: token.consumer_key.to_string(),
            consumer_generation: token.consumer_generation.number(),
            callback: match &token.callback {
                Callback::OutOfBand => None,
                Callback::Uri(uri) => Some(uri.clone()),
            },
            scopes: token.scopes.to_string(),
            state: self.encode_state(&token.state, &ids)?,
            wrong_verifiers: token.wrong_verifiers,
            created_at_ms: token.created_at.as_millis(),
            expires_at_ms: token.expires_at.as_millis(),
            revision: token.revision,
        })
    }

    /// Reads the temporary credentials with the name `token`, of any consumer.
    pub(in crate::store) fn decode_request_token(
        &self,
        token: &Token,
        bytes: &[u8],
    ) -> Result<RequestToken, StoreError> {
        let record: RequestTokenRecord = parse(bytes)?;
        check_version(record.version)?;
        if record.token != token.as_str() {
            return Err(unreadable(
                "it is stored under the name of other temporary credentials",
            ));
        }
        let consumer_key = ConsumerKey::new(record.consumer_key).map_err(unreadable)?;
        let ids = SealIds::of(&consumer_key, token);
        Ok(RequestToken {
            token: token.clone(),
            secret: self
                .sealer
                .open(&record.secret, &ids.secret)
                .map_err(unreadable)?,
            consumer_key,
            consumer_generation: Generation::from_number(record.consumer_generation),
            callback: record.callback.map_or(Callback::OutOfBand, Callback::Uri),
            scopes: Scopes::parse(&record.scopes).map_err(unreadable)?,
            state: self.decode_state(record.state, &ids)?,
            wrong_verifiers: record.wrong_verifiers,
            created_at: UnixTime::from_millis(record.created_at_ms),
            expires_at: UnixTime::from_millis(record.expires_at_ms),
            revision: record.revision,
        })
    }

    fn encode_state(
        &self,
        state: &RequestTokenState,
        ids: &SealIds,
    ) -> Result<StateRecord, StoreError> {
        Ok(match state {
            RequestTokenState::Pending => StateRecord::Pending,
            RequestTokenState::Authorized {
                user_id,
                user_generation,
                screen_name,
                verifier,
                scopes,
            } => StateRecord::Authorized {
                user_id: user_id.to_string(),
                user_generation: user_generation.number(),
                screen_name: screen_name.clone(),
                verifier: self
                    .sealer
                    .seal(verifier, &ids.verifier)
                    .map_err(unwritable)?,
                scopes: scopes.to_string(),
            },
            RequestTokenState::Refused => StateRecord::Refused,
            RequestTokenState::Used => StateRecord::Used,
        })
    }

    fn decode_state(
        &self,
        state: StateRecord,
        ids: &SealIds,
    ) -> Result<RequestTokenState, StoreError> {
        Ok(match state {
            StateRecord::Pending => RequestTokenState::Pending,
            StateRecord::Authorized {
                user_id,
                user_generation,
                screen_name,
                verifier,
                scopes,
            } => RequestTokenState::Authorized {
                user_id: UserId::new(user_id).map_err(unreadable)?,
                user_generation: Generation::from_number(user_generation),
                screen_name,
                verifier: self
                    .sealer
                    .open(&verifier, &ids.verifier)
                    .map_err(unreadable)?,
                scopes: Scopes::parse(&scopes).map_err(unreadable)?,
            },
            StateRecord::Refused => RequestTokenState::Refused,
            StateRecord::Used => RequestTokenState::Used,
        })
    }
}

/// The ids under which the two secrets of one record are sealed, so that neither opens as the
/// other.
struct SealIds {
    secret: RecordId,
    verifier: RecordId,
}

impl SealIds {
    fn of(consumer: &ConsumerKey, token: &Token) -> Self {
        let id = |kind| RecordId::new(kind, &[consumer.as_str(), token.as_str()]);
        Self {
            secret: id("request-token"),
            verifier: id("verifier"),
        }
    }
}
