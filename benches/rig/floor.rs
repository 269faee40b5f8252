//! The empty server: tonic's own, with the settings of the check listener, that allows without looking.

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

/// How the empty server is run.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where it listens
    #[arg(long, value_name = "ADDR")]
    listen: SocketAddr,
    /// Worker threads
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// How the threads share the work
    #[arg(long, value_enum, default_value_t = Layout::Shared)]
    layout: Layout,
}

/// How threads share connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Layout {
    /// One runtime of all threads, which take tasks from each other: tonic's and tokio's default.
    Shared,
    /// A runtime for each thread, each with a listener of its own on the same port (`SO_REUSEPORT`).
    Reuseport,
    /// A runtime for each thread; one listener gives each connection to the thread that has the fewest.
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
        Layout::Spread => {
            let listener = std::net::TcpListener::bind(args.listen).unwrap();
            let (givers, takers): (Vec<_>, Vec<_>) =
                (0..args.workers).map(|_| mpsc::unbounded_channel()).unzip();
            let takers: Vec<_> = takers
                .into_iter()
                .map(|taker| Mutex::new(Some(taker)))
                .collect();
            std::thread::spawn(move || {
                // None closes before the measurement ends: the next in turn has the fewest.
                for giver in givers.iter().cycle() {
                    giver.send(listener.accept().unwrap().0).unwrap();
                }
            });
            on_each_thread(args.workers, |at| {
                given(takers[at].lock().unwrap().take().unwrap())
            });
        }
    }
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

/// Serves what `incoming` makes on each of `count` threads, with a runtime of its own.
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

fn given(
    taker: mpsc::UnboundedReceiver<std::net::TcpStream>,
) -> impl Stream<Item = io::Result<TcpStream>> + Send + 'static {
    stream::unfold(taker, |mut taker| async {
        let taken = taker.recv().await?;
        let ready = taken
            .set_nodelay(true)
            .and_then(|()| taken.set_nonblocking(true));
        Some((ready.and_then(|()| TcpStream::from_std(taken)), taker))
    })
}

/// A running empty server.
pub(crate) struct Floor {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
}

impl Floor {
    /// Starts one, as a process of its own.
    pub(crate) fn start(workers: usize) -> Self {
        Self::start_with(workers, Layout::Shared)
    }

    /// Starts one whose threads share the work so.
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
    /// Its name on the command line and in figures.
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
