//! The running service: its listeners, several replicas of it, a user directory, and the denials
//! that it records; reloads, the age of connections, floods, overload and its memory.

mod connection_age;
mod debug_forms;
mod diagnostics;
mod directory;
mod dribbled;
mod floods;
mod full_disk;
mod listeners;
mod outage;
mod overload;
mod readiness;
mod reload;
pub(crate) mod replicas;
mod service_manager;
