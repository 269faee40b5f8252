//! A kill of the single process with the embedded store lets no replay pass.

use crate::support::caller::now;
use crate::support::envoy::{Deadlines, NEWEST, Shape};
use crate::support::http::Request;
use crate::support::process::{START, eventually};
use crate::support::stack::{Parts, Stack, StoreKind};

#[tokio::test(flavor = "multi_thread")]
async fn no_replay_crosses_a_kill() {
    let (envoy, shape, store) = (NEWEST, Shape::Deploy, StoreKind::Embedded);
    let mut stack = Stack::start(Parts {
        envoy,
        shape,
        store,
        deadlines: Deadlines::Patient,
    })
    .await;
    let request = Request::get("/photos");
    let same_second = stack.alice.sign(&request);
    let ahead = stack.alice.signing().at(now() + 200).in_header(&request);
    for signed in [&same_second, &ahead] {
        stack.allows(signed).await;
    }

    stack.countersign.restart_killed().await;
    eventually("Envoy reaches the service again", START, async || {
        let fresh = stack.alice.signing().at(now() + 100).in_header(&request);
        (stack.send(&fresh).await.status == 200).then_some(())
    })
    .await;
    stack.upstream.received();

    stack.denies(&same_second, 401, "timestamp_refused").await;
    stack.denies(&ahead, 401, "nonce_used").await;
}
