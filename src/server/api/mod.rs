//! x
mod printing;
pub mod v1;
