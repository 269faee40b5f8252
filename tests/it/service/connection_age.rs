//! `max_connection_age` of the real program: watches end with their connection, and their clients
//! watch again.

use std::process::Stdio;

use envoy_types::pb::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::Command;
use tonic::Code;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::service::replicas::check_request;
use crate::support::http::Request;
use crate::support::process::{START, eventually};
use crate::support::program::{Countersign, program};

#[tokio::test(flavor = "multi_thread")]
async fn a_health_watch_ends_with_its_connection() {
    let countersign = start().await;
    for address in [countersign.check, countersign.api] {
        let uri = format!("http://{address}");
        let channel = Endpoint::from_shared(uri).unwrap().connect().await.unwrap();
        let request = HealthCheckRequest::default();
        let watch = HealthClient::new(channel).watch(request).await;
        let mut watch = watch.unwrap().into_inner();
        let mut messages = 0;
        let end = loop {
            match watch.message().await {
                Ok(message) => {
                    message.unwrap();
                    messages += 1;
                }
                Err(end) => break end,
            }
        };
        assert_eq!(end.code(), Code::Unavailable, "{end:?}");
        assert!(messages >= 1);
    }
    for listener in ["check", "api"] {
        closed_at_its_age(&countersign, listener, 1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn denials_are_followed_across_connections() {
    let countersign = start().await;
    let mut command = Command::from(program());
    command
        .args(["denials", "--follow"])
        .arg(format!("--server=http://{}", countersign.api))
        .env("COUNTERSIGN_ADMIN_TOKEN", countersign.admin_token())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let mut follow = command.spawn().unwrap();
    let mut printed = BufReader::new(follow.stdout.take().unwrap()).lines();
    let mut notes = BufReader::new(follow.stderr.take().unwrap()).lines();
    assert!(
        printed
            .next_line()
            .await
            .unwrap()
            .unwrap()
            .starts_with("TIME ")
    );
    for _ in 0..2 {
        let note = notes.next_line().await.unwrap().unwrap();
        assert!(note.contains("watching on a new one"), "{note}");
        deny(&countersign).await;
        let line = printed.next_line().await.unwrap().unwrap();
        assert!(line.contains(" unsigned "), "{line}");
    }
    closed_at_its_age(&countersign, "api", 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_over_several_connections_loses_no_row() {
    let countersign = start().await;
    let mut command = Command::from(program());
    command
        .args(["import", "-", "--format=csv", "--output=json"])
        .arg(format!("--server=http://{}", countersign.api))
        .env("COUNTERSIGN_ADMIN_TOKEN", countersign.admin_token())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let mut import = command.spawn().unwrap();
    let mut rows = import.stdin.take().unwrap();
    rows.write_all(b"consumer_key,consumer_secret,name\n")
        .await
        .unwrap();
    let mut count = 0;
    while countersign.metric(&aged("api")).await < 3 {
        for _ in 0..20 {
            let row = format!("K{count},a-secret,Printer\n");
            rows.write_all(row.as_bytes()).await.unwrap();
            count += 1;
        }
    }
    drop(rows);
    let ended = import.wait_with_output().await.unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    let summary: Value = serde_json::from_slice(&ended.stdout).expect(&said);
    let arrived = summary["created"].as_u64().unwrap() + summary["existed"].as_u64().unwrap();
    assert_eq!((arrived, ended.status.code()), (count, Some(0)), "{said}");
    assert!(count >= 100, "only {count} rows in three seconds");
}

/// Starts the program with connections that live for a second.
async fn start() -> Countersign {
    let config = "[check]\nmax_connection_age = \"1s\"\n[api]\nmax_connection_age = \"1s\"\n";
    Countersign::start("embedded:countersign.redb", config).await
}

/// Sends a check that is denied.
async fn deny(countersign: &Countersign) {
    let uri = format!("http://{}", countersign.check);
    let channel = Endpoint::from_shared(uri).unwrap().connect().await.unwrap();
    let check = check_request(&Request::get("/photos"));
    AuthorizationClient::new(channel)
        .check(check)
        .await
        .unwrap();
}

/// Waits until so many connections were closed at their age.
async fn closed_at_its_age(countersign: &Countersign, listener: &str, count: u64) {
    let series = aged(listener);
    eventually("connections are closed at their age", START, async || {
        (countersign.metric(&series).await >= count).then_some(())
    })
    .await;
}

/// Returns the series that counts connections that ended at their age.
fn aged(listener: &str) -> String {
    format!(r#"countersign_connections_closed_total{{listener="{listener}",reason="age"}}"#)
}
