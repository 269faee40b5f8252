//! Failures of the service: never an allow, and never a denial.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use countersign::config::{Mode, OnError, RoutePolicy};
use countersign::diagnostics::DenialFilter;
use countersign::model::{ConsumerKey, Token};
use countersign::store::{
    CallerRecords, ChangeFeed, CheckStore, ClaimOutcome, NonceClaim, Store, StoreError,
    StoreErrorKind, StoreFuture, StoreHealth, StoreStatus, boxed_answer, ready_answer,
};
use envoy_types::ext_authz::v3::pb::HttpResponse;
use futures_util::{StreamExt as _, stream};
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use http_body_util::StreamBody;
use hyper::body::{Bytes, Frame};
use tonic::Code;

use super::bench::{Bench, Call, metadata};
use crate::support::refusing_store::refusing_store;

/// A failure of the store. The tests of the stores cause real ones; these tests check the
/// responses.
#[derive(Clone, Copy, Debug)]
enum Fault {
    LookUp,
    Claim,
    Unreadable,
    Hangs,
    Panics,
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_unavailable() {
    for fault in [Fault::LookUp, Fault::Claim] {
        let bench = failing(fault, OnError::Grpc, Mode::Enforce).await;
        let status = bench.ask(Call::get("/").signed()).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable, "{fault:?}");
        assert!(
            bench
                .metrics
                .render()
                .contains("countersign_store_errors_total{kind=\"unavailable\"} 1")
        );
        assert!(
            bench
                .metrics
                .render()
                .contains("result=\"error\",reason=\"store\"")
        );
    }
}

#[tokio::test]
async fn an_unreadable_record_is_internal() {
    let bench = failing(Fault::Unreadable, OnError::Grpc, Mode::Enforce).await;
    assert_eq!(
        bench.ask(Call::get("/").signed()).await.unwrap_err().code(),
        Code::Internal
    );
}

#[tokio::test]
async fn a_panic_is_internal() {
    let bench = failing(Fault::Panics, OnError::Grpc, Mode::Enforce).await;
    assert_eq!(
        bench.ask(Call::get("/").signed()).await.unwrap_err().code(),
        Code::Internal
    );
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_is_abandoned_at_our_deadline() {
    let bench = failing(Fault::Hangs, OnError::Grpc, Mode::Enforce).await;
    let started = tokio::time::Instant::now();
    let status = bench.ask(Call::get("/").signed()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(
        started.elapsed() <= Duration::from_millis(181),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_is_abandoned_before_envoys_deadline() {
    let bench = failing(Fault::Hangs, OnError::Grpc, Mode::Enforce).await;
    let headers = HeaderMap::from_iter([(
        HeaderName::from_static("grpc-timeout"),
        HeaderValue::from_static("50m"),
    )]);
    let started = tokio::time::Instant::now();
    let status = bench
        .ask_within(&headers, Call::get("/").signed())
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(
        started.elapsed() <= Duration::from_millis(41),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_check_that_is_never_sent_completely_is_abandoned_at_our_deadline() {
    let bench = Bench::new().await;
    let begun = stream::iter([Ok::<_, Infallible>(Frame::data(Bytes::from_static(
        b"\0\0\x1d\0\0x",
    )))]);
    let call = Request::new(StreamBody::new(begun.chain(stream::pending())));
    let started = tokio::time::Instant::now();
    let response = bench.service.serve(call).await;
    assert_eq!(
        response.headers()["grpc-status"],
        (Code::Unavailable as i32).to_string().as_str()
    );
    assert!(
        started.elapsed() <= Duration::from_millis(181),
        "{:?}",
        started.elapsed()
    );
    assert!(
        bench
            .metrics
            .render()
            .contains("result=\"error\",reason=\"deadline\"")
    );
}

#[tokio::test]
async fn a_failure_can_be_an_error_response() {
    let bench = failing(Fault::LookUp, OnError::ErrorResponse, Mode::Enforce).await;
    let response = bench.ask(Call::get("/").signed()).await.unwrap();
    assert_ne!(response.status.as_ref().unwrap().code, 0);
    match response.http_response {
        Some(HttpResponse::ErrorResponse(error)) => assert_eq!(error.status.unwrap().code, 503),
        other => panic!("not an error: {other:?}"),
    }
}

#[tokio::test]
async fn in_shadow_a_failure_passes_without_an_identity() {
    for fault in [Fault::LookUp, Fault::Panics] {
        let bench = failing(fault, OnError::Grpc, Mode::Shadow).await;
        let response = bench.ask(Call::get("/").signed()).await.unwrap();
        assert_eq!(
            metadata(&response, "decision").as_deref(),
            Some("would_deny"),
            "{fault:?}"
        );
        assert!(
            bench
                .allowed(Call::get("/").signed())
                .await
                .headers
                .is_empty()
        );
        let kept = bench
            .diagnostics
            .denials(&DenialFilter::default(), None, 10);
        assert!(
            kept.iter()
                .all(|denial| denial.mode == Mode::Shadow && denial.consumer_key.is_empty())
        );
        assert_eq!(
            kept.len(),
            2,
            "and both are kept as what would not have passed"
        );
    }
}

#[tokio::test]
async fn an_invalid_context_extension_is_a_failure() {
    let bench = Bench::new().await;
    for extension in [
        ("countersign.requires", "user"),
        ("countersign.mode", "shadows"),
    ] {
        let call = Call {
            extensions: vec![extension],
            ..Call::get("/")
        };
        assert_eq!(
            bench.ask(call.signed()).await.unwrap_err().code(),
            Code::Internal
        );
    }
}

async fn failing(fault: Fault, on_error: OnError, mode: Mode) -> Bench {
    let change = |config: &mut countersign::config::Config| {
        config.check.on_error = on_error;
        config.check.policy = RoutePolicy {
            mode: Some(mode),
            ..RoutePolicy::default()
        };
    };
    Bench::over(change, |store| {
        Arc::new(Failing {
            store,
            fault,
            changes: ChangeFeed::default(),
        })
    })
    .await
}

/// A store with a fault.
#[derive(Debug)]
struct Failing {
    store: Arc<dyn Store>,
    fault: Fault,
    changes: ChangeFeed,
}

const UNAVAILABLE: StoreError = StoreError::new(StoreErrorKind::Unavailable, "testing");

impl CheckStore for Failing {
    fn caller_records<'a>(
        &'a self,
        consumer: &'a ConsumerKey,
        token: Option<&'a Token>,
    ) -> StoreFuture<'a, CallerRecords> {
        boxed_answer(async move {
            match self.fault {
                Fault::LookUp => Err(UNAVAILABLE),
                Fault::Unreadable => Err(StoreError::new(StoreErrorKind::Unreadable, "testing")),
                Fault::Hangs => std::future::pending().await,
                Fault::Panics => panic!("a bug"),
                Fault::Claim => self.store.caller_records(consumer, token).await,
            }
        })
    }

    fn claim_nonce<'a>(&'a self, _: &'a NonceClaim<'a>) -> StoreFuture<'a, ClaimOutcome> {
        ready_answer(Err(UNAVAILABLE))
    }

    fn clock_lead(&self) -> Duration {
        Duration::ZERO
    }
}

#[async_trait]
impl StoreHealth for Failing {
    async fn ping(&self) -> Result<(), StoreError> {
        Err(UNAVAILABLE)
    }

    fn status(&self) -> StoreStatus {
        StoreStatus::default()
    }
}

refusing_store!(Failing, UNAVAILABLE, |failing| &failing.changes);
