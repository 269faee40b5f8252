//! RFC 5849 section 3: what a signed request is, and whether its signature proves who sent it.
//!
//! No IO, no clock, no randomness, no async, and nothing of the rest of this crate: bytes in, a verdict out. Look-up of
//! secrets, the timestamp window, nonces and policy are left to `verify`.
//!
//! A request moves through types, so that no step can be left out:
//!
//! ```text
//! Request ──parse──▶ None                      not signed: not one oauth_ parameter
//!               └──▶ Some(SignedRequest) ──verify(keys)──▶ Verified     the signature matches
//!               └──▶ Err(Rejection)                   └──▶ Err(Rejection)
//! ```

mod rejection;
mod request;
mod signature;

pub use rejection::{Rejection, RejectionKind};
pub use request::{Body, BodyHashRule, Limits, Request, Scheme, SignedRequest, Verified};
pub use signature::{Keys, RsaPublicKey, RsaPublicKeyError, SignatureMethod};
