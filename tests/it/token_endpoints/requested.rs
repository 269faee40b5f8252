//! Temporary credentials (RFC 5849 section 2.1): the consumers that get them, the forms of the
//! request, and the response.

use std::time::Duration;

use countersign::clock::UnixTime;
use countersign::config::Origin;
use countersign::issue::{Actor, ConsumerAttributes, ConsumerDraft};
use countersign::model::{ConsumerKey, Secret};
use countersign::oauth::Scheme;

use super::bench::{Bench, CALLBACK, assert_names, fields, requesting};
use crate::support::caller::{Caller, Signing};
use crate::support::http::{Request, Response};

#[tokio::test]
async fn temporary_credentials_are_issued_with_the_parameters_in_any_place() {
    let bench = Bench::start().await;
    let printer = bench.consumer(&["three-legged"]).await;
    let signing = || printer.signing().with("oauth_callback", CALLBACK);
    for request in [
        signing()
            .in_header(&Request::new("POST", "/oauth/request_token").with("Content-Length", "0")),
        signing().in_query(&requesting()),
        signing().in_form(&requesting()),
        signing()
            .with_method("HMAC-SHA256")
            .in_header(&requesting()),
    ] {
        let answer = bench.send(&request).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let fields = fields(&answer);
        assert_eq!(
            fields.keys().collect::<Vec<_>>(),
            [
                "oauth_callback_confirmed",
                "oauth_token",
                "oauth_token_secret"
            ]
        );
        assert_eq!(fields["oauth_callback_confirmed"], "true");
        assert!(fields["oauth_token_secret"].len() >= 32);
        assert_eq!(
            (answer.header("cache-control"), answer.header("pragma")),
            (Some("no-store"), Some("no-cache"))
        );
    }
}

/// The query may contain the requested scopes.
#[tokio::test]
async fn the_query_is_signed_whatever_compat_profile_the_consumer_has() {
    let bench = Bench::start().await;
    let printer = bench
        .consumer_with(&["three-legged"], &["ignore-query-on-post"])
        .await;
    let signed = || {
        printer
            .signing()
            .with("oauth_callback", CALLBACK)
            .in_header(&requesting())
    };
    assert_eq!(bench.send(&signed()).await.status, 200);
    let target = format!("{}?scope=read", requesting().target);
    assert_eq!(
        bench.send(&Request { target, ..signed() }).await.status,
        401
    );
}

/// A plus in a query is a space to this endpoint.
#[tokio::test]
async fn requested_scopes_are_signed_with_every_compat_profile() {
    let bench = Bench::start().await;
    let printer = bench
        .consumer_with(&["three-legged"], &["plus-literal"])
        .await;
    let asked = Request::form("POST", "/oauth/request_token?scope=read%2Bwrite", "");
    let signed = printer
        .signing()
        .with("oauth_callback", CALLBACK)
        .in_header(&asked);
    let sent = Request {
        target: signed.target.replace("%2B", "+"),
        ..signed
    };
    bench.refuses(&sent, 401, "signature_invalid").await;
}

#[tokio::test]
async fn credentials_are_json_only_for_a_client_that_prefers_json() {
    let bench = Bench::start().await;
    let printer = bench.consumer(&["three-legged"]).await;
    let request = requesting().with("Accept", "application/json");
    let answer = bench
        .send(
            &printer
                .signing()
                .with("oauth_callback", "oob")
                .in_header(&request),
        )
        .await;
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, Some("application/json"))
    );
    assert_eq!(answer.json()["oauth_callback_confirmed"], true);
    assert!(
        answer.json()["oauth_token"]
            .as_str()
            .is_some_and(|token| !token.is_empty())
    );
    // The second is the default of Axios.
    for accept in ["*/*", "application/json, text/plain, */*"] {
        let request = requesting().with("Accept", accept);
        let signing = printer.signing().with("oauth_callback", "oob");
        let answer = bench.send(&signing.in_header(&request)).await;
        assert_eq!(fields(&answer)["oauth_callback_confirmed"], "true");
    }
}

#[tokio::test]
async fn a_denial_is_a_form_for_clients_that_accept_forms() {
    let bench = Bench::start().await;
    let answer = bench
        .send(&requesting().with("Accept", "application/x-www-form-urlencoded"))
        .await;
    assert_eq!(answer.status, 401);
    assert_eq!(fields(&answer)["oauth_problem"], "parameter_absent");
}

#[tokio::test]
async fn a_consumer_without_the_two_legged_flow_may_request_a_token() {
    let bench = Bench::start().await;
    let printer = bench.consumer(&["three-legged"]).await;
    bench.asks(&printer).await;
    assert!(
        bench.counted("request_token", "issue", "ok"),
        "{}",
        bench.metrics.render()
    );
}

#[tokio::test]
async fn a_consumer_without_the_flow_gets_none() {
    let bench = Bench::start().await;
    let machine = bench.consumer(&["two-legged"]).await;
    bench
        .refuses(
            &asking(&machine).in_header(&requesting()),
            403,
            "permission_denied",
        )
        .await;
    assert!(bench.counted("request_token", "deny", "flow_not_allowed"));
}

#[tokio::test]
async fn until_the_signature_is_proven_every_cause_gets_one_answer() {
    let bench = Bench::start().await;
    let printer = bench.consumer(&["three-legged"]).await;
    let unknown = Caller {
        consumer_key: "nobody".to_owned(),
        ..printer.clone()
    };
    let wrong = Caller {
        consumer_secret: "guessed".to_owned(),
        ..printer.clone()
    };
    let disabled = Caller {
        consumer_secret: "guessed".to_owned(),
        ..bench.consumer(&["three-legged"]).await
    };
    disable(&bench, &disabled).await;
    let mut answers = Vec::new();
    for caller in [&unknown, &wrong, &disabled] {
        let answer = bench
            .refuses(
                &asking(caller).in_header(&requesting()),
                401,
                "signature_invalid",
            )
            .await;
        answers.push(without_id(&answer));
    }
    assert!(
        answers.iter().all(|answer| *answer == answers[0]),
        "{answers:#?}"
    );
}

#[tokio::test]
async fn a_proven_caller_learns_the_reason() {
    let bench = Bench::start().await;
    let printer = bench.consumer(&["three-legged"]).await;
    let request = asking(&printer).in_header(&requesting());
    assert_eq!(bench.send(&request).await.status, 200);
    bench.refuses(&request, 401, "nonce_used").await;
    let old = asking(&printer)
        .at(crate::support::caller::now() - 1000)
        .in_header(&requesting());
    let answer = bench.refuses(&old, 401, "timestamp_refused").await;
    assert!(answer.json()["oauth_acceptable_timestamps"].is_string());
    disable(&bench, &printer).await;
    bench
        .refuses(
            &asking(&printer).in_header(&requesting()),
            401,
            "consumer_key_refused",
        )
        .await;
}

#[tokio::test]
async fn the_detail_of_a_denial_follows_the_consumers_setting() {
    let bench = Bench::start().await;
    let printer = bench.consumer(&["three-legged"]).await;
    let key = ConsumerKey::new(&*printer.consumer_key).unwrap();
    let change = |consumer: &mut ConsumerAttributes| {
        consumer.deny_detail = "debug".to_owned();
        consumer.deprecated_at = Some(UnixTime::from_secs(5));
        consumer.sunset_at = Some(UnixTime::from_secs(6));
    };
    bench
        .issuer
        .update_consumer(&key, &change, None, &Actor::ADMIN)
        .await
        .unwrap();
    let told = |answer: &Response| {
        ["deprecation", "sunset"].map(|name| answer.header(name).map(str::to_owned))
    };
    let farewell = ["@5", "Thu, 01 Jan 1970 00:00:06 GMT"].map(|value| Some(value.to_owned()));

    let request = asking(&printer).in_header(&requesting());
    assert_eq!(told(&bench.send(&request).await), farewell);
    let replayed = bench.refuses(&request, 401, "nonce_used").await;
    assert_eq!(told(&replayed), farewell);
    let wrong = Caller {
        consumer_secret: "guessed".to_owned(),
        ..printer
    };
    let unproven = bench
        .refuses(
            &asking(&wrong).in_header(&requesting()),
            401,
            "signature_invalid",
        )
        .await;
    assert_eq!(told(&unproven), [None, None]);
    for answer in [replayed, unproven] {
        assert!(
            answer.json()["base_string"]
                .as_str()
                .is_some_and(|text| text.starts_with("POST&")),
            "{answer:?}"
        );
    }
    let other = bench.consumer(&["three-legged"]).await;
    let request = asking(&other).in_header(&requesting());
    assert_eq!(told(&bench.send(&request).await), [None, None]);
    assert_eq!(
        bench
            .refuses(&request, 401, "nonce_used")
            .await
            .json()
            .get("base_string"),
        None
    );
}

#[tokio::test]
async fn a_refused_request_writes_nothing() {
    let bench = Bench::start().await;
    let printer = bench.consumer(&["three-legged"]).await;
    let wrong = Caller {
        consumer_secret: "guessed".to_owned(),
        ..printer.clone()
    };
    let signing = asking(&printer);
    let request = signing.in_header(&requesting());
    let forged = request.clone().with_changed("Authorization", |header| {
        header.replace("oauth_signature=\"", "oauth_signature=\"A")
    });
    for request in [asking(&wrong).in_header(&requesting()), forged] {
        assert_eq!(bench.send(&request).await.status, 401);
    }
    assert_eq!(
        bench.send(&request).await.status,
        200,
        "a request without a proven signature claimed the nonce"
    );
}

#[tokio::test]
async fn a_callback_is_needed_and_has_to_be_the_consumers() {
    let bench = Bench::start().await;
    let printer = bench.consumer(&["three-legged"]).await;
    let answer = bench
        .refuses(
            &printer.signing().in_header(&requesting()),
            400,
            "parameter_absent",
        )
        .await;
    assert_names(&answer, "oauth_parameters_absent", "oauth_callback");
    for wrong in [
        "https://evil.example/",
        "/relative",
        "javascript:alert(1)",
        "https://printer.example.com@evil.example/",
    ] {
        let request = printer
            .signing()
            .with("oauth_callback", wrong)
            .in_header(&requesting());
        let answer = bench.refuses(&request, 400, "parameter_rejected").await;
        assert_names(&answer, "oauth_parameters_rejected", "oauth_callback");
        assert!(
            answer.json()["detail"]
                .as_str()
                .unwrap()
                .starts_with("oauth_callback "),
            "{answer:?}"
        );
    }
}

/// RFC 8252 section 7.3: an application of the user's machine listens on a port of the moment.
#[tokio::test]
async fn a_loopback_callback_may_have_any_port() {
    let bench = Bench::start().await;
    let app = bench
        .consumer_calling_back(&["http://127.0.0.1/cb", "http://localhost/cb"])
        .await;
    let asking = |callback: &str| {
        let signing = app.signing().with("oauth_callback", callback);
        signing.in_header(&requesting())
    };
    let answer = bench.send(&asking("http://127.0.0.1:49152/cb")).await;
    let temporary = app.with_token_of(&answer);
    let verifier = bench.allows(&temporary).await;
    assert_eq!(bench.exchanges(&temporary, &verifier).await.status, 200);
    for other in [
        "http://127.0.0.1:49152/other",
        "http://localhost:49152/cb",
        "http://192.0.2.1:49152/cb",
    ] {
        bench
            .refuses(&asking(other), 400, "parameter_rejected")
            .await;
    }
}

#[tokio::test]
async fn requested_scopes_must_be_the_consumers() {
    let bench = Bench::start().await;
    let printer = bench.consumer(&["three-legged"]).await;
    let asked = printer
        .signing()
        .with("oauth_callback", "oob")
        .in_header(&Request::form("POST", "/oauth/request_token", "scope=read"));
    let alice = printer.with_token_of(&bench.send(&asked).await);
    let token = bench
        .store
        .request_token(&super::bench::name(&alice))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(token.scopes.to_string(), "read");
    let asked = printer
        .signing()
        .with("oauth_callback", "oob")
        .in_header(&Request::form(
            "POST",
            "/oauth/request_token",
            "scope=read+admin",
        ));
    let answer = bench.refuses(&asked, 400, "parameter_rejected").await;
    assert_names(&answer, "oauth_parameters_rejected", "scope");
}

#[tokio::test]
async fn credentials_are_issued_only_for_a_post() {
    let bench = Bench::start().await;
    let printer = bench.consumer(&["three-legged"]).await;
    for method in ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "post"] {
        for path in ["/oauth/request_token", "/oauth/access_token"] {
            let answer = bench
                .send(&asking(&printer).in_header(&Request::new(method, path)))
                .await;
            assert_eq!(
                (answer.status, answer.header("allow")),
                (405, Some("POST")),
                "{method} {path}"
            );
        }
    }
}

#[tokio::test]
async fn an_operator_may_allow_get() {
    let bench = Bench::with(|config| config.http.allow_get = true).await;
    let printer = bench.consumer(&["three-legged"]).await;
    let get = Request::get("/oauth/request_token");
    fields(&bench.send(&asking(&printer).in_header(&get)).await);
    fields(&bench.send(&asking(&printer).in_query(&get)).await);
    for method in ["HEAD", "OPTIONS"] {
        let answer = bench
            .send(&asking(&printer).in_header(&Request::new(method, "/oauth/request_token")))
            .await;
        assert_eq!(
            (answer.status, answer.header("allow")),
            (405, Some("GET, POST")),
            "{method}"
        );
    }
}

#[tokio::test]
async fn consumers_sign_the_public_url() {
    let public = Origin {
        scheme: Scheme::Https,
        authority: "oauth.example.com".to_owned(),
        path_prefix: "/partner".to_owned(),
    };
    let bench = Bench::with(|config| config.http.public_url = Some(public)).await;
    let printer = bench.consumer(&["three-legged"]).await;
    let mut seen = requesting();
    seen.target = "/partner/oauth/request_token".to_owned();
    let seen = seen.with_changed("Host", |_| "oauth.example.com".to_owned());
    let header = asking(&printer).for_scheme("https").in_header(&seen);
    let header = header.header("Authorization").unwrap();
    assert_eq!(
        bench
            .send(&requesting().with("Authorization", header))
            .await
            .status,
        200
    );
    bench
        .refuses(
            &asking(&printer).in_header(&requesting()),
            401,
            "signature_invalid",
        )
        .await;
}

#[tokio::test]
async fn plaintext_needs_an_https_url_that_the_operator_configured() {
    let bench = Bench::start().await;
    let plain = plaintext(&bench).await;
    let request = asking(&plain)
        .with_method("PLAINTEXT")
        .in_header(&requesting());
    bench
        .refuses(&request, 400, "signature_method_rejected")
        .await;
    let public = Origin {
        scheme: Scheme::Https,
        authority: "oauth.example.com".to_owned(),
        path_prefix: String::new(),
    };
    let bench = Bench::with(|config| config.http.public_url = Some(public)).await;
    let plain = plaintext(&bench).await;
    let request = asking(&plain)
        .with_method("PLAINTEXT")
        .in_header(&requesting());
    assert_eq!(bench.send(&request).await.status, 200);
    bench.refuses(&request, 401, "nonce_used").await;
}

#[tokio::test]
async fn temporary_credentials_are_not_accepted_where_a_token_is() {
    let bench = Bench::start().await;
    let printer = bench.consumer(&["two-legged", "three-legged"]).await;
    let temporary = bench.asks(&printer).await;
    bench.allows(&temporary).await;
    let key = ConsumerKey::new(&*printer.consumer_key).unwrap();
    let found = bench
        .store
        .caller_records(&key, Some(&super::bench::name(&temporary)))
        .await
        .unwrap();
    assert!(found.consumer.is_some() && found.token.is_none());
}

#[tokio::test]
async fn a_timestamp_is_compared_with_the_clock() {
    let bench = Bench::start().await;
    let printer = bench.consumer(&["three-legged"]).await;
    let request = asking(&printer).in_header(&requesting());
    bench.clock.advance(Duration::from_secs(302));
    bench.refuses(&request, 401, "timestamp_refused").await;
}

fn asking(caller: &Caller) -> Signing {
    caller.signing().with("oauth_callback", CALLBACK)
}

async fn disable(bench: &Bench, caller: &Caller) {
    let key = ConsumerKey::new(&*caller.consumer_key).unwrap();
    bench
        .issuer
        .disable_consumer(&key, &Actor::ADMIN)
        .await
        .unwrap();
}

async fn plaintext(bench: &Bench) -> Caller {
    let draft = ConsumerDraft {
        consumer_secret: Some(Secret::new(*b"kd94hf93k423kf44")),
        attributes: ConsumerAttributes {
            name: "Plain".to_owned(),
            callbacks: vec![CALLBACK.to_owned()],
            signature_methods: vec!["PLAINTEXT".to_owned()],
            ..ConsumerAttributes::default()
        },
        ..ConsumerDraft::default()
    };
    let consumer = bench
        .issuer
        .create_consumer(&draft, &Actor::ADMIN)
        .await
        .unwrap()
        .record;
    let consumer_key = consumer.key.as_str().to_owned();
    Caller {
        consumer_key,
        consumer_secret: "kd94hf93k423kf44".to_owned(),
        token: None,
    }
}

/// Returns a response without the values that differ each time.
fn without_id(answer: &Response) -> (u16, Vec<(String, String)>, String) {
    let id = answer.json()["decision_id"].as_str().unwrap().to_owned();
    let varying = ["date", "x-countersign-decision-id"];
    let headers = answer
        .headers
        .iter()
        .filter(|(name, _)| !varying.contains(&name.to_ascii_lowercase().as_str()))
        .cloned()
        .collect();
    (answer.status, headers, answer.body.replace(&id, "ID"))
}
