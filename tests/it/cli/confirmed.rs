//! Confirmation of what cannot be undone, dry runs, exit statuses of failed calls, and lookups by
//! id.

use std::process::{Output, Stdio};

use serde_json::Value;
use tokio::process::Command;

use crate::support::admin_server::{ADMIN_TOKEN, AdminServer, ISSUER_TOKEN};
use crate::support::leaks;
use crate::support::terminal::Terminal;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_cannot_be_undone_happens_without_a_confirmation() {
    let server = server_with_records().await;
    let others = [
        &["consumer", "rotate-secret", "K"][..],
        &["consumer", "rotate-secret", "K", "--overlap=0s"],
        &["consumer", "expire-previous-secret", "K"],
    ];
    for words in CHANGES.iter().chain(&others) {
        let refused = run(&server, words).await;
        let message = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(64), "{words:?}: {message}");
        assert!(message.contains("add --yes"), "{words:?}: {message}");
    }
    unchanged(&server).await;
    succeeds(&server, &["consumer", "rotate-secret", "K", "--overlap=7d"]).await;
    succeeds(&server, &["consumer", "rotate-secret", "K", "--yes"]).await;
    for words in CHANGES {
        succeeds(&server, &[words, &["--yes"]].concat()).await;
    }
    let listed = succeeds(&server, &["consumer", "list"]).await;
    assert_eq!(listed, serde_json::json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_shows_the_record_and_changes_nothing() {
    let server = server_with_records().await;
    let create = "consumer create --name=M --consumer-key=L";
    let create: Vec<_> = create.split(' ').collect();
    let of_token = ["token", "create", "--consumer-key=K", "--token=U"];
    for words in CHANGES.into_iter().chain([&create[..], &of_token]) {
        let shown = run(&server, &[words, &["--dry-run"]].concat()).await;
        let message = String::from_utf8_lossy(&shown.stderr);
        assert!(shown.status.success(), "{words:?}: {message}");
        assert!(message.starts_with("dry run: "), "{words:?}: {message}");
        assert!(shown.stdout.len() > 20, "{words:?}");
    }
    unchanged(&server).await;
    for unknown in [
        &["consumer", "get", "L"][..],
        &["token", "get", "U"],
        &["user", "delete", "u-2", "--dry-run"],
        &["token", "revoke", "U", "--dry-run"],
        &["token", "revoke", "T", "--consumer-key=L", "--dry-run"],
    ] {
        let ended = run(&server, unknown).await;
        assert_eq!(ended.status.code(), Some(66), "{unknown:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_is_shown_by_its_id() {
    let server = server_with_records().await;
    let consumer = succeeds(&server, &["consumer", "get", "K"]).await;
    let id = consumer["consumer_id"].as_str().unwrap();
    let by_id = succeeds(&server, &["consumer", "get", "--consumer-id", id]).await;
    assert_eq!(by_id, consumer);
    let unknown = run(&server, &["consumer", "get", "--consumer-id=unknown"]).await;
    assert_eq!(unknown.status.code(), Some(66));
    let message = String::from_utf8(unknown.stderr).unwrap();
    assert_eq!(message, "error: no consumer has the id unknown\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_confirms_on_a_terminal() {
    let server = AdminServer::start().await;
    succeeds(
        &server,
        &["consumer", "create", "--name=Printer", "--consumer-key=K"],
    )
    .await;
    for (answer, status, said) in [
        ("no\n", 64, "was not confirmed; nothing was changed"),
        (
            "yes\n",
            0,
            "Delete the consumer K (Printer) and its tokens permanently?",
        ),
    ] {
        let delete = command(&server, &["consumer", "delete", "K"]);
        let ended = Terminal::run(&delete).answer(answer).await;
        let shown = String::from_utf8_lossy(&ended.stdout);
        assert_eq!(ended.status.code(), Some(status), "{shown}");
        assert!(shown.contains(said), "{shown}");
    }
    assert_eq!(
        run(&server, &["consumer", "get", "K"]).await.status.code(),
        Some(66)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_tells_failed_calls_apart_by_their_status() {
    let server = AdminServer::start().await;
    let ended = async |words: &[&str], token: &str| {
        let mut command = command(&server, words);
        let output = command.env("COUNTERSIGN_ADMIN_TOKEN", token).output().await;
        output.unwrap().status.code()
    };
    for (words, token, status) in [
        (&["consumer", "list"][..], ADMIN_TOKEN, 0),
        (&["consumer", "get", "K"], ADMIN_TOKEN, 66),
        (
            &["denials", "0123456789abcdef0123456789abcdef"],
            ADMIN_TOKEN,
            66,
        ),
        (&["consumer", "list"], "another-horse-battery-staple", 77),
        (&["consumer", "list"], ISSUER_TOKEN, 77),
        (
            &["consumer", "list", "--server=127.0.0.1:1"],
            ADMIN_TOKEN,
            69,
        ),
        (&["healthcheck", "--server=127.0.0.1:1"], ADMIN_TOKEN, 1),
        (&["consumer", "create", "--name="], ADMIN_TOKEN, 1),
        (&["consumer", "get"], ADMIN_TOKEN, 64),
    ] {
        assert_eq!(ended(words, token).await, Some(status), "{words:?}");
    }
}

/// Returns a server with a consumer, a user and a token.
async fn server_with_records() -> AdminServer {
    let server = AdminServer::start().await;
    for words in [
        "consumer create --name=N --consumer-key=K",
        "user create --username=alice --user-id=u-1",
        "token create --consumer-key=K --user-id=u-1 --token=T",
    ] {
        let words: Vec<_> = words.split(' ').collect();
        succeeds(&server, &words).await;
    }
    server
}

async fn unchanged(server: &AdminServer) {
    let token = succeeds(server, &["token", "introspect", "T"]).await;
    assert_eq!(token["active"], true);
    let consumer = succeeds(server, &["consumer", "get", "K"]).await;
    assert_eq!(consumer["secret_count"], 1);
    let user = succeeds(server, &["user", "get", "u-1"]).await;
    assert_eq!(user["status"], "USER_STATUS_ACTIVE");
}

async fn succeeds(server: &AdminServer, words: &[&str]) -> Value {
    let output = run(server, words).await;
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?}: {message}");
    let json = serde_json::from_slice(&output.stdout).unwrap();
    leaks::secrets_of(&json);
    json
}

async fn run(server: &AdminServer, words: &[&str]) -> Output {
    let output = command(server, words).output().await.unwrap();
    leaks::errors_of(&output);
    output
}

fn command(server: &AdminServer, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    command
        .args(words)
        .env("COUNTERSIGN_ADMIN_TOKEN", ADMIN_TOKEN)
        .env("COUNTERSIGN_SERVER", format!("http://{}", server.address))
        .env("COUNTERSIGN_OUTPUT", "json")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// The commands whose changes cannot be undone.
const CHANGES: [&[&str]; 5] = [
    &["token", "revoke", "T"],
    &["token", "revoke-all", "--user-id=u-1"],
    &["token", "revoke-all", "--consumer-key=K"],
    &["user", "delete", "u-1"],
    &["consumer", "delete", "K"],
];
