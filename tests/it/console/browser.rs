//! The console of the real program in a real Chromium, driven by `tests/clients/node/console.mjs`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tonic::transport::{Channel, Endpoint};

use super::site::decision;
use crate::service::replicas::check_request;
use crate::support::caller::Caller;
use crate::support::http::Request;
use crate::support::process::{eventually, project};
use crate::support::program::Countersign;
use crate::support::scripted::{self, chromium, node};

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_logs_in_sees_a_denial_narrows_and_logs_out() {
    let office = Office::open().await;
    let seen = office.scenario("visit").await;
    assert_eq!(
        (&seen["before"], &seen["focus"]),
        (&json!("Countersign console"), &json!("token"))
    );
    assert_eq!(seen["alert"], "Wrong admin token.");
    assert_eq!(
        seen["row"].as_array().unwrap()[1..],
        [
            "denied",
            "signature_mismatch",
            "scheme",
            "printer",
            "GET api.example.com/photos?size=***"
        ]
        .map(Value::from)
    );
    let opened = seen["opened"].as_str().unwrap();
    for shown in [
        "signature_mismatch",
        "printer, not proven",
        "HMAC-SHA1",
        "GET api.example.com/photos?size=***",
        "Cause",
        "scheme",
        "origin",
    ] {
        assert!(opened.contains(shown), "{shown} in {opened}");
    }
    assert_eq!(
        seen["marked"],
        json!(["", "s"]),
        "http is expected and https was signed"
    );
    assert_eq!(
        (&seen["of_consumer"], &seen["of_cause"], &seen["all"]),
        (&json!(2), &json!(1), &json!(3))
    );
    assert_eq!(seen["address"], "?consumer=printer&cause=scheme&live=off");
    assert_eq!(
        (&seen["after"], &seen["back"]),
        (&json!("Countersign console"), &json!("Countersign console"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_key_can_be_typed() {
    let seen = Office::open().await.scenario("typed").await;
    assert_eq!(
        seen,
        json!({ "address": "?live=off&consumer=printer", "rows": 2 })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_denial_appears_on_a_live_page() {
    let seen = Office::open().await.scenario("live").await;
    assert_eq!(seen["before"], 2);
    let decision = seen["decision"].as_str().unwrap();
    assert_eq!(seen["row"][0], decision[..8], "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_fits_on_a_phone() {
    let seen = Office::open().await.scenario("phone").await;
    let seen = seen.as_array().unwrap();
    assert_eq!(seen.len(), 7, "{seen:?}");
    assert_eq!(
        seen[2..],
        [
            "denied",
            "signature_mismatch",
            "scheme",
            "printer",
            "GET api.example.com/photos?size=***"
        ]
        .map(Value::from)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keyboard_is_enough_and_shows_where_it_is() {
    let seen = Office::open().await.scenario("keyboard").await;
    let visited = seen["visited"].as_array().unwrap();
    let texts: Vec<_> = visited
        .iter()
        .map(|at| at["text"].as_str().unwrap())
        .collect();
    assert_eq!(
        texts[..7],
        [
            "Countersign",
            "Go live",
            "Log out",
            "The same in numbers",
            "nonce_used",
            "signature_mismatch",
            "timestamp_refused",
        ]
    );
    assert!(visited.iter().all(|at| at["outline"] == true), "{seen}");
    let opened = seen["opened"].as_str().unwrap();
    let last = texts.last().unwrap();
    assert_eq!(last.len(), 8, "{seen}");
    assert!(opened.starts_with(&format!("Decision {last}")), "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_site_cannot_log_in_log_out_or_frame_the_page() {
    let seen = Office::open().await.scenario("elsewhere").await;
    assert_eq!(seen["posted"], json!({ "logout": 403, "login": 403 }));
    assert!(
        seen["framed"]
            .as_str()
            .unwrap()
            .contains("frame-ancestors 'none'"),
        "{seen}"
    );
    assert_eq!(
        seen["linked"], "Countersign console",
        "a visitor from another site gets the form"
    );
    assert_eq!(
        seen["afterwards"], "Countersign",
        "the operator is still logged in"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_accessibility_checker_finds_nothing_on_any_page() {
    let checked = Office::open().await.scenario("accessible").await;
    let checked = checked.as_array().unwrap();
    assert_eq!(checked.len(), 2 * 4, "four pages in two colour schemes");
    for page in checked {
        assert_eq!(page["problems"], json!([]), "{page}");
        assert_eq!(page["scrolled"], json!([]), "{page}");
        assert!(
            page["passes"].as_u64().unwrap() > 10,
            "the checker ran: {page}"
        );
    }
}

/// The real program, with consumers and denials.
struct Office {
    countersign: Arc<Countersign>,
    deny: SocketAddr,
}

impl Office {
    async fn open() -> Self {
        let countersign = Countersign::start("memory:", CONFIG).await;
        let channel = Endpoint::from_shared(format!("http://{}", countersign.check))
            .unwrap()
            .connect()
            .await
            .unwrap();
        let mut checks = AuthorizationClient::new(channel);
        let printer = consumer(&countersign, "printer").await;
        let shop = consumer(&countersign, "shop-connector").await;
        for caller in [&printer, &shop] {
            let request = caller.sign(&Request::get("/photos?size=original"));
            assert_eq!(decision(&mut checks, check_request(&request)).await, None);
        }
        let replayed = printer.sign(&Request::get("/photos"));
        assert_eq!(decision(&mut checks, check_request(&replayed)).await, None);
        assert!(
            decision(&mut checks, check_request(&replayed))
                .await
                .is_some()
        );
        let unproven = shop
            .signing()
            .at(1)
            .in_header(&Request::get("/legacy/orders"));
        assert_eq!(
            decision(&mut checks, check_request(&unproven)).await,
            None,
            "shadow mode lets it through"
        );
        let countersign = Arc::new(countersign);
        let deny = on_demand(Arc::clone(&countersign), checks, printer).await;
        Self { countersign, deny }
    }

    /// Runs a scenario of the script, and returns its result.
    async fn scenario(&self, scenario: &str) -> Value {
        let given = json!({
            "console": format!("http://{}/console", self.countersign.ops),
            "token": self.countersign.admin_token(),
            "deny": format!("http://{}/", self.deny),
            "consumer": "printer",
            "cause": "scheme",
            "chromium": chromium(),
            "images": project("target/images"),
        });
        let mut command = node("console.mjs");
        command.arg(scenario).arg(given.to_string());
        scripted::run(command).await
    }
}

async fn consumer(countersign: &Countersign, key: &str) -> Caller {
    let secret = "kd94hf93k423kf44";
    let key_and_secret = ["--consumer-key", key, "--consumer-secret", secret];
    countersign
        .admin(&[&["consumer", "create", "--name", key][..], &key_and_secret].concat())
        .await;
    Caller {
        consumer_key: key.to_owned(),
        consumer_secret: secret.to_owned(),
        token: None,
    }
}

/// Starts a server that has a request of the consumer denied on each connection, and responds with
/// the decision id once the denial is explained. The client signs for https, but the request
/// arrives over http.
async fn on_demand(
    countersign: Arc<Countersign>,
    checks: AuthorizationClient<Channel>,
    caller: Caller,
) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let request = caller
                .signing()
                .for_scheme("https")
                .in_header(&Request::get("/photos?size=original"));
            let denied = decision(&mut checks.clone(), check_request(&request))
                .await
                .unwrap();
            let explained = async || {
                let log = countersign.log();
                log.lines()
                    .any(|line| line.contains("\"diagnosed\"") && line.contains(&denied))
                    .then_some(())
            };
            eventually("it is explained", PATIENCE, explained).await;
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                denied.len()
            );
            let read = stream.read(&mut [0; 4096]).await.unwrap();
            assert!(read > 0);
            stream
                .write_all(format!("{head}{denied}").as_bytes())
                .await
                .unwrap();
        }
    });
    address
}

const PATIENCE: Duration = Duration::from_secs(20);

/// Generous, for busy machines.
const CONFIG: &str = r#"
check.timeout = "5s"

[[route]]
path_prefix = "/legacy"
mode = "shadow"
"#;
