//! The contract of `Store`, rule by rule, on every store.

mod attempts;
pub(crate) mod changes;
mod consumers;
mod deletions;
mod nonces;
mod request_tokens;
pub(crate) mod scan;
mod sessions;
mod tokens;
mod users;

use std::sync::Arc;

use countersign::store::Store;

use super::bench::{Bench, with_redis};

/// Makes one module for each store, with one test for each rule.
macro_rules! on_every_store {
    ($($rule:ident)*) => {
        mod embedded { $(#[tokio::test(flavor = "multi_thread")] async fn $rule() { crate::store::conformance::on_embedded(super::$rule).await })* }
        mod memory { $(#[tokio::test(flavor = "multi_thread")] async fn $rule() { crate::store::conformance::on_memory(super::$rule).await })* }
        mod redis_with_an_access_list { $(#[tokio::test(flavor = "multi_thread")] async fn $rule() { crate::store::conformance::with_an_access_list(super::$rule).await })* }
        mod redis { $(#[tokio::test(flavor = "multi_thread")] async fn $rule() { crate::store::conformance::on_redis(super::$rule).await })* }
    };
}

pub(crate) use on_every_store;

pub(crate) async fn on_embedded<F: Future<Output = ()>>(rule: fn(Arc<dyn Store>) -> F) {
    let bench = Bench::embedded();
    rule(bench.open().await).await;
}

pub(crate) async fn on_memory<F: Future<Output = ()>>(rule: fn(Arc<dyn Store>) -> F) {
    let bench = Bench::memory();
    rule(bench.open().await).await;
}

pub(crate) async fn on_redis<F: Future<Output = ()>>(rule: fn(Arc<dyn Store>) -> F) {
    let (bench, _server) = with_redis();
    rule(bench.open().await).await;
}

/// Runs a rule on a Redis whose user may do what docs/redis.md lists, and nothing else.
pub(crate) async fn with_an_access_list<F: Future<Output = ()>>(rule: fn(Arc<dyn Store>) -> F) {
    let (bench, _server) = crate::store::redis_access::with_the_documented_user();
    rule(bench.open().await).await;
}

/// Runs the same call many times at once.
pub(super) async fn race<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    times: usize,
    store: &Arc<dyn Store>,
    act: impl Fn(Arc<dyn Store>, usize) -> F,
) -> Vec<T> {
    let tasks: Vec<_> = (0..times)
        .map(|at| tokio::spawn(act(Arc::clone(store), at)))
        .collect();
    let mut outcomes = Vec::new();
    for task in tasks {
        outcomes.push(task.await.unwrap());
    }
    outcomes
}
