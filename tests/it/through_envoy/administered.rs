//! Credentials issued to a generated client in another language are accepted.

use serde_json::{Value, json};

use crate::support::envoy::{Deadlines, NEWEST, Shape};
use crate::support::process::project;
use crate::support::scripted::{self, python};
use crate::support::stack::{Parts, Stack, StoreKind, identity};

#[tokio::test(flavor = "multi_thread")]
async fn credentials_issued_to_a_generated_client_are_accepted() {
    let (envoy, shape, store) = (NEWEST, Shape::Deploy, StoreKind::Embedded);
    let environment = [("COUNTERSIGN_ISSUER_TOKEN", ISSUER_TOKEN)];
    let parts = Parts {
        envoy,
        shape,
        store,
        deadlines: Deadlines::Patient,
    };
    let stack = Stack::start_in(&environment, parts).await;

    let mut command = python("admin.py");
    let given = json!({
        "proto": project("proto"),
        "api": stack.countersign.api.to_string(),
        "admin_token": stack.countersign.admin_token(),
        "issuer_token": ISSUER_TOKEN,
        "url": format!("http://{}", stack.envoy.address),
    });
    command.arg(given.to_string());
    let saw = scripted::run(command).await;

    assert_eq!(saw["status"], 200, "{saw:#}\n{}", stack.countersign.log());
    let received = stack.upstream.received();
    let [request] = &received[..] else {
        panic!("{received:?}")
    };
    let headers = identity(request);
    for (name, value) in [
        ("x-credential-identifier", &saw["consumer_key"]),
        ("x-authenticated-userid", &saw["user_id"]),
        ("x-consumer-username", &Value::from("Printer in Python")),
        ("x-authenticated-scope", &Value::from("read")),
    ] {
        assert!(
            headers.contains(&(name.to_owned(), value.as_str().unwrap().to_owned())),
            "{name}: {headers:?}"
        );
    }
    assert_eq!(
        (&saw["scopes"], &saw["active"]),
        (&json!(["read", "write"]), &json!(true))
    );
    assert_eq!(
        saw["name"], "Printer in Python",
        "the update changed fields outside of the mask"
    );
    let listed = saw["listed"].as_array().unwrap();
    assert!(
        listed.len() == 2 && listed.contains(&saw["consumer_key"]),
        "{listed:?}"
    );
    let refused: Vec<_> = saw["refused"]
        .as_array()
        .unwrap()
        .iter()
        .map(|refused| refused[0].clone())
        .collect();
    assert_eq!(
        refused,
        ["INVALID_ARGUMENT", "PERMISSION_DENIED", "UNAUTHENTICATED"]
    );
    assert_eq!(saw["refused"][0][1], "consumer is required");
}

const ISSUER_TOKEN: &str = "an-issuer-in-stirrups";
