//! Programs in other languages: a WSGI upstream, and clients from PyPI and npm.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use tokio::task;

use crate::support::process::{Process, installed, project};

/// `scripts/lib/upstream.py`; stops when dropped.
#[derive(Debug)]
pub(crate) struct WsgiUpstream {
    pub(crate) address: SocketAddr,
    #[expect(dead_code, reason = "ends the process when it is dropped")]
    process: Process,
}

impl WsgiUpstream {
    pub(crate) async fn start() -> Self {
        let mut process = Process::spawn(
            "upstream.py",
            Command::new("python3").arg(project("scripts/lib/upstream.py")),
        );
        let address = process
            .line(|line| line.strip_prefix("listening on ")?.parse().ok())
            .await;
        Self { address, process }
    }
}

/// Returns a script of `tests/clients/python`, with the packages that `scripts/test` installs.
pub(crate) fn python(script: &str) -> Command {
    let mut command = Command::new("python3");
    command
        .arg(project(&format!("tests/clients/python/{script}")))
        .env("PYTHONPATH", installed("target/python"));
    command
}

/// Returns a module of these packages.
pub(crate) fn python_module(module: &str) -> Command {
    let mut command = Command::new("python3");
    command
        .args(["-m", module])
        .env("PYTHONPATH", installed("target/python"));
    command
}

/// Returns a script of `tests/clients/node`, with the packages that `scripts/test` installs.
pub(crate) fn node(script: &str) -> Command {
    let mut command = Command::new("node");
    command
        .arg(project(&format!("tests/clients/node/{script}")))
        .env("PACKAGES", installed("target/npm/package.json"));
    command
}

/// Returns the browser that `scripts/test` installs.
pub(crate) fn chromium() -> PathBuf {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&paths)
        .map(|path| path.join("chromium"))
        .find(|path| path.exists());
    found.expect("chromium is missing: scripts/test installs it")
}

/// Panics unless `target/images` has the same pictures with that prefix as `docs/images`.
pub(crate) fn assert_pictures(prefix: &str) {
    let [made, shown] = ["target/images", "docs/images"].map(|directory| {
        let files = fs::read_dir(project(directory)).unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        let named = names.filter(|name| name.starts_with(prefix));
        named.collect::<BTreeSet<_>>()
    });
    assert_eq!(shown, made, "run scripts/screenshots");
}

/// Runs a script to its end, and returns its JSON output.
pub(crate) async fn run(mut command: Command) -> Value {
    let output = task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|problem| panic!("{problem}: {error}"))
}
