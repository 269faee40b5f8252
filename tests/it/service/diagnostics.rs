//! Diagnostics of the real program, over the embedded store and over Redis: stored denials, counts,
//! explanations, and the absence of secrets.

use std::time::Duration;

use countersign::v1;
use envoy_types::ext_authz::v3::pb::HttpResponse;
use envoy_types::pb::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use serde_json::Value;
use tokio::time::Instant;
use tonic::transport::{Channel, Endpoint};

use crate::service::replicas::check_request;
use crate::support::caller::Caller;
use crate::support::http::Request;
use crate::support::observer::Observer;
use crate::support::process::eventually;
use crate::support::program::Countersign;
use crate::support::redis::RedisServer;

macro_rules! on_every_store {
    ($($rule:ident),* $(,)?) => {$(
        mod $rule {
            #[tokio::test(flavor = "multi_thread")]
            async fn embedded() {
                super::$rule("embedded:countersign.redb").await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn redis() {
                let redis = super::RedisServer::start();
                super::$rule(&redis.url()).await;
            }
        }
    )*};
}

on_every_store!(
    a_denial_is_streamed_listed_and_shown_with_its_cause,
    a_report_counts_allowed_and_denied_requests,
    secrets_and_control_characters_are_not_stored,
);

async fn a_denial_is_streamed_listed_and_shown_with_its_cause(store: &str) {
    let world = World::start(store, "").await;
    let mut watch = world.observer.watch_for(scheme_denials()).await;
    world.denied(&Request::get("/photos")).await;
    let id = world.denied(&world.scheme_changed("/photos?a=b")).await;
    let streamed = watch.message().await.unwrap().unwrap().denial.unwrap();
    assert_eq!(
        (&streamed.decision_id, &*streamed.consumer_key),
        (&id, &*world.alice.consumer_key)
    );
    assert_eq!(
        (&*streamed.reason, &*streamed.path),
        ("signature_mismatch", "/photos?a=***")
    );
    let get = v1::GetDenialRequest {
        decision_id: id.clone(),
    };
    let found = world.observer.client().get_denial(get).await.unwrap();
    assert_eq!(found.into_inner(), streamed);
    denials_are_filtered(&world).await;
    a_denial_is_shown(&world, &streamed).await;
    a_cause_is_logged_and_counted(&world, &id).await;
}

fn scheme_denials() -> v1::WatchDenialsRequest {
    v1::WatchDenialsRequest {
        cause: "scheme".to_owned(),
        ..Default::default()
    }
}

async fn denials_are_filtered(world: &World) {
    let all = v1::ListDenialsRequest::default;
    let of_cause = |cause: &str| v1::ListDenialsRequest {
        cause: cause.to_owned(),
        ..all()
    };
    let unsigned = v1::ListDenialsRequest {
        reason: "unsigned".to_owned(),
        ..all()
    };
    let of_alice = v1::ListDenialsRequest {
        consumer_key: world.alice.consumer_key.clone(),
        ..all()
    };
    for (filter, expected) in [
        (of_cause("scheme"), 1),
        (of_cause("none"), 0),
        (unsigned, 1),
        (of_alice, 1),
        (all(), 2),
    ] {
        let found = world.listed(filter.clone()).await;
        assert_eq!(found.len(), expected, "{filter:?}");
    }
}

async fn a_denial_is_shown(world: &World, denial: &v1::Denial) {
    let shown = world
        .countersign
        .admin_text(&["denials", &denial.decision_id])
        .await;
    for line in [
        "cause           scheme",
        &format!("remedy          {}", denial.remedy),
        &format!("base string     {}", denial.base_string),
        &format!("client's        {}", denial.client_base_string),
        "expected        GET&http%3A%2F%2Fapi.example.com%2Fphot",
        "client signed   GET&https%3A%2F%2Fapi.example.com%2Fpho",
        "                        ^",
    ] {
        assert!(
            shown.lines().any(|shown| shown.starts_with(line)),
            "{line} is not in {shown}"
        );
    }
}

async fn a_cause_is_logged_and_counted(world: &World, id: &str) {
    let logged = eventually("the log has the cause", PATIENCE, async || {
        let log = world.countersign.log();
        let events = log
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        events
            .into_iter()
            .find(|event| event["message"] == "diagnosed")
    });
    let logged = logged.await;
    assert_eq!(
        (&logged["decision_id"], &logged["cause"]),
        (&id.into(), &"scheme".into())
    );
    let metrics = world.countersign.metrics().await;
    assert!(
        metrics.contains("countersign_diagnoses_total{cause=\"scheme\"} 1"),
        "{metrics}"
    );
}

async fn a_report_counts_allowed_and_denied_requests(store: &str) {
    let world = World::start(
        store,
        "[[route]]\npath_prefix = \"/shadow\"\nmode = \"shadow\"\n",
    )
    .await;
    let mut watch = world.observer.watch_for(scheme_denials()).await;
    for _ in 0..3 {
        world
            .allowed(&world.alice.sign(&Request::get("/photos")))
            .await;
    }
    world.allowed(&world.scheme_changed("/shadow/photos")).await;
    let streamed = watch.message().await.unwrap().unwrap().denial.unwrap();
    assert_eq!(streamed.mode(), v1::RouteMode::Shadow);
    world.denied(&Request::get("/photos")).await;
    let reports = world.countersign.admin(&["report"]).await;
    let [nobody, alice] = &reports.as_array().unwrap()[..] else {
        panic!("{reports}")
    };
    assert_eq!(
        (&nobody["consumer_key"], &nobody["denied"]),
        (&"".into(), &1.into())
    );
    assert_eq!(
        alice["consumer_key"],
        Value::from(world.alice.consumer_key.clone())
    );
    for (name, count) in [
        ("seen", 4),
        ("allowed", 3),
        ("denied", 0),
        ("would_deny", 1),
    ] {
        assert_eq!(alice[name], count, "{name}");
    }
    assert_eq!(
        alice["causes"][0],
        serde_json::json!({ "name": "scheme", "denied": 0, "would_deny": 1 })
    );
    assert_eq!(
        alice["signature_methods"][0],
        serde_json::json!({ "signature_method": "HMAC-SHA1", "seen": 4 })
    );
    assert!(
        alice["last_seen_time"]
            .as_str()
            .is_some_and(|time| time.ends_with('Z')),
        "{alice}"
    );
}

async fn secrets_and_control_characters_are_not_stored(store: &str) {
    let world = World::start(store, "").await;
    for request in requests_with_secrets(&world.alice) {
        // Twice, so that a valid request is refused as a replay.
        world.check(&request).await;
        world.check(&request).await;
    }
    let denials = eventually("everything is explained", PATIENCE, async || {
        let request = v1::ListDenialsRequest {
            page_size: 100,
            ..Default::default()
        };
        let denials = world.listed(request).await;
        let is_pending =
            |denial: &v1::Denial| denial.reason == "signature_mismatch" && denial.causes.is_empty();
        (!denials.iter().any(is_pending)).then_some(denials)
    });
    let denials = denials.await;
    assert!(denials.len() >= 14, "{}", denials.len());
    let shown = format!("{denials:?}{}", world.countersign.admin(&["denials"]).await);
    for secret in [
        SECRET,
        &world.alice.consumer_secret,
        &world.alice.token.as_ref().unwrap().1,
    ] {
        assert!(!shown.contains(secret), "{secret} is in {shown}");
        assert!(
            !world.countersign.log().contains(secret),
            "{secret} is in the log"
        );
    }
    denials.iter().for_each(is_printable);
}

/// Returns requests with secrets in unusual places, and with bytes that could forge output.
fn requests_with_secrets(alice: &Caller) -> [Request; 8] {
    let plaintext = format!(
        "OAuth oauth_consumer_key=\"{}\", oauth_signature_method=\"PLAINTEXT\", \
         oauth_signature=\"{}%26{SECRET}\"",
        alice.consumer_key, alice.consumer_secret
    );
    let wrong = Caller {
        consumer_secret: "wrong".to_owned(),
        ..alice.clone()
    };
    let query = format!("/photos?access_token={SECRET}&x_auth_password={SECRET}");
    let form = format!("x_auth_password={SECRET}&b={SECRET}");
    let long = format!("/{}?b={SECRET}{}", "<script>".repeat(50), "&x".repeat(4000));
    [
        Request::get("/photos").with("Authorization", &plaintext),
        Request::get("/photos").with("Authorization", &format!("Basic {SECRET}")),
        alice.sign(&Request::get(&query)),
        wrong.sign(&Request::get(&query)),
        wrong.sign(&Request::form("POST", "/token", &form)),
        wrong.sign(&Request::get("/photos").with("Cookie", SECRET)),
        Request::get(&long),
        Request::get("/%1b[31m\u{202e}\u{7f}\"'<script>alert(1)</script>"),
    ]
}

fn is_printable(denial: &v1::Denial) {
    let v1::Denial {
        path,
        host,
        http_method,
        consumer_key,
        base_string,
        client_base_string,
        remedy,
        ..
    } = denial;
    let texts = [
        path,
        host,
        http_method,
        consumer_key,
        base_string,
        client_base_string,
        remedy,
    ];
    for text in texts {
        assert!(
            text.bytes().all(|byte| (b' '..=b'~').contains(&byte)),
            "{text:?}"
        );
    }
    assert!(path.len() <= 2000, "{}", path.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_bad_signatures_is_explained_no_more_often_than_the_rate_allows() {
    let config = "[diagnostics]\nrecent = 100\nexplain_rate = 60\n";
    let world = World::start("memory:", config).await;
    let wrong = Caller {
        consumer_secret: "wrong".to_owned(),
        ..world.alice.clone()
    };
    let begun = Instant::now();
    for _ in 0..10_000 {
        world
            .denied(&wrong.sign(&Request::get("/photos?a=b")))
            .await;
    }
    let seconds = begun.elapsed().as_secs();
    let count = async |cause: &str| {
        let metrics = world.countersign.metrics().await;
        let series = format!("countersign_diagnoses_total{{cause=\"{cause}\"}} ");
        metrics
            .lines()
            .find_map(|line| line.strip_prefix(&series)?.parse::<u64>().ok())
            .unwrap_or_default()
    };
    let explained = eventually("every denial is counted", PATIENCE, async || {
        let explained = count("none").await;
        (explained + count("skipped").await == 10_000).then_some(explained)
    });
    let explained = explained.await;
    // Ten seconds' worth are saved, and one a second comes in; what the clock says here is rounded
    // down.
    assert!(
        (1..=10 + seconds + 1).contains(&explained),
        "{explained} in {seconds} s"
    );
    let kept = world.countersign.admin(&["denials"]).await;
    assert_eq!(kept.as_array().unwrap().len(), 100);
}

/// The real program with a consumer, and clients that act as Envoy and as an administrator.
struct World {
    countersign: Countersign,
    checks: AuthorizationClient<Channel>,
    observer: Observer,
    alice: Caller,
}

impl World {
    async fn start(store: &str, config: &str) -> Self {
        // Debug builds on a busy machine are slow, and a missed deadline changes the result.
        let config = format!(
            "check.timeout = \"5s\"\nstore.timeout = \"3s\"\ncheck.envoy_sends_whole_bodies = true\n{config}"
        );
        let countersign = Countersign::start(store, &config).await;
        let consumer = countersign
            .admin(&["consumer", "create", "--name=Printer"])
            .await;
        let text = |json: &Value, field: &str| json[field].as_str().unwrap().to_owned();
        let consumer_key = text(&consumer, "consumer_key");
        let token = countersign
            .admin(&[
                "token",
                "create",
                "--consumer-key",
                &consumer_key,
                "--user-id=alice",
            ])
            .await;
        let alice = Caller {
            consumer_key,
            consumer_secret: text(&consumer, "consumer_secret"),
            token: Some((text(&token, "token"), text(&token, "token_secret"))),
        };
        let channel = Endpoint::from_shared(format!("http://{}", countersign.check))
            .unwrap()
            .connect()
            .await
            .unwrap();
        let observer = Observer::of(&countersign).await;
        Self {
            countersign,
            checks: AuthorizationClient::new(channel),
            observer,
            alice,
        }
    }

    /// Returns a request that is signed for another scheme.
    fn scheme_changed(&self, target: &str) -> Request {
        self.alice
            .signing()
            .for_scheme("https")
            .in_header(&Request::get(target))
    }

    async fn check(&self, request: &Request) -> HttpResponse {
        let response = self
            .checks
            .clone()
            .check(check_request(request))
            .await
            .unwrap()
            .into_inner();
        response.http_response.unwrap()
    }

    async fn listed(&self, request: v1::ListDenialsRequest) -> Vec<v1::Denial> {
        let response = self.observer.client().list_denials(request).await;
        response.unwrap().into_inner().denials
    }

    /// Checks a request that is denied; returns the decision id.
    async fn denied(&self, request: &Request) -> String {
        match self.check(request).await {
            HttpResponse::DeniedResponse(denied) => {
                let body: Value = serde_json::from_str(&denied.body).unwrap();
                body["decision_id"].as_str().unwrap().to_owned()
            }
            other @ (HttpResponse::OkResponse(_) | HttpResponse::ErrorResponse(_)) => {
                panic!("not denied: {other:?}")
            }
        }
    }

    async fn allowed(&self, request: &Request) {
        let answer = self.check(request).await;
        assert!(matches!(answer, HttpResponse::OkResponse(_)), "{answer:?}");
    }
}

const SECRET: &str = "s3cr3t-of-somebody";

/// The longest wait, for busy machines.
const PATIENCE: Duration = Duration::from_secs(20);
