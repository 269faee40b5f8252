//! Allow and deny: the headers, the problem words, and the details that stay private.

use std::time::Duration;

use countersign::config::DenyDetail;
use countersign::issue::Actor;
use countersign::model::{ConsumerKey, Secret};
use countersign::oauth::Scheme;

use super::bench::{Bench, CONSUMER_KEY, Call, NOW, TOKEN, USER, metadata};

#[tokio::test]
async fn an_allowed_request_names_the_caller_in_six_headers() {
    let bench = Bench::new().await;
    let ok = bench
        .allowed(Call::get("/photos?size=original").signed())
        .await;
    let set = |name: &str| {
        let headers = ok
            .headers
            .iter()
            .filter_map(|option| option.header.as_ref());
        headers
            .into_iter()
            .find(|header| header.key == name)
            .map(|header| header.value.clone())
    };
    assert!(set("x-consumer-id").is_some_and(|id| !id.is_empty()));
    assert_eq!(
        set("x-consumer-username").as_deref(),
        Some("Printer Example")
    );
    assert_eq!(
        set("x-credential-identifier").as_deref(),
        Some(CONSUMER_KEY)
    );
    assert_eq!(set("x-authenticated-userid").as_deref(), Some(USER));
    assert_eq!(
        set("x-authenticated-scope").as_deref(),
        Some("read"),
        "the scopes of both token and consumer"
    );
    assert_eq!(
        ok.headers_to_remove,
        ["x-anonymous-consumer", "authorization"]
    );
}

#[tokio::test]
async fn without_a_token_there_is_no_user_and_the_scopes_are_the_consumers() {
    let bench = Bench::new().await;
    let ok = bench
        .allowed(
            Call {
                token: None,
                ..Call::get("/")
            }
            .signed(),
        )
        .await;
    let scope = ok
        .headers
        .iter()
        .filter_map(|option| option.header.as_ref())
        .find(|h| h.key == "x-authenticated-scope");
    assert_eq!(scope.unwrap().value, "read write");
    assert!(
        ok.headers_to_remove
            .contains(&"x-authenticated-userid".to_owned())
    );
}

#[tokio::test]
async fn a_disguised_identity_header_is_removed() {
    let bench = Bench::new().await;
    let headers = vec![("x_consumer_id".to_owned(), "spoofed".to_owned())];
    let ok = bench
        .allowed(
            Call {
                headers,
                ..Call::get("/")
            }
            .signed(),
        )
        .await;
    assert!(ok.headers_to_remove.contains(&"x_consumer_id".to_owned()));
}

#[tokio::test]
async fn credentials_stay_if_the_operator_does_not_hide_them() {
    let bench = Bench::with(|config| config.check.policy.hide_credentials = Some(false)).await;
    let ok = bench.allowed(Call::get("/").signed()).await;
    assert!(!ok.headers_to_remove.contains(&"authorization".to_owned()));
}

#[tokio::test]
async fn the_answer_to_an_unsigned_request_asks_for_a_signature() {
    let bench = Bench::new().await;
    let denied = bench.denied(Call::get("/").unsigned()).await;
    assert_eq!(denied.problem(), (401, "parameter_absent".to_owned()));
    assert!(
        denied
            .header("www-authenticate")
            .starts_with("OAuth realm=\"api\", oauth_problem=\"parameter_absent\"")
    );
    assert_eq!(denied.header("content-type"), "application/problem+json");
    assert_eq!(denied.header("cache-control"), "no-store");
    let json = denied.json();
    for field in [
        "type",
        "title",
        "status",
        "detail",
        "oauth_problem",
        "oauth_problem_advice",
        "decision_id",
    ] {
        assert!(!json[field].is_null(), "{field} is missing from {json}");
    }
}

/// RFC 5849 section 4 does not mention it, but a client that can tell these denials apart can find
/// out which keys exist.
#[tokio::test]
async fn all_unproven_requests_get_the_same_answer() {
    let bench = Bench::new().await;
    let wrong = [
        Call {
            consumer_key: "nobody",
            ..Call::get("/")
        },
        Call {
            consumer_secret: "wrong",
            ..Call::get("/")
        },
        Call {
            token: Some(("nothing", "pfkkdhi9sl3r4s00")),
            ..Call::get("/")
        },
        Call {
            token: Some((TOKEN, "wrong")),
            ..Call::get("/")
        },
        Call {
            signature_method: "HMAC-SHA512",
            ..Call::get("/")
        },
        Call {
            signature_method: "RSA-SHA256",
            ..Call::get("/")
        },
        Call {
            consumer_key: "nobody",
            signature_method: "RSA-SHA256",
            ..Call::get("/")
        },
    ];
    let mut answers = Vec::new();
    for call in wrong {
        let denied = bench.denied(call.signed()).await;
        let mut json = denied.json();
        json["decision_id"].take();
        answers.push((
            denied.status(),
            denied.header("www-authenticate").to_owned(),
            json,
        ));
    }
    bench.disable_consumer().await;
    let disabled = bench
        .denied(
            Call {
                consumer_secret: "wrong",
                ..Call::get("/")
            }
            .signed(),
        )
        .await;
    assert_eq!(disabled.problem(), (401, "signature_invalid".to_owned()));
    assert!(
        answers.iter().all(|answer| *answer == answers[0]),
        "{answers:#?}"
    );
    assert_eq!(answers[0].2["oauth_problem"], "signature_invalid");
}

#[tokio::test]
async fn metadata_and_metrics_name_the_reason_that_the_answer_hides() {
    let bench = Bench::new().await;
    let reasons = [
        (
            Call {
                consumer_key: "nobody",
                ..Call::get("/")
            },
            "unknown_consumer",
        ),
        (
            Call {
                token: Some(("nothing", "x")),
                ..Call::get("/")
            },
            "unknown_token",
        ),
        (
            Call {
                signature_method: "RSA-SHA256",
                ..Call::get("/")
            },
            "method_not_allowed",
        ),
        (
            Call {
                consumer_secret: "wrong",
                ..Call::get("/")
            },
            "signature_mismatch",
        ),
    ];
    for (call, reason) in reasons {
        let response = bench.ask(call.signed()).await.unwrap();
        assert_eq!(metadata(&response, "problem").as_deref(), Some(reason));
        assert_eq!(metadata(&response, "decision").as_deref(), Some("deny"));
        assert_eq!(
            metadata(&response, "claimed_consumer_key").as_deref(),
            Some(call.consumer_key)
        );
        assert_eq!(
            metadata(&response, "consumer_key"),
            None,
            "an unproven caller must not consume a rate limit"
        );
        assert!(
            bench
                .metrics
                .render()
                .contains(&format!("reason=\"{reason}\""))
        );
    }
}

#[tokio::test]
async fn an_allowed_request_is_in_the_metadata() {
    let bench = Bench::new().await;
    let response = bench.ask(Call::get("/").signed()).await.unwrap();
    for (name, value) in [
        ("decision", "allow"),
        ("signature_method", "HMAC-SHA1"),
        ("consumer_key", CONSUMER_KEY),
        ("consumer_name", "Printer Example"),
        ("user_id", USER),
        ("scopes", "read"),
    ] {
        assert_eq!(metadata(&response, name).as_deref(), Some(value), "{name}");
    }
    assert_eq!(
        metadata(&response, "decision_id").map(|id| id.len()),
        Some(32)
    );
}

#[tokio::test]
async fn a_replay_is_refused_and_a_new_nonce_is_not() {
    let bench = Bench::new().await;
    let call = Call::get("/");
    bench.allowed(call.signed()).await;
    assert_eq!(
        bench.denied(call.signed()).await.problem(),
        (401, "nonce_used".to_owned())
    );
    bench.allowed(Call::get("/").signed()).await;
}

#[tokio::test]
async fn a_request_id_marks_a_retry_only_if_the_operator_trusts_it() {
    for (is_trusted, id, is_retry) in [(false, "x", false), (true, "x", true), (true, "", false)] {
        let bench = Bench::with(|config| config.verify.trust_envoy_request_id = is_trusted).await;
        let mut request = Call::get("/").signed();
        let attributes = request.attributes.as_mut().unwrap();
        let http = attributes.request.as_mut().unwrap().http.as_mut();
        http.unwrap().id = id.to_owned();
        bench.allowed(request.clone()).await;
        if is_retry {
            bench.allowed(request).await;
        } else {
            assert_eq!(
                bench.denied(request).await.problem(),
                (401, "nonce_used".to_owned())
            );
        }
    }
}

#[tokio::test]
async fn a_refused_signature_uses_up_no_nonce() {
    let bench = Bench::new().await;
    let call = Call::get("/");
    bench
        .denied(
            Call {
                consumer_secret: "wrong",
                ..call.clone()
            }
            .signed(),
        )
        .await;
    bench.allowed(call.signed()).await;
}

#[tokio::test]
async fn the_timestamp_window_has_two_sides() {
    let bench = Bench::new().await;
    for timestamp in [NOW - 300, NOW + 300] {
        bench
            .allowed(
                Call {
                    timestamp,
                    ..Call::get("/")
                }
                .signed(),
            )
            .await;
    }
    for timestamp in [NOW - 301, NOW + 301] {
        let denied = bench
            .denied(
                Call {
                    timestamp,
                    ..Call::get("/")
                }
                .signed(),
            )
            .await;
        assert_eq!(denied.problem(), (401, "timestamp_refused".to_owned()));
        let acceptable = format!("{}-{}", NOW - 300, NOW + 300);
        assert_eq!(denied.json()["oauth_acceptable_timestamps"], acceptable);
        assert!(
            denied
                .header("www-authenticate")
                .contains(&format!("oauth_acceptable_timestamps=\"{acceptable}\""))
        );
    }
}

#[tokio::test]
async fn a_future_dated_request_cannot_be_replayed_while_its_timestamp_is_in_the_window() {
    let bench = Bench::new().await;
    let call = Call {
        timestamp: NOW + 300,
        ..Call::get("/")
    };
    bench.allowed(call.signed()).await;
    for _ in 0..6 {
        bench.clock.advance(Duration::from_secs(100));
        assert_eq!(
            bench.denied(call.signed()).await.problem(),
            (401, "nonce_used".to_owned())
        );
    }
    bench.clock.advance(Duration::from_secs(1));
    assert_eq!(
        bench.denied(call.signed()).await.problem(),
        (401, "timestamp_refused".to_owned())
    );
}

#[tokio::test]
async fn the_state_of_credentials_is_shown_after_the_proof() {
    let bench = Bench::new().await;
    bench.revoke_token().await;
    assert_eq!(
        bench.denied(Call::get("/").signed()).await.problem(),
        (401, "token_revoked".to_owned())
    );
    bench.disable_consumer().await;
    assert_eq!(
        bench.denied(Call::get("/").signed()).await.problem(),
        (401, "consumer_key_refused".to_owned())
    );
}

#[tokio::test]
async fn malformed_parameters_are_named() {
    let bench = Bench::new().await;
    let absent =
        Call::get("/").with_authorization(Some("OAuth oauth_consumer_key=\"a\"".to_owned()));
    let header = format!(
        "{}, oauth_version=\"1.0\", oauth_version=\"1.0\"",
        Call::get("/").authorization()
    );
    let denied = bench
        .denied(Call::get("/").with_authorization(Some(header)))
        .await;
    assert_eq!(denied.problem(), (400, "parameter_rejected".to_owned()));
    let denied = bench.denied(absent).await;
    assert_eq!(denied.problem(), (400, "parameter_absent".to_owned()));
    let absent = denied.json()["oauth_parameters_absent"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    for name in [
        "oauth_nonce",
        "oauth_signature",
        "oauth_signature_method",
        "oauth_timestamp",
    ] {
        assert!(absent.contains(name), "{absent}");
    }
}

#[tokio::test]
async fn two_authorization_headers_are_refused() {
    let bench = Bench::new().await;
    let (one, other) = (
        Call::get("/").authorization(),
        Call::get("/").authorization(),
    );
    let denied = bench
        .denied(Call::get("/").with_authorization(Some(format!("{one},{other}"))))
        .await;
    assert_eq!(denied.problem(), (400, "parameter_rejected".to_owned()));
}

/// An unsigned GET with this `Accept`.
fn accepting(accept: &str) -> Call {
    Call {
        headers: vec![("accept".to_owned(), accept.to_owned())],
        ..Call::get("/")
    }
}

#[tokio::test]
async fn a_denial_is_a_form_only_if_accept_prefers_it() {
    const FORM: &str = "application/x-www-form-urlencoded";
    const JSON: &str = "application/problem+json";
    let bench = Bench::new().await;
    for (accept, content_type) in [
        ("application/x-www-form-urlencoded;q=0", JSON),
        (
            "application/json, application/x-www-form-urlencoded;q=0.5",
            JSON,
        ),
        ("text/x-application/x-www-form-urlencoded", JSON),
        ("application/json, text/plain, */*", JSON),
        (
            "application/x-www-form-urlencoded, application/json;q=0.5",
            FORM,
        ),
        ("Application/X-WWW-Form-Urlencoded", FORM),
    ] {
        let denied = bench.denied(accepting(accept).unsigned()).await;
        assert_eq!(denied.header("content-type"), content_type, "{accept}");
    }
}

#[tokio::test]
async fn a_form_denial_begins_with_the_problem() {
    let bench = Bench::new().await;
    let denied = bench
        .denied(accepting("application/x-www-form-urlencoded").unsigned())
        .await;
    assert_eq!(
        denied.header("content-type"),
        "application/x-www-form-urlencoded"
    );
    assert!(
        denied
            .0
            .body
            .starts_with("oauth_problem=parameter_absent&oauth_problem_advice="),
        "{}",
        denied.0.body
    );
}

#[tokio::test]
async fn a_debug_denial_shows_the_base_string_without_other_values() {
    let bench = Bench::with(|config| config.check.deny_detail = DenyDetail::Debug).await;
    let call = Call {
        consumer_secret: "wrong",
        ..Call::get("/photos?card=4111111111111111")
    };
    let denied = bench.denied(call.signed()).await;
    let base_string = denied.json()["base_string"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    assert!(
        base_string.starts_with("GET&http%3A%2F%2Fphotos.example.net%2Fphotos&card%3D***%26oauth_"),
        "{base_string}"
    );
    assert!(!denied.0.body.contains("4111"), "{}", denied.0.body);
}

#[tokio::test]
async fn a_denial_without_detail_shows_only_the_realm() {
    let bench = Bench::with(|config| config.check.deny_detail = DenyDetail::None).await;
    let denied = bench.denied(Call::get("/").unsigned()).await;
    assert_eq!(denied.header("www-authenticate"), "OAuth realm=\"api\"");
    assert!(denied.json()["oauth_problem"].is_null());
}

#[tokio::test]
async fn a_signature_for_https_does_not_pass_as_http() {
    let bench = Bench::new().await;
    let call = Call::get("/");
    let mut request = Call {
        scheme: Scheme::Https,
        ..call
    }
    .signed();
    let attributes = request.attributes.as_mut().unwrap();
    attributes
        .request
        .as_mut()
        .unwrap()
        .http
        .as_mut()
        .unwrap()
        .scheme = "http".to_owned();
    assert_eq!(
        bench.denied(request).await.problem(),
        (401, "signature_invalid".to_owned())
    );
}

#[tokio::test]
async fn a_rotated_secret_is_accepted_until_its_overlap_ends() {
    let bench = Bench::new().await;
    let key = ConsumerKey::new(CONSUMER_KEY).unwrap();
    let next = Secret::new(*b"its-next-secret-0123");
    let overlap = Duration::from_secs(60);
    bench
        .issuer
        .rotate_consumer_secret(&key, Some(&next), overlap, &Actor::ADMIN)
        .await
        .unwrap();
    let old = || Call::get("/").signed();
    let new = || {
        Call {
            consumer_secret: "its-next-secret-0123",
            ..Call::get("/")
        }
        .signed()
    };
    bench.allowed(old()).await;
    bench.allowed(new()).await;

    bench.clock.advance(overlap);
    assert_eq!(
        bench.denied(old()).await.problem(),
        (401, "signature_invalid".to_owned())
    );
    bench.allowed(new()).await;

    bench
        .issuer
        .rotate_consumer_secret(&key, None, Duration::ZERO, &Actor::ADMIN)
        .await
        .unwrap();
    assert_eq!(
        bench.denied(new()).await.problem(),
        (401, "signature_invalid".to_owned()),
        "without an overlap the old secret ends at once"
    );
}
