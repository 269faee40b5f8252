//! `countersign.v1` over gRPC, without the command line.

mod access;
mod backups;
pub(crate) mod bad_input;
pub(crate) mod calls;
pub(crate) mod definition;
mod diagnostics;
mod every_call;
mod interrupted;
mod issuing;
pub(crate) mod requests;
