//! Reloads under load: a changed route, new certificates and new master keys, and no request fails.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::sleep;

use crate::support::certificates::Certificates;
use crate::support::envoy::{Deadlines, NEWEST, OLDEST, Shape, replace_once};
use crate::support::http::Request;
use crate::support::load::{Load, callers};
use crate::support::process::{START, eventually, project};
use crate::support::program::new_master_key;
use crate::support::stack::{Parts, Stack, StoreKind, config};

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_route_costs_no_request() {
    for version in [NEWEST, OLDEST] {
        let parts = parts(version);
        let stack = Stack::start_in(&BY_SIGNAL, parts).await;
        let load = load(&stack).await;
        for (round, realm) in ["one", "two", "three", "four"].into_iter().enumerate() {
            let route = format!("\n[[route]]\npath_prefix = \"/changed\"\nrealm = \"{realm}\"\n");
            stack.countersign.configure(&(config(parts) + &route));
            stack.countersign.reload(round as u64 + 1).await;
            let unsigned = stack.send(&Request::get("/changed")).await;
            let challenge = unsigned.header("www-authenticate").unwrap();
            let expected = format!("OAuth realm=\"{realm}\"");
            assert!(challenge.starts_with(&expected), "{version}: {challenge}");
        }
        let sent = load.stop().await;
        assert_eq!(sent.refused, 0, "{version}: {sent:?}");
    }
}

/// The certificates of two authorities alternate, and connections live for a second.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_certificate_costs_no_request() {
    for version in [NEWEST, OLDEST] {
        let (first, second) = (Certificates::create(), Certificates::create());
        let both = first.text("ca.pem") + &second.text("ca.pem");
        let trusted = first.file("both.pem", &both);
        let (certificate, key) = first.issue(&["dns:envoy.example.com"]);
        let envoy = [
            ("/etc/envoy/tls.pem", first.file("envoy.pem", &certificate)),
            ("/etc/envoy/tls-key.pem", first.file("envoy.key", &key)),
            ("/etc/envoy/ca.pem", trusted.clone()),
        ];
        let path = |name: &str| first.path(name).display().to_string();
        let (in_use, key_in_use) = (path("in-use.pem"), path("in-use.key"));
        let clients = path("both.pem");
        let variables = [
            BY_SIGNAL[0],
            ("COUNTERSIGN_CHECK__MAX_CONNECTION_AGE", "1s"),
            ("COUNTERSIGN_CHECK__TLS__CERTIFICATE_FILE", &*in_use),
            ("COUNTERSIGN_CHECK__TLS__KEY_FILE", &*key_in_use),
            ("COUNTERSIGN_CHECK__TLS__CLIENT_CA_FILE", &*clients),
        ];
        let offer = |authority: &Certificates| {
            let (certificate, key) = authority.issue(&["dns:countersign.example.com"]);
            first.file("in-use.pem", &certificate);
            first.file("in-use.key", &key);
        };
        offer(&first);
        let tls = cluster_tls(&envoy);
        let with_tls = |text: String| {
            let at = "    load_assignment:\n      cluster_name: countersign\n";
            replace_once(&text, at, &format!("{tls}{at}"))
        };
        let stack = Stack::start_edited(&variables, parts(version), with_tls).await;
        let load = load(&stack).await;
        for (round, authority) in [&second, &first, &second].into_iter().enumerate() {
            offer(authority);
            stack.countersign.reload(round as u64 + 1).await;
            let ended = stack.countersign.metric(ENDED_AT_THEIR_AGE).await;
            eventually("Envoy has new connections", START, async || {
                let now = stack.countersign.metric(ENDED_AT_THEIR_AGE).await;
                (now >= ended + 3).then_some(())
            })
            .await;
        }
        let sent = load.stop().await;
        assert_eq!(sent.refused, 0, "{version}: {sent:?}");
        let handshakes = stack.envoy.counter("cluster.countersign.ssl.handshake");
        assert!(
            handshakes.await >= 6,
            "{version}: Envoy kept its connections"
        );
    }
}

/// As docs/operations.md says: the new key is added, used, and the old one removed after `rekey`.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_master_key_costs_no_request() {
    for store in [StoreKind::Embedded, StoreKind::Redis] {
        let parts = Parts {
            store,
            ..parts(NEWEST)
        };
        let stack = Stack::start_in(&BY_SIGNAL, parts).await;
        let load = load(&stack).await;
        let countersign = &stack.countersign;
        let file = countersign.master_key_file();
        let (old, new) = (fs::read_to_string(&file).unwrap(), new_master_key());
        for (round, keys) in [format!("{old}{new}"), format!("{new}{old}")]
            .iter()
            .enumerate()
        {
            fs::write(&file, keys).unwrap();
            countersign.reload(round as u64 + 1).await;
        }
        countersign.admin_text(&["rekey"]).await;
        fs::write(&file, &new).unwrap();
        countersign.reload(3).await;
        // The records are read again, now without the old key.
        sleep(CACHED).await;
        let sent = load.stop().await;
        assert_eq!(sent.refused, 0, "{store:?}: {sent:?}");
    }
}

async fn load(stack: &Stack) -> Load {
    let callers = callers(&stack.alice, &stack.countersign).await;
    Load::start(stack.envoy.address, &callers)
}

fn parts(envoy: &'static str) -> Parts {
    Parts {
        envoy,
        shape: Shape::Deploy,
        store: StoreKind::Embedded,
        deadlines: Deadlines::Patient,
    }
}

/// Files are read again only at SIGHUP, so that a test can count the reloads.
const BY_SIGNAL: [(&str, &str); 2] = [
    ("COUNTERSIGN_RELOAD__INTERVAL", "0s"),
    ("COUNTERSIGN_CACHE__MAX_AGE", "1s"),
];

/// Returns the TLS settings of Envoy's cluster as docs/operations.md shows them, with files of the
/// test.
fn cluster_tls(files: &[(&str, PathBuf)]) -> String {
    let page = fs::read_to_string(project("docs/operations.md")).unwrap();
    let (_, after) = page
        .split_once("and in Envoy's cluster `countersign`:\n\n")
        .unwrap();
    let (shown, _) = after.split_once("\n\n").unwrap();
    let with_file = |text: String, (shown, file): &(&str, PathBuf)| {
        replace_once(&text, shown, &file.display().to_string())
    };
    files.iter().fold(format!("{shown}\n"), with_file)
}

/// Longer than `cache.max_age` in these tests.
const CACHED: Duration = Duration::from_secs(2);

const ENDED_AT_THEIR_AGE: &str =
    r#"countersign_connections_closed_total{listener="check",reason="age"}"#;
