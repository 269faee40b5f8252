//! `countersign explain` with every form in which people have a request: the photo request of RFC
//! 5849 section 1.2, as each program shows it, is verified.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

/// The value of the `Authorization` header.
const AUTHORIZATION: &str = "OAuth realm=\"Photos\", oauth_consumer_key=\"dpf43f3p2l4k3l03\", \
                             oauth_token=\"nnch734d00sl2jdk\", oauth_signature_method=\"HMAC-SHA1\", \
                             oauth_timestamp=\"137131202\", oauth_nonce=\"chapoH\", \
                             oauth_signature=\"MdpQcU8iPSUjWoN%2FUDMsK2sui9I%3D\"";

const URL: &str = "http://photos.example.net/photos?file=vacation.jpg&size=original";

const TARGET: &str = "/photos?file=vacation.jpg&size=original";

#[test]
fn the_same_request_is_verified_in_every_format() {
    for (read_as, capture) in captures() {
        for capture in [capture.clone(), capture.replace('\n', "\r\n")] {
            let output = explain(&capture, &["--at=137131200", "--output=json"]);
            let answer = answer(&output);
            assert_eq!(
                (output.status.code(), &answer["read_as"], &answer["unknown"]),
                (Some(0), &json!(read_as), &json!([])),
                "{capture}\n{answer}"
            );
        }
    }
}

#[test]
fn a_log_without_host_and_scheme_needs_them_from_the_caller() {
    let line = format!(
        "10.0.0.1 - - [01/May/1974:12:00:00 +0000] \"GET {TARGET} HTTP/1.1\" 401 9 \"-\" \"agent\" \
                        \"{}\"\n",
        AUTHORIZATION.replace('"', "\\x22")
    );
    let refused = explain(&line, &["--at=137131200"]);
    assert_eq!(refused.status.code(), Some(64));
    assert_eq!(
        stderr(&refused),
        "error: standard input: the access log has no host, which is signed: pass it with --host, for \
         example --host api.example.com\n"
    );
    let verified = explain(
        &line,
        &[
            "--at=137131200",
            "--host=photos.example.net",
            "--scheme=http",
            "--output=json",
        ],
    );
    assert_eq!(answer(&verified)["verdict"], "verified");
    let guessed = explain(
        &line,
        &[
            "--at=137131200",
            "--host=photos.example.net",
            "--output=json",
        ],
    );
    let guessed = answer(&guessed);
    assert_eq!(guessed["cause"], "scheme");
    let unknown = guessed["unknown"][0].as_str().unwrap();
    assert!(
        unknown.starts_with("the scheme: https is assumed"),
        "{unknown}"
    );
}

#[test]
fn a_json_log_names_the_host() {
    let line = json!({"start_time": "1974-05-07T04:00:00Z", "method": "GET", "path": TARGET,
                      "authority": "photos.example.net", "authorization": AUTHORIZATION});
    let output = explain(&line.to_string(), &["--scheme=http", "--output=json"]);
    let answer = answer(&output);
    assert_eq!(
        (&answer["verdict"], &answer["read_as"]),
        (&json!("verified"), &json!("json-access-log"))
    );
}

#[test]
fn one_of_several_requests_is_chosen_or_all_are_listed() {
    let signed = har_entry(AUTHORIZATION);
    let unsigned = har_entry("Bearer x");
    let archive = |entries: &[&Value]| json!({"log": {"entries": entries}}).to_string();
    let options = ["--at=137131200", "--output=json"];
    let one = answer(&explain(&archive(&[&unsigned, &signed]), &options));
    assert_eq!(
        (&one["verdict"], &one["entry"]),
        (&json!("verified"), &json!(2))
    );
    let two = archive(&[&signed, &unsigned, &signed]);
    let refused = explain(&two, &options);
    assert_eq!(refused.status.code(), Some(64));
    assert_eq!(
        stderr(&refused),
        format!(
            "error: standard input: the HAR has 3 requests, 2 of them with OAuth parameters: choose one with \
                 --entry NUMBER\n  1: GET {URL}\n  3: GET {URL}\n"
        )
    );
    let text = explain(&two, &["--at=137131200", "--entry=3"]);
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(
        text.contains("\nread as         HAR, request 3 of 3\n"),
        "{text}"
    );
}

#[test]
fn a_form_whose_body_is_missing_is_refused_with_the_remedy() {
    let capture = format!(
        "* Connected to h (10.0.0.1) port 80\n> POST / HTTP/1.1\n> Host: h\n> Content-Length: 3\n> \
                           Content-Type: application/x-www-form-urlencoded\n> Authorization: {AUTHORIZATION}\n>\n"
    );
    let refused = explain(&capture, &[]);
    assert_eq!(refused.status.code(), Some(64));
    assert_eq!(
        stderr(&refused),
        "error: standard input: the output of curl -v has no body, and the signature of a form covers \
         it: put the curl command with its --data above the output, or capture with --trace-ascii -\n"
    );
}

#[test]
fn the_time_of_a_capture_is_the_time_of_arrival() {
    let mut entry = har_entry(AUTHORIZATION);
    entry["startedDateTime"] = json!("1974-05-07T04:00:00.000Z");
    let output = explain(&entry.to_string(), &["--output=json"]);
    assert_eq!(answer(&output)["verdict"], "verified");
}

/// Returns the request in each format, with the name of the format.
fn captures() -> Vec<(&'static str, String)> {
    [messages(), documents(), commands()].concat()
}

fn messages() -> Vec<(&'static str, String)> {
    let head = format!(
        "GET {TARGET} HTTP/1.1\nHost: photos.example.net\nAuthorization: {AUTHORIZATION}\n\n"
    );
    let sent = head
        .lines()
        .map(|line| format!("> {line}\n"))
        .collect::<String>();
    let headers = format!(
        ":authority: photos.example.net\n:method: GET\n:path: {TARGET}\n:scheme: http\n\
                           authorization: {AUTHORIZATION}\n"
    );
    vec![
        ("http", head.replacen(TARGET, URL, 1)),
        (
            "curl-verbose",
            format!("* Connected to photos.example.net (10.0.0.1) port 80\n{sent}< HTTP/1.1 401\n"),
        ),
        (
            "curl-trace",
            format!("== Info:   Trying 10.0.0.1:80...\n{}", trace_ascii(&head)),
        ),
        ("http2-headers", headers),
    ]
}

fn documents() -> Vec<(&'static str, String)> {
    let tap = json!({"http_buffered_trace": {"request": {"headers": [
        {"key": ":authority", "value": "photos.example.net"},
        {"key": ":path", "value": TARGET},
        {"key": ":method", "value": "GET"},
        {"key": ":scheme", "value": "http"},
        {"key": "authorization", "value": AUTHORIZATION},
    ]}}});
    let postman = json!({"info": {}, "item": [{"name": "p", "request": {
        "method": "GET", "header": [{"key": "Authorization", "value": AUTHORIZATION}], "url": {"raw": URL},
    }}]});
    vec![
        ("har", har_entry(AUTHORIZATION).to_string()),
        ("envoy-tap", format!("{tap:#}")),
        ("postman", postman.to_string()),
    ]
}

fn commands() -> Vec<(&'static str, String)> {
    let escaped = AUTHORIZATION.replace('"', "\\\"");
    let caret = AUTHORIZATION
        .replace('"', "^\\^\"")
        .replace("%2F", "%^2F")
        .replace("%3D", "%^3D");
    vec![
        (
            "curl-command",
            format!("curl '{URL}' \\\n  -H 'Authorization: {AUTHORIZATION}' \\\n  --compressed"),
        ),
        (
            "curl-command",
            format!(
                "curl ^\"{}^\" ^\n  -H ^\"Authorization: {caret}^\"",
                URL.replace('&', "^&")
            ),
        ),
        (
            "fetch",
            format!(
                "fetch(\"{URL}\", {{\n  \"headers\": {{\"authorization\": \"{escaped}\"}},\n  \"body\": null,\n  \
                           \"method\": \"GET\"\n}});"
            ),
        ),
        (
            "axios",
            format!(
                "axios({{\n  method: 'get',\n  url: '{URL}',\n  headers: {{Authorization: '{AUTHORIZATION}'}},\n}})"
            ),
        ),
    ]
}

fn har_entry(authorization: &str) -> Value {
    json!({
        "request": {
            "method": "GET", "url": URL, "httpVersion": "HTTP/1.1",
            "headers": [{"name": "Host", "value": "photos.example.net"},
                        {"name": "Authorization", "value": authorization}],
        },
        "response": {},
    })
}

/// Returns the block that curl --trace-ascii prints about a request header.
fn trace_ascii(head: &str) -> String {
    let bytes: usize = head.lines().map(|line| line.len() + 2).sum();
    let mut trace = format!("=> Send header, {bytes} bytes ({bytes:#x})\n");
    let mut offset = 0;
    for line in head.lines() {
        let mut parts: Vec<_> = line
            .as_bytes()
            .chunks(64)
            .map(|part| str::from_utf8(part).unwrap())
            .collect();
        if parts.is_empty() {
            parts.push("");
        }
        for part in parts {
            trace += &format!("{offset:04x}: {part}\n");
            offset += part.len();
        }
        offset += 2;
    }
    trace
}

fn explain(capture: &str, options: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    command
        .args([
            "explain",
            "--consumer-secret=kd94hf93k423kf44",
            "--token-secret=pfkkdhi9sl3r4s00",
        ])
        .args(options)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(capture.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap()
}

fn answer(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", stderr(output)))
}

fn stderr(output: &Output) -> &str {
    str::from_utf8(&output.stderr).unwrap()
}
