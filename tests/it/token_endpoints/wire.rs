//! HTTP itself: ambiguous requests are refused, and every response has the security headers for
//! browsers.

use std::time::Duration;

use super::bench::{Bench, CALLBACK, requesting};
use crate::support::caller::Caller;
use crate::support::http::{Request, Response, exchange};
use crate::support::program::Countersign;
use crate::support::redis::RedisServer;

#[tokio::test]
async fn a_request_without_exactly_one_host_is_refused() {
    let bench = Bench::start().await;
    let printer = bench.consumer(&["three-legged"]).await;
    let request = asking(&printer);
    let second = request.clone().with("Host", "evil.example");
    assert_eq!(bench.send(&second).await.status, 400);
    let mut none = request.clone();
    none.headers.retain(|(name, _)| name != "Host");
    assert_eq!(bench.send(&none).await.status, 400);
    assert_eq!(bench.send(&request).await.status, 200);
}

#[tokio::test]
async fn a_target_that_is_not_a_path_is_refused() {
    let bench = Bench::start().await;
    let printer = bench.consumer(&["three-legged"]).await;
    for target in [
        "http://api.example.com/oauth/request_token",
        "http://evil.example/oauth/request_token",
        "*",
    ] {
        let mut request = asking(&printer);
        target.clone_into(&mut request.target);
        assert_eq!(bench.send(&request).await.status, 400, "{target}");
    }
}

#[tokio::test]
async fn http_1_0_needs_a_host_too() {
    let bench = Bench::start().await;
    let printer = bench.consumer(&["three-legged"]).await;
    let old = |request: &Request| {
        String::from_utf8(request.to_bytes())
            .unwrap()
            .replace("HTTP/1.1", "HTTP/1.0")
    };
    let request = asking(&printer);
    let without = old(&request).replace("Host: api.example.com\r\n", "");
    assert_eq!(raw(&bench, &without).await.status, 400);
    assert_eq!(raw(&bench, &old(&request)).await.status, 200);
}

#[tokio::test]
async fn a_body_of_two_lengths_is_refused() {
    let bench = Bench::start().await;
    let printer = bench.consumer(&["three-legged"]).await;
    let request = printer
        .signing()
        .with("oauth_callback", CALLBACK)
        .in_form(&requesting());
    let other = request.clone().with("Content-Length", "3");
    assert_eq!(bench.send(&other).await.status, 400);
}

#[tokio::test]
async fn a_body_in_an_encoding_that_is_not_undone_is_refused() {
    let bench = Bench::start().await;
    let printer = bench.consumer(&["three-legged"]).await;
    for (encoding, status) in [
        ("gzip, chunked", 400),
        ("identity, chunked", 400),
        ("Chunked", 200),
    ] {
        assert_eq!(
            bench
                .send(&chunked(&asking(&printer), encoding))
                .await
                .status,
            status,
            "{encoding}"
        );
    }
}

#[tokio::test]
async fn nothing_is_read_behind_a_body_that_another_may_have_read_by_its_length() {
    let bench = Bench::start().await;
    let printer = bench.consumer(&["three-legged"]).await;
    let kept_open = |request: &Request| {
        let text = String::from_utf8(request.to_bytes()).unwrap();
        text.replace("Connection: close\r\n", "")
    };
    let hidden = String::from_utf8(Request::get("/oauth/nothing").to_bytes()).unwrap();
    let in_chunks = || chunked(&asking(&printer), "chunked");
    for body in [in_chunks(), in_chunks().with("Content-Length", "5")] {
        let answer = exchange(bench.address, (kept_open(&body) + &hidden).as_bytes()).await;
        let answers = answer.escape_ascii().to_string();
        assert!(answers.starts_with("HTTP/1.1 200 OK"), "{answers}");
        assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{answers}");
    }
    let whole = kept_open(&asking(&printer)) + &hidden;
    let answers = exchange(bench.address, whole.as_bytes())
        .await
        .escape_ascii()
        .to_string();
    assert_eq!(
        answers.matches("HTTP/1.1 ").count(),
        2,
        "other connections stay open: {answers}"
    );
}

#[tokio::test]
async fn a_truncated_body_is_refused() {
    let bench = Bench::start().await;
    let printer = bench.consumer(&["three-legged"]).await;
    let request = printer
        .signing()
        .with("oauth_callback", CALLBACK)
        .in_form(&requesting());
    let length = request.body.len();
    let promised = request.with_changed("Content-Length", |_| (length + 5).to_string());
    {
        use tokio::io::AsyncWriteExt as _;
        let mut stream = tokio::net::TcpStream::connect(bench.address).await.unwrap();
        stream.write_all(&promised.to_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        let _ = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut answer).await;
        assert!(
            !answer.starts_with(b"HTTP/1.1 200"),
            "{}",
            answer.escape_ascii()
        );
    }
    assert!(!bench.counted("request_token", "issue", "ok"));
}

#[tokio::test]
async fn every_answer_has_the_headers_that_keep_browsers_out() {
    let bench = Bench::start().await;
    let printer = bench.consumer(&["three-legged"]).await;
    for (request, status) in [
        (asking(&printer), 200),
        (requesting(), 401),
        (Request::get("/oauth/request_token"), 405),
        (Request::get("/oauth/nothing"), 404),
        (Request::get("/"), 404),
        (Request::get("/oauth/request_token").with("Host", "b"), 400),
    ] {
        let answer = bench.send(&request).await;
        assert_eq!(answer.status, status, "{answer:?}");
        for (name, value) in [
            ("cache-control", "no-store"),
            ("pragma", "no-cache"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("x-frame-options", "DENY"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{status}");
        }
        assert!(
            answer
                .header("content-security-policy")
                .unwrap()
                .contains("default-src 'none'")
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unavailable_store_is_a_failure_and_not_a_denial() {
    let redis = RedisServer::start();
    let countersign = Countersign::start(&redis.url(), "").await;
    let consumer = countersign
        .admin(&["consumer", "create", "--name=Printer"])
        .await;
    let text = |field: &str| consumer[field].as_str().unwrap().to_owned();
    let printer = Caller {
        consumer_key: text("consumer_key"),
        consumer_secret: text("consumer_secret"),
        token: None,
    };
    let asking = || {
        printer
            .signing()
            .with("oauth_callback", "oob")
            .in_header(&requesting())
    };
    assert_eq!(asking().send(countersign.http).await.status, 200);
    drop(redis);
    let answer = asking().send(countersign.http).await;
    assert_eq!(
        (answer.status, answer.header("retry-after")),
        (503, Some("1")),
        "{answer:?}"
    );
    assert_eq!(answer.header("www-authenticate"), None);
    assert_eq!(
        answer.header("content-type"),
        Some("application/problem+json")
    );
}

fn asking(caller: &Caller) -> Request {
    caller
        .signing()
        .with("oauth_callback", CALLBACK)
        .in_header(&requesting())
}

/// Returns the request with an empty chunked body.
fn chunked(request: &Request, encoding: &str) -> Request {
    let mut request = request.clone();
    request.headers.retain(|(name, _)| name != "Content-Length");
    "0\r\n\r\n".clone_into(&mut request.body);
    request.with("Transfer-Encoding", encoding)
}

async fn raw(bench: &Bench, text: &str) -> Response {
    let answer = tokio::time::timeout(
        Duration::from_secs(30),
        exchange(bench.address, text.as_bytes()),
    )
    .await;
    Response::parse(&answer.unwrap())
}
