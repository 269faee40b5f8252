//! Integration tests from the outside: real sockets, the real protocols. Each module is named after what it holds to its
//! rules.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod admin_cli;
mod admin_server;
mod api;
mod check;
mod cli_explain;
mod cli_sign;
mod command_line;
mod redis;
mod server_frame;
mod store;
