//! Changes that real proxies make to a signed request: the streamed denial names the cause and the
//! remedy.

use std::net::SocketAddr;
use std::sync::Arc;

use countersign::v1;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::support::certificates::Certificates;
use crate::support::envoy::{Deadlines, Envoy, NEWEST, Shape};
use crate::support::http::{Request, Response};
use crate::support::observer::Observer;
use crate::support::stack::{Parts, Stack, StoreKind};

#[tokio::test(flavor = "multi_thread")]
async fn the_change_of_a_path_by_envoy_is_named() {
    let stack = gateway().await;
    let observer = Observer::of(&stack.countersign).await;
    for (sent, cause, setting) in [
        ("/photos/%7Ealice", "path-escapes", "normalize_path"),
        ("/photos//1", "path-slashes", "merge_slashes"),
        ("/photos/./1", "path-dot-segments", "normalize_path"),
        (
            "/photos%2F1",
            "path-escapes",
            "path_with_escaped_slashes_action",
        ),
    ] {
        let mut watch = observer.watch().await;
        stack
            .denies(
                &stack.alice.sign(&Request::get(sent)),
                401,
                "signature_invalid",
            )
            .await;
        let denial = watch.message().await.unwrap().unwrap().denial.unwrap();
        assert_explained(&denial, &[cause], setting);
        assert!(
            denial.client_base_string.contains(&encoded(sent)),
            "{sent}: {denial:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_change_of_a_proxy_in_front_is_named() {
    let stack = gateway().await;
    let edge = Edge::before(stack.envoy.address).await;
    let observer = Observer::of(&stack.countersign).await;
    for (target, scheme, causes, setting) in [
        ("/photos", "https", &["scheme"][..], "origin = \"https://"),
        (
            "/renamed",
            "https",
            &["scheme", "host"],
            "origin = \"https://api.example.com",
        ),
        (
            "/renamed",
            "http",
            &["host"],
            "origin = \"http://api.example.com",
        ),
        (
            "/stripped/photos",
            "http",
            &["path-prefix-stripped"],
            "origin",
        ),
    ] {
        let mut watch = observer.watch().await;
        let signed = stack
            .alice
            .signing()
            .for_scheme(scheme)
            .in_header(&Request::get(target));
        assert_eq!(edge.send(&signed).await.status, 401, "{target}");
        let denial = watch.message().await.unwrap().unwrap().denial.unwrap();
        assert_explained(&denial, causes, setting);
    }
}

fn assert_explained(denial: &v1::Denial, causes: &[&str], setting: &str) {
    assert_eq!(denial.causes, causes, "{denial:?}");
    assert!(
        denial.remedy.contains(setting),
        "{setting} is not in {:?}",
        denial.remedy
    );
    let at = usize::try_from(denial.first_difference.unwrap()).unwrap();
    let (ours, theirs) = (&denial.base_string, &denial.client_base_string);
    assert_eq!(ours.as_bytes()[..at], theirs.as_bytes()[..at]);
    assert_ne!(ours.as_bytes().get(at), theirs.as_bytes().get(at));
}

/// Encodes a path as in a base string.
fn encoded(path: &str) -> String {
    path.replace('%', "%25").replace('/', "%2F")
}

async fn gateway() -> Stack {
    let (shape, store) = (Shape::Gateway, StoreKind::Embedded);
    Stack::start(Parts {
        envoy: NEWEST,
        shape,
        store,
        deadlines: Deadlines::Patient,
    })
    .await
}

/// A proxy in front.
struct Edge {
    envoy: Envoy,
    tls: TlsConnector,
    #[expect(dead_code, reason = "its files are there as long as it is")]
    certificates: Certificates,
}

impl Edge {
    async fn before(inside: SocketAddr) -> Self {
        let certificates = Certificates::create();
        let text = include_str!("../support/envoy/edge.yaml");
        let file = |name: &str| certificates.path(name).display().to_string();
        let text = text
            .replace("CERTIFICATE_FILE", &file("server.pem"))
            .replace("KEY_FILE", &file("server.key"));
        let text = text
            .replace("port_value: 9901", "port_value: 0")
            .replace("port_value: 10000", "port_value: 0");
        let text = text.replace(
            "port_value: 8000",
            &format!("port_value: {}", inside.port()),
        );
        let mut trusted = RootCertStore::empty();
        trusted
            .add(CertificateDer::from_pem_file(certificates.path("ca.pem")).unwrap())
            .unwrap();
        let config = ClientConfig::builder_with_provider(
            rustls::crypto::aws_lc_rs::default_provider().into(),
        )
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(trusted)
        .with_no_client_auth();
        let envoy = Envoy::start_as(NEWEST, &text).await;
        Self {
            envoy,
            tls: TlsConnector::from(Arc::new(config)),
            certificates,
        }
    }

    async fn send(&self, request: &Request) -> Response {
        let stream = TcpStream::connect(self.envoy.address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let mut stream = self.tls.connect(name, stream).await.unwrap();
        stream.write_all(&request.to_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // A closed connection ends the response too.
        let _ = stream.read_to_end(&mut answer).await;
        Response::parse(&answer)
    }
}
