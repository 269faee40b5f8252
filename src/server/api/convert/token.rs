//! Messages of access tokens.

use super::{duration, given, secret, texts, timestamp, unix_time};
use crate::issue::{Expiry, Introspection, TokenDraft, TokenWithState, Violations, etag};
use crate::model::{AccessToken, Consumer, TokenState, TokenStatus};
use crate::v1;

/// Returns the draft in a CreateToken request.
pub(in super::super) fn token_draft(
    request: v1::CreateTokenRequest,
) -> Result<TokenDraft, Violations> {
    let v1::CreateTokenRequest {
        token,
        token_secret,
        ttl,
        allow_existing,
        validate_only,
    } = request;
    let v1::Token {
        token,
        consumer_key,
        user_id,
        scopes,
        expire_time,
        status: _,
        create_time: _,
        etag: _,
    } = token.ok_or_else(|| Violations::of("token", "is required"))?;
    Ok(TokenDraft {
        token: given(token),
        token_secret: secret(token_secret),
        consumer_key,
        user_id: given(user_id),
        scopes,
        expiry: expiry(expire_time, ttl)?,
        allow_existing,
        validate_only,
    })
}

/// Returns the message of a token, without its secret.
pub(in super::super) fn token_message(token: &AccessToken) -> v1::Token {
    let AccessToken {
        token,
        secret: _,
        consumer_key,
        user_id,
        scopes,
        consumer_generation,
        user_generation: _,
        status,
        expires_at,
        created_at,
        revision,
    } = token;
    v1::Token {
        token: token.to_string(),
        consumer_key: consumer_key.to_string(),
        user_id: user_id
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        scopes: texts(scopes),
        status: token_status(*status).into(),
        create_time: Some(timestamp(*created_at)),
        expire_time: expires_at.map(timestamp),
        etag: etag(*consumer_generation, *revision),
    }
}

/// Returns the message of a token, which also shows a revocation of all tokens of its consumer or
/// user.
pub(in super::super) fn token_state_message(shown: &TokenWithState) -> v1::Token {
    let TokenWithState { token, state } = shown;
    let mut message = token_message(token);
    if *state == TokenState::Revoked {
        message.set_status(v1::TokenStatus::Revoked);
    }
    message
}

/// Returns the message of an introspection.
pub(in super::super) fn introspection_message(
    found: &Introspection,
) -> v1::IntrospectTokenResponse {
    let Introspection { token, consumer } = found;
    let inactive_reason = inactive_reason(token.as_ref(), consumer.as_ref());
    let effective = token
        .as_ref()
        .zip(consumer.as_ref())
        .filter(|_| inactive_reason.is_none());
    v1::IntrospectTokenResponse {
        active: inactive_reason.is_none(),
        inactive_reason: inactive_reason.unwrap_or_default().to_owned(),
        token: token.as_ref().map(token_state_message),
        consumer_id: consumer
            .as_ref()
            .map(|consumer| consumer.id.to_string())
            .unwrap_or_default(),
        consumer_name: consumer
            .as_ref()
            .map(|consumer| consumer.name.to_string())
            .unwrap_or_default(),
        effective_scopes: effective
            .map(|(shown, consumer)| texts(&shown.token.scopes.intersection(&consumer.scopes)))
            .unwrap_or_default(),
    }
}

/// Returns the reason why a request with the token would be refused, the most permanent one first.
fn inactive_reason(
    token: Option<&TokenWithState>,
    consumer: Option<&Consumer>,
) -> Option<&'static str> {
    let Some(TokenWithState { state, .. }) = token else {
        return Some("unknown");
    };
    let Some(consumer) = consumer else {
        return Some("revoked");
    };
    match state {
        TokenState::Revoked => Some("revoked"),
        TokenState::Expired => Some("expired"),
        TokenState::UserDisabled => Some("user_disabled"),
        TokenState::Active if !consumer.is_active() => Some("consumer_disabled"),
        TokenState::Active => None,
    }
}

fn expiry(
    expire_time: Option<prost_types::Timestamp>,
    ttl: Option<prost_types::Duration>,
) -> Result<Expiry, Violations> {
    match (expire_time, ttl) {
        (None, None) => Ok(Expiry::Never),
        (Some(time), None) => unix_time(time)
            .map(Expiry::At)
            .map_err(|problem| Violations::of("token.expire_time", problem)),
        (None, Some(_)) => duration(ttl)
            .map(Expiry::After)
            .map_err(|problem| Violations::of("ttl", problem)),
        (Some(_), Some(_)) => Err(Violations::of(
            "ttl",
            "contradicts expire_time: omit one of them",
        )),
    }
}

const fn token_status(status: TokenStatus) -> v1::TokenStatus {
    match status {
        TokenStatus::Active => v1::TokenStatus::Active,
        TokenStatus::Revoked => v1::TokenStatus::Revoked,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use prost_types::Timestamp;

    use super::*;

    #[test]
    fn a_token_expires_at_one_time_only() {
        let (time, ttl) = (
            Timestamp::default(),
            prost_types::Duration {
                seconds: 1,
                nanos: 0,
            },
        );
        assert_eq!(expiry(None, None), Ok(Expiry::Never));
        assert_eq!(
            expiry(None, Some(ttl)),
            Ok(Expiry::After(Duration::from_secs(1)))
        );
        assert!(expiry(Some(time), Some(ttl)).is_err());
        assert!(
            expiry(
                None,
                Some(prost_types::Duration {
                    seconds: -1,
                    nanos: 0
                })
            )
            .is_err()
        );
        let refused = expiry(
            Some(Timestamp {
                seconds: 1,
                nanos: -1,
            }),
            None,
        )
        .unwrap_err();
        assert_eq!(refused.iter().next().unwrap().field, "token.expire_time");
    }

    #[test]
    fn a_record_is_required() {
        let refused = token_draft(v1::CreateTokenRequest::default()).unwrap_err();
        assert_eq!(refused.to_string(), "token is required");
    }
}
