//! The documentation and the files in `deploy/`: commands run as written, and named things exist.

mod debugging;
mod deploy;
mod deploy_redis;
pub(crate) mod issuing;
mod migrating;
mod paths;
mod rotation;
mod threat_model;
