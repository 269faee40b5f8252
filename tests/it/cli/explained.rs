//! `countersign explain` for requests that real clients and proxies got wrong: in one known way, in
//! two, or changed on the way.

use std::fs;
use std::process::Stdio;

use serde_json::Value;

use crate::support::leaks;
use crate::support::program::program;
use crate::support::scripted::{self, node, python};

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_of_clients_and_proxies_are_explained() {
    let mut cases = Vec::new();
    for script in [python("mistaken.py"), node("mistaken.mjs")] {
        cases.extend(scripted::run(script).await.as_array().unwrap().clone());
    }
    let (known, unknown): (Vec<_>, Vec<_>) =
        cases.iter().partition(|case| case["cause"].is_string());
    assert!(
        known.len() >= 80 && unknown.len() >= 10,
        "{} and {} cases",
        known.len(),
        unknown.len()
    );

    let told: Vec<_> = cases.iter().map(|case| (case, explained(case))).collect();
    let wrong = told
        .iter()
        .filter(|(case, told)| told["cause"].is_string() && told["cause"] != case["cause"]);
    let wrong: Vec<_> = wrong
        .map(|(case, told)| format!("{}: {}: {}", case["cause"], case["what"], told["cause"]))
        .collect();
    assert!(wrong.is_empty(), "explained wrongly:\n{}", wrong.join("\n"));
    let missed = told
        .iter()
        .filter(|(case, told)| case["cause"].is_string() && told["cause"].is_null());
    let missed: Vec<_> = missed
        .map(|(case, _)| format!("{}: {}", case["cause"], case["what"]))
        .collect();
    assert!(missed.is_empty(), "not explained:\n{}", missed.join("\n"));
}

/// Runs the command on a request that must be refused, and returns its report.
fn explained(case: &Value) -> Value {
    let text = |name: &str| case[name].as_str();
    let directory = tempfile::tempdir().unwrap();
    let request = directory.path().join("request");
    let mut bytes = text("request").unwrap().as_bytes().to_vec();
    bytes.extend(text("body_hex").into_iter().flat_map(of_hexadecimal));
    fs::write(&request, bytes).unwrap();
    let mut command = program();
    command.arg("explain").arg(&request).args([
        "--output=json",
        "--scheme",
        text("scheme").unwrap(),
    ]);
    for (option, value) in [
        ("--consumer-secret", text("consumer_secret")),
        ("--token-secret", text("token_secret")),
        ("--old-consumer-secret", text("old_secret")),
    ] {
        command.args(value.map(|value| format!("{option}={value}")));
    }
    if let Some(public_key) = text("public_key") {
        let file = directory.path().join("key");
        fs::write(&file, public_key).unwrap();
        command.arg("--public-key").arg(file);
    }
    let output = command.stdin(Stdio::null()).output().unwrap();
    leaks::errors_of(&output);
    let told: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| {
        panic!(
            "{}: {}",
            case["what"],
            String::from_utf8_lossy(&output.stderr)
        )
    });
    assert_eq!(
        (output.status.code(), &told["verdict"]),
        (Some(1), &"refused".into()),
        "{}: {told}",
        case["what"]
    );
    told
}

/// Decodes a body that is no text.
fn of_hexadecimal(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text
        .chars()
        .map(|digit| digit.to_digit(16).unwrap())
        .collect();
    digits
        .chunks_exact(2)
        .map(|pair| u8::try_from(pair[0] << 4 | pair[1]).unwrap())
        .collect()
}
