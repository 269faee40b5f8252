//! How the messages are shown: as JSON to people and scripts, and by `Debug` without secrets.

use std::fmt;

use prost_types::Timestamp;
use serde::{Serialize, Serializer};

use super::v1;

pub(super) fn timestamp<S: Serializer>(time: &Option<Timestamp>, to: S) -> Result<S::Ok, S::Error> {
    time.map(|time| time.to_string()).serialize(to)
}

pub(super) fn consumer_status<S: Serializer>(status: &i32, to: S) -> Result<S::Ok, S::Error> {
    v1::ConsumerStatus::try_from(*status).unwrap_or_default().as_str_name().serialize(to)
}

pub(super) fn token_status<S: Serializer>(status: &i32, to: S) -> Result<S::Ok, S::Error> {
    v1::TokenStatus::try_from(*status).unwrap_or_default().as_str_name().serialize(to)
}

pub(super) fn user_status<S: Serializer>(status: &i32, to: S) -> Result<S::Ok, S::Error> {
    v1::UserStatus::try_from(*status).unwrap_or_default().as_str_name().serialize(to)
}

pub(super) fn request_token_state<S: Serializer>(state: &i32, to: S) -> Result<S::Ok, S::Error> {
    v1::RequestTokenState::try_from(*state).unwrap_or_default().as_str_name().serialize(to)
}

/// `Debug` of messages that carry secrets: the fields that are named, and no others.
macro_rules! debug_only {
    ($($message:ident { $($field:ident),* })*) => {$(
        impl fmt::Debug for v1::$message {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($message))$(.field(stringify!($field), &self.$field))*.finish_non_exhaustive()
            }
        }
    )*};
}

debug_only! {
    CreateConsumerRequest { consumer }
    CreateConsumerResponse { consumer }
    RotateConsumerSecretRequest { consumer_key }
    RotateConsumerSecretResponse { consumer }
    CreateTokenRequest { token }
    CreateTokenResponse { token }
    IssuedToken { token }
    ExchangePasswordRequest { consumer_key }
    CreateRequestTokenResponse { request_token }
    AuthorizeRequestTokenResponse {}
    RefuseRequestTokenResponse {}
    ExchangeRequestTokenRequest { consumer_key, token }
    CreateUserRequest { user }
    SetPasswordRequest { user_id }
    AuthenticateRequest { consumer_key }
}
