//! A request that was changed after signing is refused.

use super::on_every_stack;
use crate::support::caller::{form, header};
use crate::support::http::{HOST, Request};
use crate::support::stack::Stack;

on_every_stack!(
    another_method_is_refused,
    another_path_is_refused,
    another_query_is_refused,
    another_host_is_refused,
    another_scheme_is_refused,
    another_form_is_refused,
    every_changed_protocol_parameter_is_refused,
    every_missing_protocol_parameter_is_refused,
);

async fn another_method_is_refused(stack: &Stack) {
    let signed = stack.alice.sign(&Request::get("/photos"));
    for method in ["POST", "PURGE", "DELETE"] {
        stack
            .denies(
                &Request {
                    method: method.to_owned(),
                    ..signed.clone()
                },
                401,
                "signature_invalid",
            )
            .await;
    }
    stack.allows(&signed).await;
}

async fn another_path_is_refused(stack: &Stack) {
    let signed = stack.alice.sign(&Request::get("/photos/1"));
    for target in ["/photos/2", "/Photos/1", "/photos/1/", "/"] {
        stack
            .denies(
                &Request {
                    target: target.to_owned(),
                    ..signed.clone()
                },
                401,
                "signature_invalid",
            )
            .await;
    }
    stack.allows(&signed).await;
}

async fn another_query_is_refused(stack: &Stack) {
    let signed = stack
        .alice
        .sign(&Request::get("/photos?size=original&page=1"));
    for query in [
        "size=small&page=1",
        "size=original",
        "size=original&page=1&page=1",
        "size=original&page=1&x",
        "",
    ] {
        let target = format!("/photos?{query}");
        stack
            .denies(
                &Request {
                    target,
                    ..signed.clone()
                },
                401,
                "signature_invalid",
            )
            .await;
    }
    let in_query = stack
        .alice
        .signing()
        .in_query(&Request::get("/photos?size=original"));
    let target = in_query.target.replace("size=original", "size=small");
    stack
        .denies(
            &Request {
                target,
                ..in_query.clone()
            },
            401,
            "signature_invalid",
        )
        .await;
    stack.allows(&in_query).await;
    stack.allows(&signed).await;
}

async fn another_host_is_refused(stack: &Stack) {
    let signed = stack.alice.sign(&Request::get("/photos"));
    for host in [
        "api.example.net",
        "api.example.com:8080",
        "api.example.com.",
        "photos.example.net",
    ] {
        let tampered = signed.clone().with_changed("Host", |_| host.to_owned());
        stack.denies(&tampered, 401, "signature_invalid").await;
    }
    // Other headers that some proxies take for the host are ignored too.
    let forwarded = stack
        .alice
        .sign(&Request::get("/photos").with("Host2", HOST));
    let forwarded = forwarded
        .with_changed("Host", |_| "evil.example".to_owned())
        .with("X-Forwarded-Host", HOST);
    stack.denies(&forwarded, 401, "signature_invalid").await;
    stack.allows(&signed).await;
}

async fn another_scheme_is_refused(stack: &Stack) {
    let for_https = stack
        .alice
        .signing()
        .for_scheme("https")
        .in_header(&Request::get("/photos"));
    stack.denies(&for_https, 401, "signature_invalid").await;
    stack
        .denies(
            &for_https.with("X-Forwarded-Proto", "https"),
            401,
            "signature_invalid",
        )
        .await;
    let for_http = stack.alice.sign(&Request::get("/photos"));
    stack
        .allows(&for_http.with("X-Forwarded-Proto", "https"))
        .await;
}

async fn another_form_is_refused(stack: &Stack) {
    let in_header = stack
        .alice
        .sign(&Request::form("POST", "/photos", "title=a&to=alice"));
    for body in [
        "title=a&to=mallory",
        "title=a",
        "title=a&to=alice&to=mallory",
        "to=alice&title=b",
        "",
    ] {
        stack
            .denies(&in_header.clone().with_body(body), 401, "signature_invalid")
            .await;
    }
    let in_form = stack
        .alice
        .signing()
        .in_form(&Request::form("POST", "/photos", "title=a"));
    stack
        .denies(
            &in_form
                .clone()
                .with_body(&in_form.body.replace("title=a", "title=b")),
            401,
            "signature_invalid",
        )
        .await;
    stack.allows(&in_form).await;
    stack.allows(&in_header).await;
}

async fn every_changed_protocol_parameter_is_refused(stack: &Stack) {
    let request = Request::get("/photos");
    let signed = stack.alice.signing().parameters(&request);
    for place in 0..signed.len() {
        let mut changed = signed.clone();
        changed[place].1 = another(&changed[place]);
        let (status, problem) = if signed[place].0 == "oauth_version" {
            (400, "version_rejected")
        } else {
            (401, "signature_invalid")
        };
        stack
            .denies(
                &request.clone().with("Authorization", &header(&changed)),
                status,
                problem,
            )
            .await;
        let target = format!("/photos?{}", form(&changed));
        stack
            .denies(
                &Request {
                    target,
                    ..request.clone()
                },
                status,
                problem,
            )
            .await;
    }
    // An added parameter is a change too.
    let added = [
        signed.clone(),
        vec![("oauth_callback".to_owned(), "oob".to_owned())],
    ]
    .concat();
    stack
        .denies(
            &request.clone().with("Authorization", &header(&added)),
            401,
            "signature_invalid",
        )
        .await;
    stack
        .allows(&request.with("Authorization", &header(&signed)))
        .await;
}

/// Returns a different value that is well formed.
fn another((name, value): &(String, String)) -> String {
    match name.as_str() {
        "oauth_signature_method" => "HMAC-SHA256".to_owned(),
        "oauth_timestamp" => (value.parse::<u64>().unwrap() + 1).to_string(),
        "oauth_version" => "2.0".to_owned(),
        "oauth_signature" => "AAAAAAAAAAAAAAAAAAAAAAAAAAA=".to_owned(),
        _ => format!("{value}x"),
    }
}

async fn every_missing_protocol_parameter_is_refused(stack: &Stack) {
    let request = Request::get("/photos");
    let signed = stack.alice.signing().parameters(&request);
    for (name, _) in &signed {
        let rest: Vec<_> = signed
            .iter()
            .filter(|(is, _)| is != name)
            .cloned()
            .collect();
        let (status, problem) = match name.as_str() {
            "oauth_token" | "oauth_version" => (401, "signature_invalid"),
            _ => (400, "parameter_absent"),
        };
        stack
            .denies(
                &request.clone().with("Authorization", &header(&rest)),
                status,
                problem,
            )
            .await;
    }
    stack
        .allows(&request.with("Authorization", &header(&signed)))
        .await;
}
