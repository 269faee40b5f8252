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
//!
//! Names and values stay the bytes that arrived; they are decoded once, and what needs no decoding is borrowed. The other
//! direction, what a client does to sign, is [`Signer`].

mod base_string;
mod body_hash;
mod compat;
pub mod diagnosis;
mod encode;
mod hash;
mod header;
mod hmac_key;
mod mask;
mod media_type;
mod parameter;
mod params;
mod rejection;
mod request;
mod rsa_private;
mod rsa_public;
mod scan;
mod sign;
mod signature;
mod uri;
mod variant;
mod wire;

#[cfg(test)]
mod tests;

pub use body_hash::{BodyHashRule, body_hash};
pub use compat::{CompatProfile, CompatSet};
pub use hmac_key::KeySchedule;
pub use mask::shows_name;
pub use parameter::{ParameterPlace, ParameterSet, ProtocolParameter};
pub use rejection::{Rejection, RejectionKind};
pub use request::{ParseLimits, Request, RequestBody, Scheme, SignedRequest, Verified};
pub use rsa_private::{RsaPrivateKey, RsaPrivateKeyError};
pub use rsa_public::{RsaPublicKey, RsaPublicKeyError};
pub use sign::{OutgoingRequest, RequestDraft, RequestStamp, SignError, Signer, SigningKey};
pub use signature::{SignatureMethod, VerificationKeys};
