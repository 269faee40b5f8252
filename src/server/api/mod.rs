//! The administration API `countersign.v1` over gRPC; `proto/` is its reference.
//!
//! - [`Access`]: who may ask, and as what: an administrator or an issuer, by a token ([`AdminToken`], [`IssuerToken`]) or
//!   a client certificate.
//! - [`routes`]: the services, each behind a gate, over an [`Issuer`] and [`Diagnostics`].
//!
//! The services translate and no more: a message becomes a draft, a record becomes a message, an
//! [`IssueError`](crate::issue::IssueError) becomes a status whose details name the field. Listening, TLS, health and
//! reflection are left to whoever adds the routes to a listener; the rules of issuing to [`crate::issue`].

mod access;
mod admin_token;
mod bearer;
mod consumers;
mod convert;
mod diagnostics;
mod errors;
mod fields;
mod gate;
mod issuer_token;
mod mask;
mod page;
mod peer;
mod request_tokens;
mod roles;
mod tokens;
mod users;

use std::sync::Arc;

use tonic::service::Routes;

use crate::diagnostics::Diagnostics;
use crate::issue::Issuer;
use crate::v1;
use crate::v1::consumer_service_server::ConsumerServiceServer;
use crate::v1::diagnostics_service_server::DiagnosticsServiceServer;
use crate::v1::token_service_server::TokenServiceServer;
use crate::v1::user_service_server::UserServiceServer;
use consumers::Consumers;
use diagnostics::Observed;
use gate::Gated;
use tokens::Tokens;
use users::Users;

pub(super) use peer::address as peer_address;

pub use access::Access;
pub use admin_token::{AdminToken, AdminTokenError};
pub use issuer_token::{IssuerToken, IssuerTokenError};

/// The services of `countersign.v1`, all of them for whom `access` lets in.
///
/// Health and reflection are for the caller to add; nothing added later is behind the gate.
pub fn routes(issuer: Issuer, diagnostics: Diagnostics, access: Access) -> Routes {
    let access = Arc::new(access);
    let consumers = ConsumerServiceServer::new(Consumers::new(issuer.clone()))
        .max_decoding_message_size(MAX_REQUEST_LEN);
    let users = UserServiceServer::new(Users::new(issuer.clone()))
        .max_decoding_message_size(MAX_REQUEST_LEN);
    let tokens =
        TokenServiceServer::new(Tokens::new(issuer)).max_decoding_message_size(MAX_REQUEST_LEN);
    let observed = DiagnosticsServiceServer::new(Observed::new(diagnostics))
        .max_decoding_message_size(MAX_REQUEST_LEN);
    Routes::new(Gated::new(consumers, Arc::clone(&access)))
        .add_service(Gated::new(users, Arc::clone(&access)))
        .add_service(Gated::new(tokens, Arc::clone(&access)))
        .add_service(Gated::new(observed, access))
}

/// The services of [`routes`], by their names.
pub const SERVICES: [&str; 4] = [
    v1::consumer_service_server::SERVICE_NAME,
    v1::diagnostics_service_server::SERVICE_NAME,
    v1::token_service_server::SERVICE_NAME,
    v1::user_service_server::SERVICE_NAME,
];

/// The largest request: with room for a value of a mebibyte, which is refused by its field's name.
const MAX_REQUEST_LEN: usize = 4 * 1024 * 1024;
