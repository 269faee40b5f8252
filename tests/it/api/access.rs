//! Access to the calls of `countersign.v1`, with a token or a client certificate.

use std::sync::Arc;

use countersign::clock::SystemClock;
use countersign::config::Config;
use countersign::server::App;
use countersign::server::api::{AdminToken, IssuerToken, SERVICES};
use futures_util::stream;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Status};
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::api::definition::{calls, send};
use crate::support::admin_server::{ADMIN_TOKEN, AdminServer, ISSUER_TOKEN, memory, reason};
use crate::support::certificates::Certificates;
use crate::support::serving::{self, Serving, tcp};

const INTROSPECT: &str = "/countersign.v1.TokenService/IntrospectToken";
const LIST: &str = "/countersign.v1.ConsumerService/ListConsumers";

/// The calls come from the API definition, so a new call is covered too.
#[tokio::test]
async fn every_call_needs_a_token_that_may_make_it() {
    let server = AdminServer::start().await;
    let channel = server.stranger().await;
    let mut of_issuers = Vec::new();
    for call in calls() {
        let garbage = vec![0xff];
        for nobody in [None, Some("token-of-somebody-else")] {
            let refused = send(&channel, &call.path, nobody, garbage.clone())
                .await
                .unwrap_err();
            let told = (refused.code(), reason(&refused));
            assert_eq!(
                told,
                (Code::Unauthenticated, "CREDENTIALS_REQUIRED".to_owned()),
                "{}",
                call.path
            );
        }
        let admin = send(&channel, &call.path, Some(ADMIN_TOKEN), garbage.clone())
            .await
            .unwrap_err();
        assert_eq!(admin.code(), Code::InvalidArgument, "{}", call.path);
        let issuer = send(&channel, &call.path, Some(ISSUER_TOKEN), garbage)
            .await
            .unwrap_err();
        if issuer.code() == Code::InvalidArgument {
            of_issuers.push(call.name);
        } else {
            assert_eq!(
                (issuer.code(), reason(&issuer).as_str()),
                (Code::PermissionDenied, "ROLE_INSUFFICIENT")
            );
        }
    }
    of_issuers.sort();
    assert_eq!(of_issuers, OF_ISSUERS);
}

#[tokio::test]
async fn a_certificate_has_the_roles_of_its_name() {
    let files = Certificates::create();
    let service = Service::start(|config| {
        config.api.listener.tls = Some(files.server(true));
        config.api.admin_clients = vec!["ops.example.com".to_owned(), ADMIN_ID.to_owned()];
        config.api.issuer_clients = vec!["login.example.com".to_owned(), ISSUER_ID.to_owned()];
    })
    .await;
    for (names, administers, issues) in [
        (&["dns:ops.example.com"][..], Ok(()), Ok(())),
        (
            &["dns:x.example.com", "dns:OPS.example.com"],
            Ok(()),
            Ok(()),
        ),
        (&[&*format!("uri:{ADMIN_ID}")], Ok(()), Ok(())),
        (
            &["dns:login.example.com"],
            Err(Code::PermissionDenied),
            Ok(()),
        ),
        (
            &[&*format!("uri:{ISSUER_ID}")],
            Err(Code::PermissionDenied),
            Ok(()),
        ),
        (
            &["dns:login.example.com", "dns:ops.example.com"],
            Ok(()),
            Ok(()),
        ),
        (
            &["dns:x.example.com"],
            Err(Code::Unauthenticated),
            Err(Code::Unauthenticated),
        ),
        (
            &["uri:ops.example.com"],
            Err(Code::Unauthenticated),
            Err(Code::Unauthenticated),
        ),
        (
            &["uri:spiffe://elsewhere/ns/ops/sa/admin"],
            Err(Code::Unauthenticated),
            Err(Code::Unauthenticated),
        ),
        (&[], Err(Code::Unauthenticated), Err(Code::Unauthenticated)),
    ] {
        let channel = service.connect(&files, names).await.unwrap();
        assert_eq!(ask(&channel, LIST, None).await, administers, "{names:?}");
        assert_eq!(ask(&channel, INTROSPECT, None).await, issues, "{names:?}");
    }
}

#[tokio::test]
async fn a_token_decides_beside_a_certificate() {
    let files = Certificates::create();
    let service = Service::start(|config| {
        config.api.listener.tls = Some(files.server(true));
        config.api.admin_clients = vec!["ops.example.com".to_owned()];
    })
    .await;
    let named = service
        .connect(&files, &["dns:ops.example.com"])
        .await
        .unwrap();
    assert_eq!(
        ask(&named, LIST, Some("token-of-somebody-else")).await,
        Err(Code::Unauthenticated)
    );
    assert_eq!(
        ask(&named, LIST, Some(ISSUER_TOKEN)).await,
        Err(Code::PermissionDenied)
    );
    let unnamed = service
        .connect(&files, &["dns:x.example.com"])
        .await
        .unwrap();
    assert_eq!(ask(&unnamed, LIST, Some(ADMIN_TOKEN)).await, Ok(()));
}

#[tokio::test]
async fn a_certificate_of_another_authority_opens_nothing() {
    let (files, others) = (Certificates::create(), Certificates::create());
    let service = Service::start(|config| {
        config.api.listener.tls = Some(files.server(true));
        config.api.admin_clients = vec!["ops.example.com".to_owned()];
    })
    .await;
    let tls = files
        .trusting()
        .identity(others.client(&["dns:ops.example.com"]));
    let asked = match service.connect_with(tls).await {
        Ok(channel) => ask(&channel, LIST, None).await.is_ok(),
        Err(_) => false,
    };
    assert!(!asked);
}

#[tokio::test]
async fn reflection_and_health_need_no_token() {
    let service = Service::start(|_| ()).await;
    let channel = service.plain().await;
    let request = MessageRequest::ListServices(String::new());
    let listed = reflect(&channel, request).await;
    let MessageResponse::ListServicesResponse(listed) = listed else {
        panic!("{listed:?}")
    };
    let mut names: Vec<_> = listed
        .service
        .into_iter()
        .map(|service| service.name)
        .collect();
    names.sort();
    let mut expected: Vec<_> = SERVICES
        .into_iter()
        .chain(["grpc.health.v1.Health", REFLECTION])
        .collect();
    expected.sort_unstable();
    assert_eq!(names, expected);
    for name in expected {
        let request = MessageRequest::FileContainingSymbol(name.to_owned());
        let described = reflect(&channel, request).await;
        assert!(
            matches!(described, MessageResponse::FileDescriptorResponse(_)),
            "{name}: {described:?}"
        );
    }
    let mut health = tonic_health::pb::health_client::HealthClient::new(channel);
    assert!(
        health
            .check(tonic_health::pb::HealthCheckRequest::default())
            .await
            .is_ok()
    );
}

async fn reflect(channel: &Channel, request: MessageRequest) -> MessageResponse {
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(request),
    };
    let mut client = ServerReflectionClient::new(channel.clone());
    let mut answers = client
        .server_reflection_info(stream::iter([request]))
        .await
        .unwrap()
        .into_inner();
    answers
        .message()
        .await
        .unwrap()
        .unwrap()
        .message_response
        .unwrap()
}

/// Sends a request that the call accepts: `IntrospectToken` needs a token, all others take an empty
/// message.
async fn ask(channel: &Channel, path: &str, token: Option<&str>) -> Result<(), Code> {
    let message = if path == INTROSPECT {
        vec![0x0a, 1, b'k']
    } else {
        Vec::new()
    };
    send(channel, path, token, message)
        .await
        .map(drop)
        .map_err(|status: Status| status.code())
}

/// The whole service.
struct Service(Serving);

impl Service {
    async fn start(configure: impl FnOnce(&mut Config)) -> Self {
        let mut config = serving::config();
        configure(&mut config);
        let clock = Arc::new(SystemClock);
        let app = serving::app(config, memory(clock.clone()).await, clock);
        let (admin_token, issuer_token) = (
            AdminToken::new(ADMIN_TOKEN).unwrap(),
            IssuerToken::new(ISSUER_TOKEN),
        );
        Self(
            Serving::start(App {
                admin_token,
                issuer_token,
                ..app
            })
            .await,
        )
    }

    async fn plain(&self) -> Channel {
        Endpoint::from_shared(format!("http://{}", self.0.addresses.api))
            .unwrap()
            .connect()
            .await
            .unwrap()
    }

    /// Connects with a client certificate for these names, signed by the authority that the server
    /// trusts.
    async fn connect(
        &self,
        files: &Certificates,
        names: &[&str],
    ) -> Result<Channel, tonic::transport::Error> {
        self.connect_with(files.trusting().identity(files.client(names)))
            .await
    }

    async fn connect_with(&self, tls: ClientTlsConfig) -> Result<Channel, tonic::transport::Error> {
        let uri = format!("https://localhost:{}", tcp(&self.0.addresses.api).port());
        Endpoint::from_shared(uri)
            .unwrap()
            .tls_config(tls)
            .unwrap()
            .connect()
            .await
    }
}

const ADMIN_ID: &str = "spiffe://cluster.local/ns/ops/sa/admin";
const ISSUER_ID: &str = "spiffe://cluster.local/ns/login/sa/page";
const REFLECTION: &str = "grpc.reflection.v1.ServerReflection";

const OF_ISSUERS: [&str; 10] = [
    "AuthorizeRequestToken",
    "CreateRequestToken",
    "CreateToken",
    "ExchangePassword",
    "ExchangeRequestToken",
    "GetRequestToken",
    "IntrospectToken",
    "RefuseRequestToken",
    "RevokeToken",
    "RevokeTokens",
];
