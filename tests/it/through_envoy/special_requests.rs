//! The requests of `docs/migrating.md` that are signed in an unusual way, or not at all: CORS
//! preflight, websockets and HEAD.

use std::fs;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::docs::issuing::blocks;
use crate::docs::migrating_traffic::routes_of_the_page;
use crate::support::envoy::{Deadlines, NEWEST, Shape, replace_once};
use crate::support::http::{Request, Response};
use crate::support::process::{START, project};
use crate::support::stack::{Parts, Stack, StoreKind, config};

/// One stack for all of them, with the settings of the page.
#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_right_about_preflight_websockets_and_head() {
    let environment = [("COUNTERSIGN_RELOAD__INTERVAL", "0s")];
    let stack = Stack::start_edited(&environment, PARTS, with_the_settings_of_the_page).await;
    a_preflight_is_answered_by_the_cors_filter(&stack).await;
    the_rule_lets_the_backend_answer_a_preflight(&stack).await;
    a_websocket_is_opened_by_a_signed_get(&stack).await;
    a_head_is_signed_as_head(&stack).await;
}

async fn a_preflight_is_answered_by_the_cors_filter(stack: &Stack) {
    let allowed = |response: &Response| {
        let name = "access-control-allow-origin";
        response.header(name).map(str::to_owned)
    };
    let answered = stack.send(&preflight(SITE)).await;
    assert_eq!(answered.status, 200, "{answered:?}");
    assert_eq!(allowed(&answered).as_deref(), Some(SITE));
    assert_eq!(stack.upstream.received().len(), 0);

    let unsigned = Request::get("/orders").with("Origin", SITE);
    let denied = stack.denies(&unsigned, 401, "parameter_absent").await;
    assert_eq!(allowed(&denied).as_deref(), Some(SITE), "{denied:?}");

    let other = preflight(OTHER_SITE);
    let denied = stack.denies(&other, 401, "parameter_absent").await;
    assert_eq!(allowed(&denied), None);
}

async fn the_rule_lets_the_backend_answer_a_preflight(stack: &Stack) {
    let [rule] = routes_of_the_page("[[route]]\npath_prefix = \"/orders\"\nmethods = ");
    stack
        .countersign
        .configure(&format!("{}\n{rule}", config(PARTS)));
    stack.countersign.reload(1).await;
    let received = stack.allows(&preflight(OTHER_SITE)).await;
    assert_eq!(received.header("x-anonymous-consumer"), Some("true"));
    let unsigned = Request::get("/orders").with("Origin", OTHER_SITE);
    stack.denies(&unsigned, 401, "parameter_absent").await;
}

async fn a_websocket_is_opened_by_a_signed_get(stack: &Stack) {
    let handshake = Request::get("/orders/live?room=a%20b")
        .with("Upgrade", "websocket")
        .with("Sec-WebSocket-Version", "13")
        .with("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    let signing = || stack.alice.signing();
    let (response, _) = open(stack, &signing().in_query(&handshake)).await;
    assert_eq!(response.status, 101, "{response:?}");
    let (response, mut socket) = open(stack, &signing().in_header(&handshake)).await;
    assert_eq!(response.status, 101, "{response:?}");
    for received in stack.upstream.received() {
        assert_eq!(received.header("x-authenticated-userid"), Some("alice"));
    }

    echo(&mut socket, "a frame that nobody signed").await;
    let consumer = stack.alice.consumer_key.as_str();
    stack
        .countersign
        .admin(&["consumer", "disable", consumer])
        .await;
    let (response, _) = open(stack, &signing().in_header(&handshake)).await;
    assert_eq!(response.status, 401, "{response:?}");
    echo(&mut socket, "a frame after the end of the credentials").await;
    stack
        .countersign
        .admin(&["consumer", "enable", consumer])
        .await;

    let (response, _) = open(stack, &handshake).await;
    assert_eq!(response.status, 401, "{response:?}");
    assert_eq!(stack.upstream.received().len(), 0);
    let limited = Request {
        target: "/limited".to_owned(),
        ..handshake
    };
    let (response, mut socket) = open(stack, &signing().in_header(&limited)).await;
    assert_eq!(response.status, 101, "{response:?}");
    let ended = timeout(START, socket.read_u8()).await.unwrap();
    assert!(ended.is_err(), "max_stream_duration ends the connection");
    stack.upstream.received();
}

async fn a_head_is_signed_as_head(stack: &Stack) {
    let head = Request::new("HEAD", "/photos");
    let response = stack.send(&stack.alice.sign(&head)).await;
    assert_eq!(response.status, 200, "{response:?}");
    assert_eq!(stack.upstream.received()[0].method, "HEAD");

    let as_get = Request {
        method: "HEAD".to_owned(),
        ..stack.alice.sign(&Request::get("/photos"))
    };
    let denied = stack.send(&as_get).await;
    assert_eq!((denied.status, denied.body.as_str()), (401, ""));
    let challenge = denied.header("www-authenticate").unwrap();
    assert!(
        challenge.contains("oauth_problem=\"signature_invalid\""),
        "{challenge}"
    );
    let decision = denied.header("x-countersign-decision-id").unwrap();
    let found = stack.countersign.admin_text(&["denials", decision]).await;
    assert!(found.contains(decision), "{found}");
}

/// Sends a handshake; returns the response and the connection.
async fn open(stack: &Stack, handshake: &Request) -> (Response, TcpStream) {
    let mut stream = TcpStream::connect(stack.envoy.address).await.unwrap();
    let text = String::from_utf8(handshake.to_bytes()).unwrap();
    let text = replace_once(&text, "Connection: close", "Connection: Upgrade");
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    (Response::parse(&head), stream)
}

/// Sends bytes, which must come back.
async fn echo(socket: &mut TcpStream, text: &str) {
    socket.write_all(text.as_bytes()).await.unwrap();
    let mut echoed = vec![0; text.len()];
    socket.read_exact(&mut echoed).await.unwrap();
    assert_eq!(String::from_utf8(echoed).unwrap(), text);
}

fn preflight(site: &str) -> Request {
    Request::new("OPTIONS", "/orders")
        .with("Origin", site)
        .with("Access-Control-Request-Method", "POST")
        .with("Access-Control-Request-Headers", "authorization")
}

/// Adds the settings of the page to the configuration of `deploy/envoy`.
fn with_the_settings_of_the_page(envoy: String) -> String {
    let page = fs::read_to_string(project("docs/migrating.md")).unwrap();
    let yaml = blocks(&page, "yaml");
    let [filter, policy] = &yaml[..] else {
        panic!("{yaml:?}")
    };
    let upgrade = "upgrade_configs: [{ upgrade_type: websocket }]";
    assert!(page.contains(&format!("`{upgrade}`")));
    [
        ("          stat_prefix: api\n", upgrade),
        ("          http_filters:\n", filter),
        ("              domains: [\"*\"]\n", policy),
        ("              routes:\n", LIMITED),
    ]
    .into_iter()
    .fold(envoy, |envoy, (after, lines)| insert(&envoy, after, lines))
}

/// Inserts lines after a line, with its indentation.
fn insert(text: &str, after: &str, lines: &str) -> String {
    let indentation = &after[..after.len() - after.trim_start().len()];
    let lines: String = lines
        .lines()
        .map(|line| format!("{indentation}{line}\n"))
        .collect();
    replace_once(text, after, &format!("{after}{lines}"))
}

const PARTS: Parts = Parts {
    envoy: NEWEST,
    shape: Shape::Deploy,
    store: StoreKind::Embedded,
    deadlines: Deadlines::Patient,
};

/// A route that limits the duration of a connection.
const LIMITED: &str = "- match: { prefix: /limited }
  route: { cluster: upstream, max_stream_duration: { max_stream_duration: 0.5s } }
";

/// The site in the policy of the page, and another one.
const SITE: &str = "https://app.example.com";
const OTHER_SITE: &str = "https://evil.example.net";
