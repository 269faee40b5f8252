//! The record of temporary credentials.

use serde::{Deserialize, Serialize};

use super::secret_text::SecretText;
use super::{RecordKind, RecordWriter, Records, unreadable};
use crate::clock::UnixTime;
use crate::model::{
    Callback, ConsumerKey, Generation, RequestToken, RequestTokenState, Scopes, Token, UserId,
};
use crate::store::StoreError;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestTokenRecord {
    secret: SecretText,
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
        verifier: SecretText,
        scopes: String,
    },
    Refused,
    Used,
}

impl RecordWriter<'_> {
    /// Writes temporary credentials.
    pub(in crate::store) fn encode_request_token(
        &self,
        token: &RequestToken,
    ) -> Result<Vec<u8>, StoreError> {
        let record = RequestTokenRecord {
            secret: SecretText::of(&token.secret),
            consumer_key: token.consumer_key.to_string(),
            consumer_generation: token.consumer_generation.number(),
            callback: match &token.callback {
                Callback::OutOfBand => None,
                Callback::Uri(uri) => Some(uri.clone()),
            },
            scopes: token.scopes.to_string(),
            state: StateRecord::of(&token.state),
            wrong_verifiers: token.wrong_verifiers,
            created_at_ms: token.created_at.as_millis(),
            expires_at_ms: token.expires_at.as_millis(),
            revision: token.revision,
        };
        let name = token.token.as_str().as_bytes();
        self.seal(RecordKind::RequestToken, name, &record)
    }
}

impl Records {
    /// Reads the temporary credentials with the name `token`, of any consumer.
    pub(in crate::store) fn decode_request_token(
        &self,
        token: &Token,
        bytes: &[u8],
    ) -> Result<RequestToken, StoreError> {
        let name = token.as_str().as_bytes();
        let record: RequestTokenRecord = self.open(RecordKind::RequestToken, name, bytes)?;
        Ok(RequestToken {
            token: token.clone(),
            secret: record.secret.secret()?,
            consumer_key: ConsumerKey::new(record.consumer_key).map_err(unreadable)?,
            consumer_generation: Generation::from_number(record.consumer_generation),
            callback: record.callback.map_or(Callback::OutOfBand, Callback::Uri),
            scopes: Scopes::parse(&record.scopes).map_err(unreadable)?,
            state: record.state.read()?,
            wrong_verifiers: record.wrong_verifiers,
            created_at: UnixTime::from_millis(record.created_at_ms),
            expires_at: UnixTime::from_millis(record.expires_at_ms),
            revision: record.revision,
        })
    }
}

impl StateRecord {
    fn of(state: &RequestTokenState) -> Self {
        match state {
            RequestTokenState::Pending => Self::Pending,
            RequestTokenState::Authorized {
                user_id,
                user_generation,
                screen_name,
                verifier,
                scopes,
            } => Self::Authorized {
                user_id: user_id.to_string(),
                user_generation: user_generation.number(),
                screen_name: screen_name.clone(),
                verifier: SecretText::of(verifier),
                scopes: scopes.to_string(),
            },
            RequestTokenState::Refused => Self::Refused,
            RequestTokenState::Used => Self::Used,
        }
    }

    fn read(self) -> Result<RequestTokenState, StoreError> {
        Ok(match self {
            Self::Pending => RequestTokenState::Pending,
            Self::Authorized {
                user_id,
                user_generation,
                screen_name,
                verifier,
                scopes,
            } => RequestTokenState::Authorized {
                user_id: UserId::new(user_id).map_err(unreadable)?,
                user_generation: Generation::from_number(user_generation),
                screen_name,
                verifier: verifier.secret()?,
                scopes: Scopes::parse(&scopes).map_err(unreadable)?,
            },
            Self::Refused => RequestTokenState::Refused,
            Self::Used => RequestTokenState::Used,
        })
    }
}
