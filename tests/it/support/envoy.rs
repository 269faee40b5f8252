//! A real Envoy, as `scripts/test` downloads it.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::http::{Request, Response};
use crate::support::process::{Process, START, eventually, installed, project};

/// A running Envoy; stops when dropped.
#[derive(Debug)]
pub(crate) struct Envoy {
    /// The address of its listener.
    pub(crate) address: SocketAddr,
    admin: SocketAddr,
    #[expect(dead_code, reason = "ends the process when it is dropped")]
    process: Process,
    directory: TempDir,
}

/// A kind of configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// `deploy/envoy`: raw headers, the body as bytes, the path as sent, rules in
    /// `context_extensions`.
    Deploy,
    /// As Istio and Envoy Gateway generate it: joined headers, the body as text, the path
    /// normalized, no rules.
    Gateway,
    /// The network filter of a TCP listener, which does not parse HTTP.
    Tcp,
}

/// The addresses that Envoy connects to, and its timeout.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peers {
    pub(crate) countersign: SocketAddr,
    /// The http listener of Countersign, for tokens.
    pub(crate) http: SocketAddr,
    pub(crate) upstream: SocketAddr,
    pub(crate) deadlines: Deadlines,
}

/// Envoy's timeout for a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deadlines {
    /// As in the shipped file.
    Shipped,
    /// Long enough for a busy machine.
    Patient,
}

// === impl Envoy ===

impl Envoy {
    /// Starts the Envoy of a version, and returns when it accepts requests.
    pub(crate) async fn start(version: &str, shape: Shape, peers: Peers) -> Self {
        Self::start_as(version, &shape.configuration(peers)).await
    }

    /// Starts an Envoy with a configuration of the test.
    pub(crate) async fn start_as(version: &str, configuration: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (config, admin_path) = (
            directory.path().join("envoy.yaml"),
            directory.path().join("admin"),
        );
        fs::write(&config, configuration).unwrap();
        let mut command = Command::new(binary(version));
        command.args([
            "--disable-hot-restart",
            "--concurrency",
            "2",
            "--log-level",
            "warning",
        ]);
        command
            .args(["--file-flush-interval-msec", "50", "--config-path"])
            .arg(&config);
        let access_log = fs::File::create(directory.path().join(ACCESS_LOG)).unwrap();
        command.arg("--admin-address-path").arg(&admin_path);
        let process = Process::spawn_with_output("envoy", &mut command, access_log.into());
        let admin = eventually("Envoy's admin address", START, async || {
            fs::read_to_string(&admin_path)
                .ok()
                .and_then(|address| address.parse().ok())
        });
        let admin = admin.await;
        eventually("Envoy is ready", START, async || {
            (get(admin, "/ready").await.status == 200).then_some(())
        })
        .await;
        let listeners = get(admin, "/listeners?format=json").await.json();
        let socket = &listeners["listener_statuses"][0]["local_address"]["socket_address"];
        let address = format!("127.0.0.1:{}", socket["port_value"])
            .parse()
            .unwrap();
        Self {
            address,
            admin,
            process,
            directory,
        }
    }

    /// Returns the first line of the access log, once it is written.
    pub(crate) async fn access_logged(&self) -> Value {
        let file = self.directory.path().join(ACCESS_LOG);
        let line = eventually("a line in the access log", START, async || {
            fs::read_to_string(&file)
                .unwrap()
                .split_once('\n')
                .map(|(first, _)| first.to_owned())
        });
        serde_json::from_str(&line.await).unwrap()
    }

    /// Returns one of Envoy's counters or gauges.
    pub(crate) async fn counter(&self, name: &str) -> u64 {
        let stats = get(self.admin, &format!("/stats?format=json&filter=^{name}$"))
            .await
            .json();
        let value = stats["stats"]
            .as_array()
            .and_then(|stats| stats.first())
            .map(|stat| &stat["value"]);
        value
            .and_then(Value::as_u64)
            .unwrap_or_else(|| panic!("Envoy does not count {name}"))
    }
}

/// Returns the path of the program.
pub(crate) fn binary(version: &str) -> PathBuf {
    installed(&format!("target/envoy/{version}/envoy"))
}

const ACCESS_LOG: &str = "access.log";

async fn get(admin: SocketAddr, target: &str) -> Response {
    Request::get(target).send(admin).await
}

/// The newest version, which scripts/demo runs.
pub(crate) const NEWEST: &str = "1.40.0";

/// The oldest supported version.
pub(crate) const OLDEST: &str = "1.36.2";

// === impl Shape ===

impl Shape {
    pub(crate) const ALL: [Self; 3] = [Self::Deploy, Self::Gateway, Self::Tcp];

    /// Returns the configuration file.
    pub(crate) fn file(self) -> PathBuf {
        project(match self {
            Self::Deploy => "deploy/envoy/envoy.yaml",
            Self::Gateway => "tests/it/support/envoy/gateway.yaml",
            Self::Tcp => "tests/it/support/envoy/tcp.yaml",
        })
    }

    /// Returns the configuration with the ports of a test. Envoy chooses its own ports, so that
    /// tests do not collide.
    pub(crate) fn configuration(self, peers: Peers) -> String {
        let ports = [
            (10000, 0),
            (9901, 0),
            (50051, peers.countersign.port()),
            (8000, peers.upstream.port()),
        ];
        let text = ports.into_iter().fold(
            fs::read_to_string(self.file()).unwrap(),
            |text, (stands, real)| {
                replace_once(
                    &text,
                    &format!("port_value: {stands} "),
                    &format!("port_value: {real} "),
                )
            },
        );
        let text = match self {
            Self::Deploy => replace_once(
                &text,
                "port_value: 8080 ",
                &format!("port_value: {} ", peers.http.port()),
            ),
            Self::Gateway | Self::Tcp => text,
        };
        match (self, peers.deadlines) {
            (Self::Deploy, Deadlines::Patient) => {
                PATIENT.into_iter().fold(text, |text, (shipped, long)| {
                    replace_once(&text, shipped, long)
                })
            }
            _ => text,
        }
    }
}

/// Adds endpoints for more replicas to a configuration of `deploy/envoy`.
pub(crate) fn with_replicas(text: &str, first: SocketAddr, more: &[SocketAddr]) -> String {
    let endpoint = |address: &SocketAddr| {
        let port = address.port();
        format!(
            "        - endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }} }}\n"
        )
    };
    let more: String = more.iter().map(endpoint).collect();
    let first = endpoint(&first);
    replace_once(text, &first, &format!("{first}{more}"))
}

/// The timeouts of the check in `deploy/envoy`: of both attempts, and of each.
const PATIENT: [(&str, &str); 2] = [
    ("timeout: 0.45s", "timeout: 20s"),
    ("max_interval: 0.2s", "max_interval: 10s"),
];

pub(crate) fn replace_once(text: &str, stands: &str, real: &str) -> String {
    assert_eq!(
        text.matches(stands).count(),
        1,
        "{stands} stands there once"
    );
    text.replace(stands, real)
}
