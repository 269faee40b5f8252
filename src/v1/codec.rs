//! The codec of messages: tonic's own, with an error that names the unreadable field.
//!
//! Bytes that are not a message, and fields of another type, are INVALID_ARGUMENT, like any other
//! invalid field. tonic's own codec responds with INTERNAL, as if the server were at fault.

use std::collections::HashMap;
use std::marker::PhantomData;

use prost::{DecodeError, Message};
use tonic::codec::{Codec, DecodeBuf, Decoder};
use tonic::{Code, Status};
use tonic_prost::ProstCodec;
use tonic_types::{ErrorDetails, StatusExt as _};

/// The `domain` of every error of this API (`google.rpc.ErrorInfo`).
pub(crate) const DOMAIN: &str = "countersign.v1";

/// The `reason` of an error about a field (`google.rpc.ErrorInfo`).
pub(crate) const FIELD_VIOLATION: &str = "FIELD_VIOLATION";

/// Encodes `T` and decodes `U`.
#[derive(Clone, Copy, Debug)]
pub struct NamingCodec<T, U>(PhantomData<(T, U)>);

/// Decodes `U`.
#[derive(Clone, Copy, Debug)]
pub struct NamingDecoder<U>(PhantomData<U>);

impl<T, U> Default for NamingCodec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for NamingCodec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = <ProstCodec<T, U> as Codec>::Encoder;
    type Decoder = NamingDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<T, U>::default().encoder()
    }

    fn decoder(&mut self) -> Self::Decoder {
        NamingDecoder(PhantomData)
    }
}

impl<U: Message + Default> Decoder for NamingDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, bytes: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        U::decode(bytes)
            .map(Some)
            .map_err(|error| unreadable(&error))
    }
}

/// Returns INVALID_ARGUMENT with the field that cannot be read.
fn unreadable(error: &DecodeError) -> Status {
    let (field, problem) = violation(error);
    let message = format!("{field} {problem}");
    let mut details = ErrorDetails::with_error_info(FIELD_VIOLATION, DOMAIN, HashMap::new());
    details.add_bad_request_violation(field, problem);
    Status::with_error_details(Code::InvalidArgument, message, details)
}

/// Splits the error of prost into the path of the field and the problem.
///
/// prost gives both in one text, the innermost field first: "…: Inner.field: Outer.field: why".
fn violation(error: &DecodeError) -> (String, String) {
    let text = error.to_string();
    let mut parts: Vec<_> = text.split(": ").skip(1).collect();
    let depth = parts
        .iter()
        .take_while(|part| field_of(part).is_some())
        .count();
    let why = parts.split_off(depth).join(": ");
    let path: Vec<_> = parts.into_iter().rev().filter_map(field_of).collect();
    let field = if path.is_empty() {
        "request".to_owned()
    } else {
        path.join(".")
    };
    (field, format!("cannot be read: {why}"))
}

/// Returns the field in "Message.field".
fn field_of(part: &str) -> Option<&str> {
    let (message, field) = part.split_once('.')?;
    let is_name = |name: &str| {
        name.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    (message.starts_with(|first: char| first.is_ascii_uppercase())
        && is_name(message)
        && is_name(field))
    .then_some(field)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v1::CreateConsumerRequest;

    #[test]
    fn an_unreadable_field_is_named() {
        for (bytes, problem) in [
            // `consumer` as a number.
            (
                &[0x08, 0x01][..],
                "consumer cannot be read: invalid wire type: Varint (expected LengthDelimited)",
            ),
            // `consumer.name` as a number.
            (
                &[0x0a, 0x02, 0x18, 0x01],
                "consumer.name cannot be read: invalid wire type: Varint (expected LengthDelimited)",
            ),
            // `consumer.name` in Latin-1.
            (
                &[0x0a, 0x03, 0x1a, 0x01, 0xfc],
                "consumer.name cannot be read: invalid string value: data is not UTF-8 encoded",
            ),
            // Something cut off.
            (&[0x0a, 0x7f], "consumer cannot be read: buffer underflow"),
            (&[0xff], "request cannot be read: invalid varint"),
        ] {
            let error = CreateConsumerRequest::decode(bytes).unwrap_err();
            assert_eq!(unreadable(&error).message(), problem);
        }
    }
}
