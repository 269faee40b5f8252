//! What is tested from the outside of the crate: the stores, against real servers.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod redis;
mod store;
