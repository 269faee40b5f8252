//! `Check` rule by rule, without an Envoy: every form of request that a client can send, and every
//! failure of the service.

mod answers;
mod bench;
mod bodies;
mod diagnostics;
mod explained;
mod facts;
mod failures;
mod form_parsers;
mod routes;
