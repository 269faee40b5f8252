//! A proxy to Redis that shifts the time in the answers to `TIME`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Forwards everything, except the time.
pub(crate) struct Shifting {
    port: u16,
    by: Arc<AtomicU64>,
}

impl Shifting {
    /// Listens, and forwards to the Redis at `port`.
    pub(crate) async fn before(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (own, by) = (listener.local_addr().unwrap().port(), Arc::default());
        let shared = Arc::clone(&by);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, port, Arc::clone(&shared)));
            }
        });
        Self { port: own, by }
    }

    /// Returns the address of the proxy for `store.url`.
    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Shifts the time from now on by some seconds.
    pub(crate) fn shift(&self, secs: u64) {
        self.by.store(secs, Ordering::SeqCst);
    }
}

async fn pass(client: TcpStream, port: u16, by: Arc<AtomicU64>) {
    let server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let (mut asks, mut answers) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    tokio::spawn(async move {
        let _ = tokio::io::copy(&mut asks, &mut to_server).await;
    });
    let mut bytes = vec![0; 65536];
    while let Ok(len @ 1..) = from_server.read(&mut bytes).await {
        shift_time(&mut bytes[..len], by.load(Ordering::SeqCst));
        if answers.write_all(&bytes[..len]).await.is_err() {
            return;
        }
    }
}

/// Adds seconds to every answer that looks like that of `TIME`: two texts, the first with ten
/// digits.
fn shift_time(bytes: &mut [u8], by: u64) {
    let begin = b"*2\r\n$10\r\n";
    let mut from = 0;
    while let Some(found) = bytes[from..]
        .windows(begin.len())
        .position(|part| part == begin)
    {
        let digits = from + found + begin.len();
        let Some(secs) = bytes.get_mut(digits..digits + 10) else {
            return;
        };
        if let Some(time) = str::from_utf8(secs)
            .ok()
            .and_then(|secs| secs.parse::<u64>().ok())
        {
            secs.copy_from_slice(format!("{:010}", time + by).as_bytes());
        }
        from = digits + 10;
    }
}
