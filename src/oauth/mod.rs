//! RFC 5849 section 3: signed requests, and the proof that a signature gives.
//!
//! No IO, no clock, no randomness, no async, and no other module of this crate: bytes go in, a
//! verdict comes out. `verify` looks up secrets and applies the timestamp window, nonces and
//! policy.
//!
//! A request moves through types, so that no step can be skipped:
//!
//! ```text
//! Request ──parse──▶ None                      unsigned: no oauth_ parameter
//!               └──▶ Some(SignedRequest) ──verify(keys)──▶ Verified     the signature matches
//!               └──▶ Err(Rejection)                   └──▶ Err(Rejection)
//! ```
//!
//! Names and values stay the bytes that arrived. They are decoded once, and borrowed if they need
//! no decoding. [`Signer`] goes the other way: it signs a request as a client does.

mod base_string;
mod body_hash;
mod collector;
mod compat;
mod credentials;
pub mod diagnosis;
mod encode;
mod form;
mod hash;
mod header;
mod hmac_key;
mod mask;
mod message;
mod pair;
mod parameter;
mod parse;
mod rejection;
mod request;
mod rsa_private;
mod rsa_public;
mod scan;
mod shared_key;
mod sign;
mod signature;
mod signature_method;
mod signed_request;
mod uri;
mod variant;
mod wire;

#[cfg(test)]
mod tests;

pub use body_hash::{BodyHashRule, BodyHashing, body_hash};
pub use compat::{CompatProfile, CompatSet};
pub(crate) use header::is_token;
pub use hmac_key::KeySchedule;
pub use mask::{shows_name, shows_value};
pub use parameter::{ParameterPlace, ParameterSet, ProtocolParameter};
pub use rejection::{Rejection, RejectionKind};
pub use request::{ParseLimits, Request, RequestBody, Scheme};
pub use rsa_private::{RsaPrivateKey, RsaPrivateKeyError};
pub use rsa_public::{RsaPublicKey, RsaPublicKeyError};
pub use sign::{OutgoingRequest, RequestDraft, RequestStamp, SignError, Signer, SigningKey};
pub use signature::VerificationKeys;
pub use signature_method::SignatureMethod;
pub use signed_request::{ProvenSignature, SignedRequest, Verified};
