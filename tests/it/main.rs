//! Integration tests from the outside: real sockets, the real protocols. Each module is named after what it holds to its
//! rules.
//!
//! `through_envoy` runs everything together: `stack` is a client (`caller`, `http`), a real `envoy`, the real program
//! (`program`), a real `redis`, and an `upstream` that says what reached it.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod admin_cli;
mod admin_server;
mod admin_tls;
mod api;
mod api_access;
mod api_bad_input;
mod api_definition;
mod api_diagnostics;
mod api_every_call;
mod api_issuing;
mod api_requests;
mod audit_log;
mod authorize;
mod caller;
mod certificates;
mod check;
mod cli_explain;
mod cli_sign;
mod command_line;
mod console;
mod debugging_docs;
mod deploy;
mod diagnostics;
mod diagnostics_cli;
mod directory;
mod envoy;
mod explained;
mod http;
mod import;
mod interrupted;
mod issuing_docs;
mod layering;
mod migrating_docs;
mod observer;
mod process;
mod program;
mod redis;
mod refusing_store;
mod replicas;
mod scripted;
mod server_frame;
mod serving;
mod stack;
mod store;
mod through_envoy;
mod token_endpoints;
mod upstream;
