//! The readiness of the program on a real Redis: it names what it lacks, and another master key does
//! not start.

use envoy_types::pb::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use serde_json::Value;
use tokio::time::timeout;

use super::replicas::check_request;
use crate::support::caller::Caller;
use crate::support::http::Request;
use crate::support::process::{START, eventually};
use crate::support::program::{Countersign, master_key, program};
use crate::support::redis::{RedisServer, free_port, wait_until};

#[tokio::test(flavor = "multi_thread")]
async fn readyz_names_a_command_that_the_redis_user_lacks() {
    let server = RedisServer::start();
    let _ok: String = server.run(&[
        "ACL", "SETUSER", "app", "on", ">pw", "~*", "&*", "+@all", "-evalsha",
    ]);
    let url = format!("redis://app:pw@127.0.0.1:{}", server.port());
    let countersign = Countersign::start(&url, "").await;
    let unready = Readyz::of(&countersign, |readyz| readyz.cause.is_some()).await;
    assert_eq!(unready.status, 503);
    let cause = unready.cause.unwrap();
    assert!(cause.contains("evalsha"), "{cause}");
    assert!(!countersign.is_serving().await);
    let livez = Request::get("/livez").send(countersign.ops).await;
    assert_eq!(livez.status, 200);
    countersign.logs("evalsha").await;
    let _ok: String = server.run(&["ACL", "SETUSER", "app", "+evalsha"]);
    let ready = Readyz::of(&countersign, |readyz| readyz.status == 200).await;
    assert_eq!(ready.cause, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_replica_with_another_master_key_ends_with_1_and_says_so() {
    let server = RedisServer::start();
    let first = Countersign::start(&server.url(), "").await;
    Readyz::of(&first, |readyz| readyz.status == 200).await;
    let directory = tempfile::tempdir().unwrap();
    let mut serve = tokio::process::Command::from(program());
    serve
        .args(["serve", "--check=127.0.0.1:0", "--api=127.0.0.1:0"])
        .args(["--http=127.0.0.1:0", "--ops=127.0.0.1:0"])
        .arg(format!("--store={}", server.url()))
        .arg("--data-dir")
        .arg(directory.path())
        .arg("--master-key-file")
        .arg(master_key(directory.path()))
        .kill_on_drop(true);
    let output = timeout(START, serve.output()).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("store.master_key_file"), "{said}");
    assert_eq!(Readyz::now(&first).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_master_key_is_not_ready_and_issues_nothing_if_redis_was_down_at_the_start() {
    let port = free_port();
    let url = format!("redis://127.0.0.1:{port}");
    let late = Countersign::start(&url, "").await;
    let server = RedisServer::start_on(port, &[]);
    // The first that reaches Redis would write the canary.
    let _ok: String = server.run(&[
        "SET",
        "countersign:{canary}",
        "\u{4}\u{2}k1-of-another-replica-0123456789",
    ]);
    let other_key = "is not in the file that store.master_key_file names";
    let unready = Readyz::of(&late, |readyz| {
        readyz
            .cause
            .as_deref()
            .unwrap_or_default()
            .contains(other_key)
    })
    .await;
    assert_eq!(unready.status, 503);
    let refused = late
        .refused(&["consumer", "create", "--name=Printer"])
        .await;
    assert!(refused.contains("store.master_key_file"), "{refused}");
    let consumers: Vec<String> = server.run(&["KEYS", "countersign:{*}:consumer"]);
    assert_eq!(consumers, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_of_a_check_names_the_cause_of_a_failure() {
    let server = RedisServer::start();
    let countersign = Countersign::start(&server.url(), "").await;
    Readyz::of(&countersign, |readyz| readyz.status == 200).await;
    let foreign = "\u{4}\u{2}k1-a-record-of-another-installation-0123456789";
    let _ok: String = server.run(&["SET", "countersign:{ck}:consumer", foreign]);
    let caller = Caller {
        consumer_key: "ck".into(),
        consumer_secret: "secret".into(),
        token: None,
    };
    let url = format!("http://{}", countersign.check);
    let mut envoy = AuthorizationClient::connect(url).await.unwrap();
    let request = check_request(&caller.sign(&Request::get("/photos")));
    let status = envoy.check(request).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Internal);
    wait_until("the log names the cause", || {
        let log = countersign.log();
        ["the record of a consumer", "is not in the master key file"]
            .iter()
            .all(|part| log.contains(part))
    });
}

/// The answer of `/readyz`.
struct Readyz {
    status: u16,
    cause: Option<String>,
}

impl Readyz {
    /// Returns the first answer that is as expected.
    async fn of(countersign: &Countersign, expected: impl Fn(&Self) -> bool) -> Self {
        let expected = &expected;
        eventually("readyz is as expected", START, async || {
            Some(Self::now(countersign).await).filter(expected)
        })
        .await
    }

    async fn now(countersign: &Countersign) -> Self {
        let answer = Request::get("/readyz").send(countersign.ops).await;
        let json: Value = serde_json::from_str(&answer.body).unwrap();
        Self {
            status: answer.status,
            cause: json["cause"].as_str().map(str::to_owned),
        }
    }
}
