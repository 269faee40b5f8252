//! The explanation of signature mismatches: computed off the request path, within the configured
//! rates, and shown only to consumers whose detail is `debug`.

use std::collections::BTreeSet;
use std::time::Duration;

use countersign::config::{Config, DenyDetail, Mode};
use countersign::diagnostics::{DenialFilter, DenialRecord, DenialWatch, Explanation};
use countersign::issue::Actor;
use countersign::model::{ConsumerKey, Secret};
use countersign::oauth::Scheme;
use envoy_types::pb::envoy::config::core::v3::{HeaderMap, HeaderValue};

use super::bench::{Bench, CONSUMER_KEY, Call};

/// Returns a request that the client signed for `http` and sent over https.
fn scheme_changed() -> Call {
    Call {
        scheme: Scheme::Https,
        signed_as: Some((Scheme::Http, "photos.example.net", "")),
        ..Call::get("/photos?a=secret")
    }
}

fn wrong_secret() -> Call {
    Call {
        consumer_secret: "wrong",
        ..Call::get("/photos?a=secret")
    }
}

fn watch(bench: &Bench) -> DenialWatch {
    bench.diagnostics.watch(DenialFilter::default())
}

/// Returns the next denial, once it is explained.
async fn next(watch: &mut DenialWatch) -> DenialRecord {
    let mut denials = watch.next().await.denials;
    assert_eq!(denials.len(), 1);
    denials.remove(0)
}

#[tokio::test]
async fn a_cause_is_found_with_both_base_strings_masked() {
    let bench = Bench::new().await;
    let mut watch = watch(&bench);
    bench.denied(scheme_changed().signed()).await;
    let denial = next(&mut watch).await;
    let Explanation::Found(diagnosis) = denial.explanation else {
        panic!("{denial:?}")
    };
    assert_eq!(
        diagnosis
            .causes
            .iter()
            .map(|cause| cause.name())
            .collect::<Vec<_>>(),
        ["scheme"]
    );
    assert!(
        diagnosis
            .base_string
            .starts_with("GET&https%3A%2F%2Fphotos"),
        "{}",
        diagnosis.base_string
    );
    assert!(
        diagnosis
            .client_base_string
            .starts_with("GET&http%3A%2F%2Fphotos"),
        "{}",
        diagnosis.client_base_string
    );
    let shown = format!("{diagnosis:?}");
    assert!(
        !shown.contains("secret") && shown.contains("***"),
        "{shown}"
    );
}

/// A proxy appends to a list or adds a header after those that it received.
#[tokio::test]
async fn the_host_of_the_first_proxy_counts_in_both_forms_of_headers() {
    let bench = Bench::new().await;
    let mut watch = watch(&bench);
    let forwarded = ["shop.example.com", "inner.example.net"];
    for repeated in [false, true] {
        let call = Call {
            signed_as: Some((Scheme::Http, forwarded[0], "")),
            headers: vec![("x-forwarded-host".to_owned(), forwarded.join(", "))],
            ..Call::get("/photos")
        };
        let mut request = call.signed();
        if repeated {
            let http = request
                .attributes
                .as_mut()
                .and_then(|all| all.request.as_mut()?.http.as_mut())
                .unwrap();
            http.headers.remove("x-forwarded-host");
            let joined = std::mem::take(&mut http.headers).into_iter();
            let forwarded = forwarded.map(|host| ("x-forwarded-host".to_owned(), host.to_owned()));
            let raw = |(key, value): (String, String)| HeaderValue {
                key,
                raw_value: value.into(),
                ..Default::default()
            };
            http.header_map = Some(HeaderMap {
                headers: joined.chain(forwarded).map(raw).collect(),
            });
        }
        bench.denied(request).await;
        let denial = next(&mut watch).await;
        let Explanation::Found(diagnosis) = denial.explanation else {
            panic!("{repeated}: {denial:?}")
        };
        assert_eq!(diagnosis.cause(), "host", "{repeated}");
    }
}

#[tokio::test]
async fn an_unknown_cause_is_reported_too() {
    let bench = Bench::new().await;
    let mut watch = watch(&bench);
    bench.denied(wrong_secret().signed()).await;
    let denial = next(&mut watch).await;
    let Explanation::NotFound { base_string } = denial.explanation else {
        panic!("{denial:?}")
    };
    assert!(
        base_string.starts_with("GET&http%3A%2F%2Fphotos"),
        "{base_string}"
    );
    assert!(!base_string.contains("secret"), "{base_string}");
}

#[tokio::test]
async fn a_denial_for_another_reason_is_not_explained() {
    let bench = Bench::new().await;
    let mut watch = watch(&bench);
    bench
        .denied(
            Call {
                consumer_key: "nobody",
                ..wrong_secret()
            }
            .signed(),
        )
        .await;
    bench
        .denied(
            Call {
                token: Some(("nothing", "")),
                ..wrong_secret()
            }
            .signed(),
        )
        .await;
    bench
        .denied(
            Call {
                timestamp: 1,
                ..Call::get("/")
            }
            .signed(),
        )
        .await;
    for denial in watch.next().await.denials {
        assert!(
            matches!(denial.explanation, Explanation::NotSought),
            "{denial:?}"
        );
    }
    assert!(
        !bench
            .metrics
            .render()
            .contains("countersign_diagnoses_total{")
    );
}

#[tokio::test]
async fn causes_are_counted_for_the_consumer_and_in_metrics() {
    let bench = Bench::new().await;
    let mut watch = watch(&bench);
    let shadow = |call: Call| Call {
        extensions: vec![("countersign.mode", "shadow")],
        ..call
    };
    bench.denied(scheme_changed().signed()).await;
    bench.allowed(shadow(scheme_changed()).signed()).await;
    bench.denied(wrong_secret().signed()).await;
    let mut seen = Vec::new();
    while seen.len() < 3 {
        seen.extend(watch.next().await.denials);
    }
    let report = bench.diagnostics.reports(Some(""), 10).remove(0);
    assert_eq!(report.consumer_key, CONSUMER_KEY);
    let causes: Vec<_> = report
        .causes
        .iter()
        .map(|cause| (cause.name, cause.denied, cause.would_deny))
        .collect();
    assert_eq!(causes, [("none", 1, 0), ("scheme", 1, 1)]);
    let metrics = bench.metrics.render();
    assert!(
        metrics.contains("countersign_diagnoses_total{cause=\"scheme\"} 2"),
        "{metrics}"
    );
    assert!(
        metrics.contains("countersign_diagnoses_total{cause=\"none\"} 1"),
        "{metrics}"
    );
    let found = bench.diagnostics.denials(
        &DenialFilter {
            cause: Some("scheme".to_owned()),
            ..DenialFilter::default()
        },
        None,
        9,
    );
    assert_eq!(
        found.iter().map(|denial| denial.mode).collect::<Vec<_>>(),
        [Mode::Shadow, Mode::Enforce]
    );
}

/// The clock stands still, so that the rates save up nothing.
#[tokio::test]
async fn a_flood_is_explained_as_often_as_the_rates_allow_and_kept_within_bounds() {
    let bench = Bench::with(|config| {
        config.diagnostics.recent = 50;
        config.diagnostics.explain_rate = 30;
    })
    .await;
    let flood = wrong_secret().signed();
    for _ in 0..10_000 {
        bench.denied(flood.clone()).await;
    }
    // The time of the explaining thread is unknown: only its results can be counted.
    let report = || bench.diagnostics.reports(Some(""), 10).remove(0);
    let count = |word| {
        report()
            .causes
            .iter()
            .find(|cause| cause.name == word)
            .map_or(0, |cause| cause.denied)
    };
    let mut watch = watch(&bench);
    while count("none") + count("skipped") < 10_000 {
        bench.denied(flood.clone()).await;
        watch.next().await;
    }
    assert!(count("none") <= 5, "{}", count("none"));
    assert!(count("none") > 0);
    assert_eq!(
        bench
            .diagnostics
            .denials(&DenialFilter::default(), None, 1000)
            .len(),
        50
    );
    bench.clock.advance(Duration::from_secs(10));
    bench.denied(scheme_changed().signed()).await;
    let denial = loop {
        let denial = watch.next().await.denials.pop().unwrap();
        if !matches!(denial.explanation, Explanation::Skipped) {
            break denial;
        }
    };
    assert!(
        matches!(denial.explanation, Explanation::Found(_)),
        "{denial:?}"
    );
}

#[tokio::test]
async fn nothing_is_explained_if_the_operator_turns_it_off() {
    let bench = Bench::with(|config| config.diagnostics.explain = false).await;
    let mut watch = watch(&bench);
    bench.denied(scheme_changed().signed()).await;
    assert!(matches!(
        next(&mut watch).await.explanation,
        Explanation::NotSought
    ));
}

#[tokio::test]
async fn a_request_that_is_too_large_is_not_explained() {
    let bench = Bench::new().await;
    let mut watch = watch(&bench);
    let body = vec![b'x'; 70_000].leak();
    bench
        .denied(
            Call {
                method: "POST",
                headers: vec![("content-type".to_owned(), "text/plain".to_owned())],
                body,
                ..wrong_secret()
            }
            .signed(),
        )
        .await;
    assert!(matches!(
        next(&mut watch).await.explanation,
        Explanation::Skipped
    ));
}

/// Sets detailed responses, which wait for the explanation as long as a busy machine may take.
fn debug(config: &mut Config) {
    config.check.timeout = Duration::from_secs(20);
    config.check.deny_detail = DenyDetail::Debug;
}

#[tokio::test]
async fn a_cause_is_in_the_answer_only_with_debug() {
    let bench = Bench::with(debug).await;
    let told = bench.denied(scheme_changed().signed()).await.json();
    assert_eq!(told["cause"], "scheme");
    assert!(
        told["remedy"]
            .as_str()
            .is_some_and(|remedy| !remedy.is_empty()),
        "{told}"
    );
    assert!(
        told["base_string"]
            .as_str()
            .is_some_and(|text| text.starts_with("GET&https")),
        "{told}"
    );
    let told = Bench::new()
        .await
        .denied(scheme_changed().signed())
        .await
        .json();
    assert!(
        told["cause"].is_null() && told["remedy"].is_null() && told["base_string"].is_null(),
        "{told}"
    );
}

/// The responses to a wrong secret and to a rotated one are equal, except for values that differ
/// from request to request.
#[tokio::test]
async fn a_cause_that_depends_on_a_secret_is_only_for_operators() {
    let bench = Bench::with(debug).await;
    let key = ConsumerKey::new(CONSUMER_KEY).unwrap();
    let new = Some(Secret::new(*b"another-secret-of-some-length"));
    bench
        .issuer
        .rotate_consumer_secret(&key, new.as_ref(), Duration::from_secs(60), &Actor::ADMIN)
        .await
        .unwrap();
    bench.clock.advance(Duration::from_secs(120));
    let now = Call {
        timestamp: super::bench::NOW + 120,
        ..Call::get("/")
    };
    let mut watch = watch(&bench);
    let old = bench.denied(now.clone().signed()).await.json();
    let denial = next(&mut watch).await;
    let Explanation::Found(diagnosis) = denial.explanation else {
        panic!("{denial:?}")
    };
    assert!(
        diagnosis
            .causes
            .iter()
            .all(|cause| cause.depends_on_secret()),
        "{diagnosis:?}"
    );
    let wrong = bench
        .denied(
            Call {
                consumer_secret: "wrong",
                ..now
            }
            .signed(),
        )
        .await
        .json();
    let names = |json: &serde_json::Value| {
        json.as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(names(&old), names(&wrong));
    assert_eq!(
        (old["cause"].as_str(), old["remedy"].as_str()),
        (None, wrong["remedy"].as_str())
    );
    assert!(
        old["remedy"]
            .as_str()
            .is_some_and(|remedy| remedy.starts_with("no cause is known")),
        "{old}"
    );
}
