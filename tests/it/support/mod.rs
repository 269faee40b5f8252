//! Helpers of the tests: real programs to run against, clients to call them with, and stores that
//! fail on purpose.

pub(crate) mod admin_server;
pub(crate) mod audit_log;
pub(crate) mod caller;
pub(crate) mod certificates;
pub(crate) mod envoy;
pub(crate) mod export;
pub(crate) mod http;
pub(crate) mod leaks;
pub(crate) mod load;
pub(crate) mod observer;
pub(crate) mod process;
pub(crate) mod program;
pub(crate) mod redis;
pub(crate) mod redis_tls;
pub(crate) mod refusing_store;
pub(crate) mod scripted;
pub(crate) mod serving;
pub(crate) mod stack;
pub(crate) mod terminal;
pub(crate) mod upstream;
