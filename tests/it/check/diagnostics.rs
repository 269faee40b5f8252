//! The denials and counts that checks record.

use countersign::config::Mode;
use countersign::diagnostics::{ConsumerReport, DenialFilter, DenialRecord};
use countersign::oauth::SignatureMethod;
use envoy_types::ext_authz::v3::pb::CheckRequest;

use super::bench::{Bench, CONSUMER_KEY, Call};
use crate::support::audit_log::AuditLog;

/// Returns every denial, the newest first.
fn denials(bench: &Bench) -> Vec<DenialRecord> {
    bench
        .diagnostics
        .denials(&DenialFilter::default(), None, 1000)
}

fn reports(bench: &Bench) -> Vec<ConsumerReport> {
    bench.diagnostics.reports(None, 1000)
}

fn of_consumer(bench: &Bench) -> ConsumerReport {
    reports(bench)
        .into_iter()
        .find(|report| report.consumer_key == CONSUMER_KEY)
        .unwrap()
}

#[tokio::test]
async fn a_denial_is_kept_under_the_id_in_its_answer() {
    let bench = Bench::new().await;
    let denied = bench
        .denied(
            Call {
                consumer_secret: "wrong",
                ..Call::get("/photos?size=original")
            }
            .signed(),
        )
        .await;
    let id = denied.json()["decision_id"].as_str().unwrap().to_owned();
    let denial = bench.diagnostics.denial(&id).unwrap();
    assert_eq!(
        (&*denial.consumer_key, denial.proven, denial.reason),
        (CONSUMER_KEY, false, "signature_mismatch")
    );
    assert_eq!(
        (&*denial.method, &*denial.host),
        ("GET", "photos.example.net")
    );
    assert_eq!(
        (&*denial.path, denial.mode),
        ("/photos?size=***", Mode::Enforce)
    );
    assert_eq!(denial.signature_method, Some(SignatureMethod::HmacSha1));
}

#[tokio::test]
async fn proven_and_unproven_denials_are_distinguished() {
    let bench = Bench::new().await;
    bench
        .denied(
            Call {
                consumer_key: "nobody",
                ..Call::get("/")
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
    let kept: Vec<_> = denials(&bench)
        .into_iter()
        .map(|denial| (denial.consumer_key, denial.proven, denial.reason))
        .collect();
    let expected = [
        (CONSUMER_KEY, true, "timestamp_refused"),
        ("nobody", false, "unknown_consumer"),
    ]
    .map(|(key, proven, reason)| (key.to_owned(), proven, reason));
    assert_eq!(kept, expected);
}

#[tokio::test]
async fn every_request_is_counted_for_the_known_consumer_that_it_names() {
    let bench = Bench::new().await;
    bench.allowed(Call::get("/").signed()).await;
    let replayed = Call::get("/").signed();
    bench.allowed(replayed.clone()).await;
    bench.denied(replayed).await;
    bench
        .denied(
            Call {
                consumer_secret: "wrong",
                ..Call::get("/")
            }
            .signed(),
        )
        .await;
    bench
        .denied(
            Call {
                token: Some(("nothing", "")),
                ..Call::get("/")
            }
            .signed(),
        )
        .await;
    bench
        .denied(
            Call {
                consumer_key: "nobody",
                ..Call::get("/")
            }
            .signed(),
        )
        .await;
    bench.denied(Call::get("/").unsigned()).await;
    let report = of_consumer(&bench);
    assert_eq!(
        (
            report.seen(),
            report.allowed,
            report.denied(),
            report.would_deny()
        ),
        (5, 2, 3, 0)
    );
    let reasons: Vec<_> = report
        .reasons
        .iter()
        .map(|tally| (tally.name, tally.denied))
        .collect();
    assert_eq!(
        reasons,
        [
            ("nonce_used", 1),
            ("signature_mismatch", 1),
            ("unknown_token", 1)
        ]
    );
    assert_eq!(report.methods, [(SignatureMethod::HmacSha1, 5)]);
    let nobody = &reports(&bench)[0];
    assert_eq!((&*nobody.consumer_key, nobody.denied()), ("", 2));
}

/// A parser that reads quoted values must not lose the rest of the line.
#[tokio::test]
async fn a_key_with_a_quote_ends_no_text_of_the_log() {
    let log = AuditLog::listen_as_text();
    let bench = Bench::new().await;
    bench
        .denied(
            Call {
                consumer_key: "\"result=allow",
                ..Call::get("/")
            }
            .signed(),
        )
        .await;
    assert!(
        log.text().contains(r#"claimed_consumer="\"result=allow""#),
        "{}",
        log.text()
    );
}

#[tokio::test]
async fn a_route_in_shadow_mode_reports_what_would_be_denied() {
    let bench = Bench::new().await;
    let shadow = |call: Call| Call {
        extensions: vec![("countersign.mode", "shadow")],
        ..call
    };
    bench
        .allowed(
            shadow(Call {
                consumer_secret: "wrong",
                ..Call::get("/")
            })
            .signed(),
        )
        .await;
    bench.allowed(shadow(Call::get("/")).signed()).await;
    let report = of_consumer(&bench);
    assert_eq!(
        (
            report.seen(),
            report.allowed,
            report.denied(),
            report.would_deny()
        ),
        (2, 1, 0, 1)
    );
    let [denial] = &*denials(&bench) else {
        panic!("one would be denied")
    };
    assert_eq!(
        (denial.mode, denial.reason),
        (Mode::Shadow, "signature_mismatch")
    );
}

#[tokio::test]
async fn a_denial_of_a_request_without_http_is_kept_too() {
    let bench = Bench::new().await;
    bench.denied(CheckRequest::default()).await;
    let [denial] = &*denials(&bench) else {
        panic!("one is kept")
    };
    assert_eq!((denial.reason, &*denial.path), ("not_http", ""));
}
