//! `countersign denials` and `countersign report` over two replicas.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use countersign::diagnostics::{CountedConsumer, RefusedRequest};
use countersign::oauth::SignatureMethod;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::task::JoinSet;

use crate::api::bad_input::denial;
use crate::support::admin_server::{ADMIN_TOKEN, AdminServer};
use crate::support::leaks;

#[tokio::test(flavor = "multi_thread")]
async fn the_denials_of_all_replicas_are_listed_by_time() {
    let replicas = Replicas::start().await;
    let table = text(&replicas.run(&["denials"]).await);
    let rows: Vec<Vec<_>> = table
        .lines()
        .map(|line| line.split_whitespace().take(3).collect())
        .collect();
    let [here, there] = replicas.addresses();
    assert_eq!(rows[0], ["REPLICA", "TIME", "DECISION"]);
    let listed: Vec<_> = rows[1..].iter().map(|row| (row[0], row[2])).collect();
    assert_eq!(listed, [(&*there, "22"), (&*here, "11"), (&*there, "21")]);
    let json = json(
        &replicas
            .run(&["denials", "--output=json", "--limit=1"])
            .await,
    );
    let newest = (&json[0]["replica"], &json[0]["decision_id"]);
    assert_eq!(newest, (&there.as_str().into(), &"22".into()));
    assert_eq!(json.as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn denials_are_selected_by_time() {
    let replicas = Replicas::start().await;
    for (options, expected) in [
        (
            ["--since=1700000060", "--until=2030-01-01T00:00:00Z"],
            vec!["22", "11"],
        ),
        (
            ["--since=2023-11-14T22:13:20Z", "--until=1700000061"],
            vec!["11", "21"],
        ),
        (["--since=1700000121", "--until=10m"], vec![]),
    ] {
        let arguments = [&["denials", "--output=json"][..], &options].concat();
        let listed = json(&replicas.run(&arguments).await);
        let ids = listed.as_array().unwrap().iter();
        let ids: Vec<_> = ids.map(|denial| denial["decision_id"].clone()).collect();
        assert_eq!(ids, expected, "{options:?}");
    }
    let wrong = replicas.run(&["denials", "--since=yesterday"]).await;
    assert_eq!(wrong.status.code(), Some(64));
    assert!(error(&wrong).contains("--since"), "{}", error(&wrong));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_is_found_at_the_replica_that_has_it() {
    let replicas = Replicas::start().await;
    let [here, there] = replicas.addresses();
    for (id, replica) in [("11", here), ("22", there)] {
        let shown = text(&replicas.run(&["denials", id]).await);
        let line = format!("replica         {replica}");
        assert!(shown.lines().any(|shown| shown == line), "{shown}");
    }
    let missing = replicas.run(&["denials", "33"]).await;
    assert_eq!(missing.status.code(), Some(66));
    assert!(
        error(&missing).contains("no replica"),
        "{}",
        error(&missing)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_summed_over_the_replicas() {
    let replicas = Replicas::start().await;
    let [here, there] = replicas.addresses();
    let table = text(&replicas.run(&["report"]).await);
    let printer = table.lines().find(|line| line.starts_with("printer "));
    let printer = printer.unwrap_or_else(|| panic!("{table}"));
    assert!(
        printer.ends_with(&format!("{here} 1, {there} 2")),
        "{table}"
    );
    assert!(table.contains("Counts of 2 replicas:"), "{table}");
    let report = json(&replicas.run(&["report", "--output=json"]).await);
    assert_eq!(
        (&report[1]["consumer_key"], &report[1]["seen"]),
        (&"printer".into(), &3.into())
    );
    let of_there = &report[1]["replicas"][1];
    assert_eq!(
        (&of_there["replica"], &of_there["seen"]),
        (&there.as_str().into(), &2.into())
    );
    assert_eq!(report[0]["reasons"][0]["denied"], 2, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_does_not_answer_is_named() {
    let replicas = Replicas::start().await;
    let [here, there] = replicas.addresses();
    let servers = format!("{here},{UNREACHABLE},{there}");
    for arguments in [&["denials"][..], &["report"], &["denials", "11"]] {
        let partial = run(arguments, &[&servers]).await;
        // What was asked for was found, or it may be at the other replica.
        let expected = if arguments.len() == 2 { 0 } else { 75 };
        assert_eq!(
            partial.status.code(),
            Some(expected),
            "{arguments:?}: {partial:?}"
        );
        assert!(!partial.stdout.is_empty());
        assert!(error(&partial).contains(UNREACHABLE), "{}", error(&partial));
    }
    let failed = run(&["report"], &[UNREACHABLE, UNREACHABLE]).await;
    assert_eq!(failed.status.code(), Some(69), "{failed:?}");
    assert!(failed.stdout.is_empty(), "{failed:?}");
    let one = run(&["consumer", "list"], &[&here, &there]).await;
    assert_eq!(one.status.code(), Some(64));
    assert!(error(&one).contains("--server"), "{}", error(&one));
}

/// `localhost` has an address of IPv4, and often one of IPv6 too.
#[tokio::test(flavor = "multi_thread")]
async fn every_address_of_a_name_is_called() {
    let replicas = Replicas::start().await;
    let port = replicas.here.address.port();
    let name = format!("dns:///localhost:{port}");
    let table = text(&run(&["denials"], &[&name]).await);
    let row = format!("127.0.0.1:{port}");
    assert!(
        table
            .lines()
            .nth(1)
            .is_some_and(|line| line.starts_with(&row)),
        "{table}"
    );
    // A command that calls one server connects to one of the addresses.
    assert!(run(&["consumer", "list"], &[&name]).await.status.success());
    let unknown = run(&["denials"], &["dns:///unknown.invalid:50052"]).await;
    assert!(
        error(&unknown).contains("cannot resolve"),
        "{}",
        error(&unknown)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_denials_of_all_replicas_are_followed() {
    let replicas = Replicas::start().await;
    let [here, there] = replicas.addresses();
    let mut command = command(&["denials", "--follow"], &[&here, &there]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // The head is printed once both servers have accepted the call.
    let head = lines.next_line().await.unwrap().unwrap();
    assert!(head.starts_with("REPLICA "), "{head}");
    for (server, replica, id) in [
        (&replicas.here, &here, "12"),
        (&replicas.there, &there, "23"),
        (&replicas.here, &here, "13"),
    ] {
        server.diagnostics.record_refused(&denial(id));
        let line = lines.next_line().await.unwrap().unwrap();
        let cells: Vec<_> = line.split_whitespace().take(3).collect();
        assert_eq!((cells[0], cells[2]), (replica.as_str(), id), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_comes_back_is_followed_again_without_a_gap() {
    let replicas = Replicas::start().await;
    let [_, there] = replicas.addresses();
    let relay = Relay::start("127.0.0.1:0", replicas.here.address).await;
    let address = relay.address;
    let here = format!("http://{address}");
    let mut command = command(
        &["denials", "--follow", "--since=2023-11-14T22:13:20Z"],
        &[&here, &there],
    );
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut notes = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(
        lines
            .next_line()
            .await
            .unwrap()
            .unwrap()
            .starts_with("REPLICA ")
    );
    let mut before = Vec::new();
    for _ in 0..3 {
        let line = lines.next_line().await.unwrap().unwrap();
        before.push(line.split_whitespace().nth(2).unwrap().to_owned());
    }
    before.sort_unstable();
    assert_eq!(before, ["11", "21", "22"]);

    drop(relay);
    let lost = notes.next_line().await.unwrap().unwrap();
    assert!(lost.contains(&format!("lost replica {here}")), "{lost}");
    replicas.here.diagnostics.record_refused(&denial("12"));
    let _relay = Relay::start(&address.to_string(), replicas.here.address).await;
    let back = notes.next_line().await.unwrap().unwrap();
    assert_eq!(back, format!("watching replica {here}"));
    for id in ["12", "13"] {
        if id == "13" {
            replicas.here.diagnostics.record_refused(&denial(id));
        }
        let line = lines.next_line().await.unwrap().unwrap();
        assert_eq!(line.split_whitespace().nth(2), Some(id), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_comes_back_with_another_token_is_followed_with_that() {
    const LATER_TOKEN: &str = "another-horse-battery-staple";
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    private_file(&file, ADMIN_TOKEN);
    let before = AdminServer::start().await;
    let relay = Relay::start("127.0.0.1:0", before.address).await;
    let address = relay.address;
    let server = format!("http://{address}");
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    command
        .args(["denials", "--follow", "--since=2023-11-14T22:13:20Z"])
        .args(["--output=json", "--server", &server, "--token-file"])
        .arg(&file)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    before.diagnostics.record_refused(&denial("11"));
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut notes = BufReader::new(child.stderr.take().unwrap()).lines();
    let first = lines.next_line().await.unwrap().unwrap();
    assert!(first.contains("\"11\""), "{first}");

    private_file(&file, LATER_TOKEN);
    let after = AdminServer::start_with(LATER_TOKEN).await;
    after.clock.advance(Duration::from_secs(60));
    after.diagnostics.record_refused(&denial("12"));
    drop(relay);
    let lost = notes.next_line().await.unwrap().unwrap();
    assert!(lost.contains("lost replica"), "{lost}");
    let _relay = Relay::start(&address.to_string(), after.address).await;
    let back = notes.next_line().await.unwrap().unwrap();
    assert_eq!(back, format!("watching replica {server}"));
    let second = lines.next_line().await.unwrap().unwrap();
    assert!(second.contains("\"12\""), "{second}");
}

fn private_file(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    let private = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(path, private).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_is_down_at_first_is_followed_later() {
    let replicas = Replicas::start().await;
    let [here, _] = replicas.addresses();
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let late = format!("http://{address}");
    let mut command = command(&["denials", "--follow", "--output=json"], &[&here, &late]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut notes = BufReader::new(child.stderr.take().unwrap()).lines();
    let down = notes.next_line().await.unwrap().unwrap();
    assert!(
        down.contains(&format!("replica {late} did not answer")),
        "{down}"
    );
    let _relay = Relay::start(&address.to_string(), replicas.there.address).await;
    let up = notes.next_line().await.unwrap().unwrap();
    assert_eq!(up, format!("watching replica {late}"));
    replicas.there.diagnostics.record_refused(&denial("23"));
    let line = lines.next_line().await.unwrap().unwrap();
    let shown: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        (&shown["replica"], &shown["decision_id"]),
        (&late.into(), &"23".into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_is_named_twice_is_counted_once() {
    let replicas = Replicas::start().await;
    let [here, there] = replicas.addresses();
    let report = json(&run(&["report", "--output=json"], &[&here, &there, &here]).await);
    assert_eq!(report[1]["seen"], 3, "{report}");
}

/// Another address of a server; its connections end when it is dropped.
struct Relay {
    address: SocketAddr,
    _connections: JoinSet<()>,
}

impl Relay {
    async fn start(address: &str, server: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut connections = JoinSet::new();
        connections.spawn(async move {
            let mut accepted = JoinSet::new();
            loop {
                let (mut client, _) = listener.accept().await.unwrap();
                let mut server = TcpStream::connect(server).await.unwrap();
                accepted.spawn(async move {
                    copy_bidirectional(&mut client, &mut server).await.ok();
                });
            }
        });
        Self {
            address,
            _connections: connections,
        }
    }
}

/// Two replicas: here the denial 11, a minute after the denial 21 there and one before 22.
struct Replicas {
    here: AdminServer,
    there: AdminServer,
}

impl Replicas {
    async fn start() -> Self {
        let (here, there) = (AdminServer::start().await, AdminServer::start().await);
        let minute = Duration::from_secs(60);
        there.diagnostics.record_refused(&denial("21"));
        here.clock.advance(minute);
        here.diagnostics.record_refused(&denial("11"));
        there.clock.advance(2 * minute);
        there.diagnostics.record_refused(&RefusedRequest {
            reason: "nonce_used",
            ..denial("22")
        });
        let printer = CountedConsumer {
            key: "printer",
            name: "Printer",
        };
        for server in [&here, &there, &there] {
            let method = SignatureMethod::HmacSha1;
            server.diagnostics.record_allowed(printer, method);
        }
        Self { here, there }
    }

    fn addresses(&self) -> [String; 2] {
        [&self.here, &self.there].map(|server| format!("http://{}", server.address))
    }

    async fn run(&self, arguments: &[&str]) -> Output {
        let [here, there] = self.addresses();
        run(arguments, &[&here, &there]).await
    }
}

async fn run(arguments: &[&str], servers: &[&str]) -> Output {
    let output = command(arguments, servers).output().await.unwrap();
    leaks::errors_of(&output);
    output
}

fn command(arguments: &[&str], servers: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    command.args(arguments);
    for server in servers {
        command.arg(format!("--server={server}"));
    }
    command
        .env("COUNTERSIGN_ADMIN_TOKEN", ADMIN_TOKEN)
        .kill_on_drop(true);
    command
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{}", error(output));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_str(&text(output)).unwrap()
}

fn error(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// No server listens on this port.
const UNREACHABLE: &str = "http://127.0.0.1:1";
