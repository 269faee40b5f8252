//! A real Envoy, as `deploy/envoy` configures it, that asks one server and answers requests itself.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use http::{HeaderMap, Request, StatusCode};

use bytes::Bytes;

use crate::calls::{Account, Question};
use crate::load::{Answer, Call};
use crate::process::{Process, free_address};

/// A running Envoy.
pub(crate) struct Envoy {
    /// Where clients connect.
    pub(crate) address: SocketAddr,
    #[expect(dead_code, reason = "ends the process when it is dropped")]
    process: Process,
}

impl Envoy {
    /// Starts one that asks `server` about every request, or nobody.
    pub(crate) fn start(program: &Path, dir: &Path, server: Option<SocketAddr>) -> Self {
        let address = free_address();
        let path = dir.join(format!("envoy-{}.yaml", address.port()));
        fs::write(&path, configuration(address, server)).unwrap();
        let mut command = Command::new(program);
        // One worker thread: with the generator, the server and Redis it shares few cores.
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

/// `deploy/envoy`, with what a measurement needs otherwise.
fn configuration(address: SocketAddr, server: Option<SocketAddr>) -> String {
    let check = server.unwrap_or_else(free_address);
    let mut text = fs::read_to_string("deploy/envoy/envoy.yaml").unwrap();
    let mut replace = |stands: &str, by: &str| {
        assert_eq!(
            text.matches(stands).count(),
            1,
            "`{stands}` stands once in deploy/envoy"
        );
        text = text.replace(stands, by);
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
    // Nothing behind it: what an upstream takes is no part of this.
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
    // A server that is overloaded shows as latency, not as errors.
    replace("timeout: 0.25s", "timeout: 10s");
    // The servers that Countersign is compared with have no health service.
    let (before, rest) = text
        .split_once("    # Takes a replica that drains")
        .unwrap();
    let (_, after) = rest.split_once("  - name: countersign_http").unwrap();
    format!("{before}  - name: countersign_http{after}")
}

/// A request that Envoy is to let through.
pub(crate) struct Get {
    target: String,
    authority: String,
    authorization: String,
}

impl Get {
    /// `count` requests for `address`, each signed with a nonce of its own.
    pub(crate) fn signed(address: SocketAddr, accounts: &[Account], count: usize) -> Vec<Self> {
        let (question, authority) = (Question::default(), address.to_string());
        let signed = |account: &Account| Self {
            target: question.target.clone(),
            authority: authority.clone(),
            authorization: question.authorization(&account.signer(), &authority),
        };
        accounts.iter().cycle().take(count).map(signed).collect()
    }
}

impl Call for Get {
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
