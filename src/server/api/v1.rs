//! `countersign.v1` as generated from `proto/`, which is its reference.

#![expect(
    unused_qualifications,
    clippy::allow_attributes,
    clippy::too_many_lines,
    reason = "generated code"
)]

tonic::include_proto!("countersign.v1");

/// The definition of the API, encoded, for server reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = tonic::include_file_descriptor_set!("countersign.v1");
