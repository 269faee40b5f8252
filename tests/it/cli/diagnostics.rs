//! `countersign denials` and `countersign report`, as a person or a script runs them.

use std::process::{Output, Stdio};

use countersign::config::Mode;
use countersign::diagnostics::{CountedConsumer, RefusedRequest};
use countersign::oauth::SignatureMethod;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use crate::api::bad_input::denial;
use crate::support::admin_server::{ADMIN_TOKEN, AdminServer};
use crate::support::leaks;

#[tokio::test(flavor = "multi_thread")]
async fn denials_are_listed_for_people_and_programs() {
    let server = AdminServer::start().await;
    server.diagnostics.record_refused(&denial("11"));
    server.diagnostics.record_refused(&RefusedRequest {
        reason: "nonce_used",
        mode: Mode::Shadow,
        ..denial("22")
    });
    let table = text(&run(&server, &["denials"]).await);
    assert_eq!(
        table,
        "TIME                  DECISION  RESULT      REASON      CAUSE  CONSUMER KEY  REQUEST\n\
         2023-11-14T22:13:20Z  22        would_deny  nonce_used                       GET api.example.com/photos?size=***\n\
         2023-11-14T22:13:20Z  11        deny        unsigned                         GET api.example.com/photos?size=***\n"
    );
    let listed = text(&run(&server, &["denials", "--reason=unsigned", "--output=json"]).await);
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(
        (listed.as_array().unwrap().len(), &listed[0]["decision_id"]),
        (1, &"11".into())
    );
    assert_eq!(listed[0]["mode"], "ROUTE_MODE_ENFORCE");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_without_a_match_names_the_lists_of_words() {
    let server = AdminServer::start().await;
    server.diagnostics.record_refused(&denial("11"));
    let found = run(&server, &["denials", "--reason=signature_invalid"]).await;
    assert_eq!(found.status.code(), Some(0));
    let note = String::from_utf8_lossy(&found.stderr).into_owned();
    assert!(
        note.contains("docs/decisions.md") && note.contains("signature_mismatch"),
        "{note}"
    );
    assert!(
        run(&server, &["denials", "--reason=unsigned"])
            .await
            .stderr
            .is_empty()
    );
    let refused = run(&server, &["denials", "--cause=signature"]).await;
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("docs/debugging.md"),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_never_came_has_no_last_time() {
    let server = AdminServer::start().await;
    server
        .diagnostics
        .record_allowed(PRINTER, SignatureMethod::HmacSha1);
    let table = text(&run(&server, &["report"]).await);
    assert!(
        table.contains("(none known)") && !table.contains("1970"),
        "{table}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_denial_is_shown_by_its_decision() {
    let server = AdminServer::start().await;
    server.diagnostics.record_refused(&denial("11"));
    let shown = text(&run(&server, &["denials", "11"]).await);
    assert_eq!(
        shown,
        "decision id     11\n\
         time            2023-11-14T22:13:20Z\n\
         result          deny\n\
         reason          unsigned\n\
         request         GET api.example.com/photos?size=***\n"
    );
    let missing = run(&server, &["denials", "12"]).await;
    assert_eq!(missing.status.code(), Some(66));
    assert_eq!(
        String::from_utf8_lossy(&missing.stderr),
        "error: this replica does not have the denial 12: it was evicted, or belongs to another replica; query the others\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn denials_are_followed_as_they_come() {
    let server = AdminServer::start().await;
    server.diagnostics.record_refused(&denial("before"));
    let mut child = command(&server, &["denials", "--follow"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // The head is printed once the server has accepted the call.
    assert!(
        lines
            .next_line()
            .await
            .unwrap()
            .unwrap()
            .starts_with("TIME ")
    );
    for id in ["11", "22"] {
        server.diagnostics.record_refused(&denial(id));
        let line = lines.next_line().await.unwrap().unwrap();
        assert_eq!(line.split_whitespace().nth(1), Some(id), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_has_the_counts_of_each_consumer() {
    let server = AdminServer::start().await;
    server
        .diagnostics
        .record_allowed(PRINTER, SignatureMethod::HmacSha1);
    server
        .diagnostics
        .record_allowed(PRINTER, SignatureMethod::HmacSha256);
    for reason in ["unsigned", "not_http", "unsigned"] {
        server.diagnostics.record_refused(&RefusedRequest {
            reason,
            ..denial("1")
        });
    }
    let table = text(&run(&server, &["report"]).await);
    let lines: Vec<_> = table.lines().collect();
    assert_eq!(
        lines[0],
        "CONSUMER KEY  SEEN  ALLOWED  DENIED  WOULD DENY  REASONS                 CAUSES  SIGNED WITH                 LAST \
         SEEN"
    );
    assert_eq!(
        lines[1]
            .split("  ")
            .map(str::trim)
            .filter(|cell| !cell.is_empty())
            .collect::<Vec<_>>(),
        [
            "(none known)",
            "3",
            "0",
            "3",
            "0",
            "unsigned 2, not_http 1",
            "2023-11-14T22:13:20Z"
        ]
    );
    assert!(
        lines[2].starts_with("printer       2     2        0       0"),
        "{table}"
    );
    assert!(lines[2].contains("HMAC-SHA1 1, HMAC-SHA256 1"), "{table}");
    assert_eq!(
        lines[4],
        "Counts of this replica alone, since 2023-11-14T22:13:20Z."
    );
    let json = text(&run(&server, &["report", "--output=json"]).await);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (&json[1]["consumer_key"], &json[1]["allowed"]),
        (&"printer".into(), &2.into())
    );
    assert_eq!(json[0]["reasons"][1]["name"], "unsigned");
}

async fn run(server: &AdminServer, arguments: &[&str]) -> Output {
    let output = command(server, arguments).output().await.unwrap();
    leaks::errors_of(&output);
    output
}

fn command(server: &AdminServer, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    command
        .args(arguments)
        .arg(format!("--server=http://{}", server.address));
    command
        .env("COUNTERSIGN_ADMIN_TOKEN", ADMIN_TOKEN)
        .kill_on_drop(true);
    command
}

fn text(output: &Output) -> String {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout.clone()).unwrap()
}

const PRINTER: CountedConsumer<'_> = CountedConsumer {
    key: "printer",
    name: "Printer",
};
