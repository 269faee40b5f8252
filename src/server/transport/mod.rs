//! Sockets and connections: everything between the kernel and a service that answers.
//!
//! - `listener`, `unix`, `tls`, `protocol`: bound sockets, their certificates and their HTTP
//!   version.
//! - `accept`, `connection`, `service`, `preface`, `stall`: accepted connections and their limits.
//! - `http2_guard`, `frames`, `frame_budget`, `unread`, `violation`: limits of HTTP/2 for peers that
//!   send frames without requests, or do not take their responses.
//! - `ending`, `age`, `drain`: the end of connections, at their age or at shutdown.
//! - `reloadable`: a service that a reload replaces while connections use it.
//! - `workers`, `admission`: the threads of the check listener, and what they do under overload.

mod accept;
mod admission;
mod age;
mod connection;
mod drain;
mod ending;
mod frame_budget;
mod frames;
mod http2_guard;
mod listener;
mod preface;
mod protocol;
mod reloadable;
mod service;
mod stall;
#[cfg(test)]
mod test_listener;
mod tls;
mod unix;
mod unread;
mod violation;
mod workers;

pub(super) use accept::{ListenerParts, accept};
pub(super) use admission::{Admission, CheckTime, Overloaded};
pub(super) use drain::DrainSignal;
pub(super) use ending::WatchEnding;
pub(super) use listener::BoundListener;
pub(super) use listener::ListenerCertificate;
pub(super) use protocol::Protocol;
pub(super) use reloadable::Reloadable;
pub(super) use service::ConnectionService;
pub(super) use tls::{ClientAuthority, LoadedTls};
pub(super) use workers::{CheckWorkers, ServiceSlots};

pub use listener::{Addresses, BindError, Listeners};
pub use tls::TlsError;
