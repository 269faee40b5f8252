//! The running service: its listeners, several replicas of it, a user directory, and the denials
//! that it records; and floods.

mod diagnostics;
mod directory;
mod floods;
mod listeners;
pub(crate) mod replicas;
