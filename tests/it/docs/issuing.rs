//! `docs/issuing.md`: its shell commands run in order, as written, and each succeeds.

use std::fs;
use std::net::SocketAddr;
use std::process::{Command, Output};

use tokio::task;

use crate::support::process::{Process, project};
use crate::support::program::{listening, program};

#[tokio::test(flavor = "multi_thread")]
async fn every_command_of_the_page_works_as_pasted() {
    let page = fs::read_to_string(project("docs/issuing.md")).unwrap();
    let blocks = blocks(&page, "sh");
    assert!(blocks.len() > 10, "{} blocks", blocks.len());
    let home = tempfile::tempdir().unwrap();
    let mut serve = program();
    serve.args([
        "serve",
        "--check=127.0.0.1:0",
        "--api=127.0.0.1:0",
        "--http=127.0.0.1:0",
        "--ops=127.0.0.1:0",
    ]);
    serve
        .current_dir(home.path())
        .env("COUNTERSIGN_LOG__JSON", "true");
    let mut server = Process::spawn("countersign", &mut serve);
    let [_, api, http] = addresses(&mut server).await;

    let script = format!(
        "set -e\n{}\n{}",
        there(api),
        blocks
            .join("\n")
            .replace("127.0.0.1:8080", &http.to_string())
    );
    let mut bash = Command::new("bash");
    bash.args(["-c", &script]).current_dir(home.path());
    let output = task::spawn_blocking(move || bash.output().unwrap())
        .await
        .unwrap();
    assert!(output.status.success(), "{}", both(&output));
    let printed = String::from_utf8(output.stdout).unwrap();
    for expected in [
        "curl ",
        "oauth_token=",
        "\nalice\n",
        "https://printer.example.com/done?oauth_token=",
        "active ",
    ] {
        assert!(
            printed.contains(expected),
            "{expected:?} is not in\n{printed}"
        );
    }
}

/// Returns the fenced blocks of a language on a page.
pub(crate) fn blocks(page: &str, language: &str) -> Vec<String> {
    let begin = format!("```{language}\n");
    let after = page.split(&begin).skip(1);
    after
        .map(|block| block.split("```").next().unwrap().to_owned())
        .collect()
}

/// Defines the program as a shell function with the addresses of this server, so that the commands
/// run as written.
pub(crate) fn there(api: SocketAddr) -> String {
    let program = env!("CARGO_BIN_EXE_countersign");
    format!(
        "countersign() {{ case $1 in sign) '{program}' \"$@\" ;; *) '{program}' \"$@\" --server http://{api} ;; esac; }}"
    )
}

async fn addresses(server: &mut Process) -> [SocketAddr; 3] {
    let check = server.line(|line| listening(line, "check")).await;
    let api = server.line(|line| listening(line, "api")).await;
    let http = server.line(|line| listening(line, "http")).await;
    [check, api, http]
}

fn both(output: &Output) -> String {
    format!(
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
