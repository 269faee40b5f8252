//! The empty server: tonic's own, with the settings of the check listener, that allows without looking.

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use envoy_types::ext_authz::v3::CheckResponseExt as _;
use envoy_types::ext_authz::v3::pb::{Authorization, AuthorizationServer, CheckRequest, CheckResponse};
use tonic::transport::Server;
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
}

/// Serves until it is killed.
pub(crate) fn run(args: &Args) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(args.workers).enable_all().build().unwrap();
    let server = Server::builder()
        .tcp_nodelay(true)
        .max_concurrent_streams(1024)
        .http2_max_header_list_size(16 * 1024)
        .http2_keepalive_interval(Some(Duration::from_secs(30)))
        .http2_keepalive_timeout(Some(Duration::from_secs(10)))
        .add_service(AuthorizationServer::new(Empty));
    runtime.block_on(server.serve(args.listen)).unwrap();
}

/// A running empty server.
pub(crate) struct Floor {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
}

impl Floor {
    /// Starts one, as a process of its own.
    pub(crate) fn start(workers: usize) -> Self {
        let address = free_address();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["floor", "--listen", &address.to_string(), "--workers", &workers.to_string()]);
        Self { process: Process::start(command.stdout(Stdio::null()), address), address }
    }
}

struct Empty;

#[tonic::async_trait]
impl Authorization for Empty {
    async fn check(&self, _request: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        Ok(Response::new(CheckResponse::with_status(Status::ok(""))))
    }
}
