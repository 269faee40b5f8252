//! `DiagnosticsService`: the recorded denials, as administrators see them.

use std::time::Duration;

use countersign::config::Mode;
use countersign::diagnostics::{CountedConsumer, RefusedRequest};
use countersign::v1;
use tonic::{Code, Streaming};

use crate::api::bad_input::denial;
use crate::support::admin_server::{AdminServer, START, fields, reason};

#[tokio::test]
async fn denials_are_listed_in_pages_the_newest_first() {
    let server = AdminServer::start().await;
    for id in ["1", "2", "3", "4", "5"] {
        server.diagnostics.record_refused(&denial(id));
    }
    let (mut pages, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = v1::ListDenialsRequest {
            page_size: 2,
            page_token,
            ..Default::default()
        };
        let page = server
            .observed()
            .await
            .list_denials(request)
            .await
            .unwrap()
            .into_inner();
        pages.push(
            page.denials
                .into_iter()
                .map(|denial| denial.decision_id)
                .collect::<Vec<_>>(),
        );
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
        // A newer denial moves no page.
        server.diagnostics.record_refused(&denial("later"));
    }
    assert_eq!(pages, [vec!["5", "4"], vec!["3", "2"], vec!["1"]]);
}

#[tokio::test]
async fn a_page_token_is_good_for_the_same_filter_only() {
    let server = AdminServer::start().await;
    server.diagnostics.record_refused(&denial("1"));
    server.diagnostics.record_refused(&denial("2"));
    let mut observed = server.observed().await;
    let request = |page_token, reason: &str| v1::ListDenialsRequest {
        page_size: 1,
        page_token,
        reason: reason.to_owned(),
        ..Default::default()
    };
    let first = observed
        .list_denials(request(String::new(), "unsigned"))
        .await
        .unwrap()
        .into_inner();
    let refused = observed
        .list_denials(request(first.next_page_token.clone(), "nonce_used"))
        .await
        .unwrap_err();
    assert_eq!(fields(&refused), ["page_token"]);
    assert!(
        observed
            .list_denials(request(first.next_page_token, "unsigned"))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn denials_are_found_by_their_fields() {
    let server = AdminServer::start().await;
    server.diagnostics.record_refused(&denial("old"));
    server.clock.advance(Duration::from_secs(60));
    server.diagnostics.record_refused(&denial("unsigned"));
    server.diagnostics.record_refused(&RefusedRequest {
        reason: "nonce_used",
        mode: Mode::Shadow,
        ..denial("used")
    });
    let start_time = i64::try_from(START.as_secs()).unwrap() + 60;
    let start_time = Some(prost_types::Timestamp {
        seconds: start_time,
        nanos: 0,
    });
    for (request, expected) in [
        (
            v1::ListDenialsRequest {
                reason: "nonce_used".to_owned(),
                ..Default::default()
            },
            vec!["used"],
        ),
        (
            v1::ListDenialsRequest {
                start_time,
                ..Default::default()
            },
            vec!["used", "unsigned"],
        ),
        (
            v1::ListDenialsRequest {
                consumer_key: "nobody".to_owned(),
                ..Default::default()
            },
            vec![],
        ),
    ] {
        let found = server
            .observed()
            .await
            .list_denials(request)
            .await
            .unwrap()
            .into_inner()
            .denials;
        assert_eq!(
            found
                .into_iter()
                .map(|denial| denial.decision_id)
                .collect::<Vec<_>>(),
            expected
        );
    }
}

#[tokio::test]
async fn one_denial_is_shown_by_its_decision() {
    let server = AdminServer::start().await;
    server.diagnostics.record_refused(&RefusedRequest {
        mode: Mode::Shadow,
        ..denial("1")
    });
    let get = async |id: &str| {
        let request = v1::GetDenialRequest {
            decision_id: id.to_owned(),
        };
        server.observed().await.get_denial(request).await
    };
    let shown = get("1").await.unwrap().into_inner();
    assert_eq!(shown.decision_time.unwrap().seconds, 1_700_000_000);
    assert_eq!(
        (&*shown.http_method, &*shown.host),
        ("GET", "api.example.com")
    );
    assert_eq!(
        (&*shown.path, shown.mode()),
        ("/photos?size=***", v1::RouteMode::Shadow)
    );
    let missing = get("2").await.unwrap_err();
    assert_eq!(
        (missing.code(), &*reason(&missing)),
        (Code::NotFound, "DENIAL_NOT_FOUND")
    );
}

#[tokio::test]
async fn a_stream_sends_new_denials_and_counts_missed_ones() {
    let server = AdminServer::start().await;
    server.diagnostics.record_refused(&denial("before"));
    let mut all = watch(&server, "").await;
    let mut some = watch(&server, "nonce_used").await;
    server.diagnostics.record_refused(&denial("1"));
    server.diagnostics.record_refused(&RefusedRequest {
        reason: "nonce_used",
        ..denial("2")
    });
    assert_eq!(
        [next(&mut all).await, next(&mut all).await],
        [("1".to_owned(), 0), ("2".to_owned(), 0)]
    );
    assert_eq!(next(&mut some).await, ("2".to_owned(), 0));
    // More denials than the buffer holds, without a pause in which the server could send them.
    for nth in 0..1500 {
        server.diagnostics.record_refused(&denial(&nth.to_string()));
    }
    let (mut missed, mut last) = (0, String::new());
    while last != "1499" {
        let (id, missed_before) = next(&mut all).await;
        missed += missed_before;
        last = id;
    }
    assert_eq!(missed, 500);
}

#[tokio::test]
async fn reports_are_listed_in_pages_and_say_since_when() {
    let server = AdminServer::start().await;
    server.clock.advance(Duration::from_secs(5));
    server.diagnostics.record_refused(&denial("1"));
    server.diagnostics.record_anonymous();
    for key in ["b", "a", "a"] {
        let consumer = CountedConsumer { key, name: "" };
        server
            .diagnostics
            .record_allowed(consumer, countersign::oauth::SignatureMethod::HmacSha256);
    }
    let reports = reports_by_pages_of_one(&server).await;
    let [nobody, a, b] = &*reports else {
        panic!("{reports:?}")
    };
    assert_eq!(
        (
            &*nobody.consumer_key,
            nobody.seen,
            nobody.allowed,
            nobody.denied
        ),
        ("", 2, 1, 1)
    );
    assert_eq!(
        (&*nobody.reasons[0].name, nobody.reasons[0].denied),
        ("unsigned", 1)
    );
    assert_eq!(
        (&*a.consumer_key, a.seen, &*b.consumer_key, b.seen),
        ("a", 2, "b", 1)
    );
    assert_eq!(
        (
            &*a.signature_methods[0].signature_method,
            a.signature_methods[0].seen
        ),
        ("HMAC-SHA256", 2)
    );
    assert_eq!(a.last_seen_time.unwrap().seconds, 1_700_000_005);
}

async fn reports_by_pages_of_one(server: &AdminServer) -> Vec<v1::ConsumerReport> {
    let (mut reports, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = v1::ListConsumerReportsRequest {
            page_size: 1,
            page_token,
        };
        let mut client = server.observed().await;
        let page = client.list_consumer_reports(request).await.unwrap();
        let page = page.into_inner();
        assert_eq!(
            (page.start_time.unwrap().seconds, page.unreported),
            (1_700_000_000, 0)
        );
        reports.extend(page.reports);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return reports;
        }
    }
}

async fn watch(server: &AdminServer, reason: &str) -> Streaming<v1::WatchDenialsResponse> {
    let request = v1::WatchDenialsRequest {
        reason: reason.to_owned(),
        ..Default::default()
    };
    server
        .observed()
        .await
        .watch_denials(request)
        .await
        .unwrap()
        .into_inner()
}

/// Returns the decision of the next denial, and the number of denials that were missed before it.
async fn next(watch: &mut Streaming<v1::WatchDenialsResponse>) -> (String, u64) {
    let message = watch.message().await.unwrap().unwrap();
    (
        message
            .denial
            .map(|denial| denial.decision_id)
            .unwrap_or_default(),
        message.missed,
    )
}
