//! The listeners from the outside: health, readiness, TLS, Unix sockets, and shutdown.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use countersign::clock::SystemClock;
use countersign::config::{Config, ListenAddress, TlsConfig};
use countersign::model::{ConsumerKey, Token};
use countersign::server::{Addresses, BindError, Listeners, ServerError};
use countersign::store::{
    CallerRecords, ChangeFeed, CheckStore, ClaimOutcome, NonceClaim, StoreError, StoreErrorKind,
    StoreFuture, StoreHealth, StoreStatus, ready_answer,
};
use countersign::v1::WatchDenialsRequest;
use countersign::v1::diagnostics_service_client::DiagnosticsServiceClient;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Streaming};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use crate::support::admin_server::reason;
use crate::support::certificates::Certificates;
use crate::support::refusing_store::refusing_store;
use crate::support::serving::{self, ADMIN_TOKEN, Serving, config, tcp};

const AUTHORIZATION: &str = "envoy.service.auth.v3.Authorization";

#[tokio::test]
async fn health_knows_two_names_on_both_grpc_listeners() {
    let service = Service::start(config()).await;
    service.is_ready().await;
    for address in [&service.addresses.check, &service.addresses.api] {
        let mut health = health(&plain(address)).await;
        for name in ["", AUTHORIZATION] {
            assert_eq!(
                check(&mut health, name).await,
                Ok(ServingStatus::Serving),
                "{name}"
            );
        }
        assert_eq!(check(&mut health, "countersign").await, Err(Code::NotFound));
        let unknown = health.watch(request("countersign")).await.unwrap_err();
        assert_eq!(unknown.code(), Code::NotFound);
    }
}

#[tokio::test]
async fn a_malformed_check_gets_an_error_status() {
    let service = Service::start(config()).await;
    let address = &service.addresses.check;
    let nothing = ("x-test", "1");
    assert_eq!(
        call(address, "Check", &[], nothing).await,
        Code::Ok,
        "a denial is a response"
    );
    assert_eq!(
        call(address, "Check", &[0xff], nothing).await,
        Code::Internal
    );
    assert_eq!(
        call(address, "Check", &vec![0; 3 * 1024 * 1024], nothing).await,
        Code::OutOfRange
    );
    assert_eq!(
        call(address, "Check", &[], ("grpc-encoding", "gzip")).await,
        Code::Unimplemented
    );
    assert_eq!(
        call(address, "Checks", &[], nothing).await,
        Code::Unimplemented
    );
}

#[tokio::test]
async fn a_health_watch_reports_the_loss_and_return_of_the_store() {
    let service = Service::start(config()).await;
    service.is_ready().await;
    let mut health = health(&plain(&service.addresses.check)).await;
    let mut watch = health
        .watch(request(AUTHORIZATION))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(next(&mut watch).await, Some(ServingStatus::Serving));

    service.store.set_lost(true);
    assert_eq!(next(&mut watch).await, Some(ServingStatus::NotServing));
    assert_eq!(check(&mut health, "").await, Ok(ServingStatus::NotServing));
    let readyz = get(&service.addresses.ops, "/readyz").await;
    assert_eq!(
        (readyz.status, readyz.body.as_str()),
        (
            503,
            "{\"ready\":false,\"reason\":\"store_unavailable\",\
             \"cause\":\"test failed: the store is unavailable\"}\n"
        )
    );
    assert_eq!(
        get(&service.addresses.ops, "/livez").await.status,
        200,
        "liveness must not depend on the store"
    );
    let metrics = get(&service.addresses.ops, "/metrics").await;
    assert!(
        metrics.body.contains("\ncountersign_store_up 0\n"),
        "{}",
        metrics.body
    );

    service.store.set_lost(false);
    assert_eq!(next(&mut watch).await, Some(ServingStatus::Serving));
    let readyz = get(&service.addresses.ops, "/readyz").await;
    assert_eq!(
        (readyz.status, readyz.body.as_str()),
        (200, "{\"ready\":true,\"reason\":\"ready\"}\n")
    );
}

#[tokio::test]
async fn draining_is_reported_before_connections_close() {
    let mut config = config();
    config.shutdown.delay = Duration::from_secs(1);
    let service = Service::start(config).await;
    service.is_ready().await;
    let mut watch = health(&plain(&service.addresses.check))
        .await
        .watch(request(""))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(next(&mut watch).await, Some(ServingStatus::Serving));

    let Service {
        addresses,
        shutdown,
        ended,
        ..
    } = service;
    shutdown.send(()).unwrap();
    assert_eq!(next(&mut watch).await, Some(ServingStatus::NotServing));
    let mut newcomer = health(&plain(&addresses.check)).await;
    assert_eq!(
        check(&mut newcomer, "").await,
        Ok(ServingStatus::NotServing),
        "open connections still get responses"
    );
    assert_eq!(
        get(&addresses.ops, "/readyz").await.body,
        "{\"ready\":false,\"reason\":\"draining\"}\n"
    );

    let end = watch.message().await.unwrap_err();
    assert_eq!(
        end.code(),
        Code::Unavailable,
        "a stream must not delay the shutdown"
    );
    ended.await.unwrap().unwrap();
    assert!(
        Endpoint::from_shared(plain(&addresses.check))
            .unwrap()
            .connect()
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_watch_of_denials_does_not_hold_its_connection_open() {
    let mut config = config();
    config.shutdown.timeout = Duration::from_secs(3600);
    let service = Service::start(config).await;
    service.is_ready().await;
    let channel = Endpoint::from_shared(plain(&service.addresses.api))
        .unwrap()
        .connect()
        .await
        .unwrap();
    let mut request = tonic::Request::new(WatchDenialsRequest::default());
    request.metadata_mut().insert(
        "authorization",
        format!("Bearer {ADMIN_TOKEN}").parse().unwrap(),
    );
    let mut watch = DiagnosticsServiceClient::new(channel)
        .watch_denials(request)
        .await
        .unwrap()
        .into_inner();

    let Service {
        shutdown, ended, ..
    } = service;
    shutdown.send(()).unwrap();
    let end = watch.message().await.unwrap_err();
    assert_eq!(
        (end.code(), &*reason(&end)),
        (Code::Unavailable, "CONNECTION_ENDING")
    );
    drop(watch);
    tokio::time::timeout(Duration::from_secs(60), ended)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn a_store_that_never_answered_is_not_ready() {
    let service = Service::start_with(config(), FakeStore::lost()).await;
    let mut health = health(&plain(&service.addresses.check)).await;
    assert_eq!(check(&mut health, "").await, Ok(ServingStatus::NotServing));
    assert_eq!(get(&service.addresses.ops, "/readyz").await.status, 503);
}

#[tokio::test]
async fn a_listener_can_be_a_unix_socket() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("check.sock");
    let mut config = config();
    config.check.listener.address = ListenAddress::Unix(path.clone());
    let service = Service::start(config).await;
    service.is_ready().await;
    assert_eq!(
        service.addresses.check.to_string(),
        format!("unix:{}", path.display())
    );
    let mut health = health(&format!("unix:{}", path.display())).await;
    assert_eq!(check(&mut health, "").await, Ok(ServingStatus::Serving));
    drop(health);

    let Service {
        shutdown, ended, ..
    } = service;
    shutdown.send(()).unwrap();
    ended.await.unwrap().unwrap();
    assert!(!path.exists(), "the socket is removed at shutdown");
}

#[tokio::test]
async fn a_listener_can_speak_tls() {
    let files = Certificates::create();
    let mut config = config();
    config.check.listener.tls = Some(files.server(false));
    let service = Service::start(config).await;
    service.is_ready().await;
    let (uri, tls) = (encrypted(&service.addresses.check), files.trusting());
    let mut health = HealthClient::new(connect_tls(&uri, tls).await.unwrap());
    assert_eq!(check(&mut health, "").await, Ok(ServingStatus::Serving));
}

#[tokio::test]
async fn a_client_without_a_certificate_of_the_ca_is_refused() {
    let (files, strangers) = (Certificates::create(), Certificates::create());
    let mut config = config();
    config.check.listener.tls = Some(files.server(true));
    let service = Service::start(config).await;
    service.is_ready().await;
    let uri = encrypted(&service.addresses.check);

    let known = connect_tls(
        &uri,
        files.trusting().identity(files.client(&["dns:localhost"])),
    )
    .await
    .unwrap();
    assert_eq!(
        check(&mut HealthClient::new(known), "").await,
        Ok(ServingStatus::Serving)
    );
    for tls in [
        files.trusting(),
        files
            .trusting()
            .identity(strangers.client(&["dns:localhost"])),
    ] {
        // In TLS 1.3 a client sees the refusal only with the first response.
        let asked = match connect_tls(&uri, tls).await {
            Ok(channel) => check(&mut HealthClient::new(channel), "").await.is_ok(),
            Err(_) => false,
        };
        assert!(!asked);
    }
}

#[tokio::test]
async fn plaintext_on_a_tls_listener_gets_nothing() {
    let files = Certificates::create();
    let mut config = config();
    config.check.listener.tls = Some(files.server(false));
    let service = Service::start(config).await;
    service.is_ready().await;
    let mut health = health(&plain(&service.addresses.check)).await;
    assert!(check(&mut health, "").await.is_err());
}

#[tokio::test]
async fn a_key_of_another_certificate_is_an_error_at_start() {
    let (files, others) = (Certificates::create(), Certificates::create());
    let mut config = config();
    config.api.listener.tls = Some(TlsConfig {
        key_file: others.path("server.key"),
        ..files.server(false)
    });
    let error = Listeners::bind(&config).await.unwrap_err();
    assert!(
        matches!(
            &error,
            BindError::Tls {
                listener: "api",
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(error.to_string(), "the api listener cannot offer TLS");
}

#[tokio::test]
async fn reflection_is_offered_to_administrators_and_not_to_envoy_by_default() {
    let service = Service::start(config()).await;
    assert_eq!(reflects(&service.addresses.api).await, Ok(()));
    assert_eq!(
        reflects(&service.addresses.check).await,
        Err(Code::Unimplemented)
    );
    let mut open = config();
    open.check.reflection = true;
    assert_eq!(
        reflects(&Service::start(open).await.addresses.check).await,
        Ok(())
    );
}

/// The service over a store that a test can fail.
struct Service {
    addresses: Addresses,
    store: Arc<FakeStore>,
    shutdown: oneshot::Sender<()>,
    ended: JoinHandle<Result<(), ServerError>>,
}

impl Service {
    async fn start(config: Config) -> Self {
        Self::start_with(config, FakeStore::default()).await
    }

    async fn start_with(config: Config, store: FakeStore) -> Self {
        let store = Arc::new(store);
        let app = serving::app(config, store.clone(), Arc::new(SystemClock));
        let Serving {
            addresses,
            shutdown,
            ended,
        } = Serving::start(app).await;
        Self {
            addresses,
            store,
            shutdown,
            ended,
        }
    }

    async fn is_ready(&self) {
        while get(&self.addresses.ops, "/readyz").await.status != 200 {
            tokio::task::yield_now().await;
        }
    }
}

fn plain(address: &ListenAddress) -> String {
    format!("http://{address}")
}

/// Returns an address by name, which the certificate needs.
fn encrypted(address: &ListenAddress) -> String {
    format!("https://localhost:{}", tcp(address).port())
}

async fn health(uri: &str) -> HealthClient<Channel> {
    HealthClient::new(
        Endpoint::from_shared(uri.to_owned())
            .unwrap()
            .connect()
            .await
            .unwrap(),
    )
}

async fn connect_tls(uri: &str, tls: ClientTlsConfig) -> Result<Channel, tonic::transport::Error> {
    Endpoint::from_shared(uri.to_owned())
        .unwrap()
        .tls_config(tls)
        .unwrap()
        .connect()
        .await
}

fn request(service: &str) -> HealthCheckRequest {
    HealthCheckRequest {
        service: service.to_owned(),
    }
}

async fn check(health: &mut HealthClient<Channel>, service: &str) -> Result<ServingStatus, Code> {
    let answer = health.check(request(service)).await;
    answer
        .map(|answer| answer.into_inner().status())
        .map_err(|status| status.code())
}

/// Calls a method with `bytes` as the message and an additional header; returns the status code.
async fn call(
    address: &ListenAddress,
    method: &str,
    bytes: &[u8],
    header: (&'static str, &'static str),
) -> Code {
    let mut client = tonic::client::Grpc::new(
        Endpoint::from_shared(plain(address))
            .unwrap()
            .connect()
            .await
            .unwrap(),
    );
    client.ready().await.unwrap();
    let mut request = tonic::Request::new(bytes.to_vec());
    request
        .metadata_mut()
        .insert(header.0, header.1.parse().unwrap());
    let path = format!("/{AUTHORIZATION}/{method}").parse().unwrap();
    let answered = client
        .unary::<_, Vec<u8>, _>(request, path, tonic_prost::ProstCodec::default())
        .await;
    answered.map_or_else(|status| status.code(), |_| Code::Ok)
}

async fn next(watch: &mut Streaming<HealthCheckResponse>) -> Option<ServingStatus> {
    watch.message().await.unwrap().map(|answer| answer.status())
}

/// Calls server reflection.
async fn reflects(address: &ListenAddress) -> Result<(), Code> {
    use tonic_reflection::pb::v1::ServerReflectionRequest;
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;

    let channel = Endpoint::from_shared(plain(address))
        .unwrap()
        .connect()
        .await
        .unwrap();
    let no_requests = futures_util::stream::empty::<ServerReflectionRequest>();
    let answer = ServerReflectionClient::new(channel)
        .server_reflection_info(no_requests)
        .await;
    answer.map(drop).map_err(|status| status.code())
}

struct Answer {
    status: u16,
    body: String,
}

/// Sends a GET request.
async fn get(address: &ListenAddress, path: &str) -> Answer {
    let answer = exchange(address, path).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    Answer {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        body: body.to_owned(),
    }
}

async fn exchange(address: &ListenAddress, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address.to_string()).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

/// A store that only supports pings, and can fail.
#[derive(Debug, Default)]
struct FakeStore {
    lost: AtomicBool,
    changes: ChangeFeed,
}

impl FakeStore {
    fn lost() -> Self {
        Self {
            lost: AtomicBool::new(true),
            ..Self::default()
        }
    }

    fn set_lost(&self, lost: bool) {
        self.lost.store(lost, Ordering::SeqCst);
    }
}

fn unavailable<T>() -> Result<T, StoreError> {
    Err(StoreError::new(StoreErrorKind::Unavailable, "test"))
}

impl CheckStore for FakeStore {
    fn caller_records<'a>(
        &'a self,
        _: &'a ConsumerKey,
        _: Option<&'a Token>,
    ) -> StoreFuture<'a, CallerRecords> {
        ready_answer(unavailable())
    }

    fn claim_nonce<'a>(&'a self, _: &'a NonceClaim<'a>) -> StoreFuture<'a, ClaimOutcome> {
        ready_answer(unavailable())
    }

    fn clock_lead(&self) -> Duration {
        Duration::ZERO
    }
}

#[async_trait]
impl StoreHealth for FakeStore {
    async fn ping(&self) -> Result<(), StoreError> {
        if self.lost.load(Ordering::SeqCst) {
            unavailable()
        } else {
            Ok(())
        }
    }

    fn status(&self) -> StoreStatus {
        StoreStatus::default()
    }
}

refusing_store!(
    FakeStore,
    StoreError::new(StoreErrorKind::Unavailable, "test"),
    |fake| &fake.changes
);
