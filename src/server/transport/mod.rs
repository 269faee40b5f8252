//! Sockets and connections: everything between the kernel and a service that answers.
//!
//! - `listener`, `tls`, `protocol`: bound sockets, their certificates and the HTTP version that they speak.
//! - `accept`, `connection`, `preface`, `stall`: accepted connections and their limits.
//! - `drain`: the end of connections at shutdown.
//! - `workers`: the threads of the check listener.

mod accept;
mod connection;
mod drain;
mod listener;
mod preface;
mod protocol;
mod stall;
mod tls;
mod workers;

pub(super) use accept::accept;
pub(super) use connection::Answer;
pub(super) use drain::DrainSignal;
pub(super) use listener::Listener;
pub(super) use workers::{Seats, Workers};

pub use listener::{Addresses, BindError, Listeners};
pub use tls::TlsError;
