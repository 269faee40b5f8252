//! The answers of Check, rule by rule and without an Envoy: every form of request that a client of the
//! API can send, and every failure of ours.

mod answers;
mod bench;
mod bodies;
mod diagnostics;
mod explained;
mod failures;
mod routes;
