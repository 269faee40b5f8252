//! `docs/migrating.md` followed step by step and back, as written, while callers send requests
//! through a real Envoy to a backend that verifies signatures itself: no request fails.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::caller::Caller;
use crate::support::envoy::{Deadlines, Envoy, NEWEST, Peers, Shape};
use crate::support::http::Request;
use crate::support::load::Load;
use crate::support::process::{Process, project};
use crate::support::program::Countersign;
use crate::support::scripted::python;

#[tokio::test(flavor = "multi_thread")]
async fn every_step_of_the_page_and_back_costs_no_request() {
    let [shadow, handed_over, enforced] = routes_of_the_page(ROUTE);
    let callers = [caller("Printer"), caller("Scanner")];
    let backend = VerifyingBackend::start(&callers).await;
    let mut migration = Migration::start(&backend, &shadow, &callers).await;
    let load = Load::start_on(PATH, migration.envoy.address, &callers);

    let steps = [
        (Step::Route(&shadow), true, false),
        (Step::Route(&handed_over), true, false),
        (Step::Backend(TRUST), true, true),
        (Step::Route(&enforced), false, true),
        (Step::Route(&handed_over), true, true),
        (Step::Backend(VERIFY), true, false),
        (Step::Route(&shadow), true, false),
    ];
    for (number, (step, has_credentials, trusts)) in steps.into_iter().enumerate() {
        match step {
            Step::Route(route) => migration.reload(route).await,
            Step::Backend(mode) => backend.set(mode),
        }
        load.has_responses(10).await;
        let seen = migration.ask(&callers[0]).await;
        let expected = json!({
            "caller": "Printer", "trusts": trusts, "has_credentials": has_credentials,
        });
        assert_eq!(seen, expected, "step {number}");
    }
    let sent = load.stop().await;
    assert_eq!(sent.refused, 0, "{sent:?}");

    // The step that the guide warns of: enforce, while the backend still verifies.
    migration.reload(&enforced).await;
    let signed = callers[0].sign(&Request::get(PATH));
    let refused = signed.send(migration.envoy.address).await;
    let expected = json!({ "caller": null, "trusts": false, "has_credentials": false });
    assert_eq!((refused.status, refused.json()), (401, expected));
}

/// One step of the guide.
enum Step<'a> {
    /// A rule of Countersign.
    Route(&'a str),
    /// The verifier in the backend, restored or removed.
    Backend(&'a str),
}

/// Envoy and Countersign in front of the backend.
struct Migration {
    countersign: Countersign,
    envoy: Envoy,
    reloads: u64,
}

impl Migration {
    async fn start(backend: &VerifyingBackend, route: &str, callers: &[Caller]) -> Self {
        let environment = [("COUNTERSIGN_RELOAD__INTERVAL", "0s")];
        let config = format!("{CONFIG}{route}");
        let countersign = Countersign::start_in(&environment, "memory:", &config).await;
        let peers = Peers {
            countersign: countersign.check,
            http: countersign.http,
            upstream: backend.address,
            deadlines: Deadlines::Patient,
        };
        let envoy = Envoy::start(NEWEST, Shape::Deploy, peers).await;
        for caller in callers {
            import(&countersign, caller).await;
        }
        Self {
            countersign,
            envoy,
            reloads: 0,
        }
    }

    /// Replaces the rule of the route, and returns when Countersign has it.
    async fn reload(&mut self, route: &str) {
        self.countersign.configure(&format!("{CONFIG}{route}"));
        self.reloads += 1;
        self.countersign.reload(self.reloads).await;
    }

    /// Sends one request, which must pass, and returns the backend's view of it.
    async fn ask(&self, caller: &Caller) -> Value {
        let signed = caller.sign(&Request::get(PATH));
        let response = signed.send(self.envoy.address).await;
        assert_eq!(response.status, 200, "{response:?}");
        response.json()
    }
}

/// Creates a consumer with the credentials that it has already.
async fn import(countersign: &Countersign, caller: &Caller) {
    let credentials = [
        "--consumer-key",
        &caller.consumer_key,
        "--consumer-secret",
        &caller.consumer_secret,
    ];
    let name = format!("--name={}", caller.consumer_key);
    let create = ["consumer", "create", &name];
    countersign
        .admin(&[&create[..], &credentials].concat())
        .await;
}

fn caller(key: &str) -> Caller {
    Caller {
        consumer_key: key.to_owned(),
        consumer_secret: format!("{key}-kd94hf93k423kf44"),
        token: None,
    }
}

/// `tests/clients/python/verifying_backend.py`; stops when dropped.
struct VerifyingBackend {
    address: SocketAddr,
    mode: PathBuf,
    #[expect(dead_code, reason = "ends the process when it is dropped")]
    process: Process,
    #[expect(dead_code, reason = "removes the directory when it is dropped")]
    directory: TempDir,
}

impl VerifyingBackend {
    /// Starts the backend; it verifies.
    async fn start(callers: &[Caller]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mode = directory.path().join("mode");
        fs::write(&mode, VERIFY).unwrap();
        let secret =
            |caller: &Caller| (caller.consumer_key.clone(), caller.consumer_secret.clone());
        let secrets: BTreeMap<_, _> = callers.iter().map(secret).collect();
        let mut command = python("verifying_backend.py");
        command.arg(json!({ "secrets": secrets, "mode": mode }).to_string());
        let mut process = Process::spawn("verifying_backend.py", &mut command);
        let address = process
            .line(|line| line.strip_prefix("listening on ")?.parse().ok())
            .await;
        Self {
            address,
            mode,
            process,
            directory,
        }
    }

    fn set(&self, mode: &str) {
        fs::write(&self.mode, mode).unwrap();
    }
}

/// Returns the rules on the page that begin with these lines, in order and without indentation.
pub(crate) fn routes_of_the_page<const N: usize>(begin: &str) -> [String; N] {
    let page = fs::read_to_string(project("docs/migrating.md")).unwrap();
    let blocks = page.split("\n\n").map(|block| {
        let lines: Vec<_> = block.lines().map(str::trim_start).collect();
        lines.join("\n") + "\n"
    });
    let routes: Vec<_> = blocks.filter(|block| block.starts_with(begin)).collect();
    routes.try_into().unwrap()
}

const ROUTE: &str = "[[route]]\npath_prefix = \"/orders\"\nmode = ";

const CONFIG: &str = r#"
check.timeout = "5s"
check.envoy_sends_whole_bodies = true
nonce.trust_envoy_request_id = true

"#;

const PATH: &str = "/orders/7?size=a%20b";

/// The modes of the backend.
const VERIFY: &str = "verify";
const TRUST: &str = "trust";
