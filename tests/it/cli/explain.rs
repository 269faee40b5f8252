//! `countersign explain` as a person or a script runs it.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::support::leaks;

/// The photo request of RFC 5849 section 1.2.
const PHOTOS: &str = "GET /photos?file=vacation.jpg&size=original HTTP/1.1\r\n\
                      Host: photos.example.net\r\n\
                      Authorization: OAuth realm=\"Photos\",\r\n\
                      \x20    oauth_consumer_key=\"dpf43f3p2l4k3l03\",\r\n\
                      \x20    oauth_token=\"nnch734d00sl2jdk\",\r\n\
                      \x20    oauth_signature_method=\"HMAC-SHA1\",\r\n\
                      \x20    oauth_timestamp=\"137131202\",\r\n\
                      \x20    oauth_nonce=\"chapoH\",\r\n\
                      \x20    oauth_signature=\"MdpQcU8iPSUjWoN%2FUDMsK2sui9I%3D\"\r\n\
                      \r\n";

const PHOTOS_BASE_STRING: &str = "GET&http%3A%2F%2Fphotos.example.net%2Fphotos&file%3Dvacation.jpg\
                                  %26oauth_consumer_key%3Ddpf43f3p2l4k3l03%26oauth_nonce%3DchapoH\
                                  %26oauth_signature_method%3DHMAC-SHA1%26oauth_timestamp%3D137131202\
                                  %26oauth_token%3Dnnch734d00sl2jdk%26size%3Doriginal";

/// The options that verify it.
const OPTIONS: &[&str] = &[
    "--scheme=http",
    "--consumer-secret=kd94hf93k423kf44",
    "--token-secret=pfkkdhi9sl3r4s00",
    "--at=137131200",
    "--output=json",
];

#[test]
fn the_photo_request_of_the_rfc_is_verified() {
    let output = explain(PHOTOS, OPTIONS);
    let expected = json!({
        "verdict": "verified", "problem": null, "advice": null, "base_string": PHOTOS_BASE_STRING,
        "cause": null, "client_base_string": null, "first_difference": null, "remedy": null,
        "compat_profiles": null,
        "read_as": "http", "entry": null, "unknown": [],
    });
    assert_eq!((output.status.code(), answer(&output)), (Some(0), expected));
}

#[test]
fn lines_may_end_with_lf_only() {
    assert_eq!(
        explain(&PHOTOS.replace("\r\n", "\n"), OPTIONS)
            .status
            .code(),
        Some(0)
    );
}

#[test]
fn the_request_may_be_in_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("request");
    fs::write(&file, PHOTOS).unwrap();
    let output = command(OPTIONS).arg(file).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_changed_request_is_refused_with_its_base_string() {
    for (from, to) in [
        ("size=original", "size=huge"),
        ("GET", "PUT"),
        ("/photos?", "/Photos?"),
        (": photos.", ": p."),
    ] {
        let output = explain(&PHOTOS.replacen(from, to, 1), OPTIONS);
        let answer = answer(&output);
        assert_eq!(
            (output.status.code(), &answer["verdict"]),
            (Some(1), &json!("refused")),
            "{to}"
        );
        assert_eq!(answer["problem"], "signature_invalid");
        assert_ne!(answer["base_string"], PHOTOS_BASE_STRING);
    }
    let https: Vec<_> = OPTIONS
        .iter()
        .copied()
        .filter(|option| !option.starts_with("--scheme"))
        .collect();
    assert_eq!(
        answer(&explain(PHOTOS, &https))["problem"],
        "signature_invalid"
    );
}

#[test]
fn a_malformed_request_is_refused_with_the_place() {
    let twice = PHOTOS.replace(
        "oauth_nonce=\"chapoH\"",
        "oauth_nonce=\"chapoH\", oauth_nonce=\"chapoH\"",
    );
    let answer = answer(&explain(&twice, OPTIONS));
    assert_eq!(answer["problem"], "parameter_rejected");
    assert_eq!(
        answer["advice"],
        "duplicate `oauth_nonce` in the Authorization header"
    );
    assert_eq!(answer["base_string"], Value::Null);
}

#[test]
fn a_request_without_oauth_is_unsigned() {
    let output = explain(
        "GET / HTTP/1.1\nHost: h\nAuthorization: Bearer x\n\n",
        &["--output=json"],
    );
    let answer = answer(&output);
    assert_eq!(
        (output.status.code(), &answer["verdict"]),
        (Some(1), &json!("unsigned"))
    );
    assert_eq!(
        (&answer["problem"], &answer["base_string"]),
        (&json!("parameter_absent"), &Value::Null)
    );
}

#[test]
fn a_timestamp_is_accepted_for_300_seconds_to_both_sides() {
    let at = |at: u64| {
        let mut options = OPTIONS.to_vec();
        let at = format!("--at={at}");
        options.retain(|option| !option.starts_with("--at"));
        options.push(&at);
        explain(PHOTOS, &options)
    };
    for time in [137_131_202 - 300, 137_131_202 + 300] {
        assert_eq!(at(time).status.code(), Some(0));
    }
    for time in [137_131_202 - 301, 137_131_202 + 301] {
        let output = at(time);
        assert_eq!(
            (output.status.code(), &answer(&output)["problem"]),
            (Some(1), &json!("timestamp_refused"))
        );
    }
    // Without --at, the time is now.
    let now: Vec<_> = OPTIONS
        .iter()
        .copied()
        .filter(|option| !option.starts_with("--at"))
        .collect();
    let answer = answer(&explain(PHOTOS, &now));
    assert_eq!(
        (&answer["problem"], &answer["base_string"]),
        (&json!("timestamp_refused"), &json!(PHOTOS_BASE_STRING))
    );
    assert_eq!(answer["unknown"], json!(["the time: now is assumed"]));
    let advice = answer["advice"].as_str().unwrap();
    assert!(
        advice.starts_with("the signature is correct, but"),
        "{advice}"
    );
    assert!(advice.ends_with("pass that time with --at"), "{advice}");
}

#[test]
fn a_body_counts_as_far_as_its_content_length() {
    let sign = [
        "sign",
        "POST",
        "https://h/",
        "--consumer-key=k",
        "--consumer-secret=s",
        "--form=a=1",
        "--timestamp=1000",
    ];
    let header = countersign(&sign).output().unwrap().stdout;
    let request = |content_length: &str, body: &str| {
        let header = str::from_utf8(&header).unwrap();
        let form = "Content-Type: application/x-www-form-urlencoded\r\n";
        let request =
            format!("POST / HTTP/1.1\r\nHost: h\r\n{form}{content_length}{header}\r\n{body}");
        explain(
            &request,
            &["--consumer-secret=s", "--at=1000", "--output=json"],
        )
    };
    assert_eq!(
        request("Content-Length: 3\r\n", "a=1\n\n").status.code(),
        Some(0)
    );
    assert_eq!(request("", "a=1\n").status.code(), Some(0));
    assert_eq!(request("", "a=2").status.code(), Some(1));
    let cut = request("Content-Length: 4\r\n", "a=1");
    assert_eq!(cut.status.code(), Some(64));
    assert_eq!(
        stderr(&cut),
        "error: standard input: Content-Length is 4, but only 3 bytes follow the headers\n"
    );
}

#[test]
fn explain_verifies_every_method_and_place_of_sign() {
    let directory = tempfile::tempdir().unwrap();
    let (private, public) = rsa_key();
    let private_file = directory.path().join("private.pem");
    let public_file = directory.path().join("public.pem");
    fs::write(&private_file, private).unwrap();
    fs::write(&public_file, public).unwrap();
    let methods = [
        "HMAC-SHA1",
        "HMAC-SHA256",
        "HMAC-SHA512",
        "RSA-SHA1",
        "RSA-SHA256",
        "RSA-SHA512",
        "PLAINTEXT",
    ];
    for method in methods {
        for transport in ["header", "query", "body"] {
            let mut sign = countersign(&[
                "sign",
                "POST",
                "https://h:8443/a%2fb?x=%7e",
                "--form=a=1+2",
                "--output=json",
            ]);
            sign.args([
                "--consumer-key=k",
                "--consumer-secret=s",
                "--token=t",
                "--token-secret=u",
            ]);
            sign.args([
                "--signature-method",
                method,
                "--transport",
                transport,
                "--private-key",
            ])
            .arg(&private_file);
            let request = raw(&answer(&sign.output().unwrap()));
            let mut explain = command(&["--consumer-secret=s", "--token-secret=u", "--public-key"]);
            let output = fed(explain.arg(&public_file), &request);
            assert_eq!(
                output.status.code(),
                Some(0),
                "{method} {transport}: {}",
                stderr(&output)
            );
        }
    }
}

#[test]
fn a_request_that_the_defaults_would_refuse_gets_a_warning() {
    let sign = [
        "sign",
        "GET",
        "https://h/",
        "--consumer-key=k",
        "--consumer-secret=s",
        "--signature-method=PLAINTEXT",
    ];
    let header = countersign(&sign).output().unwrap().stdout;
    let request = format!(
        "GET / HTTP/1.1\nHost: h\n{}\n",
        str::from_utf8(&header).unwrap()
    );
    let output = explain(&request, &["--consumer-secret=s"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(
        stderr(&output).starts_with("warning: PLAINTEXT sends the secrets"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn text_names_the_verdict_first() {
    let text: Vec<_> = OPTIONS
        .iter()
        .copied()
        .filter(|option| !option.starts_with("--output"))
        .collect();
    let output = explain(PHOTOS, &text);
    let expected = format!(
        "verdict         verified\nread as         HTTP request\nbase string     {PHOTOS_BASE_STRING}\n"
    );
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
}

#[test]
fn a_known_mismatch_is_explained() {
    let https: Vec<_> = OPTIONS
        .iter()
        .copied()
        .filter(|option| !option.starts_with("--scheme"))
        .collect();
    let told = answer(&explain(PHOTOS, &https));
    assert_eq!(
        (&told["cause"], &told["client_base_string"]),
        (&json!("scheme"), &json!(PHOTOS_BASE_STRING))
    );
    assert_eq!(
        (&told["first_difference"], &told["advice"]),
        (&json!(8), &json!("the signature does not match"))
    );
    assert!(
        told["remedy"]
            .as_str()
            .unwrap()
            .contains("`origin = \"http://photos.example.net\"`"),
        "{told}"
    );

    let text: Vec<_> = https
        .into_iter()
        .filter(|option| !option.starts_with("--output"))
        .collect();
    let printed = String::from_utf8(explain(PHOTOS, &text).stdout).unwrap();
    let lines: Vec<_> = printed.lines().rev().take(3).collect();
    let column = lines[0].find('^').unwrap();
    assert_eq!(
        (
            &lines[1][column - 8..=column],
            &lines[2][column - 8..=column]
        ),
        ("GET&http%", "GET&https"),
        "{printed}"
    );
}

#[test]
fn the_profile_that_would_let_a_request_pass_is_named_with_its_condition() {
    let https: Vec<_> = OPTIONS
        .iter()
        .copied()
        .filter(|option| !option.starts_with("--scheme") && !option.starts_with("--output"))
        .collect();
    let json = [&https[..], &["--output=json"]].concat();
    let told = answer(&explain(PHOTOS, &json));
    assert_eq!(told["compat_profiles"], json!(["scheme-any"]));
    let printed = String::from_utf8(explain(PHOTOS, &https).stdout).unwrap();
    let line = printed
        .lines()
        .find(|line| line.starts_with("compat profile"));
    assert!(
        line.unwrap()
            .contains("scheme-any, but set it only if the client's owner confirms"),
        "{printed}"
    );
    let with_it = [&json[..], &["--compat=scheme-any"]].concat();
    let told = answer(&explain(PHOTOS, &with_it));
    assert_eq!(
        (&told["verdict"], &told["compat_profiles"]),
        (&json!("verified"), &Value::Null)
    );
}

/// The client of WooCommerce for Python sends each parameter twice, and does not encode a `/`.
#[test]
fn two_profiles_that_are_needed_together_are_named() {
    let target = "/wp-json/wc/v3/products?s=a%2Fb&oauth_consumer_key=dpf43f3p2l4k3l03&\
                  oauth_timestamp=1700000000&oauth_nonce=wIjqoS&oauth_signature_method=HMAC-SHA256&\
                  oauth_signature=SIGNATURE&s=a%2Fb";
    let text = "GET&http%3A%2F%2Fshop.example%2Fwp-json%2Fwc%2Fv3%2Fproducts&\
                oauth_consumer_key%3Ddpf43f3p2l4k3l03%26oauth_nonce%3DwIjqoS%26\
                oauth_signature_method%3DHMAC-SHA256%26oauth_timestamp%3D1700000000%26s%3Da/b";
    let mac = Hmac::<Sha256>::new_from_slice(b"kd94hf93k423kf44&").unwrap();
    let signature = STANDARD.encode(mac.chain_update(text).finalize().into_bytes());
    let target = target.replace(
        "SIGNATURE",
        &signature
            .replace('+', "%2B")
            .replace('/', "%2F")
            .replace('=', "%3D"),
    );
    let request = format!("GET {target} HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    let options = [
        "--scheme=http",
        "--consumer-secret=kd94hf93k423kf44",
        "--at=1700000000",
        "--output=json",
    ];
    let told = answer(&explain(&request, &options));
    assert_eq!(
        told["compat_profiles"],
        json!(["repeated-once", "slash-plain"]),
        "{told}"
    );
    let with_both = [
        &options[..],
        &["--compat=repeated-once", "--compat=slash-plain"],
    ]
    .concat();
    assert_eq!(
        answer(&explain(&request, &with_both))["verdict"],
        "verified"
    );
}

#[test]
fn a_wrong_secret_has_no_known_cause() {
    let wrong = [&OPTIONS[..1], &["--consumer-secret=guessed"], &OPTIONS[2..]].concat();
    let told = answer(&explain(PHOTOS, &wrong));
    assert_eq!(
        (&told["verdict"], &told["cause"], &told["remedy"]),
        (&json!("refused"), &Value::Null, &Value::Null)
    );
    let advice =
        "the signature does not match: compare the base string with the client's, then the secrets";
    assert_eq!(told["advice"], advice);
    let text = explain(PHOTOS, &wrong[..wrong.len() - 1]);
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(
        text.contains("\ncause           none\nremedy          check that"),
        "{text}"
    );
}

#[test]
fn the_options_of_the_command_are_used() {
    let replaced = [
        &OPTIONS[..1],
        &[
            "--consumer-secret=new",
            "--old-consumer-secret=kd94hf93k423kf44",
        ],
        &OPTIONS[2..],
    ];
    assert_eq!(
        answer(&explain(PHOTOS, &replaced.concat()))["cause"],
        "old-secret"
    );
    let forwarded = PHOTOS.replace(
        "Host: photos.",
        "X-Forwarded-Host: photos.example.net\r\nHost: inner.",
    );
    assert_eq!(answer(&explain(&forwarded, OPTIONS))["cause"], "host");
    let https: Vec<_> = OPTIONS
        .iter()
        .copied()
        .filter(|option| !option.starts_with("--scheme"))
        .collect();
    let profiled = [&https[..], &["--compat=scheme-any"]].concat();
    assert_eq!(answer(&explain(PHOTOS, &profiled))["verdict"], "verified");
    let unknown = explain(PHOTOS, &["--compat=plus"]);
    assert!(
        stderr(&unknown).contains("[possible values: version-lenient, no-root-slash,"),
        "{}",
        stderr(&unknown)
    );
}

#[test]
fn an_unsupported_method_is_quoted_beside_those_that_there_are() {
    let sent = PHOTOS.replace("HMAC-SHA1", "hmac-sha1");
    assert_eq!(
        answer(&explain(&sent, OPTIONS))["advice"],
        "unsupported `oauth_signature_method` \"hmac-sha1\": expected one of HMAC-SHA1, HMAC-SHA256, \
         HMAC-SHA512, RSA-SHA1, RSA-SHA256, RSA-SHA512, PLAINTEXT, in capitals"
    );
}

#[test]
fn a_request_that_cannot_be_explained_exits_with_64() {
    let of = |request: &str, options: &[&str]| {
        let output = explain(request, options);
        assert_eq!(output.status.code(), Some(64), "{options:?}");
        stderr(&output)
    };
    assert_eq!(
        of(PHOTOS, &[]),
        "error: the request is signed with HMAC-SHA1, which needs --consumer-secret\n"
    );
    let consumer = ["--consumer-secret=kd94hf93k423kf44"];
    assert_eq!(
        of(PHOTOS, &consumer),
        "error: the request is signed with HMAC-SHA1, which needs --token-secret\n"
    );
    let rsa = PHOTOS.replace("HMAC-SHA1", "RSA-SHA1");
    let others = ["--consumer-secret=another", "--token-secret=another"];
    assert_eq!(
        of(&rsa, &others),
        "error: the request is signed with RSA-SHA1, which needs --public-key\n"
    );
    assert_eq!(
        of("GET /", OPTIONS),
        "error: standard input: line 1: expected `METHOD TARGET HTTP/1.1`\n"
    );
    let unknown = "error: standard input: line 1: `nonsense` begins no request: expected an HTTP";
    assert!(of("nonsense", OPTIONS).starts_with(unknown));
    assert!(
        of(PHOTOS, &["--public-key=/no/such/file"])
            .starts_with("error: cannot read /no/such/file: ")
    );
    assert!(of(PHOTOS, &["--scheme=ftp"]).contains("https"));
}

#[test]
fn a_cause_that_needs_no_more_than_the_given_keys_is_explained() {
    let only_label = PHOTOS.replace("HMAC-SHA1", "RSA-SHA1");
    let told = answer(&explain(&only_label, OPTIONS));
    assert_eq!(
        (&told["verdict"], &told["cause"]),
        (&json!("refused"), &json!("method-confusion"))
    );
}

/// Returns a new RSA key of 2048 bits: private and public, in PEM.
pub(crate) fn rsa_key() -> &'static (String, String) {
    static KEY: LazyLock<(String, String)> = LazyLock::new(|| {
        let pair = aws_lc_rs::rsa::KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
        let public = pair.public_key().as_der().unwrap();
        (
            pem("PRIVATE KEY", pair.as_der().unwrap().as_ref()),
            pem("PUBLIC KEY", public.as_ref()),
        )
    });
    &KEY
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<_> = text
        .as_bytes()
        .chunks(64)
        .map(|line| str::from_utf8(line).unwrap())
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

/// Returns the request that `sign --output json` describes, as sent on the wire.
fn raw(signed: &Value) -> String {
    let text = |name: &str| signed[name].as_str();
    let (_, rest) = text("url").unwrap().split_once("://").unwrap();
    let (host, target) = rest.split_once('/').unwrap();
    let mut request = format!(
        "{} /{target} HTTP/1.1\r\nHost: {host}\r\n",
        text("method").unwrap()
    );
    for (name, value) in [
        ("Authorization", text("authorization")),
        ("Content-Type", text("content_type")),
    ] {
        request.extend(value.map(|value| format!("{name}: {value}\r\n")));
    }
    let body = text("body").unwrap_or_default();
    format!("{request}Content-Length: {}\r\n\r\n{body}", body.len())
}

fn explain(request: &str, options: &[&str]) -> Output {
    fed(&mut command(options), request)
}

fn fed(command: &mut Command, request: &str) -> Output {
    let command = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // The command stops reading input that it refuses.
    let _ = child.stdin.take().unwrap().write_all(request.as_bytes());
    let output = child.wait_with_output().unwrap();
    leaks::errors_of(&output);
    output
}

fn command(options: &[&str]) -> Command {
    let mut command = countersign(&["explain"]);
    command.args(options);
    command
}

/// Returns the program, with no variables of this test's environment.
fn countersign(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    command.args(arguments).env_clear();
    command
}

fn answer(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", stderr(output)))
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}
