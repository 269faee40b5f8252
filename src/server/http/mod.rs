//! `/oauth/…` over HTTP/1.1: consumers get credentials, and users authorize them (RFC 5849 section
//! 2).
//!
//! - `routes`: the routes; `parts`: the components that they share.
//! - `tokens`: the token endpoints, with `credential_request`, `grant` (the requested credentials),
//!   `refusal` and `answer`.
//! - `client_address`: the address of a client behind trusted proxies.
//! - `authorize`: the authorize page.
//!
//! [`crate::issue`] has the rules for credentials, [`crate::verify`] those for signatures.

mod answer;
mod authorize;
mod client_address;
mod credential_request;
mod grant;
mod parts;
mod refusal;
mod routes;
mod tokens;

pub use authorize::{LogoError, ServiceLogo};
pub(super) use routes::routes;
