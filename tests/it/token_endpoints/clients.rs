//! Other authors' clients get tokens, and their signed requests pass a real Envoy.

use std::io::Write as _;

use serde_json::{Value, json};

use super::bench::CALLBACK;
use crate::support::envoy::{Deadlines, NEWEST, Shape};
use crate::support::scripted::{self, node, python};
use crate::support::stack::{Parts, Stack, StoreKind};

#[tokio::test(flavor = "multi_thread")]
async fn requests_oauthlib_and_authlib_get_tokens_that_pass() {
    let stack = stack(StoreKind::Redis).await;
    let mut command = python("three_legged.py");
    command.arg(given(&stack).await.to_string());
    let outcomes = scripted::run(command).await;
    all_passed(&stack, &outcomes, 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_of_npm_gets_tokens_that_pass() {
    let stack = stack(StoreKind::Embedded).await;
    let mut given = given(&stack).await;
    let program = env!("CARGO_BIN_EXE_countersign");
    let api = format!("--server=http://{}", stack.countersign.api);
    let allow = [
        "request-token",
        "authorize",
        "--user-id=u-jane",
        "--screen-name=jane",
        "--output=json",
        &api,
    ];
    given["allow"] = std::iter::once(program)
        .chain(allow)
        .collect::<Vec<_>>()
        .into();
    let mut command = node("three_legged.mjs");
    command
        .arg(given.to_string())
        .env("COUNTERSIGN_ADMIN_TOKEN", stack.countersign.admin_token());
    let outcomes = scripted::run(command).await;
    all_passed(&stack, &outcomes, 3);
    assert!(
        outcomes
            .as_array()
            .unwrap()
            .iter()
            .all(|outcome| outcome["confirmed"] == "true"),
        "{outcomes}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn xauth_clients_get_tokens_that_pass() {
    let stack = stack(StoreKind::Embedded).await;
    let mut command = python("xauth.py");
    command.arg(given(&stack).await.to_string());
    let outcomes = scripted::run(command).await;
    let outcomes = outcomes.as_array().unwrap();
    assert_eq!(outcomes.len(), 4);
    let refused: Vec<_> = outcomes
        .iter()
        .filter(|outcome| outcome["status"] != 200)
        .collect();
    assert!(
        refused.is_empty(),
        "{refused:#?}\n{}",
        stack.countersign.log()
    );
    for (at, expires) in [(1, json!("0")), (2, json!(0)), (3, json!("0"))] {
        let token = &outcomes[at]["token"];
        assert_eq!(
            (&token["user_id"], &token["screen_name"]),
            (&"u-jane".into(), &"jane".into()),
            "{token}"
        );
        assert_eq!(token["x_auth_expires"], expires);
    }
    // The test's own client of the service makes one more request.
    let users = stack
        .upstream
        .received()
        .into_iter()
        .map(|request| request.header("x-authenticated-userid").map(str::to_owned));
    assert_eq!(
        users.collect::<Vec<_>>(),
        vec![Some("u-jane".to_owned()); 5]
    );
}

async fn stack(store: StoreKind) -> Stack {
    let parts = Parts {
        envoy: NEWEST,
        shape: Shape::Deploy,
        store,
        deadlines: Deadlines::Patient,
    };
    Stack::start(parts).await
}

/// Returns the input of a script: a consumer, a user, and the addresses. Clients connect to Envoy.
async fn given(stack: &Stack) -> Value {
    let callback = format!("--callback={CALLBACK}");
    let consumer = [
        "consumer",
        "create",
        "--name=Printer",
        "--flow=three-legged",
        "--flow=xauth",
        "--callback=oob",
        &callback,
    ];
    let consumer = stack.countersign.admin(&consumer).await;
    let (username, password) = ("jane", "correct horse & battery");
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(password.as_bytes()).unwrap();
    let file = file.path().display().to_string();
    let user = [
        "user",
        "create",
        "--username",
        username,
        "--user-id=u-jane",
        "--password-file",
        &file,
    ];
    stack.countersign.admin(&user).await;
    json!({
        "url": format!("http://{}", stack.envoy.address),
        "api": stack.countersign.api.to_string(),
        "admin_token": stack.countersign.admin_token(),
        "protos": crate::support::process::project("proto"),
        "callback": CALLBACK,
        "consumer_key": consumer["consumer_key"],
        "consumer_secret": consumer["consumer_secret"],
        "username": username,
        "password": password,
    })
}

/// Asserts that every flow ended with an allowed request as Jane.
fn all_passed(stack: &Stack, outcomes: &Value, count: usize) {
    let outcomes = outcomes.as_array().unwrap();
    assert_eq!(outcomes.len(), count, "{outcomes:#?}");
    for outcome in outcomes {
        assert_eq!(
            outcome["status"],
            200,
            "{outcome}\n{}",
            stack.countersign.log()
        );
        assert_eq!(
            (&outcome["user_id"], &outcome["screen_name"]),
            (&"u-jane".into(), &"jane".into()),
            "{outcome}"
        );
    }
    let received = stack.upstream.received();
    assert_eq!(received.len(), count);
    assert!(
        received
            .iter()
            .all(|request| request.header("x-authenticated-userid") == Some("u-jane"))
    );
}
