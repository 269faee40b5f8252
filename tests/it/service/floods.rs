//! Floods of HTTP/2 frames: the connection that sends one is closed and counted, and others are
//! served.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::support::process::eventually;
use crate::support::program::Countersign;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_of_control_frames_are_disconnected() {
    let server = Server::start().await;
    for (name, frames) in [
        ("PING", frame(6, 0, 0, &[0; 8])),
        ("SETTINGS", frame(4, 0, 0, &[0, 3, 0, 0, 0, 100])),
        ("PRIORITY", frame(2, 0, 1, &[0, 0, 0, 0, 16])),
        ("WINDOW_UPDATE", frame(8, 0, 0, &[0, 0, 0, 1])),
        ("an unknown type", frame(0x1f, 0, 0, b"anything")),
    ] {
        let before = server.dropped("control_frames").await;
        server.flood(name, &frames).await;
        let after = server.dropped("control_frames").await;
        assert_eq!(after, before + 1, "{name} is counted");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_resets_is_disconnected() {
    let server = Server::start().await;
    let mut raw = RawConnection::open(server.countersign.check).await;
    let closed = raw.write_until_closed(|stream| {
        let mut frames = headers(stream);
        frames.extend(frame(3, 0, stream, &[0, 0, 0, 8]));
        frames
    });
    assert!(closed.await, "open after a million resets");
    // By the budget, or by HTTP/2's own limit of resets that were not read, which nothing counts.
    server.serves().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_behind_a_closed_window_are_bounded() {
    let server = Server::start().await;
    let before = server.countersign.peak_memory();
    let mut attackers = Vec::new();
    for _ in 0..30 {
        let mut raw = RawConnection::open(server.countersign.check).await;
        // SETTINGS_INITIAL_WINDOW_SIZE = 1: the first byte of each answer, and no more.
        raw.write(&frame(4, 0, 0, &[0, 4, 0, 0, 0, 1])).await;
        for _ in 0..8 {
            for _ in 0..50 {
                raw.request_health().await;
            }
            raw.is_open().await;
        }
        attackers.push(raw);
    }
    for attacker in &mut attackers {
        assert!(attacker.is_closed_by_server().await, "open after a minute");
    }
    // A connection is counted after it is closed.
    eventually("each is counted", PATIENCE, async || {
        (server.dropped("unread_answers").await == 30).then_some(())
    })
    .await;
    let grown = server.countersign.peak_memory().saturating_sub(before);
    assert!(grown < 128 << 20, "memory has grown by {grown} bytes");
    server.serves().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_measures_its_bandwidth_at_each_request_stays_connected() {
    let server = Server::start().await;
    let mut raw = RawConnection::open(server.countersign.check).await;
    for request in 0..3000 {
        raw.write(&frame(6, 0, 0, &[0; 8])).await;
        raw.write(&frame(8, 0, 0, &[0, 0, 1, 0])).await;
        raw.request_health().await;
        // Stays within the concurrent streams.
        assert!(request % 50 != 0 || raw.is_open().await);
    }
    assert!(raw.is_open().await);
    assert_eq!(server.dropped("control_frames").await, 0);
}

/// The program, and an honest connection to it.
struct Server {
    countersign: Countersign,
    honest: HealthClient<Channel>,
}

impl Server {
    async fn start() -> Self {
        let countersign = Countersign::start("embedded:countersign.redb", "workers = 1\n").await;
        let uri = format!("http://{}", countersign.check);
        let channel = Endpoint::from_shared(uri).unwrap().connect().await.unwrap();
        Self {
            countersign,
            honest: HealthClient::new(channel),
        }
    }

    /// Sends frames until the server closes the connection, and checks that others are served
    /// meanwhile.
    async fn flood(&self, name: &str, frames: &[u8]) {
        let mut raw = RawConnection::open(self.countersign.check).await;
        let (closed, ()) = tokio::join!(raw.write_until_closed(|_| frames.to_vec()), self.serves());
        assert!(closed, "{name}: open after a million frames");
        self.serves().await;
    }

    /// Checks that an honest connection gets an answer.
    async fn serves(&self) {
        let mut health = self.honest.clone();
        let asked = health.check(HealthCheckRequest::default());
        let answered = timeout(PATIENCE, asked).await;
        answered.expect("an answer in time").expect("an answer");
    }

    /// Returns how many connections of the check listener were closed for this reason.
    async fn dropped(&self, reason: &str) -> u64 {
        let metrics = self.countersign.metrics().await;
        let series = format!(
            "countersign_connections_closed_total{{listener=\"check\",reason=\"{reason}\"}} "
        );
        let value = metrics.lines().find_map(|line| line.strip_prefix(&series));
        value.map_or(0, |value| value.parse().unwrap())
    }
}

/// A connection that speaks HTTP/2 by hand.
struct RawConnection {
    stream: TcpStream,
    next: u32,
}

impl RawConnection {
    async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        let mut raw = Self { stream, next: 1 };
        raw.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        raw.write(&frame(4, 0, 0, &[])).await;
        raw
    }

    /// Writes, and reads whatever came meanwhile. The server may have closed the connection.
    async fn write(&mut self, bytes: &[u8]) {
        let _: std::io::Result<()> = self.stream.write_all(bytes).await;
        let _: std::io::Result<usize> = self.stream.try_read(&mut [0; 64 * 1024]);
    }

    /// Sends a call of `grpc.health.v1.Health/Check`.
    async fn request_health(&mut self) {
        let stream = self.take_stream();
        let mut frames = headers(stream);
        frames.extend(frame(0, 1, stream, &[0; 5]));
        self.write(&frames).await;
    }

    /// Writes what `make` returns for stream after stream; returns whether the server closed the
    /// connection before a million times.
    async fn write_until_closed(&mut self, make: impl Fn(u32) -> Vec<u8>) -> bool {
        for _ in 0..10_000 {
            let batch: Vec<u8> = (0..100).flat_map(|_| make(self.take_stream())).collect();
            if self.stream.write_all(&batch).await.is_err() {
                return true;
            }
            match self.stream.try_read(&mut [0; 64 * 1024]) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => return true,
            }
        }
        false
    }

    /// Reads until the server closes the connection, for a minute at most.
    async fn is_closed_by_server(&mut self) -> bool {
        let reading = async { while matches!(self.stream.read(&mut [0; 4096]).await, Ok(1..)) {} };
        timeout(PATIENCE, reading).await.is_ok()
    }

    /// Returns whether the server still answers a ping.
    async fn is_open(&mut self) -> bool {
        let payload = b"are-open";
        self.write(&frame(6, 0, 0, payload)).await;
        let (deadline, mut read) = (Instant::now() + PATIENCE, Vec::new());
        while Instant::now() < deadline {
            match timeout(PATIENCE, self.stream.read_buf(&mut read)).await {
                Ok(Ok(1..)) if read.windows(8).any(|found| found == payload) => return true,
                Ok(Ok(1..)) => {}
                _ => return false,
            }
        }
        false
    }

    fn take_stream(&mut self) -> u32 {
        self.next += 2;
        self.next - 2
    }
}

/// Returns the HEADERS of a call of `grpc.health.v1.Health/Check`.
fn headers(stream: u32) -> Vec<u8> {
    // POST and http from the static table of HPACK, then literals without indexing.
    let mut block = vec![0x83, 0x86];
    for (name, value) in [(0x04, "/grpc.health.v1.Health/Check"), (0x01, "localhost")] {
        block.push(name);
        block.push(u8::try_from(value.len()).unwrap());
        block.extend(value.as_bytes());
    }
    for (name, value) in [("content-type", "application/grpc"), ("te", "trailers")] {
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).unwrap());
            block.extend(text.as_bytes());
        }
    }
    // END_HEADERS
    frame(1, 4, stream, &block)
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

const PATIENCE: Duration = Duration::from_secs(60);
