//! Malformed requests: the response names the parameter, and nothing is written.

use super::bench::{Bench, CALLBACK, assert_names, exchanging, requesting};
use crate::support::caller::{Caller, form};
use crate::support::http::{Request, Response};

#[tokio::test]
async fn a_missing_parameter_is_named() {
    let bench = Bench::start().await;
    let caller = bench.consumer(&["three-legged", "xauth"]).await;
    for missing in [
        "oauth_consumer_key",
        "oauth_nonce",
        "oauth_signature",
        "oauth_signature_method",
        "oauth_timestamp",
    ] {
        for (request, mut parameters) in both(&caller) {
            parameters.retain(|(name, _)| name != missing);
            let answer = bench
                .refuses(
                    &request.with_body(&form(&parameters)),
                    400,
                    "parameter_absent",
                )
                .await;
            assert_names(&answer, "oauth_parameters_absent", missing);
        }
    }
    let unsigned = bench.refuses(&requesting(), 401, "parameter_absent").await;
    assert!(
        unsigned.json()["oauth_parameters_absent"]
            .as_str()
            .unwrap()
            .contains("oauth_consumer_key")
    );
    let request = caller.signing().in_form(&exchanging());
    let answer = bench.refuses(&request, 400, "parameter_absent").await;
    assert_eq!(
        answer.json()["oauth_parameters_absent"],
        "oauth_token&oauth_verifier"
    );
}

#[tokio::test]
async fn a_parameter_that_stands_there_twice_is_named() {
    let bench = Bench::start().await;
    let caller = bench.consumer(&["three-legged", "xauth"]).await;
    for (request, parameters) in both(&caller) {
        for (name, value) in &parameters {
            let twice = format!("{}&{name}={value}", form(&parameters));
            let answer = bench
                .refuses(
                    &request.clone().with_body(&twice),
                    400,
                    "parameter_rejected",
                )
                .await;
            assert_names(&answer, "oauth_parameters_rejected", name);
        }
    }
}

#[tokio::test]
async fn a_value_of_the_wrong_kind_is_named() {
    let bench = Bench::start().await;
    let caller = bench.consumer(&["three-legged", "xauth"]).await;
    let long = "a".repeat(5000);
    for (request, parameters) in both(&caller) {
        for (name, value) in [
            ("oauth_timestamp", "yesterday"),
            ("oauth_timestamp", "1700000000000"),
            ("oauth_timestamp", "-1"),
            ("oauth_nonce", ""),
            ("oauth_nonce", &long),
            ("oauth_consumer_key", ""),
            ("oauth_consumer_key", &long),
        ] {
            let answer = bench
                .refuses(
                    &with(&request, &parameters, name, value),
                    400,
                    "parameter_rejected",
                )
                .await;
            assert_names(&answer, "oauth_parameters_rejected", name);
        }
        let version = with(&request, &parameters, "oauth_version", "2.0");
        bench.refuses(&version, 400, "version_rejected").await;
        let method = with(&request, &parameters, "oauth_signature_method", "MD5");
        bench
            .refuses(&method, 400, "signature_method_rejected")
            .await;
    }
    for (name, value) in [("oauth_callback", ""), ("oauth_callback", &long)] {
        let request = caller.signing().with(name, value).in_form(&requesting());
        let answer = bench.refuses(&request, 400, "parameter_rejected").await;
        assert_names(&answer, "oauth_parameters_rejected", name);
    }
}

#[tokio::test]
async fn control_characters_are_refused_and_never_sent_back_as_they_are() {
    let bench = Bench::start().await;
    let caller = bench.consumer(&["three-legged", "xauth"]).await;
    let callback = caller.signing().with(
        "oauth_callback",
        "https://printer.example.com/\r\nSet-Cookie: a=b",
    );
    let username = caller.password("jane\r\nX: y", "p");
    let scope = caller
        .signing()
        .with("oauth_callback", CALLBACK)
        .with("scope", "read\u{7}");
    for (request, name) in [
        (callback.in_form(&requesting()), "oauth_callback"),
        (username.in_form(&exchanging()), "x_auth_username"),
        (scope.in_form(&requesting()), "scope"),
    ] {
        let answer = bench.refuses(&request, 400, "parameter_rejected").await;
        assert_names(&answer, "oauth_parameters_rejected", name);
        assert_eq!(answer.header("set-cookie"), None);
        let printable = |text: &str| text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        assert!(
            answer.headers.iter().all(|(_, value)| printable(value)),
            "{answer:?}"
        );
    }
    let key = Caller {
        consumer_key: "a\0b".to_owned(),
        ..caller
    };
    bench
        .refuses(
            &key.signing()
                .with("oauth_callback", "oob")
                .in_form(&requesting()),
            401,
            "signature_invalid",
        )
        .await;
}

#[tokio::test]
async fn a_body_of_a_mebibyte_is_not_read() {
    let bench = Bench::start().await;
    let caller = bench.consumer(&["three-legged", "xauth"]).await;
    for request in [
        caller
            .signing()
            .with("oauth_callback", &"a".repeat(1 << 20))
            .in_form(&requesting()),
        caller
            .password("jane", &"p".repeat(1 << 20))
            .in_form(&exchanging()),
        caller
            .password(&"u".repeat(1 << 20), "p")
            .in_form(&exchanging()),
    ] {
        if let Some(answer) = polite(&bench, &request).await {
            super::bench::assert_refused(&answer, 413, "parameter_rejected");
        }
    }
    assert!(
        bench
            .metrics
            .render()
            .contains(r#"result="deny",reason="body_too_large""#)
    );
}

#[tokio::test]
async fn headers_of_a_mebibyte_are_not_read() {
    let bench = Bench::start().await;
    let caller = bench.consumer(&["three-legged"]).await;
    let request = caller
        .signing()
        .with("oauth_callback", &"a".repeat(1 << 20))
        .in_header(&requesting());
    if let Some(answer) = polite(&bench, &request).await {
        assert_eq!(answer.status, 431, "{answer:?}");
    }
}

#[tokio::test]
async fn a_form_of_too_many_parameters_is_refused() {
    let bench = Bench::start().await;
    let caller = bench.consumer(&["three-legged"]).await;
    let many = Request::form("POST", "/oauth/request_token", &"a=b&".repeat(1001));
    bench
        .refuses(
            &caller
                .signing()
                .with("oauth_callback", "oob")
                .in_header(&many),
            400,
            "parameter_rejected",
        )
        .await;
}

/// Returns a request to each endpoint, with the parameters that it accepts.
fn both(caller: &Caller) -> [(Request, Vec<(String, String)>); 2] {
    let asking = caller
        .signing()
        .with("oauth_callback", "oob")
        .parameters(&requesting());
    let password = caller
        .password("jane", "correct horse")
        .parameters(&exchanging());
    [(requesting(), asking), (exchanging(), password)]
}

fn with(request: &Request, parameters: &[(String, String)], name: &str, value: &str) -> Request {
    let changed: Vec<_> = parameters
        .iter()
        .map(|(own, old)| {
            (
                own.clone(),
                if own == name {
                    value.to_owned()
                } else {
                    old.clone()
                },
            )
        })
        .collect();
    request.clone().with_body(&form(&changed))
}

/// Sends a request, and returns the response, unless the connection was reset before the whole
/// request was sent.
async fn polite(bench: &Bench, request: &Request) -> Option<Response> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let stream = tokio::net::TcpStream::connect(bench.address).await.unwrap();
    let (mut reading, mut writing) = stream.into_split();
    let bytes = request.to_bytes();
    let sent = tokio::spawn(async move { writing.write_all(&bytes).await });
    let mut answer = Vec::new();
    let _ = reading.read_to_end(&mut answer).await;
    drop(sent.await);
    (!answer.is_empty()).then(|| Response::parse(&answer))
}
