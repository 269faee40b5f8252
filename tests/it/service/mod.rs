//! The running service: its listeners and its memory, several replicas of it, a user directory, and
//! the denials that it records.

mod diagnostics;
mod directory;
mod dribbled;
mod listeners;
pub(crate) mod replicas;
