//! `docs/migrating.md`: its shell commands run in order, as written, on a service in shadow mode.

use std::fs;
use std::process::Command;

use envoy_types::ext_authz::v3::pb::HttpResponse;
use envoy_types::pb::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use tokio::task;
use tonic::transport::Endpoint;

use crate::docs::issuing::{blocks, there};
use crate::service::replicas::check_request;
use crate::support::caller::Caller;
use crate::support::http::Request;
use crate::support::process::project;
use crate::support::program::Countersign;

#[tokio::test(flavor = "multi_thread")]
async fn every_command_of_the_page_works_as_pasted() {
    let page = fs::read_to_string(project("docs/migrating.md")).unwrap();
    let (toml, _) = page
        .split_once("\n    [[route]]\n")
        .unwrap()
        .1
        .split_once("\n\n")
        .unwrap();
    let config = format!("check.timeout = \"5s\"\nstore.timeout = \"3s\"\n[[route]]\n{toml}\n");
    let countersign = Countersign::start("memory:", &config).await;
    let caller = Caller {
        consumer_key: KEY.to_owned(),
        consumer_secret: "kd94hf93k423kf44".to_owned(),
        token: None,
    };
    let credentials = [
        "--consumer-key",
        KEY,
        "--consumer-secret",
        &caller.consumer_secret,
    ];
    countersign
        .admin(&[&["consumer", "create", "--name=Printer"][..], &credentials].concat())
        .await;

    allow_in_shadow_mode(&countersign, &caller).await;
    let commands = blocks(&page, "sh");
    assert_eq!(commands.len(), 6);
    let printed = run(&countersign, &commands.join("\n")).await;
    let reported = printed.lines().find(|line| line.starts_with(KEY)).unwrap();
    let columns: Vec<_> = reported.split_whitespace().collect();
    assert_eq!(
        columns[..6],
        [KEY, "1", "0", "0", "1", "signature_mismatch"],
        "{printed}"
    );
    let shown = countersign.admin(&["consumer", "get", KEY]).await;
    assert_eq!(shown["status"], "CONSUMER_STATUS_ACTIVE", "{shown}");
}

/// Sends a request with a wrong signature, which shadow mode allows.
async fn allow_in_shadow_mode(countersign: &Countersign, caller: &Caller) {
    let channel = Endpoint::from_shared(format!("http://{}", countersign.check))
        .unwrap()
        .connect()
        .await
        .unwrap();
    let signed = caller
        .signing()
        .for_scheme("https")
        .in_header(&Request::get("/orders/7"));
    let answer = AuthorizationClient::new(channel)
        .check(check_request(&signed))
        .await
        .unwrap()
        .into_inner();
    assert!(
        matches!(answer.http_response, Some(HttpResponse::OkResponse(_))),
        "{answer:?}"
    );
}

/// Runs shell commands against a service, and returns their output.
async fn run(countersign: &Countersign, commands: &str) -> String {
    let script = format!("set -e\n{}\n{commands}", there(countersign.api));
    let mut bash = Command::new("bash");
    bash.args(["-c", &script])
        .env("COUNTERSIGN_ADMIN_TOKEN", countersign.admin_token());
    let output = task::spawn_blocking(move || bash.output().unwrap())
        .await
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

const KEY: &str = "dpf43f3p2l4k3l03";
