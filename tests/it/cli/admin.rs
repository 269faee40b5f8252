//! `countersign consumer` and `countersign token`, as a person or a script runs them.

use std::path::Path;
use std::process::{Output, Stdio};

use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::process::Command;

use crate::support::admin_server::{ADMIN_TOKEN, AdminServer};

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
            &["token", "revoke", token["token"].as_str().unwrap()],
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
async fn a_refusal_names_the_field_and_ends_with_1() {
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
        "error: the server refused:\n  consumer.name must not be empty\n  consumer.callbacks[0] has a scheme that \
         browsers act on by themselves\n"
    );
    let unknown = admin(&server, &["token", "create", "--consumer-key=K"]).await;
    assert_eq!(
        (unknown.status.code(), stderr(&unknown).as_str()),
        (Some(1), "error: there is no consumer with the key K\n")
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
    assert_eq!(missing.status.code(), Some(1));
    assert!(
        stderr(&missing).contains("COUNTERSIGN_ADMIN_TOKEN"),
        "{missing:?}"
    );

    write_token(home.path(), "another-horse-battery-staple");
    let wrong = list(home.path()).await;
    assert!(
        stderr(&wrong).contains("the admin token is missing or wrong"),
        "{wrong:?}"
    );

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
    assert_eq!(refused.status.code(), Some(1));
    let message = stderr(&refused);
    assert!(
        message.contains("http://127.0.0.1:1") && message.contains("`countersign serve`"),
        "{message}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_does_not_speak_grpc_is_told_from_a_refusal() {
    let server = AdminServer::start().await;
    let web = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("--server=http://{}", web.local_addr().unwrap());
    let asked = ["consumer", "list", &address];
    let answering = async {
        loop {
            let (mut connection, _) = web.accept().await.unwrap();
            let answer = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n";
            // Who asks may have gone already.
            let _: std::io::Result<()> = connection.write_all(answer).await;
        }
    };
    let refused = tokio::select! {
        refused = admin(&server, &asked) => refused,
        () = answering => unreachable!("it answers for ever"),
    };
    assert_eq!(refused.status.code(), Some(1));
    let message = stderr(&refused);
    assert!(
        message.contains("--server must name the api listener"),
        "{message}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_is_changed_given_other_keys_and_deleted() {
    let server = AdminServer::start().await;
    let home = tempfile::tempdir().unwrap();
    json(
        &admin(
            &server,
            &[
                "consumer",
                "create",
                "--name=N",
                "--consumer-key=K",
                "--scope=read",
            ],
        )
        .await,
    );
    let changed = [
        "consumer",
        "update",
        "K",
        "--name=M",
        "--scope=write",
        "--verified=true",
    ];
    let changed = json(&admin(&server, &changed).await);
    assert_eq!(
        (&changed["name"], &changed["scopes"], &changed["verified"]),
        (&"M".into(), &vec!["write"].into(), &true.into())
    );
    let stale = admin(
        &server,
        &["consumer", "update", "K", "--name=O", "--etag=stale"],
    )
    .await;
    assert_eq!(stale.status.code(), Some(1), "{stale:?}");

    let rotated = json(&admin(&server, &["consumer", "rotate-secret", "K", "--overlap=7d"]).await);
    assert_eq!(
        (
            &rotated["secret_count"],
            rotated["consumer_secret"].as_str().unwrap().len()
        ),
        (&2.into(), 64)
    );
    let pem = home.path().join("public.pem");
    std::fs::write(&pem, RSA_PUBLIC_KEY).unwrap();
    let keyed = json(
        &admin(
            &server,
            &[
                "consumer",
                "add-rsa-key",
                "K",
                "--rsa-public-key",
                pem.to_str().unwrap(),
            ],
        )
        .await,
    );
    let fingerprint = keyed["rsa_public_keys"][0]["fingerprint"].as_str().unwrap();
    let without = json(
        &admin(
            &server,
            &[
                "consumer",
                "remove-rsa-key",
                "K",
                "--fingerprint",
                fingerprint,
            ],
        )
        .await,
    );
    assert_eq!(without["rsa_public_keys"], Value::Array(Vec::new()));

    assert_eq!(
        json(&admin(&server, &["consumer", "delete", "K"]).await),
        serde_json::json!({})
    );
    assert_eq!(
        stderr(&admin(&server, &["consumer", "get", "K"]).await),
        "error: there is no consumer with the key K\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_comes_logs_in_and_goes() {
    let server = AdminServer::start().await;
    let home = tempfile::tempdir().unwrap();
    let password = home.path().join("password");
    let file = password.to_str().unwrap();
    std::fs::write(&password, "correct horse battery\n").unwrap();
    let created = [
        "user",
        "create",
        "--username=alice",
        "--user-id=u-1",
        "--password-file",
        file,
    ];
    let created = json(&admin(&server, &created).await);
    assert_eq!(
        (&created["user_id"], &created["has_password"]),
        (&"u-1".into(), &true.into())
    );
    assert_eq!(
        json(&admin(&server, &["user", "get", "--username=ALICE"]).await),
        created
    );
    assert_eq!(
        json(&admin(&server, &["user", "list"]).await),
        Value::Array(vec![created])
    );

    json(
        &admin(
            &server,
            &[
                "consumer",
                "create",
                "--name=N",
                "--consumer-key=K",
                "--flow=xauth",
            ],
        )
        .await,
    );
    let exchange = [
        "token",
        "exchange-password",
        "--consumer-key=K",
        "--username=alice",
        "--password-file",
        file,
    ];
    let token = json(&admin(&server, &exchange).await);
    assert_eq!(
        (&token["user_id"], &token["screen_name"]),
        (&"u-1".into(), &"alice".into())
    );
    let listed = json(&admin(&server, &["token", "list", "--user-id=u-1"]).await);
    assert_eq!(listed[0]["token"], token["token"]);

    let name = token["token"].as_str().unwrap();
    let good_for = async || {
        json(&admin(&server, &["token", "introspect", name]).await)["inactive_reason"].clone()
    };
    assert_eq!(good_for().await, "");
    assert_eq!(
        json(&admin(&server, &["user", "disable", "u-1"]).await)["status"],
        "USER_STATUS_DISABLED"
    );
    assert_eq!(good_for().await, "user_disabled");
    json(&admin(&server, &["user", "enable", "u-1"]).await);
    json(&admin(&server, &["token", "revoke-all", "--user-id=u-1"]).await);
    assert_eq!(good_for().await, "revoked");

    std::fs::write(&password, "another horse battery\n").unwrap();
    json(
        &admin(
            &server,
            &["user", "set-password", "u-1", "--password-file", file],
        )
        .await,
    );
    json(&admin(&server, &exchange).await);
    json(&admin(&server, &["user", "delete", "u-1"]).await);
    let refused = admin(&server, &exchange).await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(!stderr(&refused).contains("horse"), "{}", stderr(&refused));
}

#[tokio::test(flavor = "multi_thread")]
async fn temporary_credentials_are_decided_about_and_exchanged() {
    let server = AdminServer::start().await;
    json(
        &admin(
            &server,
            &[
                "consumer",
                "create",
                "--name=N",
                "--consumer-key=K",
                "--callback=https://n.example.com/",
            ],
        )
        .await,
    );
    let create = [
        "request-token",
        "create",
        "--consumer-key=K",
        "--callback=https://n.example.com/",
    ];
    let asked = json(&admin(&server, &create).await);
    let name = asked["token"].as_str().unwrap();
    let shown = json(&admin(&server, &["request-token", "get", name]).await);
    assert_eq!(
        (&shown["state"], &shown["consumer_name"]),
        (&"REQUEST_TOKEN_STATE_PENDING".into(), &"N".into())
    );
    let allowed = json(
        &admin(
            &server,
            &["request-token", "authorize", name, "--user-id=u-1"],
        )
        .await,
    );
    let verifier = allowed["verifier"].as_str().unwrap();
    assert!(
        allowed["redirect_url"].as_str().unwrap().contains(verifier),
        "{allowed}"
    );
    let exchange = [
        "request-token",
        "exchange",
        name,
        "--consumer-key=K",
        "--verifier",
        verifier,
    ];
    assert_eq!(json(&admin(&server, &exchange).await)["user_id"], "u-1");
    assert_eq!(
        admin(&server, &exchange).await.status.code(),
        Some(1),
        "it is exchanged once"
    );

    let asked = json(&admin(&server, &create).await);
    let refused = json(
        &admin(
            &server,
            &["request-token", "refuse", asked["token"].as_str().unwrap()],
        )
        .await,
    );
    assert!(
        refused["redirect_url"]
            .as_str()
            .unwrap()
            .starts_with("https://n.example.com/?"),
        "{refused}"
    );
}

async fn admin(server: &AdminServer, words: &[&str]) -> Output {
    command(server, words).output().await.unwrap()
}

/// With the server and JSON, unless the words say otherwise.
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
    if !words.iter().any(|word| word.starts_with("--output")) {
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
