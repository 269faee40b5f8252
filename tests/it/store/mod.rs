//! The stores, each held to the contract of `countersign::store::Store` and to its own promises.

mod bench;
mod cache;
mod conformance;
mod crash;
mod embedded;
mod frozen;
mod lossy;
mod notices;
mod redis;
mod redis_claims;
mod redis_issued;
mod redis_lookups;
mod redis_many;
