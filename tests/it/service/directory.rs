//! An operator's user directory over gRPC and HTTP: accepted and rejected users, and outages.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use countersign::config::{DirectoryKind, UsersConfig};
use countersign::directory;
use countersign::issue::{DirectoryError, DirectoryUser, Login};
use countersign::model::{ConsumerKey, Secret};
use countersign::v1;
use countersign::v1::user_directory_server::{UserDirectory, UserDirectoryServer};
use rustls::pki_types::pem::PemObject as _;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Server, ServerTlsConfig};
use tonic::{Request, Response, Status};

use crate::docs::issuing::blocks;
use crate::support::certificates::Certificates;
use crate::support::process::{Process, START, eventually, installed, project};
use crate::support::program::Countersign;
use crate::support::redis::{free_port, wait_until};

type Answered = Result<Option<DirectoryUser>, DirectoryError>;

#[tokio::test]
async fn over_grpc_the_directory_names_the_user() {
    let tls = Certificates::create();
    let served = Grpc::start(Some(&tls));
    let config = UsersConfig {
        token_file: Some(tls.file("token", "t0ken\n")),
        ..https(DirectoryKind::Grpc, served.address, &tls)
    };
    let directory = directory::open(&config).unwrap().unwrap();
    let user = directory
        .authenticate(&login("alice", "right"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (user.id.as_str(), user.screen_name.as_str()),
        ("u-1", "Alice")
    );
    assert!(
        directory
            .authenticate(&login("alice", "wrong"))
            .await
            .unwrap()
            .is_none()
    );
    let asked = served.asked.lock().unwrap()[0].clone();
    assert_eq!(asked, "Bearer t0ken alice K 192.0.2.1");

    is_outage(
        directory.authenticate(&login("echo", "s3cret")).await,
        "its status is not OK",
    );
    is_outage(
        directory.authenticate(&login("garbage", "s3cret")).await,
        "user_id in its response is not a valid user id",
    );
    is_outage(
        directory.authenticate(&login("hang", "s3cret")).await,
        "no response within users.timeout",
    );
}

#[tokio::test]
async fn an_untrusted_directory_is_not_queried() {
    let (tls, other) = (Certificates::create(), Certificates::create());
    let grpc = Grpc::start(Some(&tls));
    let http = Http::start(Some(&tls), yes()).await;
    for (kind, address) in [
        (DirectoryKind::Grpc, grpc.address),
        (DirectoryKind::Http, http.address),
    ] {
        for config in [
            https(kind, address, &other),
            UsersConfig {
                ca_file: None,
                ..https(kind, address, &tls)
            },
        ] {
            let directory = directory::open(&config).unwrap().unwrap();
            assert!(
                directory
                    .authenticate(&login("alice", "right"))
                    .await
                    .is_err(),
                "{config:?}"
            );
        }
        let directory = directory::open(&https(kind, address, &tls))
            .unwrap()
            .unwrap();
        assert!(
            directory
                .authenticate(&login("alice", "right"))
                .await
                .unwrap()
                .is_some(),
            "{kind:?}"
        );
    }
    assert!(grpc.asked.lock().unwrap().len() == 1 && http.asked.lock().unwrap().len() == 1);
}

#[tokio::test]
async fn a_directory_is_found_again_after_an_outage() {
    let mut served = Grpc::start(None);
    let directory = directory::open(&plain(DirectoryKind::Grpc, served.address))
        .unwrap()
        .unwrap();
    assert!(
        directory
            .authenticate(&login("alice", "right"))
            .await
            .unwrap()
            .is_some()
    );
    served.stop();
    eventually("the directory is down", START, async || {
        directory.authenticate(&login("alice", "right")).await.err()
    })
    .await;
    served.start_again();
    eventually("the directory is up again", START, async || {
        directory.authenticate(&login("alice", "right")).await.ok()
    })
    .await;
}

#[tokio::test]
async fn over_http_only_200_and_204_are_answers() {
    let (status, answered) = ask(yes()).await;
    assert_eq!(answered.unwrap().unwrap().screen_name, "Alice");
    let question: serde_json::Value =
        serde_json::from_str(status.split_once("\r\n\r\n").unwrap().1).unwrap();
    let expected = serde_json::json!(
        {"username": "alice", "password": "s3cret", "consumer_key": "K", "client_address": "192.0.2.1"}
    );
    assert_eq!(question, expected);
    assert!(
        status.starts_with("POST /authenticate?realm=1 HTTP/1.1\r\n"),
        "{status}"
    );
    assert!(
        ask("HTTP/1.1 204 No Content\r\n\r\n".to_owned())
            .await
            .1
            .unwrap()
            .is_none()
    );

    for status in [
        "301 Moved",
        "302 Found",
        "307 Temporary Redirect",
        "308 Permanent Redirect",
        "400 Bad Request",
    ] {
        let text =
            format!("HTTP/1.1 {status}\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n");
        is_outage(ask(text).await.1, "its HTTP status is neither 200 nor 204");
    }
    for status in [
        "401 Unauthorized",
        "403 Forbidden",
        "404 Not Found",
        "500 Oops",
        "201 Created",
        "503 Later",
    ] {
        let text =
            format!("HTTP/1.1 {status}\r\nContent-Length: 20\r\n\r\n{{\"user_id\": \"alice\"}}");
        is_outage(ask(text).await.1, "its HTTP status is neither 200 nor 204");
    }
}

#[tokio::test]
async fn an_answer_that_is_cut_off_huge_or_garbage_is_an_outage() {
    let not_json = "its response is not a JSON object with the string user_id and optionally the string screen_name";
    for (body, problem) in [
        ("", not_json),
        ("{}", not_json),
        ("[]", not_json),
        (r#"{"user_id": null}"#, not_json),
        (r#"{"user_id": 5}"#, not_json),
        (r#"{"user_id": "a", "user_id": "b"}"#, not_json),
        (r#"{"user_id": "a", "screen_name": ["s3cret"]}"#, not_json),
        (
            r#"{"user_id": ""}"#,
            "user_id in its response is not a valid user id",
        ),
        (
            r#"{"user_id": "a\r\nx-consumer-id: b"}"#,
            "user_id in its response is not a valid user id",
        ),
        (
            &format!(r#"{{"user_id": "{}"}}"#, "a".repeat(70_000)),
            "its response was cut off, or longer than 64 KiB",
        ),
    ] {
        is_outage(ask(ok(body)).await.1, problem);
    }
    let cut = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{}",
        r#"{"user_id": "u-1"}"#
    );
    is_outage(
        ask(cut).await.1,
        "its response was cut off, or longer than 64 KiB",
    );
    is_outage(
        ask("SSH-2.0-OpenSSH_9.9\r\n".to_owned()).await.1,
        "cannot reach it",
    );
    is_outage(ask(String::new()).await.1, "cannot reach it");
    is_outage(
        ask(HANG.to_owned()).await.1,
        "no response within users.timeout",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_directory_of_the_page_lets_its_user_in_by_xauth() {
    let page = fs::read_to_string(project("docs/issuing.md")).unwrap();
    let examples = blocks(&page, "python");
    for (kind, url, example) in [
        ("http", "/authenticate", &examples[0]),
        ("grpc", "", &examples[1]),
    ] {
        let (port, generated) = (free_port(), generated());
        let mut command = Command::new("python3");
        let path = format!(
            "{}:{}",
            generated.path().display(),
            installed("target/python").display()
        );
        command
            .arg("-c")
            .arg(example.replace("9000", &port.to_string()))
            .env("PYTHONPATH", path);
        let _directory = Process::spawn("user directory", &mut command);
        let address: SocketAddr = ([127, 0, 0, 1], port).into();
        eventually("the directory listens", START, async || {
            TcpStream::connect(address).await.ok()
        })
        .await;

        let config =
            format!("users.directory = \"{kind}\"\nusers.url = \"http://{address}{url}\"\n");
        let countersign = Countersign::start("memory:", &config).await;
        countersign
            .admin(&[
                "consumer",
                "create",
                "--name=Phone",
                "--consumer-key=K",
                "--flow=xauth",
            ])
            .await;
        let home = tempfile::tempdir().unwrap();
        let password = home.path().join("password");
        fs::write(&password, "correct horse battery staple").unwrap();
        let exchange = [
            "token",
            "exchange-password",
            "--consumer-key=K",
            "--username=alice",
            "--password-file",
        ];
        let token = countersign
            .admin(&[&exchange[..], &[password.to_str().unwrap()]].concat())
            .await;
        assert_eq!(
            (&token["user_id"], &token["screen_name"]),
            (&"u-1001".into(), &"Alice".into()),
            "{kind}"
        );
    }
}

/// Generates the code that the page shows how to generate.
fn generated() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let mut protoc = Command::new("python3");
    protoc.args([
        "-m",
        "grpc_tools.protoc",
        "-I",
        "proto",
        "countersign/v1/user_directory.proto",
    ]);
    for option in ["--python_out", "--grpc_python_out"] {
        protoc.arg(format!("{option}={}", directory.path().display()));
    }
    let done = protoc
        .current_dir(project(""))
        .env("PYTHONPATH", installed("target/python"))
        .output()
        .unwrap();
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    directory
}

/// Returns the request that an HTTP directory with this response receives, and the result of the
/// login.
async fn ask(answer: String) -> (String, Answered) {
    let served = Http::start(None, answer).await;
    let directory = directory::open(&plain(DirectoryKind::Http, served.address))
        .unwrap()
        .unwrap();
    let answered = directory.authenticate(&login("alice", "s3cret")).await;
    let asked = served.asked.lock().unwrap();
    assert_eq!(
        asked.len(),
        1,
        "expected one request and no redirect: {asked:?}"
    );
    (asked[0].clone(), answered)
}

fn is_outage(answered: Answered, problem: &str) {
    let error = answered.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("the user directory failed: {problem}")
    );
    let whole = format!(
        "{error:?} {:?}",
        std::error::Error::source(&error).map(ToString::to_string)
    );
    assert!(
        !whole.contains("s3cret") && !whole.contains("alice"),
        "{whole}"
    );
}

fn plain(directory: DirectoryKind, address: SocketAddr) -> UsersConfig {
    UsersConfig {
        directory,
        url: Some(format!("http://{address}/authenticate?realm=1")),
        timeout: Duration::from_secs(1),
        ca_file: None,
        token_file: None,
        insecure_plaintext: false,
    }
}

fn https(directory: DirectoryKind, address: SocketAddr, tls: &Certificates) -> UsersConfig {
    let url = Some(format!("https://localhost:{}", address.port()));
    UsersConfig {
        url,
        ca_file: Some(tls.path("ca.pem")),
        ..plain(directory, address)
    }
}

fn login(username: &str, password: &str) -> Login {
    Login {
        username: username.to_owned(),
        password: Secret::new(password.as_bytes()),
        consumer_key: ConsumerKey::new("K").unwrap(),
        client_address: Some("192.0.2.1".parse().unwrap()),
    }
}

fn yes() -> String {
    ok(r#"{"user_id": "u-1", "screen_name": "Alice", "more": 1}"#)
}

fn ok(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

type Asked = Arc<Mutex<Vec<String>>>;

/// A gRPC directory.
struct Grpc {
    address: SocketAddr,
    asked: Asked,
    /// A separate runtime, so that its end closes every connection.
    runtime: Option<Runtime>,
}

impl Grpc {
    fn start(tls: Option<&Certificates>) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, asked) = (listener.local_addr().unwrap(), Asked::default());
        Self {
            address,
            runtime: Some(serve(listener, asked.clone(), tls)),
            asked,
        }
    }

    fn stop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }

    fn start_again(&mut self) {
        let bound = || std::net::TcpListener::bind(self.address).ok();
        wait_until("the port is free again", || bound().is_some());
        self.runtime = Some(serve(bound().unwrap(), self.asked.clone(), None));
    }
}

impl Drop for Grpc {
    fn drop(&mut self) {
        self.stop();
    }
}

fn serve(listener: std::net::TcpListener, asked: Asked, tls: Option<&Certificates>) -> Runtime {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let inside = runtime.enter();
    listener.set_nonblocking(true).unwrap();
    let listener = TcpListener::from_std(listener).unwrap();
    let mut server = Server::builder();
    if let Some(tls) = tls {
        let identity = tls.identity();
        server = server
            .tls_config(ServerTlsConfig::new().identity(identity))
            .unwrap();
    }
    let service = UserDirectoryServer::new(Known(asked));
    runtime.spawn(
        server
            .add_service(service)
            .serve_with_incoming(TcpIncoming::from(listener)),
    );
    drop(inside);
    runtime
}

struct Known(Asked);

#[tonic::async_trait]
impl UserDirectory for Known {
    async fn authenticate(
        &self,
        request: Request<v1::AuthenticateRequest>,
    ) -> Result<Response<v1::AuthenticateResponse>, Status> {
        let authorization = request
            .metadata()
            .get("authorization")
            .map(|value| value.to_str().unwrap().to_owned());
        let v1::AuthenticateRequest {
            username,
            password,
            consumer_key,
            client_address,
        } = request.into_inner();
        let token = authorization.unwrap_or_default();
        self.0.lock().unwrap().push(format!(
            "{token} {username} {consumer_key} {client_address}"
        ));
        let user = |user_id: &str| v1::DirectoryUser {
            user_id: user_id.to_owned(),
            screen_name: "Alice".to_owned(),
        };
        let user = match username.as_str() {
            "echo" => return Err(Status::permission_denied(format!("{password} is wrong"))),
            "garbage" => Some(user("u\u{e9}")),
            "hang" => std::future::pending().await,
            _ => (password == "right").then(|| user("u-1")),
        };
        Ok(Response::new(v1::AuthenticateResponse { user }))
    }
}

/// An HTTP directory that sends the same response to every request, and then closes the connection.
struct Http {
    address: SocketAddr,
    asked: Asked,
    serving: JoinHandle<()>,
}

impl Http {
    async fn start(tls: Option<&Certificates>, answer: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, asked) = (listener.local_addr().unwrap(), Asked::default());
        let (acceptor, told) = (tls.map(acceptor), asked.clone());
        let serving = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                match &acceptor {
                    None => answer_once(stream, &answer, &told).await,
                    Some(acceptor) => {
                        // A client that does not trust the certificate closes the connection.
                        if let Ok(stream) = acceptor.accept(stream).await {
                            answer_once(stream, &answer, &told).await;
                        }
                    }
                }
            }
        });
        Self {
            address,
            asked,
            serving,
        }
    }
}

impl Drop for Http {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn answer_once(mut stream: impl AsyncRead + AsyncWrite + Unpin, answer: &str, told: &Asked) {
    let mut request = Vec::new();
    while !request.ends_with(b"}") {
        if stream.read_buf(&mut request).await.unwrap_or_default() == 0 {
            return;
        }
    }
    told.lock()
        .unwrap()
        .push(String::from_utf8(request).unwrap());
    if answer == HANG {
        std::future::pending::<()>().await;
    }
    // The client may close the connection before the whole response is sent.
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}

fn acceptor(tls: &Certificates) -> tokio_rustls::TlsAcceptor {
    let certificate =
        rustls::pki_types::CertificateDer::from_pem_file(tls.path("server.pem")).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::from_pem_file(tls.path("server.key")).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(
        rustls::crypto::aws_lc_rs::default_provider().into(),
    )
    .with_safe_default_protocol_versions()
    .unwrap()
    .with_no_client_auth()
    .with_single_cert(vec![certificate], key)
    .unwrap();
    tokio_rustls::TlsAcceptor::from(Arc::new(config))
}

const HANG: &str = "hang";
