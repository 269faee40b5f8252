//! The administration API on a free port, over a store in memory.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use countersign::clock::{Clock, ManualClock, SystemEntropy, UnixTime};
use countersign::config::{Config, ConnectionFiles, StoreConfig, StoreUrl};
use countersign::diagnostics::Diagnostics;
use countersign::issue::{Issuer, IssuerTerms};
use countersign::server::api::{self, Access, AdminToken, IssuerToken, RotationTurn};
use countersign::store::{self, Store};
use countersign::telemetry::Metrics;
use countersign::v1::consumer_service_client::ConsumerServiceClient;
use countersign::v1::diagnostics_service_client::DiagnosticsServiceClient;
use countersign::v1::token_service_client::TokenServiceClient;
use countersign::v1::user_service_client::UserServiceClient;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tonic::metadata::MetadataValue;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Status};
use tonic_types::StatusExt;

use crate::support::leaks;

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
    pub(crate) store: Arc<dyn Store>,
    pub(crate) diagnostics: Diagnostics,
    serving: JoinHandle<Result<(), tonic::transport::Error>>,
}

impl AdminServer {
    pub(crate) async fn start() -> Self {
        Self::start_with(ADMIN_TOKEN).await
    }

    /// Starts a server with another admin token.
    pub(crate) async fn start_with(admin_token: &'static str) -> Self {
        leaks::own_log();
        leaks::secret(admin_token);
        leaks::secret(ISSUER_TOKEN);
        let clock = Arc::new(ManualClock::at(START));
        let store = memory(clock.clone()).await;
        let issuer = issuer_over(Arc::clone(&store), clock.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let issuer_token = IssuerToken::new(ISSUER_TOKEN);
        let access = Access::new(
            AdminToken::new(admin_token).unwrap(),
            issuer_token,
            &Config::default().api,
        );
        let diagnostics = Diagnostics::new(
            &Config::default().diagnostics,
            clock.clone(),
            Arc::new(Metrics::default()),
        );
        let turn = RotationTurn::default();
        let routes = api::routes(
            issuer,
            diagnostics.clone(),
            Arc::clone(&store),
            turn,
            access,
        );
        let serving = Server::builder()
            .add_routes(routes)
            .serve_with_incoming(TcpIncoming::from(listener));
        Self {
            address,
            clock,
            store,
            diagnostics,
            serving: tokio::spawn(serving),
        }
    }

    /// Returns a channel without a token.
    pub(crate) async fn stranger(&self) -> Channel {
        Endpoint::from_shared(format!("http://{}", self.address))
            .unwrap()
            .connect()
            .await
            .unwrap()
    }

    /// Returns the administrator's client for consumers.
    pub(crate) async fn consumers(&self) -> ConsumerServiceClient<AdminChannel> {
        ConsumerServiceClient::new(self.admin().await)
    }

    /// Returns the administrator's client for users.
    pub(crate) async fn users(&self) -> UserServiceClient<AdminChannel> {
        UserServiceClient::new(self.admin().await)
    }

    /// Returns the administrator's client for tokens.
    pub(crate) async fn tokens(&self) -> TokenServiceClient<AdminChannel> {
        TokenServiceClient::new(self.admin().await)
    }

    /// Returns the administrator's client for denials and reports.
    pub(crate) async fn observed(&self) -> DiagnosticsServiceClient<AdminChannel> {
        DiagnosticsServiceClient::new(self.admin().await)
    }

    /// Returns a channel with the admin token.
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

/// Returns an issuer over a store in memory.
pub(crate) async fn issuer(clock: Arc<dyn Clock>) -> Issuer {
    issuer_over(memory(clock.clone()).await, clock)
}

/// Returns an issuer with the cheapest password hashes.
fn issuer_over(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Issuer {
    let mut terms = IssuerTerms::of(&Config::default());
    (
        terms.password.memory_kib,
        terms.password.iterations,
        terms.password.parallelism,
    ) = (8, 1, 1);
    Issuer::new(store, clock, Arc::new(SystemEntropy), terms, None)
}

/// Returns a store in memory.
pub(crate) async fn memory(clock: Arc<dyn Clock>) -> Arc<dyn Store> {
    let config = StoreConfig {
        url: StoreUrl::Memory,
        master_key_file: None,
        files: ConnectionFiles::default(),
        timeout: Duration::from_millis(150),
        connections: 2,
        min_replicas: 0,
        fence_on_restart: false,
        max_clock_skew: Duration::ZERO,
    };
    store::open(
        &config,
        &PathBuf::from("unused"),
        clock,
        Arc::new(SystemEntropy),
    )
    .await
    .unwrap()
}

/// Returns the machine-readable reason of a refusal.
pub(crate) fn reason(status: &Status) -> String {
    status
        .get_error_details()
        .error_info()
        .map(|info| info.reason.clone())
        .unwrap_or_default()
}

/// Returns the fields that a refusal names.
pub(crate) fn fields(status: &Status) -> Vec<String> {
    let details = status.get_error_details();
    let wrong = details
        .bad_request()
        .map(|wrong| wrong.field_violations.clone())
        .unwrap_or_default();
    wrong.into_iter().map(|violation| violation.field).collect()
}

#[expect(clippy::unnecessary_wraps, reason = "the shape of an interceptor")]
fn authorized(mut request: Request<()>) -> Result<Request<()>, Status> {
    request
        .metadata_mut()
        .insert("authorization", MetadataValue::from_static(AUTHORIZATION));
    Ok(request)
}

const AUTHORIZATION: &str = "Bearer correct-horse-battery-staple";
