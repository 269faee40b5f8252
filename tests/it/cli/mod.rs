//! The commands of the program, run as a person or a script runs them.

mod admin;
mod apply;
mod captures;
mod commands;
mod confirmed;
mod diagnostics;
pub(crate) mod explain;
mod explained;
mod export;
mod hostile_requests;
mod import;
mod program;
mod replicas;
mod restore;
mod sign;
mod tls;
