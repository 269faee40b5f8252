//! Bodies: an incomplete form is never verified.

use envoy_types::ext_authz::v3::pb::CheckRequest;
use envoy_types::pb::envoy::service::auth::v3::attribute_context::HttpRequest;

use super::bench::{Bench, CONSUMER_KEY, Call, metadata};

fn form(body: &'static [u8]) -> Call {
    let headers = vec![(
        "content-type".to_owned(),
        "application/x-www-form-urlencoded".to_owned(),
    )];
    Call {
        method: "POST",
        headers,
        body,
        ..Call::get("/photos")
    }
}

fn http(request: &mut CheckRequest) -> &mut HttpRequest {
    request
        .attributes
        .as_mut()
        .unwrap()
        .request
        .as_mut()
        .unwrap()
        .http
        .as_mut()
        .unwrap()
}

#[tokio::test]
async fn a_form_is_verified_with_its_body() {
    let bench = Bench::new().await;
    bench.allowed(form(b"a=1&b=2").signed()).await;
    let mut tampered = form(b"a=1&b=2").signed();
    http(&mut tampered).raw_body = b"a=1&b=3".to_vec();
    assert_eq!(
        bench.denied(tampered).await.problem(),
        (401, "signature_invalid".to_owned())
    );
}

#[tokio::test]
async fn a_form_is_read_from_either_body_field() {
    let bench = Bench::new().await;
    let mut request = form(b"a=1&b=2").signed();
    let body = std::mem::take(&mut http(&mut request).raw_body);
    http(&mut request).body = String::from_utf8(body).unwrap();
    bench.allowed(request).await;
}

#[tokio::test]
async fn a_form_that_is_not_wholly_here_is_413() {
    let bench = Bench::new().await;
    let mut not_sent = form(b"a=1&b=2").signed();
    http(&mut not_sent).raw_body.clear();
    let mut cut = form(b"a=1&b=2").signed();
    http(&mut cut).raw_body.truncate(3);
    let mut partial = form(b"a=1&b=2").signed();
    http(&mut partial)
        .headers
        .insert("x-envoy-auth-partial-body".to_owned(), "true".to_owned());
    let mut negative = form(b"a=1&b=2").signed();
    http(&mut negative).size = -1;
    for (request, reason) in [
        (not_sent, "body_not_forwarded"),
        (cut, "body_length_mismatch"),
        (partial, "body_partial"),
        (negative, "body_partial"),
    ] {
        let response = bench.ask(request.clone()).await.unwrap();
        assert_eq!(metadata(&response, "problem").as_deref(), Some(reason));
        assert_eq!(bench.denied(request).await.status(), 413);
    }
}

#[tokio::test]
async fn an_unsigned_form_whose_body_may_hide_a_signature_does_not_pass_as_anonymous() {
    let bench = Bench::new().await;
    let mut request = Call {
        extensions: vec![("countersign.require", "optional")],
        ..form(b"a=1")
    }
    .unsigned();
    http(&mut request).raw_body.clear();
    assert_eq!(bench.denied(request).await.status(), 413);
}

#[tokio::test]
async fn without_a_length_a_form_needs_the_operators_statement() {
    let without_length = || {
        let mut request = form(b"a=1").signed();
        http(&mut request).headers.remove("content-length");
        request
    };
    Bench::new().await.allowed(without_length()).await;
    let careful = Bench::with(|config| config.check.envoy_sends_whole_bodies = false).await;
    let denied = careful.denied(without_length()).await;
    assert_eq!(denied.status(), 413);
    assert!(
        denied.json()["detail"]
            .as_str()
            .unwrap_or_default()
            .contains("check.envoy_sends_whole_bodies")
    );
}

#[tokio::test]
async fn a_form_on_a_route_where_envoy_buffers_nothing_is_413() {
    let bench = Bench::new().await;
    let mut request = form(b"").signed();
    assert_eq!(bench.denied(request.clone()).await.status(), 413);
    http(&mut request)
        .headers
        .insert("x-envoy-auth-partial-body".to_owned(), "false".to_owned());
    bench.allowed(request).await;
}

#[tokio::test]
async fn other_bodies_are_not_part_of_the_signature() {
    let bench = Bench::new().await;
    let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    let mut request = Call {
        method: "POST",
        headers,
        body: b"{}",
        ..Call::get("/")
    }
    .signed();
    http(&mut request).raw_body = b"[]".to_vec();
    bench.allowed(request).await;
}

#[tokio::test]
async fn a_body_hash_is_compared_with_the_body() {
    let bench = Bench::new().await;
    let hashed = |body, hash: &str| {
        let headers = vec![("content-type".to_owned(), "text/plain".to_owned())];
        let more = vec![("oauth_body_hash", hash.to_owned())];
        Call {
            method: "POST",
            headers,
            body,
            more,
            ..Call::get("/")
        }
    };
    // The draft's own example: SHA-1 of "Hello World!".
    let right = "Lve95gjOVATpfV8EL5X4nxwjKHE=";
    bench.allowed(hashed(b"Hello World!", right).signed()).await;
    let denied = bench.denied(hashed(b"Hello World?", right).signed()).await;
    assert_eq!(denied.problem(), (401, "signature_invalid".to_owned()));
    let off = Call {
        extensions: vec![("countersign.body_hash", "off")],
        ..hashed(b"Hello World?", right)
    };
    bench.allowed(off.signed()).await;
}

#[tokio::test]
async fn an_incomplete_hashed_body_is_413_and_its_caller_is_named() {
    let bench = Bench::new().await;
    let headers = vec![("content-type".to_owned(), "text/plain".to_owned())];
    let more = vec![("oauth_body_hash", "Lve95gjOVATpfV8EL5X4nxwjKHE=".to_owned())];
    let mut cut = Call {
        method: "POST",
        headers,
        body: b"Hello World!",
        more,
        ..Call::get("/")
    }
    .signed();
    http(&mut cut).raw_body.truncate(5);
    let response = bench.ask(cut.clone()).await.unwrap();
    assert_eq!(
        metadata(&response, "problem").as_deref(),
        Some("body_length_mismatch")
    );
    assert_eq!(
        metadata(&response, "claimed_consumer_key").as_deref(),
        Some(CONSUMER_KEY)
    );
    assert_eq!(
        metadata(&response, "signature_method").as_deref(),
        Some("HMAC-SHA1")
    );
    assert_eq!(bench.denied(cut).await.status(), 413);
}

#[tokio::test]
async fn a_required_body_hash_covers_bodies_that_are_not_signed() {
    let bench = Bench::new().await;
    let required = |call: Call| Call {
        extensions: vec![("countersign.body_hash", "require")],
        ..call
    };
    let headers = vec![("content-type".to_owned(), "text/plain".to_owned())];
    let unhashed = Call {
        method: "POST",
        headers,
        body: b"Hello World!",
        ..Call::get("/")
    };
    let denied = bench.denied(required(unhashed).signed()).await;
    assert_eq!(denied.problem(), (400, "parameter_absent".to_owned()));
    bench.allowed(required(form(b"a=1")).signed()).await;
    bench.allowed(required(Call::get("/")).signed()).await;
}
