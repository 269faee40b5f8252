//! The empty server: tonic's own, with the settings of the check listener, that allows without looking.

use std::net::SocketAddr;
use std::time::Duration;

use envoy_types::ext_authz::v3::CheckResponseExt as _;
use envoy_types::ext_authz::v3::pb::{Authorization, AuthorizationServer, CheckRequest, CheckResponse};
use tonic::transport::Server;
use tonic::{Request, Response, Status};

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
        .add_service(AuthorizationServer::new(Floor));
    runtime.block_on(server.serve(args.listen)).unwrap();
}

struct Floor;

#[tonic::async_trait]
impl Authorization for Floor {
    async fn check(&self, _request: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        Ok(Response::new(CheckResponse::with_status(Status::ok(""))))
    }
}
