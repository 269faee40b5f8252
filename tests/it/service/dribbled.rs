//! Bodies that come byte by byte: no reader keeps the buffer of each network read, so that memory
//! stays in proportion to the bytes that were sent.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use h2::SendStream;
use http::Request;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::support::program::Countersign;

#[tokio::test(flavor = "multi_thread")]
async fn the_http_listener_pins_no_network_buffers() {
    let countersign = Countersign::start("memory:", "").await;
    for path in [
        "/oauth/request_token",
        "/oauth/access_token",
        "/oauth/authorize",
    ] {
        dribble(&countersign, countersign.http, path).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ops_listener_pins_no_network_buffers() {
    let countersign = Countersign::start("memory:", "").await;
    dribble(&countersign, countersign.ops, "/console/login").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_check_listener_pins_no_network_buffers() {
    let countersign = Countersign::start("memory:", "check.timeout = \"10s\"").await;
    let path = "/envoy.service.auth.v3.Authorization/Check";
    dribble_frames(&countersign, countersign.check, path, "none").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_listener_pins_no_network_buffers() {
    let countersign = Countersign::start("memory:", "").await;
    let path = "/countersign.v1.ConsumerService/CreateConsumer";
    let token = format!("Bearer {}", countersign.admin_token());
    for authorization in ["none", &token] {
        dribble_frames(&countersign, countersign.api, path, authorization).await;
    }
}

/// Sends parts of forms over many connections, one byte of each in turn.
async fn dribble(countersign: &Countersign, to: SocketAddr, path: &str) {
    let before = countersign.peak_memory();
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut connection = TcpStream::connect(to).await.unwrap();
        connection.set_nodelay(true).unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {to}\r\nContent-Length: 10000\r\n\
             Content-Type: application/x-www-form-urlencoded\r\n\r\n"
        );
        connection.write_all(head.as_bytes()).await.unwrap();
        connections.push(connection);
    }
    for _ in 0..BYTES {
        for connection in &mut connections {
            connection.write_all(b"a").await.unwrap();
        }
        tokio::task::yield_now().await;
    }
    assert_small(countersign, before, path).await;
}

/// Sends parts of messages over many streams, one byte of each in turn.
async fn dribble_frames(
    countersign: &Countersign,
    to: SocketAddr,
    path: &str,
    authorization: &str,
) {
    let before = countersign.peak_memory();
    let mut streams: Vec<SendStream<Bytes>> = Vec::new();
    for _ in 0..CONNECTIONS / STREAMS {
        let connection = TcpStream::connect(to).await.unwrap();
        connection.set_nodelay(true).unwrap();
        let (sender, connection) = h2::client::handshake(connection).await.unwrap();
        tokio::spawn(connection);
        for _ in 0..STREAMS {
            let request = Request::post(format!("http://{to}{path}"))
                .header("content-type", "application/grpc")
                .header("te", "trailers")
                .header("authorization", authorization)
                .body(())
                .unwrap();
            let mut ready = sender.clone().ready().await.unwrap();
            streams.push(ready.send_request(request, false).unwrap().1);
        }
    }
    for at in 0..BYTES {
        // A message of 10,000 bytes.
        let byte = *[0, 0, 0, 0x27, 0x10].get(at).unwrap_or(&10);
        for stream in &mut streams {
            // A refused call has no stream any more.
            let _ = stream.send_data(Bytes::copy_from_slice(&[byte]), false);
        }
        sleep(Duration::from_millis(1)).await;
    }
    assert_small(countersign, before, path).await;
}

/// Asserts that the bytes sent since `before` take little memory.
async fn assert_small(countersign: &Countersign, before: u64, path: &str) {
    // All of them have arrived by then, unless the machine is very busy.
    sleep(Duration::from_millis(300)).await;
    let grown = countersign.peak_memory() - before;
    assert!(
        grown < MOST,
        "{path}: {grown} bytes of memory for {} bytes",
        CONNECTIONS * BYTES
    );
}

const CONNECTIONS: usize = 80;

/// The streams of an HTTP/2 connection.
const STREAMS: usize = 8;

/// The bytes of each connection or stream. With a buffer of 8 KiB for each, all take 250 MiB.
const BYTES: usize = 400;

/// A few KiB for each connection, and room for the allocator.
const MOST: u64 = 48 * 1024 * 1024;
