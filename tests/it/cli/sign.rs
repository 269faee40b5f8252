//! `countersign sign`, as a person or a script runs it.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::support::leaks;

/// The photo request of RFC 5849 section 1.2.
const PHOTOS: &[&str] = &[
    "sign",
    "GET",
    "http://photos.example.net/photos?file=vacation.jpg&size=original",
    "--consumer-key=dpf43f3p2l4k3l03",
    "--consumer-secret=kd94hf93k423kf44",
    "--token=nnch734d00sl2jdk",
    "--token-secret=pfkkdhi9sl3r4s00",
    "--signature-method=HMAC-SHA1",
    "--timestamp=137131202",
    "--nonce=chapoH",
];

const PHOTOS_HEADER: &str = "OAuth realm=\"Photos\", oauth_consumer_key=\"dpf43f3p2l4k3l03\", \
                             oauth_token=\"nnch734d00sl2jdk\", oauth_signature_method=\"HMAC-SHA1\", \
                             oauth_timestamp=\"137131202\", oauth_nonce=\"chapoH\", \
                             oauth_signature=\"MdpQcU8iPSUjWoN%2FUDMsK2sui9I%3D\"";

#[test]
fn the_header_of_the_rfc_is_printed() {
    let output = run(&with(PHOTOS, &["--realm=Photos"]));
    assert_eq!(
        (output.status.code(), stdout(&output)),
        (Some(0), format!("Authorization: {PHOTOS_HEADER}\n"))
    );
}

#[test]
fn json_has_everything_that_is_sent_and_signed() {
    let json = json(&run(&with(PHOTOS, &["--realm=Photos", "-o", "json"])));
    assert_eq!(json["method"], "GET");
    assert_eq!(
        json["url"],
        "http://photos.example.net/photos?file=vacation.jpg&size=original"
    );
    assert_eq!(json["authorization"], PHOTOS_HEADER);
    assert_eq!(
        json["parameters"]["oauth_signature"],
        "MdpQcU8iPSUjWoN/UDMsK2sui9I="
    );
    assert!(
        json["base_string"]
            .as_str()
            .unwrap()
            .starts_with("GET&http%3A%2F%2Fphotos.example.net%2Fphotos&file")
    );
    assert_eq!(
        (&json["body"], &json["content_type"]),
        (&Value::Null, &Value::Null)
    );
}

#[test]
fn the_parameters_go_to_the_chosen_place() {
    let query = stdout(&run(&with(PHOTOS, &["--transport=query"])));
    assert!(
        query
            .starts_with("http://photos.example.net/photos?file=vacation.jpg&size=original&oauth_"),
        "{query}"
    );
    let body = stdout(&run(&with(PHOTOS, &["--transport=body", "--form=a=1"])));
    assert!(
        body.starts_with("a=1&oauth_consumer_key=dpf43f3p2l4k3l03&"),
        "{body}"
    );
}

#[test]
fn a_curl_command_sends_exactly_the_signed_request() {
    let form = [
        "sign",
        "POST",
        "https://h/a[1]/../b?x='y'",
        "--consumer-key=k",
        "--consumer-secret=s",
        "--form=a=b",
    ];
    let curl = stdout(&run(&with(&form, &["--output=curl"])));
    assert!(
        curl.starts_with("curl -i --globoff --path-as-is -X 'POST' -H 'Authorization: OAuth "),
        "{curl}"
    );
    let end = "-H 'Content-Type: application/x-www-form-urlencoded' --data-binary 'a=b' 'https://h/a[1]/../b?x='\\''y'\\'''\n";
    assert!(curl.ends_with(end), "{curl}");
    // Without a Content-Type, curl sends every body as a form.
    let body = [
        "sign",
        "PUT",
        "https://h/",
        "--consumer-key=k",
        "--consumer-secret=s",
        "--body=photo.jpg",
    ];
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("photo.jpg"), b"\xff\xd8").unwrap();
    let output = command(&with(&body, &["--output=curl"]))
        .current_dir(directory.path())
        .output()
        .unwrap();
    let end =
        "-H 'Content-Type: application/octet-stream' --data-binary '@photo.jpg' 'https://h/'\n";
    assert!(stdout(&output).ends_with(end), "{}", stdout(&output));
}

#[test]
fn a_body_hash_covers_the_body_byte_by_byte() {
    let sign = [
        "sign",
        "PUT",
        "https://h/",
        "--consumer-key=k",
        "--consumer-secret=s",
        "--signature-method=HMAC-SHA1",
    ];
    let sign = with(&sign, &["--body=-", "--body-hash", "--output=json"]);
    let mut child = command(&sign).stdin(Stdio::piped()).spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"Hello World!")
        .unwrap();
    let json = json(&child.wait_with_output().unwrap());
    assert_eq!(
        json["parameters"]["oauth_body_hash"],
        "Lve95gjOVATpfV8EL5X4nxwjKHE="
    );
}

#[test]
fn each_request_gets_its_own_nonce_and_the_time_of_now() {
    let sign = with(
        &[
            "sign",
            "GET",
            "https://h/",
            "--consumer-key=k",
            "--consumer-secret=s",
        ],
        &["--output=json"],
    );
    let (one, other) = (json(&run(&sign)), json(&run(&sign)));
    assert_ne!(
        one["parameters"]["oauth_nonce"],
        other["parameters"]["oauth_nonce"]
    );
    let timestamp: u64 = one["parameters"]["oauth_timestamp"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!(timestamp > 1_700_000_000);
    assert_eq!(one["parameters"]["oauth_signature_method"], "HMAC-SHA256");
}

#[test]
fn secrets_come_from_files_and_the_environment_too() {
    let expected = stdout(&run(PHOTOS));
    let without: Vec<_> = PHOTOS
        .iter()
        .copied()
        .filter(|option| !option.contains("-secret="))
        .collect();
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("consumer"), "kd94hf93k423kf44\n").unwrap();
    let mut command = command(&with(&without, &["--consumer-secret-file=consumer"]));
    command
        .current_dir(directory.path())
        .env("COUNTERSIGN_TOKEN_SECRET", "pfkkdhi9sl3r4s00");
    assert_eq!(stdout(&command.output().unwrap()), expected);
}

#[test]
fn an_rsa_key_signs_in_each_hash() {
    let directory = tempfile::tempdir().unwrap();
    let pem = directory.path().join("key.pem");
    fs::write(&pem, &crate::cli::explain::rsa_key().0).unwrap();
    for method in ["RSA-SHA1", "RSA-SHA256", "RSA-SHA512"] {
        let sign = [
            "sign",
            "GET",
            "https://h/",
            "--consumer-key=k",
            "--output=json",
            "--signature-method",
            method,
        ];
        let json = json(&run(&with(
            &sign,
            &["--private-key", pem.to_str().unwrap()],
        )));
        // 2048 bits in base64.
        assert_eq!(
            json["parameters"]["oauth_signature"]
                .as_str()
                .unwrap()
                .len(),
            344
        );
    }
}

#[test]
fn a_mistake_in_usage_ends_with_64_and_names_the_remedy() {
    let of = |more: &[&str]| {
        let output = run(&with(&["sign", "GET"], more));
        assert_eq!(
            (output.status.code(), &*stdout(&output)),
            (Some(64), ""),
            "{more:?}"
        );
        String::from_utf8(output.stderr).unwrap()
    };
    let key = "--consumer-key=k";
    let secret = "--consumer-secret=s";
    for (arguments, expected) in [
        (
            &["https://h/", key][..],
            "error: HMAC-SHA256 needs --consumer-secret\n",
        ),
        (
            &["https://h/", key, "--signature-method=RSA-SHA1"],
            "error: RSA-SHA1 needs --private-key\n",
        ),
        (
            &["https://h/", key, secret, "--token=t"],
            "error: HMAC-SHA256 with a token needs --token-secret\n",
        ),
        (
            &["https://h/", key, secret, "--token-secret=s"],
            "error: HMAC-SHA256 with a token secret needs --token: pass it, or unset \
             COUNTERSIGN_TOKEN_SECRET\n",
        ),
        (
            &["https://h/", key, secret, "--body=missing"],
            "error: cannot read missing: No such file or directory (os error 2)\n",
        ),
        (
            &["https://h/", key, "--private-key=missing"],
            "error: cannot read missing: No such file or directory (os error 2)\n",
        ),
        (
            &["https://h/", key, "--consumer-secret-file=missing"],
            "error: cannot read missing: No such file or directory (os error 2)\n",
        ),
        (
            &["h/", key, secret],
            "error: the URL must begin with http:// or https://: h/\n",
        ),
        (
            &["https://h/?oauth_token=t", key, secret],
            "error: the query or the form body has `oauth_*` parameters already\n",
        ),
    ] {
        assert_eq!(of(arguments), expected);
    }
    assert!(of(&["https://h/", secret]).contains("--consumer-key"));
    assert!(
        of(&["https://h/", key, secret, "--signature-method=HMAC-MD5"]).contains("HMAC-SHA512")
    );
    assert!(of(&["https://h/", key, secret, "--form=a", "--body=b"]).contains("--body"));
}

fn run(arguments: &[impl AsRef<str>]) -> Output {
    let output = command(arguments).output().unwrap();
    leaks::errors_of(&output);
    output
}

/// Returns the program, with no variables of this test's environment.
fn command(arguments: &[impl AsRef<str>]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    command
        .args(arguments.iter().map(AsRef::as_ref))
        .env_clear()
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn with<'a>(arguments: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [arguments, more].concat()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn json(output: &Output) -> Value {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}
