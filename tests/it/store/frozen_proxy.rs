//! A proxy to Redis whose connections die silently, as if a firewall forgot idle ones.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Forwards everything, except on frozen connections.
pub(crate) struct Frozen {
    port: u16,
    ways: Arc<Mutex<Vec<Way>>>,
    /// Set while new connections are frozen from the start.
    is_cut: Arc<AtomicBool>,
}

/// A connection of a client.
#[derive(Clone, Copy, Default)]
struct Way {
    is_frozen: bool,
    /// Set when the client has given the connection up.
    is_closed: bool,
}

impl Frozen {
    /// Listens, and forwards to the Redis at `port`.
    pub(crate) async fn before(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (own, ways) = (listener.local_addr().unwrap().port(), Arc::default());
        let (shared, is_cut) = (Arc::clone(&ways), Arc::new(AtomicBool::new(false)));
        let cut = Arc::clone(&is_cut);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let ways: Arc<Mutex<Vec<Way>>> = Arc::clone(&shared);
                let at = {
                    let mut ways = ways.lock().unwrap();
                    ways.push(Way {
                        is_frozen: cut.load(Ordering::SeqCst),
                        is_closed: false,
                    });
                    ways.len() - 1
                };
                tokio::spawn(async move {
                    pass(client, port, || ways.lock().unwrap()[at].is_frozen).await;
                    ways.lock().unwrap()[at].is_closed = true;
                });
            }
        });
        Self {
            port: own,
            ways,
            is_cut,
        }
    }

    /// Returns the address of the proxy for `store.url`.
    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Returns the port of the proxy.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Freezes all connections, also those that are made from now on.
    pub(crate) fn cut(&self) {
        self.is_cut.store(true, Ordering::SeqCst);
        self.freeze();
    }

    /// Forwards on the connections that are made from now on.
    pub(crate) fn restore(&self) {
        self.is_cut.store(false, Ordering::SeqCst);
    }

    /// Returns the number of connections so far.
    pub(crate) fn connections(&self) -> usize {
        self.ways.lock().unwrap().len()
    }

    /// Freezes all open connections: they stay open but forward nothing more.
    pub(crate) fn freeze(&self) {
        self.ways
            .lock()
            .unwrap()
            .iter_mut()
            .for_each(|way| way.is_frozen = true);
    }

    /// Returns `true` if the client gave up every frozen connection.
    pub(crate) fn are_given_up(&self) -> bool {
        self.ways
            .lock()
            .unwrap()
            .iter()
            .all(|way| way.is_closed || !way.is_frozen)
    }
}

/// Forwards bytes in both directions until one end closes; discards them while the connection is
/// frozen.
async fn pass(mut client: TcpStream, port: u16, is_frozen: impl Fn() -> bool) {
    let mut server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let (mut asked, mut answered) = (vec![0; 65536], vec![0; 65536]);
    loop {
        let (to, bytes) = tokio::select! {
            read = client.read(&mut asked) => {
                let Ok(len @ 1..) = read else { return };
                (&mut server, &asked[..len])
            }
            read = server.read(&mut answered) => {
                let Ok(len @ 1..) = read else { return };
                (&mut client, &answered[..len])
            }
        };
        if !is_frozen() && to.write_all(bytes).await.is_err() {
            return;
        }
    }
}
