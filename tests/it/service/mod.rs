//! The running service: its listeners, several replicas of it, a user directory, and the denials
//! that it records; floods, overload and its memory.

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
pub(crate) mod replicas;
