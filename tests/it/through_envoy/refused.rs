//! Unknown callers, wrong times, revoked credentials and ambiguous requests.

use super::on_every_stack;
use crate::support::caller::{Caller, header, now};
use crate::support::envoy::Shape;
use crate::support::http::{Request, Response};
use crate::support::stack::Stack;

on_every_stack!(
    an_unsigned_request_is_refused,
    an_unknown_consumer_and_an_unknown_token_look_like_a_wrong_signature,
    a_method_that_is_not_allowed_looks_like_a_wrong_signature,
    a_stale_or_future_timestamp_is_refused,
    a_disabled_consumer_is_refused_until_it_is_enabled,
    a_revoked_token_is_refused,
    a_duplicate_parameter_is_refused,
    two_authorization_headers_are_refused,
    a_path_that_could_be_routed_elsewhere_is_refused,
);

async fn an_unsigned_request_is_refused(stack: &Stack) {
    let unsigned = stack
        .denies(&Request::get("/photos"), 401, "parameter_absent")
        .await;
    let absent =
        "oauth_consumer_key&oauth_nonce&oauth_signature&oauth_signature_method&oauth_timestamp";
    assert_eq!(unsigned.json()["oauth_parameters_absent"], absent);
    for other in ["Bearer abc", "Basic YTpi"] {
        stack
            .denies(
                &Request::get("/photos").with("Authorization", other),
                401,
                "parameter_absent",
            )
            .await;
    }
    // A request with an OAuth header is malformed, not unsigned.
    stack
        .denies(
            &Request::get("/photos").with("Authorization", "OAuth"),
            400,
            "parameter_absent",
        )
        .await;
}

async fn an_unknown_consumer_and_an_unknown_token_look_like_a_wrong_signature(stack: &Stack) {
    let alice = &stack.alice;
    let (token, token_secret) = alice.token.clone().unwrap();
    let wrong = Caller {
        consumer_secret: "wrong".to_owned(),
        ..alice.clone()
    };
    let unknown_consumer = Caller {
        consumer_key: "nobody".to_owned(),
        ..alice.clone()
    };
    let unknown_token = Caller {
        token: Some(("nothing".to_owned(), token_secret)),
        ..alice.clone()
    };
    let wrong_token = Caller {
        token: Some((token, "wrong".to_owned())),
        ..alice.clone()
    };
    let mut answers = Vec::new();
    for caller in [wrong, unknown_consumer, unknown_token, wrong_token] {
        let answer = stack
            .denies(
                &caller.sign(&Request::get("/photos")),
                401,
                "signature_invalid",
            )
            .await;
        answers.push(without_identifiers(&answer));
    }
    assert!(
        answers.iter().all(|answer| *answer == answers[0]),
        "{answers:#?}"
    );
}

async fn a_method_that_is_not_allowed_looks_like_a_wrong_signature(stack: &Stack) {
    let consumer = [
        "consumer",
        "create",
        "--name=Careful",
        "--signature-method=HMAC-SHA256",
    ];
    let consumer = stack.countersign.admin(&consumer).await;
    let text = |field: &str| consumer[field].as_str().unwrap().to_owned();
    let careful = Caller {
        consumer_key: text("consumer_key"),
        consumer_secret: text("consumer_secret"),
        token: None,
    };
    let wrong = Caller {
        consumer_secret: "wrong".to_owned(),
        ..careful.clone()
    };

    let request = Request::get("/photos");
    let not_allowed = stack
        .denies(&careful.sign(&request), 401, "signature_invalid")
        .await;
    let wrong = stack
        .denies(
            &wrong
                .signing()
                .with_method("HMAC-SHA256")
                .in_header(&request),
            401,
            "signature_invalid",
        )
        .await;
    assert_eq!(
        without_identifiers(&not_allowed),
        without_identifiers(&wrong)
    );
    stack
        .allows(
            &careful
                .signing()
                .with_method("HMAC-SHA256")
                .in_header(&request),
        )
        .await;
}

async fn a_stale_or_future_timestamp_is_refused(stack: &Stack) {
    let request = Request::get("/photos");
    for timestamp in [now() - 310, now() + 310, 1] {
        let signed = stack.alice.signing().at(timestamp).in_header(&request);
        let refused = stack.denies(&signed, 401, "timestamp_refused").await.json();
        let range = refused["oauth_acceptable_timestamps"].as_str().unwrap();
        let (earliest, latest) = range.split_once('-').unwrap();
        let (earliest, latest): (u64, u64) = (earliest.parse().unwrap(), latest.parse().unwrap());
        assert!(
            latest - earliest == 600 && earliest < now() && now() < latest,
            "{range}"
        );
    }
    for timestamp in [now() - 290, now() + 290] {
        stack
            .allows(&stack.alice.signing().at(timestamp).in_header(&request))
            .await;
    }
    // Only a proven consumer learns that its timestamp is refused.
    let stranger = Caller {
        consumer_secret: "wrong".to_owned(),
        ..stack.alice.clone()
    };
    stack
        .denies(
            &stranger.signing().at(1).in_header(&request),
            401,
            "signature_invalid",
        )
        .await;
}

async fn a_disabled_consumer_is_refused_until_it_is_enabled(stack: &Stack) {
    let key = stack.alice.consumer_key.clone();
    let request = Request::get("/photos");
    stack
        .countersign
        .admin(&["consumer", "disable", &key])
        .await;
    stack
        .denies(&stack.alice.sign(&request), 401, "consumer_key_refused")
        .await;
    let stranger = Caller {
        consumer_secret: "wrong".to_owned(),
        ..stack.alice.clone()
    };
    stack
        .denies(&stranger.sign(&request), 401, "signature_invalid")
        .await;
    stack.countersign.admin(&["consumer", "enable", &key]).await;
    stack.allows(&stack.alice.sign(&request)).await;
}

async fn a_revoked_token_is_refused(stack: &Stack) {
    let (token, _) = stack.alice.token.clone().unwrap();
    let request = Request::get("/photos");
    stack.allows(&stack.alice.sign(&request)).await;
    stack
        .countersign
        .admin(&["token", "revoke", &token, "--yes"])
        .await;
    stack
        .denies(&stack.alice.sign(&request), 401, "token_revoked")
        .await;
    stack
        .allows(&stack.alice.without_token().sign(&request))
        .await;
}

async fn a_duplicate_parameter_is_refused(stack: &Stack) {
    let request = Request::get("/photos");
    let signed = stack.alice.signing().parameters(&request);
    for twice in &signed {
        let doubled = header(&[signed.clone(), vec![twice.clone()]].concat());
        stack
            .denies(
                &request.clone().with("Authorization", &doubled),
                400,
                "parameter_rejected",
            )
            .await;
    }
    // Duplicate parameters are refused, in two places too.
    let in_header = stack.alice.sign(&Request::get("/photos?oauth_version=1.0"));
    stack.denies(&in_header, 400, "parameter_rejected").await;
    let in_query =
        stack
            .alice
            .signing()
            .in_query(&Request::form("POST", "/photos", "oauth_version=1.0"));
    stack.denies(&in_query, 400, "parameter_rejected").await;
}

async fn two_authorization_headers_are_refused(stack: &Stack) {
    let signed = stack.alice.sign(&Request::get("/photos"));
    let again = signed.header("Authorization").unwrap().to_owned();
    stack
        .denies(
            &signed.with("Authorization", &again),
            400,
            "parameter_rejected",
        )
        .await;
}

/// Routes match by path, so the upstream must not be able to read a path differently.
async fn a_path_that_could_be_routed_elsewhere_is_refused(stack: &Stack) {
    for path in AMBIGUOUS {
        // Unsigned, it would pass by the rule for /public if it were read as such a path.
        let unsigned = stack.send(&Request::get(path)).await;
        let signed = stack.send(&stack.alice.sign(&Request::get(path))).await;
        match stack.parts.shape {
            Shape::Deploy => assert_eq!((unsigned.status, signed.status), (400, 400), "{path}"),
            // Normalized, most of them are ordinary paths, and differ from the signed ones.
            Shape::Gateway | Shape::Tcp => {
                assert!(
                    [400, 401].contains(&unsigned.status),
                    "{path}: {unsigned:?}"
                );
                assert!([400, 401].contains(&signed.status), "{path}: {signed:?}");
            }
        }
    }
    assert_eq!(stack.upstream.received().len(), 0);
}

/// Returns the parts of a response that do not depend on the time or the decision id.
fn without_identifiers(response: &Response) -> (Vec<(String, String)>, String) {
    let varying = [
        "date",
        "x-envoy-upstream-service-time",
        "x-countersign-decision-id",
    ];
    let headers = response
        .headers
        .iter()
        .filter(|(name, _)| !varying.contains(&name.as_str()))
        .cloned()
        .collect();
    let id = response.json()["decision_id"].as_str().unwrap().to_owned();
    (headers, response.body.replace(&id, "ID"))
}

/// Paths that a naive reader places below /public.
const AMBIGUOUS: [&str; 12] = [
    "/public/../photos",
    "/public/./../photos",
    "/public/%2e%2e/photos",
    "/public/%2E./photos",
    "/public/..%2Fphotos",
    "/public/..%5cphotos",
    "/public\\..\\photos",
    "/public/..;/photos",
    "/public/../../photos",
    "/public/;/photos",
    "/public/..%3b/photos",
    "/public/%00/photos",
];
