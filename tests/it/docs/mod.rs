//! The documentation and the files in `deploy/`: commands run as written, and named things exist.

mod backup;
pub(crate) mod clients;
mod debugging;
mod deploy;
mod deploy_redis;
pub(crate) mod issuing;
mod migrating;
pub(crate) mod migrating_traffic;
mod paths;
mod rotation;
mod threat_model;
