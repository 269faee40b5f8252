//! The printed forms of messages: JSON, and `Debug` without secrets.

use std::fmt;

use prost_types::Timestamp;
use serde::{Serialize, Serializer};

use crate::v1;

pub(super) fn timestamp<S: Serializer>(time: &Option<Timestamp>, to: S) -> Result<S::Ok, S::Error> {
    time.map(|time| time.to_string()).serialize(to)
}

pub(super) fn consumer_status<S: Serializer>(status: &i32, to: S) -> Result<S::Ok, S::Error> {
    v1::ConsumerStatus::try_from(*status)
        .unwrap_or_default()
        .as_str_name()
        .serialize(to)
}

pub(super) fn token_status<S: Serializer>(status: &i32, to: S) -> Result<S::Ok, S::Error> {
    v1::TokenStatus::try_from(*status)
        .unwrap_or_default()
        .as_str_name()
        .serialize(to)
}

pub(super) fn user_status<S: Serializer>(status: &i32, to: S) -> Result<S::Ok, S::Error> {
    v1::UserStatus::try_from(*status)
        .unwrap_or_default()
        .as_str_name()
        .serialize(to)
}

pub(super) fn request_token_state<S: Serializer>(state: &i32, to: S) -> Result<S::Ok, S::Error> {
    v1::RequestTokenState::try_from(*state)
        .unwrap_or_default()
        .as_str_name()
        .serialize(to)
}

pub(super) fn route_mode<S: Serializer>(mode: &i32, to: S) -> Result<S::Ok, S::Error> {
    v1::RouteMode::try_from(*mode)
        .unwrap_or_default()
        .as_str_name()
        .serialize(to)
}

/// Implements `Debug` for messages that carry secrets, with the named fields only.
macro_rules! debug_only {
    ($($message:ident { $($field:ident),* })*) => {$(
        impl fmt::Debug for v1::$message {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($message))$(.field(stringify!($field), &self.$field))*.finish_non_exhaustive()
            }
        }
    )*

    /// `Debug` of each of these messages, from its bytes.
    #[cfg(test)]
    const SHOWN: &[(&str, fn(&[u8]) -> String)] = &[$(
        (stringify!($message), |bytes| format!("{:?}", <v1::$message as prost::Message>::decode(bytes).unwrap())),
    )*];
    };
}

debug_only! {
    ApplyConsumerRequest { consumer }
    ApplyConsumerResponse { consumer }
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
    ConsumerSecrets { consumer }
    TokenSecrets { token }
    UserSecrets { user }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use prost::encoding::string;
    use prost_types::field_descriptor_proto::Type;
    use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorSet};

    use super::*;

    #[test]
    fn a_message_with_a_secret_does_not_show_it() {
        let mut found = 0;
        for message in messages() {
            let secrets: Vec<_> = message
                .field
                .iter()
                .filter(|field| is_secret(field))
                .collect();
            if secrets.is_empty() {
                continue;
            }
            found += 1;
            let (_, show) = SHOWN
                .iter()
                .find(|(name, _)| *name == message.name())
                .unwrap_or_else(|| {
                    panic!(
                        "{} has a secret: name it in build.rs and here",
                        message.name()
                    );
                });
            let mut bytes = Vec::new();
            for field in message
                .field
                .iter()
                .filter(|field| field.r#type() == Type::String)
            {
                let value = if is_secret(field) {
                    "kd94hf93k423kf44"
                } else {
                    "shown"
                };
                string::encode(
                    u32::try_from(field.number()).unwrap(),
                    &value.to_owned(),
                    &mut bytes,
                );
            }
            let shown = show(&bytes);
            assert!(!shown.contains("kd94hf93k423kf44"), "{shown}");
            assert!(shown.starts_with(message.name()), "{shown}");
        }
        assert_eq!(found, SHOWN.len(), "every one of the list has a secret");
    }

    fn messages() -> Vec<DescriptorProto> {
        let definition = FileDescriptorSet::decode(v1::FILE_DESCRIPTOR_SET).unwrap();
        let ours = definition
            .file
            .into_iter()
            .filter(|file| file.package() == "countersign.v1");
        ours.flat_map(|file| file.message_type).collect()
    }

    /// Returns true for a field with a secret; a redirect URL contains the verifier.
    fn is_secret(field: &FieldDescriptorProto) -> bool {
        let secret = ["secret", "password", "verifier", "redirect_url"]
            .iter()
            .any(|word| field.name().contains(word));
        secret && field.r#type() == Type::String
    }
}
