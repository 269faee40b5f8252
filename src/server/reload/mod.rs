//! Reload: the replacement of the configuration and of every file that it names, while the service
//! runs.
//!
//! 1. SIGHUP asks for a reload, and so do contents of the files that changed and then stayed the
//!    same for one interval (`changes`, `files`).
//! 2. Everything is read and checked, on a thread of its own (`inputs`). A mistake refuses the whole
//!    reload: nothing changes, and the log lists every mistake.
//! 3. New services are assembled. From here on, nothing fails and nothing waits: master keys, tokens,
//!    certificates and services are replaced (`reloader`).
//!
//! A request is answered by the services that were current when it arrived, so it never sees two
//! configurations. Keys that need a restart keep their value, and the log names them.
//!
//! # Security
//! Replaced tokens end at once, with the sessions and streams that they opened, during a drain too. A
//! connection keeps the client certificate that its handshake verified, and each call on it verifies
//! the certificate against the current CA.
//!
//! - `source`: the origin of a configuration; `expiry`: certificates that expire.

mod changes;
mod expiry;
mod files;
mod inputs;
mod reloader;
mod source;

pub(super) use reloader::{Reloader, log_warnings};
pub use source::{ReloadSource, TokenVariables};
