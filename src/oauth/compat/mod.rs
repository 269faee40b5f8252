//! Known deviations from RFC 5849 in client libraries, each tolerated for single consumers.
//!
//! A profile only adds a way to verify: a signature that is valid under RFC 5849 stays valid, and a
//! signature that is valid under the profile is accepted too. The caller decides which consumer has
//! which profiles.
//!
//! `profile` lists the deviations, `set` says which of them exclude each other, and `variants` turns
//! a set into the base strings that its clients sign, in the encodings of `encoding`.

mod encoding;
mod profile;
mod set;
mod variants;

pub use profile::CompatProfile;
pub use set::CompatSet;
pub(super) use variants::compat_variants;
