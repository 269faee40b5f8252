//! A TCP proxy that breaks what passes: it delays, loses, holds back or resets.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

/// A proxy in front of one server; ends when dropped.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    network: watch::Sender<Network>,
    task: JoinHandle<()>,
}

/// The state of the network between both sides.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Network {
    /// Everything arrives at once.
    Sound,
    /// Everything arrives later, by a time between both.
    Slow(Duration, Duration),
    /// This share of the packets is lost, and sent again after 200 ms as TCP does.
    Lossy(f64),
    /// Nothing arrives until the network changes, and no connection breaks.
    Silent,
    /// Every connection is reset, and so is every new one.
    Resetting,
}

impl Proxy {
    /// Starts a proxy in front of a port on loopback.
    pub(crate) async fn start(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (network, seen) = watch::channel(Network::Sound);
        let task = tokio::spawn(accept(listener, port, seen));
        Self {
            address,
            network,
            task,
        }
    }

    /// Changes the network for all connections.
    pub(crate) fn set(&self, network: Network) {
        self.network.send_replace(network);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, port: u16, network: watch::Receiver<Network>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let network = network.clone();
        connections.spawn(async move {
            // A broken connection is what the proxy is for.
            let _ = serve(client, port, network).await;
        });
    }
}

async fn serve(
    client: TcpStream,
    port: u16,
    mut network: watch::Receiver<Network>,
) -> io::Result<()> {
    let server = TcpStream::connect(("127.0.0.1", port)).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let reset = network.clone();
    let ((from_client, to_client), (from_server, to_server)) =
        (client.into_split(), server.into_split());
    let ends = async {
        tokio::select! {
            _ = copy(from_client, &to_server, reset.clone()) => {}
            _ = copy(from_server, &to_client, reset) => {}
            _ = network.wait_for(|network| *network == Network::Resetting) => {
                to_client.as_ref().set_zero_linger()?;
            }
        }
        Ok(())
    };
    ends.await
}

/// Copies one direction, each piece at its time and in order.
async fn copy(
    mut from: OwnedReadHalf,
    to: &OwnedWriteHalf,
    network: watch::Receiver<Network>,
) -> io::Result<()> {
    let (sender, mut pieces) = mpsc::channel::<(Instant, Vec<u8>)>(1024);
    let mut seen = network.clone();
    let read = async move {
        let mut last = Instant::now();
        let mut count = 0;
        loop {
            let mut piece = vec![0; 4096];
            let length = from.read(&mut piece).await?;
            if length == 0 {
                return io::Result::Ok(());
            }
            piece.truncate(length);
            count += 1;
            let due = Instant::now() + delay(*network.borrow(), count);
            last = last.max(due);
            if sender.send((last, piece)).await.is_err() {
                return Ok(());
            }
        }
    };
    let write = async move {
        while let Some((due, piece)) = pieces.recv().await {
            sleep_until(due).await;
            let _ = seen.wait_for(|network| *network != Network::Silent).await;
            write_all(to, &piece).await?;
        }
        Ok(())
    };
    tokio::try_join!(read, write).map(|_| ())
}

async fn write_all(to: &OwnedWriteHalf, mut piece: &[u8]) -> io::Result<()> {
    while !piece.is_empty() {
        to.writable().await?;
        match to.try_write(piece) {
            Ok(written) => piece = &piece[written..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Returns the delay of the piece with this number.
fn delay(network: Network, number: u32) -> Duration {
    // Spreads consecutive numbers over 0 to 1.
    let spread = f64::from(number.wrapping_mul(2_654_435_769)) / f64::from(u32::MAX);
    match network {
        Network::Slow(least, most) => least + (most - least).mul_f64(spread),
        Network::Lossy(share) if spread < share * share => RESENT * 3,
        Network::Lossy(share) if spread < share => RESENT,
        Network::Lossy(_) | Network::Sound | Network::Silent | Network::Resetting => Duration::ZERO,
    }
}

/// The time after which TCP sends a lost packet again.
const RESENT: Duration = Duration::from_millis(200);
