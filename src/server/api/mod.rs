//! The administration API `countersign.v1` over gRPC; `proto/` is its reference.
//!
//! - [`AdminToken`]: the bearer token that every call must carry, and the file that it stands in.
//! - [`routes`]: the services behind that token, over an [`Issuer`].
//! - [`v1`]: messages, client and server as generated, and the definition for reflection.
//!
//! The services translate and no more: a message becomes a draft, a record becomes a message, an
//! [`IssueError`](crate::issue::IssueError) becomes a status whose details name the field. Listening, TLS, health and
//! reflection are left to whoever adds the routes to a listener; the rules of issuing to [`crate::issue`].

mod admin_token;
mod consumers;
mod convert;
mod errors;
mod gate;
mod page;
mod printing;
mod tokens;
pub mod v1;

use tonic::service::Routes;
use tonic::service::interceptor::InterceptedService;

use crate::issue::Issuer;
use consumers::Consumers;
use gate::Gate;
use tokens::Tokens;
use v1::consumer_service_server::ConsumerServiceServer;
use v1::token_service_server::TokenServiceServer;

pub use admin_token::{AdminToken, AdminTokenError};

/// The services of `countersign.v1`, all of them behind `token`.
///
/// Health and reflection are for the caller to add; nothing added later is behind the token.
pub fn routes(issuer: Issuer, token: AdminToken) -> Routes {
    let gate = Gate::new(token);
    let consumers =
        ConsumerServiceServer::new(Consumers::new(issuer.clone())).max_decoding_message_size(MAX_REQUEST_LEN);
    let tokens = TokenServiceServer::new(Tokens::new(issuer)).max_decoding_message_size(MAX_REQUEST_LEN);
    Routes::new(InterceptedService::new(consumers, gate.clone())).add_service(InterceptedService::new(tokens, gate))
}

/// The largest request: several times the largest consumer that the rules of issuing allow.
const MAX_REQUEST_LEN: usize = 1024 * 1024;
