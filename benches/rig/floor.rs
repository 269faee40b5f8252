//! The empty server: tonic's own server with the settings of the check listener, which allows every
//! check.

use std::io;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use envoy_types::ext_authz::v3::CheckResponseExt as _;
use envoy_types::ext_authz::v3::pb::{
    Authorization, AuthorizationServer, CheckRequest, CheckResponse,
};
use futures_util::stream::{self, Stream};
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::mpsc;
use tonic::transport::Server;
use tonic::transport::server::Router;
use tonic::{Request, Response, Status};

use crate::process::{Process, free_address};

/// Options of `floor`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Address to listen on
    #[arg(long, value_name = "ADDR")]
    listen: SocketAddr,
    /// Worker threads
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// Way to share connections between threads
    #[arg(long, value_enum, default_value_t = Layout::Shared)]
    layout: Layout,
}

/// A way to share connections between threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Layout {
    /// One runtime whose threads take tasks from each other: the default of tonic and tokio.
    Shared,
    /// A runtime and a listener per thread, all on the same port (`SO_REUSEPORT`).
    Reuseport,
    /// A runtime per thread; one listener gives each connection to the thread with the fewest.
    Spread,
}

/// Serves until it is killed.
pub(crate) fn run(args: &Args) {
    match args.layout {
        Layout::Shared => {
            let runtime = Builder::new_multi_thread()
                .worker_threads(args.workers)
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(server().serve(args.listen)).unwrap();
        }
        Layout::Reuseport => on_each_thread(args.workers, |_| reuseport(args.listen)),
        Layout::Spread => serve_spread(args),
    }
}

fn serve_spread(args: &Args) {
    let listener = std::net::TcpListener::bind(args.listen).unwrap();
    let (senders, receivers): (Vec<_>, Vec<_>) =
        (0..args.workers).map(|_| mpsc::unbounded_channel()).unzip();
    let receivers: Vec<_> = receivers
        .into_iter()
        .map(|receiver| Mutex::new(Some(receiver)))
        .collect();
    std::thread::spawn(move || {
        // No connection closes before the measurement ends, so the next thread in turn has the
        // fewest.
        for sender in senders.iter().cycle() {
            sender.send(listener.accept().unwrap().0).unwrap();
        }
    });
    on_each_thread(args.workers, |at| {
        received(receivers[at].lock().unwrap().take().unwrap())
    });
}

fn server() -> Router {
    Server::builder()
        .tcp_nodelay(true)
        .max_concurrent_streams(1024)
        .http2_max_header_list_size(16 * 1024)
        .http2_keepalive_interval(Some(Duration::from_secs(30)))
        .http2_keepalive_timeout(Some(Duration::from_secs(10)))
        .add_service(AuthorizationServer::new(Empty))
}

/// Serves the connections of `incoming` on each of `count` threads, each with its own runtime.
fn on_each_thread<I>(count: usize, incoming: impl Fn(usize) -> I + Sync)
where
    I: Stream<Item = io::Result<TcpStream>> + Send + 'static,
{
    std::thread::scope(|scope| {
        for at in 0..count {
            let incoming = &incoming;
            scope.spawn(move || {
                let runtime = Builder::new_current_thread().enable_all().build().unwrap();
                runtime
                    .block_on(async { server().serve_with_incoming(incoming(at)).await })
                    .unwrap();
            });
        }
    });
}

fn reuseport(address: SocketAddr) -> impl Stream<Item = io::Result<TcpStream>> + Send + 'static {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseport(true).unwrap();
    socket.bind(address).unwrap();
    let listener = socket.listen(1024).unwrap();
    stream::unfold(listener, |listener| async {
        let accepted = listener
            .accept()
            .await
            .and_then(|(stream, _)| stream.set_nodelay(true).map(|()| stream));
        Some((accepted, listener))
    })
}

fn received(
    receiver: mpsc::UnboundedReceiver<std::net::TcpStream>,
) -> impl Stream<Item = io::Result<TcpStream>> + Send + 'static {
    stream::unfold(receiver, |mut receiver| async {
        let connection = receiver.recv().await?;
        let ready = connection
            .set_nodelay(true)
            .and_then(|()| connection.set_nonblocking(true));
        Some((
            ready.and_then(|()| TcpStream::from_std(connection)),
            receiver,
        ))
    })
}

/// A running empty server.
pub(crate) struct Floor {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
}

impl Floor {
    /// Starts an empty server as a process.
    pub(crate) fn start(workers: usize) -> Self {
        Self::start_with(workers, Layout::Shared)
    }

    /// Starts an empty server with that layout.
    pub(crate) fn start_with(workers: usize, layout: Layout) -> Self {
        let address = free_address();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([
            "floor",
            "--listen",
            &address.to_string(),
            "--workers",
            &workers.to_string(),
        ]);
        command.args(["--layout", layout.name()]);
        Self {
            process: Process::start(command.stdout(Stdio::null()), address),
            address,
        }
    }
}

impl Layout {
    /// Returns the name on the command line and in the figures.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::Reuseport => "reuseport",
            Self::Spread => "spread",
        }
    }
}

struct Empty;

#[tonic::async_trait]
impl Authorization for Empty {
    async fn check(
        &self,
        _request: Request<CheckRequest>,
    ) -> Result<Response<CheckResponse>, Status> {
        Ok(Response::new(CheckResponse::with_status(Status::ok(""))))
    }
}
