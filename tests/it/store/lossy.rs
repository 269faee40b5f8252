//! A proxy to Redis that loses a response: Redis runs the command, and the connection breaks before
//! the response arrives.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A proxy that passes everything on, except the responses to lose.
pub(crate) struct Lossy {
    port: u16,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// The number of writes to pass before one loses its response; 0 passes all.
    loses: AtomicU16,
    lost: AtomicU16,
    /// The connection stays open, and nothing more passes.
    stalls: AtomicBool,
}

impl Lossy {
    /// Listens, and passes on to the Redis at `port`.
    pub(crate) async fn before(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (own, state) = (
            listener.local_addr().unwrap().port(),
            Arc::new(State::default()),
        );
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, port, Arc::clone(&shared)));
            }
        });
        Self { port: own, state }
    }

    /// Returns its address for `store.url`.
    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Loses the response to the `nth` write from now, counted from 1.
    pub(crate) fn lose(&self, nth: u16) {
        self.state.lost.store(0, Ordering::SeqCst);
        self.state.loses.store(nth, Ordering::SeqCst);
    }

    /// Passes the `nth` write from now, counted from 1, and then nothing more on that connection,
    /// which stays open.
    pub(crate) fn stall(&self, nth: u16) {
        self.state.stalls.store(true, Ordering::SeqCst);
        self.lose(nth);
    }

    /// Returns whether the write to lose has passed.
    pub(crate) fn is_losing(&self) -> bool {
        self.state.lost.load(Ordering::SeqCst) > 0
    }

    /// Returns whether the response is lost.
    pub(crate) fn has_lost(&self) -> bool {
        self.state.loses.store(0, Ordering::SeqCst);
        self.state.lost.load(Ordering::SeqCst) > 0
    }
}

/// Passes bytes in both directions until one end closes or a response is lost.
async fn pass(mut client: TcpStream, port: u16, state: Arc<State>) {
    let mut server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let (mut asked, mut answered) = (vec![0; 65536], vec![0; 65536]);
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let Ok(len @ 1..) = read else { return };
                server.write_all(&asked[..len]).await.unwrap();
                if is_write(&asked[..len]) && state.is_due() {
                    let answer = server.read(&mut answered).await.unwrap();
                    assert!(answer > 0);
                    state.lost.fetch_add(1, Ordering::SeqCst);
                    if state.stalls.load(Ordering::SeqCst) {
                        std::future::pending::<()>().await;
                    }
                    return;
                }
            }
            read = server.read(&mut answered) => {
                let Ok(len @ 1..) = read else { return };
                if client.write_all(&answered[..len]).await.is_err() {
                    return;
                }
            }
        }
    }
}

impl State {
    /// Returns whether this write loses its response.
    fn is_due(&self) -> bool {
        let counted = self
            .loses
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                left.checked_sub(1)
            });
        counted == Ok(1)
    }
}

/// Returns whether one of the commands changes a record. `CLIENT SETINFO` at the start of a
/// connection and the client's health probe do not count.
fn is_write(asked: &[u8]) -> bool {
    const SET: &[u8] = b"$3\r\nSET\r\n";
    const PROBE: &[u8] = b"$19\r\ncountersign:{probe}";
    let has = |needle: &[u8]| asked.windows(needle.len()).any(|window| window == needle);
    let sets = asked
        .windows(SET.len())
        .enumerate()
        .filter(|(_, window)| *window == SET);
    let mut others = sets.filter(|(at, _)| !asked[at + SET.len()..].starts_with(PROBE));
    [&b"EVAL"[..], b"ZADD", b"ZREM", b"$3\r\nDEL"]
        .iter()
        .any(|name| has(name))
        || others.next().is_some()
}
