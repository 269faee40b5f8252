//! The form parsers of web frameworks: a signed form is moved to the query, and the body is replaced.
//! No framework may read the replacement from a request that passes.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use envoy_types::ext_authz::v3::pb::CheckRequest;
use envoy_types::pb::envoy::config::core::v3::{HeaderMap, HeaderValue};
use envoy_types::pb::envoy::service::auth::v3::attribute_context::HttpRequest;
use serde_json::Value;

use super::bench::{Bench, Call};

#[tokio::test]
async fn no_framework_of_python_reads_a_form_that_nobody_signed() {
    let mut command = Command::new("python3");
    command.arg("python.py");
    command.env("PYTHONPATH", installed("python"));
    assert_none_is_fooled(command, 11).await;
}

#[tokio::test]
async fn no_framework_of_node_reads_a_form_that_nobody_signed() {
    let mut command = Command::new("node");
    command.arg("node.mjs").arg(installed("npm"));
    assert_none_is_fooled(command, 7).await;
}

/// Runs the parsers on every Content-Type, and Countersign on those from which one reads a form.
async fn assert_none_is_fooled(command: Command, frameworks: usize) {
    let content_types = content_types();
    let found = parsed(command, &content_types);
    assert_eq!(found.as_object().unwrap().len(), frameworks, "{found}");
    let bench = Bench::new().await;
    for (at, content_type) in content_types.iter().enumerate() {
        let readers: Vec<_> = found
            .as_object()
            .unwrap()
            .iter()
            .filter(|(name, row)| *name != READS_ANYTHING && row["reads"][at] == true)
            .map(|(name, _)| name)
            .collect();
        if readers.is_empty() {
            continue;
        }
        for forged in [joined(content_type), raw(content_type)] {
            let response = bench.ask(forged).await.unwrap();
            assert_ne!(
                response.status.unwrap().code,
                0,
                "{content_type} passes and is read by {readers:?}"
            );
        }
    }
}

/// Returns what the parsers read, by the framework's name.
fn parsed(mut command: Command, content_types: &[Value]) -> Value {
    let scripts = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/form_parsers");
    let mut child = command
        .current_dir(scripts)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines: Vec<_> = content_types.iter().map(Value::to_string).collect();
    let mut stdin = child.stdin.take().unwrap();
    stdin
        .write_all((lines.join("\n") + "\n").as_bytes())
        .unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "run scripts/test, which installs the parsers"
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

fn content_types() -> Vec<Value> {
    let text = include_str!("../../vectors/form_parsers.json");
    let recorded: Value = serde_json::from_str(text).unwrap();
    let cases = recorded["cases"].as_array().unwrap();
    cases
        .iter()
        .map(|case| case["content_type"].clone())
        .collect()
}

/// Returns the forged request as Envoy sends it by default: each byte that is not UTF-8 is a `!`.
fn joined(content_type: &Value) -> CheckRequest {
    let mut request = forged();
    if let Some(text) = content_type.as_str() {
        let text = text.replace(|c: char| !c.is_ascii(), "!");
        http(&mut request)
            .headers
            .insert("content-type".to_owned(), text);
    }
    request
}

/// Returns the forged request as Envoy sends it with `encode_raw_headers`.
fn raw(content_type: &Value) -> CheckRequest {
    let mut request = forged();
    let http = http(&mut request);
    let mut headers: Vec<_> = http
        .headers
        .drain()
        .map(|(key, value)| header(key, value.into_bytes()))
        .collect();
    if let Some(text) = content_type.as_str() {
        let latin1 = text.chars().map(|c| u8::try_from(c).unwrap()).collect();
        headers.push(header("content-type".to_owned(), latin1));
    }
    http.header_map = Some(HeaderMap { headers });
    request
}

fn header(key: String, raw_value: Vec<u8>) -> HeaderValue {
    HeaderValue {
        key,
        raw_value,
        ..HeaderValue::default()
    }
}

/// Returns a request whose signature covers `a=signed`, with another body.
fn forged() -> CheckRequest {
    let mut request = Call {
        method: "POST",
        ..Call::get("/photos?a=signed")
    }
    .signed();
    let http = http(&mut request);
    http.raw_body = b"a=read".to_vec();
    http.headers
        .insert("content-length".to_owned(), "6".to_owned());
    request
}

fn http(request: &mut CheckRequest) -> &mut HttpRequest {
    let attributes = request.attributes.as_mut().unwrap();
    attributes.request.as_mut().unwrap().http.as_mut().unwrap()
}

/// Returns the directory into which `scripts/test` installs the parsers.
fn installed(language: &str) -> String {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/form_parsers");
    target.join(language).to_str().unwrap().to_owned()
}

/// Bottle reads a body of any type as a form, except multipart.
const READS_ANYTHING: &str = "Bottle";
