//! `/oauth/request_token` and `/oauth/access_token` (RFC 5849 section 2), and xAuth.

mod audited;
mod bad_input;
pub(crate) mod bench;
mod clients;
mod exchanged;
mod explained;
mod fuzzed;
mod limits;
mod passwords;
mod racing;
mod requested;
mod wire;
