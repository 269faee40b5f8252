//! The listeners: `check` for Envoy, `api` for administrators, `http` for consumers and users,
//! `ops` for probes, Prometheus and operators.
//!
//! [`run()`] takes bound sockets and a shutdown future; it binds nothing, and reads files only for a
//! reload. At shutdown it loses no request: health reports NOT_SERVING for `shutdown.delay`, until
//! Envoy and Kubernetes have noticed; then connections drain for up to `shutdown.timeout`. The ops
//! listener ends last.
//!
//! - `run`, `assembly`, `served`, `group`, `error`: the life of the service, the services of each
//!   listener, and groups of listeners that drain together.
//! - [`reload`]: the replacement of configuration, keys, tokens and certificates while it runs.
//! - `named_files`: the check of the files that a configuration names, without a service.
//! - `transport`: sockets, certificates, connections and the threads of the check listener.
//! - [`ext_authz`]: Envoy's checks; `denial`: the responses to refused requests.
//! - [`api`]: administration; `reflection`: gRPC server reflection.
//! - `http`: the token endpoints and the authorize page; `pages`, `guard`, `body`: the parts that
//!   `http` and `console` share.
//! - `health`, `ops`, `console`: the state of the service, for machines and for people.

pub mod api;
mod app;
mod assembly;
mod body;
mod console;
mod denial;
mod detached;
mod error;
pub mod ext_authz;
mod group;
mod guard;
mod health;
mod health_service;
mod http;
mod named_files;
mod negotiation;
mod ops;
mod pages;
mod reflection;
pub mod reload;
mod run;
mod served;
mod service_manager;
mod transport;
mod watches;

pub use app::App;
pub use assembly::http_routes;
pub use error::ServerError;
pub use http::{LogoError, ServiceLogo};
pub use named_files::{FileCheck, FileState, check_files};
pub use run::run;
pub use transport::{Addresses, BindError, Listeners, TlsError};
