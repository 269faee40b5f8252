//! A proxy to Redis that loses answers: Redis runs the command, and the connection breaks before
//! the answer arrives.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Forwards everything, except the answers that it loses.
pub(crate) struct Lossy {
    port: u16,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// The number of writes until one loses its answer; 0 loses none.
    loses: AtomicU16,
    lost: AtomicU16,
    /// Set if the connection stays open afterward, without forwarding anything.
    stalls: AtomicBool,
}

impl Lossy {
    /// Listens, and forwards to the Redis at `port`.
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

    /// Returns the address of the proxy for `store.url`.
    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Loses the response to the `nth` write from now, counted from 1.
    pub(crate) fn lose(&self, nth: u16) {
        self.state.lost.store(0, Ordering::SeqCst);
        self.state.loses.store(nth, Ordering::SeqCst);
    }

    /// Forwards the `nth` write from now, counted from 1, and then nothing more on that connection,
    /// which stays open.
    pub(crate) fn stall(&self, nth: u16) {
        self.state.stalls.store(true, Ordering::SeqCst);
        self.lose(nth);
    }

    /// Returns `true` once the answer is lost.
    pub(crate) fn is_losing(&self) -> bool {
        self.state.lost.load(Ordering::SeqCst) > 0
    }

    /// Set once the answer is lost.
    pub(crate) fn has_lost(&self) -> bool {
        self.state.loses.store(0, Ordering::SeqCst);
        self.state.lost.load(Ordering::SeqCst) > 0
    }
}

/// Forwards bytes in both directions until one end closes or an answer is lost.
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
    /// Returns `true` if this write is the one that loses its answer.
    fn is_due(&self) -> bool {
        let counted = self
            .loses
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                left.checked_sub(1)
            });
        counted == Ok(1)
    }
}

/// Returns `true` if a write is among the commands. The commands of the client itself do not count:
/// the `CLIENT SETINFO` of a new connection, and the probe and the marker of the epoch, which may
/// arrive together with others.
fn is_write(asked: &[u8]) -> bool {
    const SET: &[u8] = b"$3\r\nSET\r\n";
    const PROBE: &[u8] = b"$19\r\ncountersign:{probe}";
    let has = |needle: &[u8]| asked.windows(needle.len()).any(|window| window == needle);
    let sets = asked
        .windows(SET.len())
        .enumerate()
        .filter(|(_, window)| *window == SET);
    let mut others = sets.filter(|(at, _)| !asked[at + SET.len()..].starts_with(PROBE));
    let count = |needle: &[u8]| {
        let found = asked.windows(needle.len());
        found.filter(|window| *window == needle).count()
    };
    let marks = count(b"call('HMGET', marker");
    count(b"EVAL") > marks
        || [&b"ZADD"[..], b"ZREM", b"$3\r\nDEL"]
            .iter()
            .any(|name| has(name))
        || others.next().is_some()
}
