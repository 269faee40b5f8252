//! The administration API on a free port, over a store in memory.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use countersign::clock::{Clock, ManualClock, SystemEntropy, UnixTime};
use countersign::config::{Config, StoreConfig, StoreUrl};
use countersign::issue::{Issuer, Terms};
use countersign::server::api::{self, Access, AdminToken, IssuerToken};
use countersign::store::{self, Store};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tonic::metadata::MetadataValue;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Status};

/// The admin token of every server here.
pub(crate) const ADMIN_TOKEN: &str = "correct-horse-battery-staple";

/// The issuer token of every server here.
pub(crate) const ISSUER_TOKEN: &str = "an-issuer-in-stirrups";

/// The time at which every server here starts: 2023-11-14T22:13:20Z.
pub(crate) const START: UnixTime = UnixTime::from_secs(1_700_000_000);

/// A running API; stops when dropped.
pub(crate) struct AdminServer {
    pub(crate) address: SocketAddr,
    pub(crate) clock: Arc<ManualClock>,
    serving: JoinHandle<Result<(), tonic::transport::Error>>,
}

impl AdminServer {
    pub(crate) async fn start() -> Self {
        let clock = Arc::new(ManualClock::at(START));
        let issuer = issuer(clock.clone()).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let issuer_token = IssuerToken::new(ISSUER_TOKEN);
        let access = Access::new(AdminToken::new(ADMIN_TOKEN).unwrap(), issuer_token, &Config::default().api);
        let routes = api::routes(issuer, access);
        let serving = Server::builder().add_routes(routes).serve_with_incoming(TcpIncoming::from(listener));
        Self { address, clock, serving: tokio::spawn(serving) }
    }

    /// A channel without the admin token.
    pub(crate) async fn stranger(&self) -> Channel {
        Endpoint::from_shared(format!("http://{}", self.address)).unwrap().connect().await.unwrap()
    }

    /// A channel with the admin token.
    pub(crate) async fn admin(&self) -> AdminChannel {
        InterceptedService::new(self.stranger().await, authorized as Interceptor)
    }
}

impl Drop for AdminServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

pub(crate) type AdminChannel = InterceptedService<Channel, Interceptor>;

type Interceptor = fn(Request<()>) -> Result<Request<()>, Status>;

/// An issuer over a store in memory.
pub(crate) async fn issuer(clock: Arc<dyn Clock>) -> Issuer {
    Issuer::new(memory(clock.clone()).await, clock, Arc::new(SystemEntropy), Terms::of(&Config::default()), None)
}

async fn memory(clock: Arc<dyn Clock>) -> Arc<dyn Store> {
    let config = StoreConfig {
        url: StoreUrl::Memory,
        master_key_file: None,
        timeout: Duration::from_millis(150),
        connections: 2,
        fence_on_restart: false,
    };
    store::open(&config, &PathBuf::from("unused"), clock, Arc::new(SystemEntropy)).await.unwrap()
}

#[expect(clippy::unnecessary_wraps, reason = "the shape of an interceptor")]
fn authorized(mut request: Request<()>) -> Result<Request<()>, Status> {
    request.metadata_mut().insert("authorization", MetadataValue::from_static(AUTHORIZATION));
    Ok(request)
}

const AUTHORIZATION: &str = "Bearer correct-horse-battery-staple";
