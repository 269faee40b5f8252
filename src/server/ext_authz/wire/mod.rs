//! The messages of `envoy.service.auth.v3` on the wire, as far as a check needs them.
//!
//! They are read and written by hand, because a check is asked for every request of every user: what is read stays where
//! it arrived, what nobody needs is skipped, and an answer is written straight into the buffer that is sent. The rules of
//! Protocol Buffers hold all the same, and where there is a choice the stricter one is taken:
//!
//! - Unknown fields are skipped by their wire type; groups, which `proto3` does not have, are refused.
//! - A scalar that comes twice is the last one. A singular message that comes twice is refused: merging both is what a
//!   reader should do, reading one of them is what many do, and no writer sends that.
//! - Text is UTF-8.
//! - What is cut off, too long or of another wire type is refused as a whole, and never read in part.
//!
//! What the fields mean is left to `super::attributes` and `super::answer`.

mod field;
mod request;
#[cfg(test)]
mod tests;
mod writer;

pub(super) use request::{CheckRequest, HttpRequest};
pub(super) use writer::Writer;

/// The bytes are no such message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;
