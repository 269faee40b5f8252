//! RFC 5849 section 3, written from the RFC alone and for comparison only.
//!
//! It shares no code with `countersign::oauth` and is as plain as possible: it copies everything,
//! decodes to bytes, and encodes again. It answers two questions about a request: its base string,
//! and whether a signature proves it.
//!
//! Where the RFC leaves a choice, it takes the one that `docs/decisions.md` documents: `&` alone
//! separates parameters, empty segments are none, and a malformed escape makes the request unfit.

mod authorization;
mod base_string;
mod escape;
mod form;
mod request;
mod signature;

pub use authorization::{Authorization, read_authorization};
pub use base_string::base_string;
pub use escape::{escape, unescape};
pub use form::{FormField, read_form};
pub use request::{PlainRequest, is_form};
pub use signature::{Hash, SharedKey, body_hash, sign};
