//! Tests from the outside: real sockets, the real protocols.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod command_line;
mod server_frame;
