//! The administration API `countersign.v1` over gRPC; `proto/` is its reference.
//!
//! - [`Access`]: the role of a caller, administrator or issuer, by a token ([`AdminToken`],
//!   [`IssuerToken`]) or a client certificate.
//! - [`routes`]: the services, each behind a gate, over an [`Issuer`], [`Diagnostics`] and a
//!   [`Store`].
//!
//! The services only translate: a message becomes a draft, a record becomes a message, an
//! [`IssueError`](crate::issue::IssueError) becomes a status whose details name the field.
//!
//! Left to others: listening, TLS, health and reflection (the caller of [`routes`]), and the rules
//! of issuing ([`crate::issue`]).

mod access;
mod admin_token;
mod backup;
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
mod revocable;
mod roles;
mod store;
mod streamed;
mod tokens;
mod users;

use std::sync::Arc;

use tonic::service::Routes;

use crate::diagnostics::Diagnostics;
use crate::issue::Issuer;
use crate::store::Store;
use crate::v1;
use crate::v1::backup_service_server::BackupServiceServer;
use crate::v1::consumer_service_server::ConsumerServiceServer;
use crate::v1::diagnostics_service_server::DiagnosticsServiceServer;
use crate::v1::store_service_server::StoreServiceServer;
use crate::v1::token_service_server::TokenServiceServer;
use crate::v1::user_service_server::UserServiceServer;
use backup::BackupApi;
use consumers::ConsumerApi;
use diagnostics::DiagnosticsApi;
use gate::ServiceGate;
use store::StoreApi;
use tokens::TokenApi;
use users::UserApi;

pub(super) use peer::address as peer_address;

pub use access::Access;
pub use admin_token::{AdminToken, AdminTokenError};
pub use issuer_token::{IssuerToken, IssuerTokenError};
pub use store::RotationTurn;

/// Returns the services of `countersign.v1`, each behind the gate of `access`.
///
/// `turn` is the same for all services of a process, so that only one rotation of master keys runs.
/// The caller adds health and reflection. Services that are added later are not behind the gate.
pub fn routes(
    issuer: Issuer,
    diagnostics: Diagnostics,
    store: Arc<dyn Store>,
    turn: RotationTurn,
    access: impl Into<Arc<Access>>,
) -> Routes {
    let access = access.into();
    let backups = BackupServiceServer::new(BackupApi::new(issuer.clone(), Arc::clone(&access)))
        .max_decoding_message_size(MAX_REQUEST_LEN);
    let consumers = ConsumerServiceServer::new(ConsumerApi::new(issuer.clone()))
        .max_decoding_message_size(MAX_REQUEST_LEN);
    let users = UserServiceServer::new(UserApi::new(issuer.clone()))
        .max_decoding_message_size(MAX_REQUEST_LEN);
    let tokens =
        TokenServiceServer::new(TokenApi::new(issuer)).max_decoding_message_size(MAX_REQUEST_LEN);
    let observed = DiagnosticsServiceServer::new(DiagnosticsApi::new(diagnostics))
        .max_decoding_message_size(MAX_REQUEST_LEN);
    let store = StoreServiceServer::new(StoreApi::new(store, turn))
        .max_decoding_message_size(MAX_REQUEST_LEN);
    Routes::new(ServiceGate::new(consumers, Arc::clone(&access)))
        .add_service(ServiceGate::new(backups, Arc::clone(&access)))
        .add_service(ServiceGate::new(users, Arc::clone(&access)))
        .add_service(ServiceGate::new(tokens, Arc::clone(&access)))
        .add_service(ServiceGate::new(observed, Arc::clone(&access)))
        .add_service(ServiceGate::new(store, access))
}

/// The names of the services of [`routes`].
pub const SERVICES: [&str; 6] = [
    v1::backup_service_server::SERVICE_NAME,
    v1::consumer_service_server::SERVICE_NAME,
    v1::diagnostics_service_server::SERVICE_NAME,
    v1::store_service_server::SERVICE_NAME,
    v1::token_service_server::SERVICE_NAME,
    v1::user_service_server::SERVICE_NAME,
];

/// The largest request, in bytes. A value of a mebibyte fits, so that the error can name its field.
const MAX_REQUEST_LEN: usize = 4 * 1024 * 1024;
