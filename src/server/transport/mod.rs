//! Sockets and connections: everything between the kernel and a service that answers.
//!
//! - `listener`, `unix`, `tls`, `protocol`: bound sockets, their certificates and their HTTP
//!   version.
//! - `accept`, `connection`, `service`, `preface`, `stall`: accepted connections and their limits.
//! - `drain`: the end of connections at shutdown.
//! - `workers`: the threads of the check listener.

mod accept;
mod connection;
mod drain;
mod listener;
mod preface;
mod protocol;
mod service;
mod stall;
mod tls;
mod unix;
mod workers;

pub(super) use accept::accept;
pub(super) use drain::DrainSignal;
pub(super) use listener::BoundListener;
pub(super) use service::ConnectionService;
pub(super) use workers::{CheckWorkers, ServiceSlots};

pub use listener::{Addresses, BindError, Listeners};
pub use tls::TlsError;
