//! The messages of `envoy.service.auth.v3` on the wire: the parts that a check needs.
//!
//! They are read and written by hand, because every request of every user causes a check: fields
//! are borrowed from the buffer in which they arrived, unused fields are skipped, and an answer is
//! written straight into the buffer that is sent. The rules of Protocol Buffers apply all the same,
//! and if they leave a choice, the stricter one is taken:
//!
//! - Unknown fields are skipped by their wire type; groups, which `proto3` does not have, are
//!   refused.
//! - The last of a repeated scalar counts. A repeated singular message is refused: readers should
//!   merge them, many read one of them, and no writer sends them.
//! - Text is UTF-8.
//! - A message with a field that is truncated, too long or of another wire type is refused as a
//!   whole.
//!
//! The meaning of the fields is left to `super::attributes` and `super::answer`.

mod field;
mod request;
#[cfg(test)]
mod tests;
mod writer;

pub(super) use request::{CheckRequest, HttpRequest};
pub(super) use writer::Writer;

/// The error for bytes that are not a valid message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InvalidMessage;
