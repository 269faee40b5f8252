//! Bodies: an incomplete form is never verified, no body is read as a form that nobody signed, and
//! none holds its thread.

use std::pin::pin;

use countersign::oauth::{SignatureMethod, body_hash};
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

#[tokio::test]
async fn a_form_that_was_moved_to_the_query_does_not_uncover_the_body() {
    let bench = Bench::new().await;
    for content_type in [
        None,
        Some(""),
        Some("application/x-www-form-urlencoded\u{a0}"),
        Some("application/x-www-form-urlencoded+xml"),
        Some("text/plain; a=\", application/x-www-form-urlencoded"),
        Some("form"),
    ] {
        let denied = bench
            .denied(post(content_type, b"a=2", vec![]).signed())
            .await;
        assert_eq!(
            denied.problem(),
            (400, "parameter_rejected".to_owned()),
            "{content_type:?}"
        );
        assert!(
            denied.json()["detail"]
                .as_str()
                .unwrap()
                .contains("Content-Type"),
            "{:?}",
            denied.json()
        );
        let allow = vec![("countersign.untyped_body", "allow")];
        bench
            .allowed(post(content_type, b"a=2", allow).signed())
            .await;
        let empty = Call {
            headers: vec![("content-length".to_owned(), "0".to_owned())],
            ..post(content_type, b"", vec![])
        };
        bench.allowed(empty.signed()).await;
    }
    let unsigned = Call {
        extensions: vec![("countersign.require", "optional")],
        ..post(None, b"a=2", vec![])
    };
    bench.allowed(unsigned.unsigned()).await;
}

#[tokio::test]
async fn an_untyped_body_may_be_covered_by_its_hash() {
    let bench = Bench::new().await;
    let hashed = |body| Call {
        more: vec![("oauth_body_hash", "Lve95gjOVATpfV8EL5X4nxwjKHE=".to_owned())],
        ..post(None, body, vec![])
    };
    bench.allowed(hashed(b"Hello World!").signed()).await;
    let denied = bench.denied(hashed(b"Hello World?").signed()).await;
    assert_eq!(denied.problem(), (401, "signature_invalid".to_owned()));
    let off = Call {
        extensions: vec![("countersign.body_hash", "off")],
        ..hashed(b"Hello World!")
    };
    assert_eq!(bench.denied(off.signed()).await.status(), 400);
}

#[tokio::test]
async fn a_body_that_envoy_did_not_send_is_not_untyped_unless_something_announces_it() {
    let bench = Bench::with(|config| config.check.envoy_sends_whole_bodies = false).await;
    let call = |method, headers: &[(&str, &str)]| Call {
        method,
        headers: headers
            .iter()
            .map(|&(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        ..Call::get("/photos?a=1")
    };
    for bodyless in [
        call("GET", &[]),
        call("HEAD", &[]),
        call("DELETE", &[]),
        call("GET", &[("upgrade", "websocket")]),
        call("POST", &[("content-length", "0")]),
        call("POST", &[("x-envoy-auth-partial-body", "false")]),
    ] {
        bench.allowed(bodyless.signed()).await;
    }
    for hidden in [
        call("POST", &[]),
        call("PUT", &[]),
        call("GET", &[("content-length", "3")]),
        call("DELETE", &[("upgrade", "websocket")]),
        call("POST", &[("x-envoy-auth-partial-body", "true")]),
    ] {
        let denied = bench.denied(hidden.signed()).await;
        assert_eq!(denied.status(), 400, "{:?}", hidden.headers);
    }
}

/// Only the hash covers a body of another type: a form that was signed can be moved to the query,
/// and the body be replaced.
#[tokio::test]
async fn a_required_body_hash_closes_what_types_leave_open() {
    let bench = Bench::new().await;
    let multipart: &[u8] =
        b"--x\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\n2\r\n--x--\r\n";
    for (content_type, body) in [
        ("multipart/form-data; boundary=x", multipart),
        ("application/json", b"{\"a\":2}"),
        ("text/plain", b"a=2"),
    ] {
        bench
            .allowed(post(Some(content_type), body, vec![]).signed())
            .await;
        let required = vec![("countersign.body_hash", "require")];
        let denied = bench
            .denied(post(Some(content_type), body, required).signed())
            .await;
        assert_eq!(denied.problem(), (400, "parameter_absent".to_owned()));
    }
}

#[tokio::test]
async fn a_form_over_the_limit_is_413_and_names_the_key() {
    let bench = Bench::new().await;
    let large: &[u8] = vec![b'a'; 65 * 1024].leak();
    let denied = bench.denied(form(large).signed()).await;
    assert_eq!(denied.problem(), (413, "parameter_rejected".to_owned()));
    let json = denied.json();
    let detail = json["detail"].as_str().unwrap();
    assert!(
        detail.contains("65536 bytes of check.max_form_bytes"),
        "{detail}"
    );
    let raised = Call {
        extensions: vec![("countersign.max_form_bytes", "131072")],
        ..form(large)
    };
    bench.allowed(raised.signed()).await;
    let target: &str = format!("/?a={}", "b".repeat(65 * 1024)).leak();
    assert_eq!(bench.denied(Call::get(target).signed()).await.status(), 413);
    bench
        .allowed(post(Some("application/json"), large, vec![]).signed())
        .await;
}

#[tokio::test]
async fn other_checks_run_while_a_large_body_is_hashed() {
    let bench = Bench::new().await;
    let large: &[u8] = vec![b'a'; 3 * 1024 * 1024].leak();
    let hash = body_hash(SignatureMethod::HmacSha1, large);
    let hashed = Call {
        more: vec![("oauth_body_hash", hash)],
        ..post(Some("text/plain"), large, vec![])
    }
    .signed();
    let mut slow = pin!(bench.ask(hashed.clone()));
    let mut polls = 0;
    let response = std::future::poll_fn(|context| {
        polls += 1;
        slow.as_mut().poll(context)
    });
    let response = response.await.unwrap();
    assert_eq!(response.status.unwrap().code, 0);
    assert!(polls > 10, "{polls} steps");
    let mut other = hashed;
    http(&mut other).raw_body[0] = b'b';
    assert_eq!(bench.denied(other).await.status(), 401);
}

fn post(
    content_type: Option<&str>,
    body: &'static [u8],
    extensions: Vec<(&'static str, &'static str)>,
) -> Call {
    let content_type = content_type.map(|text| ("content-type".to_owned(), text.to_owned()));
    Call {
        method: "POST",
        headers: content_type.into_iter().collect(),
        body,
        extensions,
        ..Call::get("/photos?a=1")
    }
}
