//! The running service: its listeners, several replicas of it, a user directory, and the denials
//! that it records.

mod diagnostics;
mod directory;
mod full_disk;
mod listeners;
mod outage;
pub(crate) mod replicas;
