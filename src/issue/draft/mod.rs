//! Drafts of records, and the rules that turn a draft into a record.
//!
//! A draft holds text as it arrived. Its fields, and the fields of the
//! [`Violations`](super::Violations), have the names that `proto/` gives them.
//!
//! - `consumer`, `token`: drafts of consumers and access tokens.
//! - `compat`, `announcement`: rules of single attributes.
//! - `values`: rules that several drafts share.

mod announcement;
mod compat;
mod consumer;
#[cfg(test)]
mod tests;
mod token;
mod values;

pub(super) use consumer::MAX_RSA_KEYS;
pub use consumer::{ConsumerAttributes, ConsumerDraft};
pub(super) use token::require_scopes;
pub use token::{Expiry, TokenDraft};
pub(super) use values::{rsa_public_key, scopes, secret, text, too_long};
