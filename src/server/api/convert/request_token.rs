//! Messages of temporary credentials and issued tokens.

use super::{shown, texts, timestamp, token_message};
use crate::issue::{AuthorizationRequest, IssuedToken};
use crate::model::{RequestToken, RequestTokenState};
use crate::v1;

/// Returns the message of an authorization request, without secret and verifier.
pub(in super::super) fn request_token_message(request: &AuthorizationRequest) -> v1::RequestToken {
    let AuthorizationRequest {
        request_token,
        consumer,
    } = request;
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
        consumer_description: consumer.profile.description.clone(),
        consumer_app_url: consumer.profile.app_url.clone(),
        consumer_verified: consumer.verified,
        callback: callback.as_str().to_owned(),
        scopes: texts(scopes),
        state: state_message(state).into(),
        create_time: Some(timestamp(*created_at)),
        expire_time: Some(timestamp(*expires_at)),
    }
}

/// Returns the message of an issued token, with its secret.
pub(in super::super) fn issued_message(issued: &IssuedToken) -> v1::IssuedToken {
    let IssuedToken { token, screen_name } = issued;
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
