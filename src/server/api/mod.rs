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
mod fields;
mod gate;
mod mask;
mod page;
mod printing;
mod request_tokens;
mod tokens;
mod users;
pub mod v1;

use tonic::service::Routes;
use tonic::service::interceptor::InterceptedService;

use crate::issue::Issuer;
use consumers::Consumers;
use gate::Gate;
use tokens::Tokens;
use users::Users;
use v1::consumer_service_server::ConsumerServiceServer;
use v1::token_service_server::TokenServiceServer;
use v1::user_service_server::UserServiceServer;

pub use admin_token::{AdminToken, AdminTokenError};

/// The services of `countersign.v1`, all of them behind `token`.
///
/// Health and reflection are for the caller to add; nothing added later is behind the token.
pub fn routes(issuer: Issuer, token: AdminToken) -> Routes {
    let gate = Gate::new(token);
    let consumers =
        ConsumerServiceServer::new(Consumers::new(issuer.clone())).max_decoding_message_size(MAX_REQUEST_LEN);
    let users = UserServiceServer::new(Users::new(issuer.clone())).max_decoding_message_size(MAX_REQUEST_LEN);
    let tokens = TokenServiceServer::new(Tokens::new(issuer)).max_decoding_message_size(MAX_REQUEST_LEN);
    Routes::new(InterceptedService::new(consumers, gate.clone()))
        .add_service(InterceptedService::new(users, gate.clone()))
        .add_service(InterceptedService::new(tokens, gate))
}

/// The largest request: with room for a value of a mebibyte, which is refused by its field's name.
const MAX_REQUEST_LEN: usize = 4 * 1024 * 1024;
