//! The messages, client and server of `countersign.v1`, generated from `proto/`, which is their
//! reference.

#![expect(
    unused_qualifications,
    clippy::allow_attributes,
    clippy::too_many_lines,
    reason = "generated code"
)]

mod codec;
mod printing;

pub(crate) use codec::{DOMAIN, FIELD_VIOLATION};
pub use codec::{NamingCodec, NamingDecoder};

tonic::include_proto!("countersign.v1");

/// The definition of the API, encoded, for server reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = tonic::include_file_descriptor_set!("countersign.v1");
