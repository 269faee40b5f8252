//! Explained signature mismatches at the token endpoints, the first that a new client calls.

use std::time::Duration;

use countersign::v1;
use serde_json::{Value, json};
use tokio::time::timeout;
use tonic::Streaming;

use super::bench::{CALLBACK, exchanging, requesting};
use crate::support::caller::Caller;
use crate::support::http::{Request, Response};
use crate::support::observer::Observer;
use crate::support::process::eventually;
use crate::support::program::Countersign;
use crate::support::scripted::{self, python};

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_is_streamed_with_its_cause_and_remedy() {
    let world = World::start().await;
    let printer = world.consumer(&[]).await;
    let mut watch = world.watch().await;
    let refused = world.send(&asking(&printer, "http")).await;
    let denial = next(&mut watch).await;
    assert_eq!(
        (refused.status, &refused.json()["decision_id"]),
        (401, &Value::from(&*denial.decision_id))
    );
    assert_eq!(
        (refused.json().get("cause"), refused.json().get("remedy")),
        (None, None),
        "the response must not show it"
    );
    assert_eq!(
        (&*denial.reason, &denial.causes[..]),
        ("signature_mismatch", &["scheme".to_owned()][..])
    );
    assert_eq!(denial.compat_profiles, ["scheme-any"]);
    assert!(
        !refused.body.contains("scheme-any"),
        "callers never learn it"
    );
    assert_eq!(
        (&*denial.host, &*denial.path),
        ("api.example.com", "/oauth/request_token")
    );
    assert_eq!(
        (&denial.consumer_key, denial.proven),
        (&printer.consumer_key, false)
    );
    assert!(
        denial.remedy.contains("`http.public_url` says otherwise"),
        "{}",
        denial.remedy
    );

    let logged = eventually("the cause is in the log", PATIENCE, async || {
        let log = world.countersign.log();
        let mut events = log
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        events.find(|event| event["message"] == "diagnosed")
    });
    let logged = logged.await;
    assert_eq!(
        (&logged["decision_id"], &logged["would_pass_with"]),
        (&json!(denial.decision_id), &json!("scheme-any"))
    );
    let metrics = world.countersign.metrics().await;
    assert!(
        metrics.contains("countersign_diagnoses_total{cause=\"scheme\"} 1"),
        "{metrics}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_public_address_is_explained() {
    let world = World::start().await;
    let printer = world.consumer(&["--deny-detail=debug"]).await;
    let mut command = python("request_token.py");
    let url = format!("http://{}/oauth/request_token", world.countersign.http);
    let given = json!({ "url": url, "consumer": [printer.consumer_key, printer.consumer_secret], "callback": CALLBACK });
    command.arg(given.to_string());
    let refused = scripted::run(command).await;
    assert_eq!(
        (&refused["status"], &refused["body"]["cause"]),
        (&401.into(), &"scheme+host".into()),
        "{refused}"
    );
    let remedy = refused["body"]["remedy"].as_str().unwrap();
    assert!(
        remedy.contains(&format!("`http://{}`", world.countersign.http)),
        "{remedy}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_of_temporary_credentials_is_shown_only_to_operators() {
    let world = World::start().await;
    let printer = world.consumer(&["--deny-detail=debug"]).await;
    let granted = world.send(&asking(&printer, "https")).await;
    assert_eq!(granted.status, 200, "{granted:?}");
    let exchanging = |caller: &Caller, scheme| {
        caller
            .signing()
            .for_scheme(scheme)
            .with("oauth_verifier", VERIFIER)
            .in_header(&exchanging())
    };
    let mut watch = world.watch().await;
    let holder = printer.with_token_of(&granted);
    let refused = world.send(&exchanging(&holder, "http")).await;
    assert_eq!(
        (refused.status, &refused.json()["cause"]),
        (401, &"scheme".into()),
        "{refused:?}"
    );
    assert_eq!(next(&mut watch).await.causes, ["scheme"]);

    let name = holder.token.clone().unwrap().0;
    let halved = Caller {
        token: Some((name, String::new())),
        ..holder
    };
    let refused = world.send(&exchanging(&halved, "https")).await;
    assert_eq!(
        (refused.status, refused.json().get("cause")),
        (401, None),
        "{refused:?}"
    );
    let denial = next(&mut watch).await;
    assert_eq!(denial.causes, ["secret-missing"]);
    for shown in [format!("{denial:?}"), refused.body, world.countersign.log()] {
        assert!(!shown.contains(VERIFIER), "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn temporary_credentials_of_another_consumer_are_named_to_operators() {
    let world = World::start().await;
    let (printer, other) = (world.consumer(&[]).await, world.consumer(&[]).await);
    let granted = world.send(&asking(&printer, "https")).await;
    let mut watch = world.watch().await;
    let thief = other.with_token_of(&granted);
    let request = thief.signing().for_scheme("https");
    let request = request.with("oauth_verifier", VERIFIER);
    let refused = world.send(&request.in_header(&exchanging())).await;
    let denial = next(&mut watch).await;
    assert_eq!((refused.status, &*denial.reason), (401, "unknown_token"));
    let owner = format!("consumer {}", printer.consumer_key);
    let mut facts = denial.details.iter();
    let fact = facts.find(|fact| fact.name == "token_belongs_to");
    assert_eq!(fact.map(|fact| &*fact.value), Some(&*owner));
    assert!(!refused.body.contains(&printer.consumer_key));
}

/// The profile does not apply here, so it must not hide another deviation.
#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_is_not_signed_is_the_cause_whatever_profile_the_consumer_has() {
    let world = World::start().await;
    let printer = world.consumer(&["--compat=ignore-query-on-post"]).await;
    let mut watch = world.watch().await;
    let signed = asking(&printer, "https");
    let target = format!("{}?scope=read", signed.target);
    assert_eq!(world.send(&Request { target, ..signed }).await.status, 401);
    let denial = next(&mut watch).await;
    assert_eq!(
        (&denial.causes[..], &*denial.path),
        (
            &["query-left-out".to_owned()][..],
            "/oauth/request_token?scope=***"
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_counts_issued_and_refused_credentials() {
    let world = World::start().await;
    let printer = world.consumer(&[]).await;
    let mut watch = world.watch().await;
    let granted = asking(&printer, "https");
    assert_eq!(world.send(&granted).await.status, 200);
    assert_eq!(
        world.send(&granted).await.status,
        401,
        "a replay must be refused"
    );
    let replayed = next(&mut watch).await;
    assert_eq!((&*replayed.reason, replayed.proven), ("nonce_used", true));
    assert_eq!(world.send(&asking(&printer, "http")).await.status, 401);
    assert_eq!(next(&mut watch).await.causes, ["scheme"]);
    assert_eq!(
        world.send(&requesting()).await.status,
        401,
        "an unsigned request must be refused"
    );
    let reports = world.countersign.admin(&["report"]).await;
    let [nobody, printer] = &reports.as_array().unwrap()[..] else {
        panic!("{reports}")
    };
    assert_eq!(
        (&nobody["consumer_key"], &nobody["denied"]),
        (&"".into(), &1.into())
    );
    for (name, count) in [
        ("seen", 3),
        ("allowed", 1),
        ("denied", 2),
        ("would_deny", 0),
    ] {
        assert_eq!(printer[name], count, "{name}: {printer}");
    }
    assert_eq!(
        printer["signature_methods"][0],
        json!({ "signature_method": "HMAC-SHA1", "seen": 3 })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_password_is_stored_or_shown() {
    let world = World::start().await;
    let printer = world
        .consumer(&["--flow=xauth", "--deny-detail=debug"])
        .await;
    let wrong = Caller {
        consumer_secret: "guessed".to_owned(),
        ..printer.clone()
    };
    let mut watch = world.watch().await;
    for (caller, status) in [(&wrong, 401), (&printer, 401)] {
        let body =
            format!("x_auth_mode=client_auth&x_auth_username=jane&x_auth_password={VERIFIER}");
        let request = Request::form("POST", "/oauth/access_token", &body);
        let refused = world
            .send(&caller.signing().for_scheme("https").in_header(&request))
            .await;
        let denial = next(&mut watch).await;
        assert_eq!(refused.status, status, "{refused:?}");
        assert_eq!(
            (&denial.consumer_key, &*denial.signature_method),
            (&printer.consumer_key, "HMAC-SHA1")
        );
        for shown in [format!("{denial:?}"), refused.body, world.countersign.log()] {
            assert!(!shown.contains(VERIFIER), "{shown}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_parameter_is_recorded_under_the_named_consumer() {
    let world = World::start().await;
    let printer = world.consumer(&[]).await;
    let mut watch = world.watch().await;
    let without_callback = printer
        .signing()
        .for_scheme("https")
        .in_header(&requesting());
    assert_eq!(world.send(&without_callback).await.status, 400);
    let denial = next(&mut watch).await;
    let named = (
        &denial.consumer_key,
        denial.proven,
        &*denial.signature_method,
    );
    assert_eq!(
        (&*denial.reason, named),
        (
            "parameter_absent",
            (&printer.consumer_key, false, "HMAC-SHA1")
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_get_is_recorded_with_the_setting_that_permits_it() {
    let world = World::start().await;
    let printer = world.consumer(&[]).await;
    let mut watch = world.watch().await;
    let get = Request::get("/oauth/request_token");
    let refused = world
        .send(
            &printer
                .signing()
                .for_scheme("https")
                .with("oauth_callback", CALLBACK)
                .in_header(&get),
        )
        .await;
    assert_eq!(
        (refused.status, &refused.json()["detail"]),
        (405, &"Send a POST".into())
    );
    let denial = next(&mut watch).await;
    assert_eq!(
        (&*denial.reason, &*denial.http_method, &denial.consumer_key),
        ("http_method", "GET", &printer.consumer_key)
    );
    assert_eq!(denial.advice, "Send a POST");
    world.countersign.logs("http.allow_get = true").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_advice_for_a_wrong_method_names_every_allowed_one() {
    let world = World::with("http.allow_get = true\n").await;
    let mut watch = world.watch().await;
    let refused = world
        .send(&Request::new("PUT", "/oauth/request_token"))
        .await;
    assert_eq!(
        (refused.status, &refused.json()["detail"]),
        (405, &"Send a POST or a GET".into())
    );
    assert_eq!(next(&mut watch).await.advice, "Send a POST or a GET");
}

/// A service that clients reach over https.
struct World {
    countersign: Countersign,
    observer: Observer,
}

impl World {
    async fn start() -> Self {
        Self::with("").await
    }

    async fn with(settings: &str) -> Self {
        let settings = format!("http.public_url = \"https://api.example.com\"\n{settings}");
        let countersign = Countersign::start("memory:", &settings).await;
        let observer = Observer::of(&countersign).await;
        Self {
            countersign,
            observer,
        }
    }

    async fn consumer(&self, options: &[&str]) -> Caller {
        let callback = format!("--callback={CALLBACK}");
        let create = [
            "consumer",
            "create",
            "--name=Printer",
            "--flow=three-legged",
            &callback,
        ];
        let created = self.countersign.admin(&[&create, options].concat()).await;
        let text = |field: &str| created[field].as_str().unwrap().to_owned();
        Caller {
            consumer_key: text("consumer_key"),
            consumer_secret: text("consumer_secret"),
            token: None,
        }
    }

    async fn watch(&self) -> Streaming<v1::WatchDenialsResponse> {
        self.observer.watch().await
    }

    async fn send(&self, request: &Request) -> Response {
        request.send(self.countersign.http).await
    }
}

/// Returns a request for temporary credentials, signed for this scheme.
fn asking(caller: &Caller, scheme: &'static str) -> Request {
    caller
        .signing()
        .for_scheme(scheme)
        .with("oauth_callback", CALLBACK)
        .in_header(&requesting())
}

/// Returns the next streamed denial, with its explanation if it has one.
async fn next(watch: &mut Streaming<v1::WatchDenialsResponse>) -> v1::Denial {
    timeout(PATIENCE, watch.message())
        .await
        .expect("a denial")
        .unwrap()
        .unwrap()
        .denial
        .unwrap()
}

const VERIFIER: &str = "s3cr3t-of-somebody";

/// The time that a test waits on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);
