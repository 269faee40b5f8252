//! The running program against requests that schemathesis generates from `docs/openapi.yaml`: it
//! documents every response.

use std::process::Command;

use tokio::task;

use crate::support::process::{installed, project};
use crate::support::program::Countersign;

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_sent_gets_an_answer_that_the_description_has() {
    let countersign = Countersign::start("memory:", "").await;
    run(fuzz(&countersign)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_consumer_signs_gets_an_answer_that_the_description_has() {
    // No delay after wrong passwords, which this test does not need.
    let countersign = Countersign::start(
        "memory:",
        "password.max_delay = \"0s\"\npassword.memory_kib = 64",
    )
    .await;
    let consumer = [
        "consumer",
        "create",
        "--name=Fuzz",
        "--flow=three-legged",
        "--flow=xauth",
    ];
    let consumer = countersign.admin(&consumer).await;
    let mut command = fuzz(&countersign);
    command
        .args(["--include-path-regex", "_token$"])
        .env("SCHEMATHESIS_HOOKS", "signed_http");
    for (name, field) in [
        ("CONSUMER_KEY", "consumer_key"),
        ("CONSUMER_SECRET", "consumer_secret"),
    ] {
        command.env(name, consumer[field].as_str().unwrap());
    }
    run(command).await;
    for reached in [r#""result":"issue""#, r#""reason":"password_refused""#] {
        countersign.logs(reached).await;
    }
}

fn fuzz(countersign: &Countersign) -> Command {
    let mut command = Command::new("python3");
    let packages = format!(
        "{}:{}",
        installed("target/python").display(),
        project("tests/clients/python").display()
    );
    command
        .env("PYTHONPATH", packages)
        .args(["-m", "schemathesis.cli", "run"])
        .arg(project("docs/openapi.yaml"));
    command.args([
        "--url",
        &format!("http://{}", countersign.http),
        "--seed",
        "1",
        "--max-examples",
        "25",
    ]);
    command.args([
        "--phases",
        "coverage,fuzzing",
        "--checks",
        CHECKS,
        "--warnings",
        "off",
        "--suppress-health-check",
        "all",
    ]);
    command.args(["--workers", "2", "--request-timeout", "20"]);
    command
}

async fn run(mut command: Command) {
    // It leaves files in its working directory.
    let directory = tempfile::tempdir().unwrap();
    command.current_dir(directory.path());
    let output = task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap();
    let (printed, error) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{printed}\n{error}");
    assert!(
        printed.contains(" passed"),
        "schemathesis ran nothing:\n{printed}\n{error}"
    );
}

/// No 5xx; status, media type, headers and body are documented; other methods get 405 with `Allow`.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_headers_conformance,response_schema_conformance,unsupported_method,allow_header_conformance";
