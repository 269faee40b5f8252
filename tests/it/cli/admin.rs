//! `countersign consumer`, `user`, `token` and `request-token`, as a person or a script runs them.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::{Output, Stdio};

use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::process::Command;

use crate::support::admin_server::{ADMIN_TOKEN, AdminServer};
use crate::support::leaks;

#[tokio::test(flavor = "multi_thread")]
async fn a_script_creates_credentials_and_takes_them_away() {
    let server = AdminServer::start().await;
    let created = json(
        &admin(
            &server,
            &["consumer", "create", "--name", "Printer", "--scope", "read"],
        )
        .await,
    );
    let key = created["consumer_key"].as_str().unwrap();
    assert_eq!(created["consumer_secret"].as_str().unwrap().len(), 64);
    assert_eq!(created["name"], "Printer");
    assert_eq!(created["create_time"], "2023-11-14T22:13:20Z");

    let options = [
        "token",
        "create",
        "--consumer-key",
        key,
        "--user-id",
        "alice",
        "--scope=read",
        "--expires-in=30d",
    ];
    let token = json(&admin(&server, &options).await);
    assert_eq!(
        (&token["consumer_key"], &token["user_id"]),
        (&created["consumer_key"], &Value::from("alice"))
    );
    assert_eq!(token["token_secret"].as_str().unwrap().len(), 64);
    assert_eq!(token["expire_time"], "2023-12-14T22:13:20Z");

    let revoked = json(
        &admin(
            &server,
            &["token", "revoke", token["token"].as_str().unwrap(), "--yes"],
        )
        .await,
    );
    assert_eq!(revoked["status"], "TOKEN_STATUS_REVOKED");
    let disabled = json(&admin(&server, &["consumer", "disable", key]).await);
    assert_eq!(disabled["status"], "CONSUMER_STATUS_DISABLED");
    assert_eq!(
        json(&admin(&server, &["consumer", "get", "--consumer-key", key]).await),
        disabled
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_read_from_standard_input() {
    let server = AdminServer::start().await;
    let options = [
        "consumer",
        "create",
        "--name=N",
        "--consumer-key=K",
        "--consumer-secret-file=-",
    ];
    let mut child = command(&server, &options)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"kd94hf93k423kf44\n")
        .await
        .unwrap();
    let created = json(&child.wait_with_output().await.unwrap());
    assert_eq!(
        (&created["consumer_key"], &created["consumer_secret"]),
        (&"K".into(), &"kd94hf93k423kf44".into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_has_every_consumer_whatever_the_size_of_a_page() {
    let server = AdminServer::start().await;
    assert_eq!(
        json(&admin(&server, &["consumer", "list"]).await),
        Value::Array(Vec::new())
    );
    for key in ["a", "b", "c"] {
        let created = admin(
            &server,
            &["consumer", "create", "--name=N", "--consumer-key", key],
        )
        .await;
        assert!(created.status.success());
    }
    let listed = json(&admin(&server, &["consumer", "list", "--page-size", "2"]).await);
    let keys: Vec<_> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|consumer| consumer["consumer_key"].clone())
        .collect();
    assert_eq!(keys, ["a", "b", "c"]);

    let table = admin(&server, &["consumer", "list", "--output=table"]).await;
    let table = String::from_utf8(table.stdout).unwrap();
    assert!(table.starts_with("CONSUMER KEY  NAME  STATUS"), "{table}");
    assert_eq!(table.lines().count(), 4, "{table}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_names_the_option_and_ends_with_1() {
    let server = AdminServer::start().await;
    let refused = admin(
        &server,
        &[
            "consumer",
            "create",
            "--name=",
            "--callback=javascript:alert(1)",
        ],
    )
    .await;
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(
        stderr(&refused),
        "error: the server refused the request:\n  --name must not be empty\n  --callback number 1 has a scheme that \
         browsers execute or open locally\n"
    );
    let unknown = admin(&server, &["token", "create", "--consumer-key=K"]).await;
    assert_eq!(
        (unknown.status.code(), stderr(&unknown).as_str()),
        (Some(66), "error: no consumer has the key K\n")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_call_ends_with_64() {
    let server = AdminServer::start().await;
    for wrong in [
        &["consumer", "create"][..],
        &["consumer", "create", "--name=N", "--flow=four-legged"],
        &["consumer", "create", "--name=N", "--consumer-secret="],
        &["consumer", "get"],
        &["token", "create", "--consumer-key=K", "--expires-in=soon"],
        &["consumer", "list", "--server=https://127.0.0.1:1"],
        &["consumer", "list", "--server=HTTPS://127.0.0.1:1"],
        &["consumer", "list", "--server=http://127.0.0.1:1/path"],
        &["consumer", "list", "--token-file=missing"],
        &[
            "consumer",
            "list",
            "--server=https://127.0.0.1:1",
            "--ca=missing",
        ],
        &[
            "consumer",
            "create",
            "--name=N",
            "--consumer-secret-file=missing",
        ],
        &["consumer", "add-rsa-key", "K", "--rsa-public-key=missing"],
        &[
            "token",
            "create",
            "--consumer-key=K",
            "--token-secret-file=missing",
        ],
        &["user", "create", "--username=U", "--password-file=missing"],
    ] {
        assert_eq!(
            admin(&server, wrong).await.status.code(),
            Some(64),
            "{wrong:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_token_is_read_from_the_data_directory() {
    let server = AdminServer::start().await;
    let home = tempfile::tempdir().unwrap();
    let list = async |data_dir: &Path| {
        let mut command = command(&server, &["consumer", "list"]);
        command
            .arg("--data-dir")
            .arg(data_dir)
            .env_remove("COUNTERSIGN_ADMIN_TOKEN")
            .output()
            .await
            .unwrap()
    };
    let missing = list(home.path()).await;
    assert_eq!(missing.status.code(), Some(64));
    assert!(
        stderr(&missing).contains("COUNTERSIGN_ADMIN_TOKEN"),
        "{missing:?}"
    );

    write_token(home.path(), "another-horse-battery-staple");
    let wrong = list(home.path()).await;
    assert!(
        stderr(&wrong).contains("the token is missing or wrong"),
        "{wrong:?}"
    );
    assert_eq!(wrong.status.code(), Some(77));

    write_token(home.path(), ADMIN_TOKEN);
    assert!(list(home.path()).await.status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_is_named() {
    let server = AdminServer::start().await;
    let refused = admin(
        &server,
        &["consumer", "list", "--server", "http://127.0.0.1:1"],
    )
    .await;
    assert_eq!(refused.status.code(), Some(69));
    let message = stderr(&refused);
    assert!(
        message.contains("http://127.0.0.1:1") && message.contains("`countersign serve`"),
        "{message}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_without_grpc_differs_from_a_refusal() {
    let server = AdminServer::start().await;
    let web = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("--server=http://{}", web.local_addr().unwrap());
    let asked = ["consumer", "list", &address];
    let answering = async {
        loop {
            let (mut connection, _) = web.accept().await.unwrap();
            let answer = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n";
            // The client may have gone already.
            let _: std::io::Result<()> = connection.write_all(answer).await;
        }
    };
    let refused = tokio::select! {
        refused = admin(&server, &asked) => refused,
        () = answering => unreachable!("it answers for ever"),
    };
    assert_eq!(refused.status.code(), Some(69));
    let message = stderr(&refused);
    assert!(
        message.contains("--server must be the API listener"),
        "{message}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_is_updated_unless_its_etag_is_stale() {
    let server = AdminServer::start().await;
    let create = [
        "consumer",
        "create",
        "--name=N",
        "--consumer-key=K",
        "--scope=read",
    ];
    answer(&server, &create).await;
    let update = [
        "consumer",
        "update",
        "K",
        "--name=M",
        "--scope=write",
        "--verified=true",
    ];
    let updated = answer(&server, &update).await;
    assert_eq!(
        (&updated["name"], &updated["scopes"], &updated["verified"]),
        (&"M".into(), &vec!["write"].into(), &true.into())
    );
    let stale = ["consumer", "update", "K", "--name=O", "--etag=stale"];
    assert_eq!(admin(&server, &stale).await.status.code(), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_gets_other_keys_and_is_deleted() {
    let server = AdminServer::start().await;
    let home = tempfile::tempdir().unwrap();
    let pem = home.path().join("public.pem");
    std::fs::write(&pem, RSA_PUBLIC_KEY).unwrap();
    answer(
        &server,
        &["consumer", "create", "--name=N", "--consumer-key=K"],
    )
    .await;
    let rotated = answer(&server, &["consumer", "rotate-secret", "K", "--overlap=7d"]).await;
    let secret = rotated["consumer_secret"].as_str().unwrap();
    assert_eq!((&rotated["secret_count"], secret.len()), (&2.into(), 64));

    let pem = pem.to_str().unwrap();
    let add = ["consumer", "add-rsa-key", "K", "--rsa-public-key", pem];
    let keyed = answer(&server, &add).await;
    let fingerprint = keyed["rsa_public_keys"][0]["fingerprint"].as_str().unwrap();
    let remove = [
        "consumer",
        "remove-rsa-key",
        "K",
        "--fingerprint",
        fingerprint,
    ];
    let without = answer(&server, &remove).await;
    assert_eq!(without["rsa_public_keys"], Value::Array(Vec::new()));

    let deleted = answer(&server, &["consumer", "delete", "K", "--yes"]).await;
    assert_eq!(deleted, serde_json::json!({}));
    assert_eq!(
        stderr(&admin(&server, &["consumer", "get", "K"]).await),
        "error: no consumer has the key K\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_created_and_listed() {
    let server = AdminServer::start().await;
    let home = tempfile::tempdir().unwrap();
    let created = create_alice(&server, &home.path().join("password")).await;
    assert_eq!(
        (&created["user_id"], &created["has_password"]),
        (&"u-1".into(), &true.into())
    );
    let found = answer(&server, &["user", "get", "--username=ALICE"]).await;
    assert_eq!(found, created);
    let listed = answer(&server, &["user", "list"]).await;
    assert_eq!(listed, Value::Array(vec![created]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_exchanges_a_password_until_the_user_is_deleted() {
    let server = AdminServer::start().await;
    let home = tempfile::tempdir().unwrap();
    let password = home.path().join("password");
    create_alice(&server, &password).await;
    answer(
        &server,
        &[
            "consumer",
            "create",
            "--name=N",
            "--consumer-key=K",
            "--flow=xauth",
        ],
    )
    .await;
    let file = password.to_str().unwrap();
    let exchange = [
        "token",
        "exchange-password",
        "--consumer-key=K",
        "--username=alice",
        "--password-file",
        file,
    ];
    let token = answer(&server, &exchange).await;
    assert_eq!(
        (&token["user_id"], &token["screen_name"]),
        (&"u-1".into(), &"alice".into())
    );
    let listed = answer(&server, &["token", "list", "--user-id=u-1"]).await;
    assert_eq!(listed[0]["token"], token["token"]);

    std::fs::write(&password, "another horse battery\n").unwrap();
    let set = ["user", "set-password", "u-1", "--password-file", file];
    answer(&server, &set).await;
    answer(&server, &exchange).await;
    answer(&server, &["user", "delete", "u-1", "--yes"]).await;
    let refused = admin(&server, &exchange).await;
    assert_eq!(refused.status.code(), Some(77));
    assert!(!stderr(&refused).contains("horse"), "{}", stderr(&refused));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_inactive_while_its_user_is_disabled() {
    let server = AdminServer::start().await;
    let home = tempfile::tempdir().unwrap();
    create_alice(&server, &home.path().join("password")).await;
    answer(
        &server,
        &["consumer", "create", "--name=N", "--consumer-key=K"],
    )
    .await;
    let create = ["token", "create", "--consumer-key=K", "--user-id=u-1"];
    let token = answer(&server, &create).await;
    let name = token["token"].as_str().unwrap();
    let inactive_reason =
        async || answer(&server, &["token", "introspect", name]).await["inactive_reason"].clone();
    assert_eq!(inactive_reason().await, "");
    let disabled = answer(&server, &["user", "disable", "u-1"]).await;
    assert_eq!(disabled["status"], "USER_STATUS_DISABLED");
    assert_eq!(inactive_reason().await, "user_disabled");
    answer(&server, &["user", "enable", "u-1"]).await;
    answer(&server, &["token", "revoke-all", "--user-id=u-1", "--yes"]).await;
    assert_eq!(inactive_reason().await, "revoked");
}

#[tokio::test(flavor = "multi_thread")]
async fn temporary_credentials_are_authorized_and_exchanged_once() {
    let server = AdminServer::start().await;
    let asked = create_request_token(&server).await;
    let name = asked["token"].as_str().unwrap();
    let shown = answer(&server, &["request-token", "get", name]).await;
    assert_eq!(
        (&shown["state"], &shown["consumer_name"]),
        (&"REQUEST_TOKEN_STATE_PENDING".into(), &"N".into())
    );
    let authorize = ["request-token", "authorize", name, "--user-id=u-1"];
    let authorized = answer(&server, &authorize).await;
    let verifier = authorized["verifier"].as_str().unwrap();
    let redirect_url = authorized["redirect_url"].as_str().unwrap();
    assert!(redirect_url.contains(verifier), "{authorized}");
    let exchange = [
        "request-token",
        "exchange",
        name,
        "--consumer-key=K",
        "--verifier",
        verifier,
    ];
    assert_eq!(answer(&server, &exchange).await["user_id"], "u-1");
    assert_eq!(admin(&server, &exchange).await.status.code(), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_temporary_credentials_send_the_user_back() {
    let server = AdminServer::start().await;
    let asked = create_request_token(&server).await;
    let refuse = ["request-token", "refuse", asked["token"].as_str().unwrap()];
    let refused = answer(&server, &refuse).await;
    let redirect_url = refused["redirect_url"].as_str().unwrap();
    assert!(
        redirect_url.starts_with("https://n.example.com/?"),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_takes_its_output_format_as_a_letter() {
    let server = AdminServer::start().await;
    for words in [
        &["consumer", "list", "-o=json"][..],
        &["user", "list", "-ojson"],
        &["token", "list", "--user-id=u", "-o", "json"],
        &["denials", "-o", "json"],
        &["report", "-o", "json"],
    ] {
        assert!(json(&admin(&server, words).await).is_array(), "{words:?}");
    }
    let import = ["import", "-", "--format=csv", "--dry-run", "-o", "json"];
    assert_eq!(
        admin(&server, &import).await.status.code(),
        Some(1),
        "the input is empty"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_output_ends_a_command_without_a_message() {
    let server = AdminServer::start().await;
    for words in [
        &["consumer", "list"][..],
        &["consumer", "list", "--output=table"],
        &["consumer", "create", "--name=N"],
        &["report", "--output=table"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let child = command(&server, words).stdout(writer).spawn().unwrap();
        let ended = child.wait_with_output().await.unwrap();
        assert_eq!(
            (ended.status.code(), stderr(&ended).as_str()),
            (Some(141), ""),
            "{words:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_other_token_replaces_one_that_is_not_text() {
    let server = AdminServer::start().await;
    let token = OsStr::from_bytes(b"correct-horse\xFF-battery-staple");
    let mut command = command(&server, &["consumer", "list"]);
    let refused = command.env("COUNTERSIGN_ADMIN_TOKEN", token).output();
    let refused = refused.await.unwrap();
    assert_eq!(refused.status.code(), Some(64));
    assert_eq!(
        stderr(&refused),
        "error: COUNTERSIGN_ADMIN_TOKEN is not UTF-8\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_in_plaintext_to_another_machine_is_warned_about() {
    let server = AdminServer::start().await;
    let list = async |address: &str| {
        let address = format!("--server={address}");
        stderr(&admin(&server, &["consumer", "list", &address]).await)
    };
    let exposed = list("Http://127.0.0.1.example.invalid:1").await;
    assert!(
        exposed.starts_with(
            "warning: http://127.0.0.1.example.invalid:1 is plaintext to another machine"
        ),
        "{exposed}"
    );
    let port = server.address.port();
    for own in [
        format!("127.0.0.1:{port}"),
        format!("HTTP://LocalHost:{port}"),
    ] {
        assert_eq!(list(&own).await, "");
    }
}

async fn create_alice(server: &AdminServer, password: &Path) -> Value {
    std::fs::write(password, "correct horse battery\n").unwrap();
    let file = password.to_str().unwrap();
    let create = [
        "user",
        "create",
        "--username=alice",
        "--user-id=u-1",
        "--password-file",
        file,
    ];
    answer(server, &create).await
}

async fn create_request_token(server: &AdminServer) -> Value {
    let callback = "--callback=https://n.example.com/";
    let consumer = [
        "consumer",
        "create",
        "--name=N",
        "--consumer-key=K",
        callback,
    ];
    answer(server, &consumer).await;
    let create = ["request-token", "create", "--consumer-key=K", callback];
    answer(server, &create).await
}

/// The JSON that a command prints, which has to succeed.
async fn answer(server: &AdminServer, words: &[&str]) -> Value {
    let json = json(&admin(server, words).await);
    leaks::secrets_of(&json);
    json
}

async fn admin(server: &AdminServer, words: &[&str]) -> Output {
    let output = command(server, words).output().await.unwrap();
    leaks::errors_of(&output);
    output
}

/// Adds the server and JSON output, unless the arguments set them.
fn command(server: &AdminServer, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    command
        .env("COUNTERSIGN_ADMIN_TOKEN", ADMIN_TOKEN)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .args(words);
    if !words.iter().any(|word| word.starts_with("--server")) {
        command.args(["--server", &format!("http://{}", server.address)]);
    }
    if !words
        .iter()
        .any(|word| word.starts_with("--output") || word.starts_with("-o"))
    {
        command.arg("--output=json");
    }
    command
}

fn write_token(data_dir: &Path, token: &str) {
    use std::os::unix::fs::PermissionsExt;
    let file = data_dir.join("admin-token");
    std::fs::write(&file, token).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", stderr(output));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

const RSA_PUBLIC_KEY: &str = include_str!("rsa_public.pem");
