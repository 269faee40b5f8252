//! stub

pub mod ext_authz;
pub(crate) mod respond;
