//! The certificates and client CAs of listeners.

use std::fs;
use std::path::Path;

use tonic::Code;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::{BY_SIGNAL, Reloads, next, refused_reload, reload};
use crate::api::definition::send;
use crate::support::certificates::Certificates;
use crate::support::program::Countersign;

#[tokio::test(flavor = "multi_thread")]
async fn new_connections_get_a_new_certificate_and_open_ones_keep_working() {
    let (old, new) = (Certificates::create(), Certificates::create());
    let countersign =
        Countersign::start("memory:", &format!("{BY_SIGNAL}{}", tls("check", &old))).await;
    let before = connect(&countersign, old.trusting()).await.unwrap();
    is_answered(&before).await;

    countersign.configure(&format!("{BY_SIGNAL}{}", tls("check", &new)));
    reload(&countersign).await;
    is_answered(&before).await;
    assert!(connect(&countersign, old.trusting()).await.is_err());
    let after = connect(&countersign, new.trusting()).await.unwrap();
    is_answered(&after).await;
    let expiry = r#"countersign_certificate_expiry_seconds{listener="check"} "#;
    assert!(countersign.metrics().await.contains(expiry));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_whose_key_follows_later_is_no_mistake() {
    let (old, new) = (Certificates::create(), Certificates::create());
    let config = format!("reload.interval = \"2s\"\n{}", tls("check", &old));
    let countersign = Countersign::start("memory:", &config).await;
    let before = Reloads::of(&countersign).await;
    fs::copy(new.path("server.pem"), old.path("server.pem")).unwrap();
    fs::copy(new.path("server.key"), old.path("server.key")).unwrap();
    let after = next(&countersign, before).await;
    assert_eq!((after.succeeded, after.refused), (1, 0));
    is_answered(&connect(&countersign, new.trusting()).await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_without_its_key_is_refused_and_the_old_pair_stays() {
    let (old, new) = (Certificates::create(), Certificates::create());
    let config = format!("{BY_SIGNAL}{}", tls("check", &old));
    let countersign = Countersign::start("memory:", &config).await;
    fs::copy(new.path("server.pem"), old.path("server.pem")).unwrap();
    let refusal = refused_reload(&countersign).await;
    assert!(
        refusal.contains("[check.tls]: the certificate and the key cannot be used"),
        "{refusal}"
    );
    is_answered(&connect(&countersign, old.trusting()).await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn client_certificates_of_the_former_authority_are_refused() {
    let (old, new) = (Certificates::create(), Certificates::create());
    let config = |clients: &Certificates| {
        format!(
            "{BY_SIGNAL}api.admin_clients = \"ops.example.com\"\n{}client_ca_file = {:?}\n",
            tls("api", &old),
            clients.path("ca.pem")
        )
    };
    let countersign = Countersign::start("memory:", &config(&old)).await;
    let trusting = |clients: &Certificates| {
        let identity = clients.client(&["dns:ops.example.com"]);
        old.trusting().identity(identity)
    };
    assert_eq!(list(&countersign, trusting(&old)).await, Some(Ok(())));
    assert_eq!(list(&countersign, trusting(&new)).await, None);

    countersign.configure(&config(&new));
    reload(&countersign).await;
    assert_eq!(list(&countersign, trusting(&old)).await, None);
    assert_eq!(list(&countersign, trusting(&new)).await, Some(Ok(())));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_connection_has_the_names_that_the_current_authority_verifies() {
    let (old, new) = (Certificates::create(), Certificates::create());
    let both = new.file("both.pem", &(old.authority() + &new.authority()));
    let config = |admin: &str, clients: &Path| {
        format!(
            "{BY_SIGNAL}api.admin_clients = {admin:?}\n{}client_ca_file = {clients:?}\n",
            tls("api", &old)
        )
    };
    let [first, second] = ["first.example.com", "second.example.com"];
    let countersign = Countersign::start("memory:", &config(first, &old.path("ca.pem"))).await;
    let identity = old.client(&[&format!("dns:{second}")]);
    let client = old.trusting().identity(identity);
    let channel = open(countersign.api.port(), client).await.unwrap();
    let refused = Err(Code::Unauthenticated);
    assert_eq!(list_on(&channel).await, refused, "not its name");

    countersign.configure(&config(second, &both));
    reload(&countersign).await;
    assert_eq!(list_on(&channel).await, Ok(()), "the old authority counts");

    countersign.configure(&config(second, &new.path("ca.pem")));
    reload(&countersign).await;
    assert_eq!(list_on(&channel).await, refused, "it does not any more");
    countersign.logs("certificate no longer valid").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_neither_turned_on_nor_off_without_a_restart() {
    let files = Certificates::create();
    let countersign =
        Countersign::start("memory:", &format!("{BY_SIGNAL}{}", tls("check", &files))).await;
    countersign.configure(&format!("{BY_SIGNAL}{}", tls("http", &files)));
    reload(&countersign).await;
    countersign
        .logs("restart to apply: check.tls, http.tls")
        .await;
    is_answered(&connect(&countersign, files.trusting()).await.unwrap()).await;
}

/// Returns the section of a listener with the certificate of `files`.
fn tls(listener: &str, files: &Certificates) -> String {
    let (certificate, key) = (files.path("server.pem"), files.path("server.key"));
    format!("[{listener}.tls]\ncertificate_file = {certificate:?}\nkey_file = {key:?}\n")
}

async fn connect(
    countersign: &Countersign,
    tls: ClientTlsConfig,
) -> Result<Channel, tonic::transport::Error> {
    open(countersign.check.port(), tls).await
}

async fn open(port: u16, tls: ClientTlsConfig) -> Result<Channel, tonic::transport::Error> {
    let endpoint = Endpoint::from_shared(format!("https://localhost:{port}")).unwrap();
    endpoint.tls_config(tls).unwrap().connect().await
}

async fn is_answered(channel: &Channel) {
    let health = HealthClient::new(channel.clone())
        .check(HealthCheckRequest::default())
        .await;
    assert!(health.is_ok(), "{health:?}");
}

/// Lists consumers on a new connection; `None` if the handshake refused it.
async fn list(countersign: &Countersign, tls: ClientTlsConfig) -> Option<Result<(), Code>> {
    let channel = open(countersign.api.port(), tls).await.ok()?;
    match list_on(&channel).await {
        // In TLS 1.3, a refused client learns it after its own part of the handshake.
        Err(Code::Unknown | Code::Unavailable | Code::Cancelled) => None,
        listed => Some(listed),
    }
}

/// Lists consumers without a token.
async fn list_on(channel: &Channel) -> Result<(), Code> {
    let path = "/countersign.v1.ConsumerService/ListConsumers";
    let listed = send(channel, path, None, Vec::new()).await;
    listed.map(drop).map_err(|status| status.code())
}
