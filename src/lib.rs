//! Countersign: skeleton.

pub mod clock;
pub mod config;
pub mod model;
pub mod oauth;
pub mod server;
pub mod store;
pub mod telemetry;
