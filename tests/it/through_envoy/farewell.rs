//! Response headers that announce a deprecation, and the detail of denials.

use super::on_every_stack;
use crate::support::caller::{Caller, now};
use crate::support::http::{Request, Response};
use crate::support::stack::Stack;
use crate::support::upstream::ANSWER_WITH;

on_every_stack!(
    a_deprecated_consumer_gets_the_headers,
    a_current_consumer_gets_no_deprecation_headers,
    a_denial_without_detail_has_no_problem,
    a_denial_in_debug_detail_has_its_cause,
);

async fn a_deprecated_consumer_gets_the_headers(stack: &Stack) {
    let leaving = consumer(
        stack,
        &[
            "--deprecated-at=2023-07-01T00:00:00Z",
            "--sunset-at=2030-12-31T23:59:59Z",
        ],
    )
    .await;
    let told = [
        ("deprecation", "@1688169600"),
        ("sunset", "Tue, 31 Dec 2030 23:59:59 GMT"),
    ];
    let request = Request::get("/photos");
    let allowed = stack.send(&leaving.sign(&request)).await;
    assert_eq!((allowed.status, farewell(&allowed)), (200, told.into()));
    // The response has the header once, although the upstream sent its own.
    for own in ["Deprecation: @1", "Sunset: Thu, 01 Jan 1970 00:00:00 GMT"] {
        let allowed = stack
            .send(&leaving.sign(&request.clone().with(ANSWER_WITH, own)))
            .await;
        assert_eq!(
            (allowed.status, farewell(&allowed)),
            (200, told.into()),
            "{own}"
        );
    }
    stack.upstream.received();

    let refused = stack
        .denies(
            &leaving.signing().at(1).in_header(&request),
            401,
            "timestamp_refused",
        )
        .await;
    assert_eq!(farewell(&refused), told);
    let stranger = Caller {
        consumer_secret: "wrong".to_owned(),
        ..leaving
    };
    let refused = stack
        .denies(&stranger.sign(&request), 401, "signature_invalid")
        .await;
    assert_eq!(
        farewell(&refused),
        [],
        "only proven callers see the headers"
    );
}

async fn a_current_consumer_gets_no_deprecation_headers(stack: &Stack) {
    let own = ("deprecation", "@1");
    let request = Request::get("/photos");
    let allowed = stack.send(&stack.alice.sign(&request)).await;
    assert_eq!((allowed.status, farewell(&allowed)), (200, Vec::new()));
    let allowed = stack
        .send(
            &stack
                .alice
                .sign(&request.with(ANSWER_WITH, "Deprecation: @1")),
        )
        .await;
    assert_eq!(
        (allowed.status, farewell(&allowed)),
        (200, vec![own]),
        "the upstream's own header stays"
    );
}

async fn a_denial_without_detail_has_no_problem(stack: &Stack) {
    let quiet = consumer(stack, &["--deny-detail=none"]).await;
    let proven = stack.send(&stale(&quiet)).await;
    assert_eq!(
        (proven.status, proven.json().get("oauth_problem")),
        (401, None),
        "{proven:?}"
    );
    assert!(
        !proven
            .header("www-authenticate")
            .unwrap()
            .contains("oauth_problem"),
        "{proven:?}"
    );
    // To a caller without a proven signature it is like any other denial.
    stack.denies(&wrong(&quiet), 401, "signature_invalid").await;
}

async fn a_denial_in_debug_detail_has_its_cause(stack: &Stack) {
    let curious = consumer(stack, &["--deny-detail=debug"]).await;
    let request = Request::get("/photos?a=b");
    for refused in [
        stack
            .denies(&stale(&curious), 401, "timestamp_refused")
            .await,
        stack
            .denies(&wrong(&curious), 401, "signature_invalid")
            .await,
    ] {
        let body = refused.json();
        assert!(
            body["base_string"]
                .as_str()
                .is_some_and(|text| text.contains("&a%3D***%26oauth_")),
            "{body}"
        );
    }
    let unsigned_for_https = curious.signing().for_scheme("https").in_header(&request);
    let explained = stack
        .denies(&unsigned_for_https, 401, "signature_invalid")
        .await
        .json();
    assert_eq!(explained["cause"], "scheme", "{explained}");
    let others = stack
        .denies(&wrong(&stack.alice), 401, "signature_invalid")
        .await
        .json();
    assert_eq!(
        (others.get("base_string"), others.get("cause")),
        (None, None),
        "{others}"
    );

    stack
        .countersign
        .admin(&[
            "consumer",
            "update",
            &curious.consumer_key,
            "--clear=deny-detail",
        ])
        .await;
    let refused = stack
        .denies(&wrong(&curious), 401, "signature_invalid")
        .await
        .json();
    assert_eq!(refused.get("base_string"), None, "{refused}");
}

/// Returns a correctly signed request with an old timestamp.
fn stale(caller: &Caller) -> Request {
    let request = Request::get("/photos?a=b");
    caller.signing().at(now() - 310).in_header(&request)
}

/// Returns a request that is signed with a wrong secret.
fn wrong(caller: &Caller) -> Request {
    let wrong = Caller {
        consumer_secret: "wrong".to_owned(),
        ..caller.clone()
    };
    wrong.sign(&Request::get("/photos?a=b"))
}

/// Creates a consumer.
async fn consumer(stack: &Stack, options: &[&str]) -> Caller {
    let created = stack
        .countersign
        .admin(&[&["consumer", "create", "--name=Leaving"], options].concat())
        .await;
    let text = |field: &str| created[field].as_str().map(str::to_owned);
    let (key, secret) = (text("consumer_key"), text("consumer_secret"));
    Caller {
        consumer_key: key.unwrap(),
        consumer_secret: secret.unwrap(),
        token: None,
    }
}

/// Returns the headers that announce a deprecation, by name.
fn farewell(response: &Response) -> Vec<(&str, &str)> {
    let named = response
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let mut told: Vec<_> = named
        .filter(|(name, _)| ["deprecation", "sunset"].contains(name))
        .collect();
    told.sort_unstable();
    told
}
