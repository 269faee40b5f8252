//! Tests of the stores: the contract of `countersign::store::Store`, and the promises of each
//! store.

pub(crate) mod bench;
mod cache;
mod conformance;
mod crash;
mod embedded;
mod frozen_proxy;
mod lossy_proxy;
mod redis;
mod redis_access;
mod redis_callers;
mod redis_clocks;
mod redis_demotion;
mod redis_epoch;
mod redis_failover;
mod redis_invalidation;
mod redis_lost_changes;
mod redis_nonces;
mod redis_readiness;
mod redis_records;
mod redis_rotation;
mod redis_tampering;
mod redis_tls;
mod rekey;
mod shifting_proxy;
