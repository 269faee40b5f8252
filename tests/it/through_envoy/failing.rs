//! Failures of Countersign and its store: nothing passes, its health says so, and it recovers on
//! its own.

use std::time::Duration;

use tokio::time::Instant;

use crate::support::envoy::{Deadlines, NEWEST, Shape};
use crate::support::http::Request;
use crate::support::process::{Process, eventually};
use crate::support::scripted::{self, python};
use crate::support::stack::{Parts, Stack, StoreKind};

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_nothing_passes_and_with_it_everything_does_again() {
    for shape in [Shape::Deploy, Shape::Gateway] {
        let mut stack = with_redis(shape).await;
        let request = Request::get("/photos");
        stack.allows(&stack.alice.sign(&request)).await;

        stack.redis.as_mut().unwrap().kill();
        for _ in 0..5 {
            let response = stack.send(&stack.alice.sign(&request)).await;
            assert_eq!(response.status, 503, "{response:?}");
        }
        assert_eq!(stack.upstream.received().len(), 0);

        stack.redis.as_mut().unwrap().restart();
        let recovered =
            async || (stack.send(&stack.alice.sign(&request)).await.status == 200).then_some(());
        eventually("requests pass again", Duration::from_secs(10), recovered).await;
    }
}

/// The client of the gRPC authors streams every change of health.
#[tokio::test(flavor = "multi_thread")]
async fn health_is_truthful_while_redis_is_lost_and_found() {
    let mut stack = with_redis(Shape::Deploy).await;
    let address = stack.countersign.check.to_string();
    let check = async || {
        let mut command = python("health.py");
        command.args(["check", &address]);
        scripted::run(command).await
    };
    let healthy = serde_json::json!({
        "": "SERVING", "envoy.service.auth.v3.Authorization": "SERVING", "nobody.knows.This": "NOT_FOUND",
    });
    let mut watch = Process::spawn("health.py", python("health.py").args(["watch", &address]));
    let said = |status: &'static str| move |line: &str| (line == status).then_some(());
    watch.line(said("SERVING")).await;
    assert_eq!(check().await, healthy);

    stack.redis.as_mut().unwrap().kill();
    // Three seconds are promised, and tested with a test clock elsewhere; a busy machine may take
    // longer.
    watch.line(said("NOT_SERVING")).await;
    let lost = check().await;
    assert_eq!(
        (&lost[""], &lost["envoy.service.auth.v3.Authorization"]),
        (&"NOT_SERVING".into(), &"NOT_SERVING".into())
    );
    assert!(!stack.countersign.is_serving().await);

    stack.redis.as_mut().unwrap().restart();
    watch.line(said("SERVING")).await;
    assert_eq!(check().await, healthy);
    assert!(stack.countersign.is_serving().await);
}

/// A Redis that keeps its connections and does not respond is the slow failure.
#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_redis_costs_a_caller_no_more_than_the_deadline() {
    let stack = with_redis(Shape::Deploy).await;
    let request = Request::get("/photos");
    stack.allows(&stack.alice.sign(&request)).await;
    stack.redis.as_ref().unwrap().stop();
    for _ in 0..5 {
        let asked = Instant::now();
        assert_eq!(stack.send(&stack.alice.sign(&request)).await.status, 503);
        // deploy/envoy allows 0.45 s; the rest is for a busy machine.
        assert!(
            asked.elapsed() < Duration::from_secs(3),
            "{:?}",
            asked.elapsed()
        );
    }
    assert_eq!(stack.upstream.received().len(), 0);
    stack.redis.as_ref().unwrap().cont();
    let recovered =
        async || (stack.send(&stack.alice.sign(&request)).await.status == 200).then_some(());
    eventually("requests pass again", Duration::from_secs(10), recovered).await;
}

async fn with_redis(shape: Shape) -> Stack {
    Stack::start(Parts {
        envoy: NEWEST,
        shape,
        store: StoreKind::Redis,
        deadlines: Deadlines::Shipped,
    })
    .await
}
