//! The listeners and what they serve.

pub mod api;
pub mod ext_authz;
pub(crate) mod respond;
