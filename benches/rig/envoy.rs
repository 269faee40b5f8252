//! A real Envoy with `deploy/envoy` that sends checks to one server and responds to requests
//! itself.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};

use crate::calls::{Account, SampleRequest};
use crate::load::{Answer, Call};
use crate::process::{Process, free_address};

/// A running Envoy.
pub(crate) struct Envoy {
    /// The address for clients.
    pub(crate) address: SocketAddr,
    #[expect(dead_code, reason = "ends the process when it is dropped")]
    process: Process,
}

impl Envoy {
    /// Starts an Envoy that sends checks to `server`, or none.
    pub(crate) fn start(program: &Path, dir: &Path, server: Option<SocketAddr>) -> Self {
        let address = free_address();
        // So that an overloaded server shows as latency, not as errors.
        let text = configuration(address, server)
            .replace(SHIPPED_TIMEOUT, "timeout: 20s")
            .replace(SHIPPED_ATTEMPT, "max_interval: 10s");
        Self::start_with(program, dir, address, &text)
    }

    /// Starts an Envoy that sends checks to `server`, with the shipped timeout.
    pub(crate) fn start_shipped(program: &Path, dir: &Path, server: SocketAddr) -> Self {
        let address = free_address();
        Self::start_with(program, dir, address, &configuration(address, Some(server)))
    }

    fn start_with(program: &Path, dir: &Path, address: SocketAddr, text: &str) -> Self {
        let path = dir.join(format!("envoy-{}.yaml", address.port()));
        fs::write(&path, text).unwrap();
        let mut command = Command::new(program);
        // One worker thread, since the generator, the server and Redis share the cores with it.
        command.args([
            "--disable-hot-restart",
            "--concurrency",
            "1",
            "--log-level",
            "warning",
            "--config-path",
        ]);
        let process = Process::start(
            command
                .arg(path)
                .stdout(Stdio::null())
                .stderr(Stdio::null()),
            address,
        );
        Self { address, process }
    }
}

/// Returns `deploy/envoy` with the changes for a measurement.
fn configuration(address: SocketAddr, server: Option<SocketAddr>) -> String {
    let check = server.unwrap_or_else(free_address);
    let mut text = fs::read_to_string("deploy/envoy/envoy.yaml").unwrap();
    let mut replace = |part: &str, by: &str| {
        assert_eq!(
            text.matches(part).count(),
            1,
            "deploy/envoy has `{part}` exactly once"
        );
        text = text.replace(part, by);
    };
    replace(
        "port_value: 10000 ",
        &format!("port_value: {} ", address.port()),
    );
    replace("port_value: 9901 ", "port_value: 0 ");
    replace(
        "port_value: 50051 ",
        &format!("port_value: {} ", check.port()),
    );
    // Envoy responds itself, so that no upstream is measured.
    let unchecked = if server.is_none() {
        ", typed_per_filter_config: *unchecked"
    } else {
        ""
    };
    replace(
        "              - match: { prefix: / }\n                route: { cluster: upstream }",
        &format!(
            "              - {{ match: {{ prefix: / }}, direct_response: {{ status: 200 }}{unchecked} }}"
        ),
    );
    for part in [SHIPPED_TIMEOUT, SHIPPED_ATTEMPT] {
        replace(part, part);
    }
    // Without health checks: the servers beside Countersign have no health service.
    let (before, rest) = text.split_once("    health_checks:\n").unwrap();
    let (_, after) = rest.split_once("  - name: countersign_http").unwrap();
    format!("{before}  - name: countersign_http{after}")
}

/// The timeouts in `deploy/envoy`: of a check, and of each attempt.
const SHIPPED_TIMEOUT: &str = "timeout: 0.45s";
const SHIPPED_ATTEMPT: &str = "max_interval: 0.2s";

/// A signed request that Envoy lets through.
pub(crate) struct SignedGet {
    target: String,
    authority: String,
    authorization: String,
}

impl SignedGet {
    /// Makes `count` requests to `address`, each with its own nonce.
    pub(crate) fn signed(address: SocketAddr, accounts: &[Account], count: usize) -> Vec<Self> {
        let (sample, authority) = (SampleRequest::default(), address.to_string());
        let signed = |account: &Account| Self {
            target: sample.target.clone(),
            authority: authority.clone(),
            authorization: sample.authorization(&account.signer(), &authority),
        };
        accounts.iter().cycle().take(count).map(signed).collect()
    }
}

impl Call for SignedGet {
    fn into_request(self) -> (Request<()>, Bytes) {
        let request = Request::get(format!("http://{}{}", self.authority, self.target))
            .header("authorization", self.authorization)
            .header("user-agent", "partner-client/4.2 (linux; x86_64)")
            .header("accept", "application/json")
            .body(());
        (request.unwrap(), Bytes::new())
    }

    fn judge(status: StatusCode, _trailers: &HeaderMap, _body: &[u8]) -> Answer {
        match status {
            StatusCode::OK => Answer::Allowed,
            status if status.is_client_error() => Answer::Denied,
            _ => Answer::Failed,
        }
    }
}
