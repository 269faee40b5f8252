//! Temporary credentials, and what they are exchanged for.

use super::{shown, texts, timestamp, token_message};
use crate::issue::{Asking, Issued};
use crate::model::{RequestToken, RequestTokenState};
use crate::v1;

/// Temporary credentials and who asks with them: without their secret and verifier.
pub(in super::super) fn request_token_message(asking: &Asking) -> v1::RequestToken {
    let Asking {
        request_token,
        consumer,
    } = asking;
    let RequestToken {
        token,
        secret: _,
        consumer_key,
        consumer_generation: _,
        callback,
        scopes,
        state,
        wrong_verifiers: _,
        created_at,
        expires_at,
        revision: _,
    } = request_token;
    v1::RequestToken {
        token: token.to_string(),
        consumer_key: consumer_key.to_string(),
        consumer_name: consumer.name.to_string(),
        consumer_description: consumer.description.clone(),
        consumer_app_url: consumer.app_url.clone(),
        consumer_verified: consumer.verified,
        callback: callback.as_str().to_owned(),
        scopes: texts(scopes),
        state: state_message(state).into(),
        create_time: Some(timestamp(*created_at)),
        expire_time: Some(timestamp(*expires_at)),
    }
}

/// A token that a consumer obtained, with its secret.
pub(in super::super) fn issued_message(issued: &Issued) -> v1::IssuedToken {
    let Issued { token, screen_name } = issued;
    v1::IssuedToken {
        token: Some(token_message(token)),
        token_secret: shown(&token.secret),
        screen_name: screen_name.clone(),
    }
}

const fn state_message(state: &RequestTokenState) -> v1::RequestTokenState {
    match state {
        RequestTokenState::Pending => v1::RequestTokenState::Pending,
        RequestTokenState::Authorized { .. } => v1::RequestTokenState::Authorized,
        RequestTokenState::Refused => v1::RequestTokenState::Refused,
        RequestTokenState::Used => v1::RequestTokenState::Used,
    }
}
