//! A way to Redis on which an answer gets lost: the command is carried out, the connection breaks, nobody knows.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Passes on everything, but for answers that are to be lost.
pub(crate) struct Lossy {
    port: u16,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// How many commands of the kind are still passed before one loses its answer; 0 passes all.
    loses: AtomicU16,
    lost: AtomicU16,
    /// The connection stays, and nothing more passes.
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

    /// Its address, as `store.url` has it.
    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Loses the answer of the `nth` write from now, counted from 1.
    pub(crate) fn lose(&self, nth: u16) {
        self.state.lost.store(0, Ordering::SeqCst);
        self.state.loses.store(nth, Ordering::SeqCst);
    }

    /// Passes the `nth` write from now, counted from 1, and then nothing more on that connection, which stays open.
    pub(crate) fn stall(&self, nth: u16) {
        self.state.stalls.store(true, Ordering::SeqCst);
        self.lose(nth);
    }

    /// Whether it has lost it by now.
    pub(crate) fn is_losing(&self) -> bool {
        self.state.lost.load(Ordering::SeqCst) > 0
    }

    /// Whether it has lost it.
    pub(crate) fn has_lost(&self) -> bool {
        self.state.loses.store(0, Ordering::SeqCst);
        self.state.lost.load(Ordering::SeqCst) > 0
    }
}

/// Passes bytes in both directions until one end is done or an answer is lost.
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
    /// Whether this write is the one whose answer is lost.
    fn is_due(&self) -> bool {
        let counted = self
            .loses
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                left.checked_sub(1)
            });
        counted == Ok(1)
    }
}

/// Whether a command that changes something is among them. What the client sends for itself is none: that a connection
/// begins with `CLIENT SETINFO`, and its probe, which may come along with others.
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
