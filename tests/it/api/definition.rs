//! The definition of `countersign.v1` as reflection serves it, and its wire format, to send
//! requests that no generated client can send.

use countersign::server::api::SERVICES;
use countersign::v1::FILE_DESCRIPTOR_SET;
use prost::Message;
use prost::bytes::{Buf, BufMut};
use prost::encoding::{WireType, decode_key, decode_varint, encode_key, encode_varint};
use prost_types::field_descriptor_proto::Type;
use prost_types::{DescriptorProto, FileDescriptorProto, FileDescriptorSet};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::Channel;
use tonic::{Request, Status};

/// A call of a served service.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// The method name, for example `GetToken`.
    pub(crate) name: String,
    /// The path, for example `/countersign.v1.TokenService/GetToken`.
    pub(crate) path: String,
    /// The call streams its responses.
    pub(crate) goes_on: bool,
    /// Every field of the request, including those of nested messages.
    pub(crate) fields: Vec<Field>,
    /// The `oneof` groups that must be set: each with its name and its field numbers.
    pub(crate) choices: Vec<(String, Vec<u32>)>,
}

/// A field of a request.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    /// The name, for example `consumer.name`.
    pub(crate) name: String,
    /// The field numbers on the way to it.
    pub(crate) numbers: Vec<u32>,
    pub(crate) kind: Type,
    /// The comment in `proto/`.
    pub(crate) comment: String,
}

/// Without the option, `protoc` of Go refuses a file; without the others, the names of generated
/// classes are poor.
#[test]
fn every_file_has_the_options_of_other_languages() {
    let definition = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
    let own = definition
        .file
        .iter()
        .filter(|file| file.package() == "countersign.v1");
    let options: Vec<_> = own.filter_map(|file| file.options.as_ref()).collect();
    assert_eq!(options.len(), 7);
    for options in options {
        assert_eq!(options.go_package(), "countersign/v1;countersignv1");
        assert_eq!(options.java_package(), "com.countersign.v1");
        assert!(options.java_multiple_files());
        assert_eq!(options.csharp_namespace(), "Countersign.V1");
    }
}

/// Returns every call.
pub(crate) fn calls() -> Vec<Call> {
    let definition = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
    let services = definition
        .file
        .iter()
        .flat_map(|file| file.service.iter().map(move |service| (file, service)));
    let mut calls = Vec::new();
    for (file, service) in services {
        let service_name = format!("{}.{}", file.package(), service.name());
        for method in service
            .method
            .iter()
            .filter(|_| SERVICES.contains(&service_name.as_str()))
        {
            let (mut fields, mut choices) = (Vec::new(), Vec::new());
            let place = Place {
                name: String::new(),
                numbers: Vec::new(),
            };
            add_fields(
                &definition,
                method.input_type(),
                &place,
                &mut fields,
                &mut choices,
            );
            let (name, path) = (
                method.name().to_owned(),
                format!("/{service_name}/{}", method.name()),
            );
            calls.push(Call {
                name,
                path,
                goes_on: method.server_streaming(),
                fields,
                choices,
            });
        }
    }
    calls
}

struct Place {
    name: String,
    numbers: Vec<u32>,
}

fn add_fields(
    definition: &FileDescriptorSet,
    message: &str,
    at: &Place,
    fields: &mut Vec<Field>,
    choices: &mut Vec<(String, Vec<u32>)>,
) {
    let (file, number, message) = find(definition, message);
    for (index, field) in (0..).zip(&message.field) {
        let name = format!("{}{}", at.name, field.name());
        let numbers = [&at.numbers[..], &[u32::try_from(field.number()).unwrap()]].concat();
        let (kind, comment) = (field.r#type(), comment(file, &[4, number, 2, index]));
        fields.push(Field {
            name: name.clone(),
            numbers: numbers.clone(),
            kind,
            comment,
        });
        // Of the well-known types, only a field mask has text.
        if kind == Type::Message
            && !matches!(
                field.type_name(),
                ".google.protobuf.Timestamp" | ".google.protobuf.Duration"
            )
        {
            let inner = Place {
                name: format!("{name}."),
                numbers,
            };
            add_fields(definition, field.type_name(), &inner, fields, choices);
        }
    }
    for (index, choice) in (0..).zip(&message.oneof_decl) {
        assert!(
            comment(file, &[4, number, 8, index]).contains("Required."),
            "a oneof is optional: {choice:?}"
        );
        let of_it = message
            .field
            .iter()
            .filter(|field| field.oneof_index == Some(index));
        choices.push((
            choice.name().to_owned(),
            of_it
                .map(|field| u32::try_from(field.number()).unwrap())
                .collect(),
        ));
    }
}

fn find<'a>(
    definition: &'a FileDescriptorSet,
    name: &str,
) -> (&'a FileDescriptorProto, i32, &'a DescriptorProto) {
    let messages = definition.file.iter().flat_map(|file| {
        (0..)
            .zip(&file.message_type)
            .map(move |(number, message)| (file, number, message))
    });
    let is_it = |(file, _, message): &(&FileDescriptorProto, i32, &DescriptorProto)| {
        format!(".{}.{}", file.package(), message.name()) == name
    };
    messages.into_iter().find(is_it).unwrap()
}

fn comment(file: &FileDescriptorProto, path: &[i32]) -> String {
    let locations = file
        .source_code_info
        .iter()
        .flat_map(|comments| &comments.location);
    let location = locations.into_iter().find(|location| location.path == path);
    location
        .map(|location| location.leading_comments().to_owned())
        .unwrap_or_default()
}

/// A value on the wire.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Bytes(Vec<u8>),
    Number(u64),
}

/// Adds a value to a message: it replaces a single value, and is appended to a list.
pub(crate) fn with(message: &[u8], numbers: &[u32], value: &Value) -> Vec<u8> {
    let (last, outer) = numbers.split_last().unwrap();
    let mut bytes = Vec::new();
    match value {
        Value::Bytes(content) => put(&mut bytes, *last, content),
        Value::Number(number) => {
            encode_key(*last, WireType::Varint, &mut bytes);
            encode_varint(*number, &mut bytes);
        }
    }
    for number in outer.iter().rev() {
        let mut around = Vec::new();
        put(&mut around, *number, &bytes);
        bytes = around;
    }
    [message, &bytes].concat()
}

/// Removes a field from a message.
pub(crate) fn without(message: &[u8], numbers: &[u32]) -> Vec<u8> {
    let (number, inner) = numbers.split_first().unwrap();
    let (mut rest, mut kept) = (message, Vec::new());
    while rest.has_remaining() {
        let whole = rest;
        let (found, kind) = decode_key(&mut rest).unwrap();
        match kind {
            WireType::Varint => drop(decode_varint(&mut rest).unwrap()),
            WireType::LengthDelimited => {
                let len = usize::try_from(decode_varint(&mut rest).unwrap()).unwrap();
                let content = rest.copy_to_bytes(len);
                if found == *number && !inner.is_empty() {
                    put(&mut kept, found, &without(&content, inner));
                    continue;
                }
            }
            WireType::StartGroup
            | WireType::EndGroup
            | WireType::ThirtyTwoBit
            | WireType::SixtyFourBit => {
                panic!("{kind:?} is not supported here")
            }
        }
        if found != *number {
            kept.extend_from_slice(&whole[..whole.len() - rest.len()]);
        }
    }
    kept
}

fn put(bytes: &mut Vec<u8>, number: u32, content: &[u8]) {
    encode_key(number, WireType::LengthDelimited, bytes);
    encode_varint(content.len() as u64, bytes);
    bytes.put_slice(content);
}

/// Sends any bytes, with an `authorization` header.
pub(crate) async fn send(
    channel: &Channel,
    path: &str,
    token: Option<&str>,
    message: Vec<u8>,
) -> Result<Vec<u8>, Status> {
    let mut client = tonic::client::Grpc::new(channel.clone());
    client.ready().await.unwrap();
    let mut request = Request::new(message);
    if let Some(token) = token {
        request
            .metadata_mut()
            .insert("authorization", format!("Bearer {token}").parse().unwrap());
    }
    Ok(client
        .unary(request, path.parse().unwrap(), Raw)
        .await?
        .into_inner())
}

/// A codec that passes bytes through.
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining()).to_vec()))
    }
}
