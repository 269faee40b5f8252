//! The command line against a remote server: over TLS, with a client certificate or a token from a
//! file.

use std::path::{Path, PathBuf};
use std::process::Output;

use tokio::task;

use crate::support::certificates::Certificates;
use crate::support::program::{Countersign, program};

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_stands_for_a_token_and_its_name_is_in_the_audit_log() {
    let elsewhere = Elsewhere::start().await;
    let created = elsewhere
        .run(
            &["consumer", "create", "--name=N", "--consumer-key=K"],
            Some("ops.example.com"),
        )
        .await;
    assert!(created.status.success(), "{}", stderr(&created));
    let event = r#""actor":"admin ops.example.com","action":"consumer.create","consumer_key":"K""#;
    elsewhere.server.logs(event).await;

    let introspected = elsewhere
        .run(&["token", "introspect", "t"], Some("login.example.com"))
        .await;
    assert!(introspected.status.success(), "{}", stderr(&introspected));
    for (name, status, why) in [
        (Some("login.example.com"), 77, "needs the admin role"),
        (
            Some("x.example.com"),
            77,
            "a client certificate that the server's configuration names",
        ),
        // The server closes the connection, before or after the call is sent.
        (None, 69, "https"),
    ] {
        let refused = elsewhere.run(&["consumer", "list"], name).await;
        assert_eq!(refused.status.code(), Some(status), "{name:?}");
        assert!(
            stderr(&refused).contains(why),
            "{name:?}: {}",
            stderr(&refused)
        );
    }
}

/// The connection goes to an address, and the certificate is for the name.
#[tokio::test(flavor = "multi_thread")]
async fn the_replicas_of_a_name_are_called_over_tls_for_that_name() {
    let elsewhere = Elsewhere::start().await;
    let ops = Some("ops.example.com");
    for words in [&["denials"][..], &["report"], &["consumer", "list"]] {
        let called = elsewhere.run_at("dns:///localhost", words, ops).await;
        assert!(called.status.success(), "{words:?}: {}", stderr(&called));
    }
    let refused = elsewhere.run_at("dns:///127.0.0.1", &["report"], ops).await;
    assert!(!refused.status.success());
    assert!(
        stderr(&refused).contains("certificate"),
        "{}",
        stderr(&refused)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_option_of_the_connection_can_be_a_variable_and_overrides_it() {
    let elsewhere = Elsewhere::start().await;
    let (certificate, key) = elsewhere.certificate("ops.example.com");
    let server = format!("https://localhost:{}", elsewhere.server.api.port());
    let token = elsewhere.files.file("token", ISSUER_TOKEN);
    let run = |words: &[&str], more: &[(&str, &Path)]| {
        let mut command = program();
        command
            .args(words)
            .env("COUNTERSIGN_SERVER", &server)
            .env("COUNTERSIGN_CA", elsewhere.files.path("ca.pem"))
            .env("COUNTERSIGN_CLIENT_CERTIFICATE", &certificate)
            .env("COUNTERSIGN_CLIENT_KEY", &key)
            .env("COUNTERSIGN_DATA_DIR", "/nowhere")
            .env("COUNTERSIGN_OUTPUT", "json")
            .envs(more.iter().copied());
        task::spawn_blocking(move || command.output().unwrap())
    };
    let listed = run(&["consumer", "list"], &[]).await.unwrap();
    assert_eq!(listed.stdout, b"[]\n", "{}", stderr(&listed));
    let listed = run(&["consumer", "list", "-o", "table"], &[])
        .await
        .unwrap();
    assert!(listed.stdout.starts_with(b"CONSUMER KEY"));
    let elsewhere = ["consumer", "list", "--server=https://127.0.0.1:1"];
    assert_eq!(run(&elsewhere, &[]).await.unwrap().status.code(), Some(69));
    let by_issuer = [("COUNTERSIGN_TOKEN_FILE", token.as_path())];
    let refused = run(&["consumer", "list"], &by_issuer).await.unwrap();
    assert_eq!(refused.status.code(), Some(77), "{}", stderr(&refused));
    let help = run(&["consumer", "list", "--help"], &[]).await.unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    for variable in [
        "COUNTERSIGN_SERVER",
        "COUNTERSIGN_CA",
        "COUNTERSIGN_CLIENT_CERTIFICATE",
        "COUNTERSIGN_CLIENT_KEY",
        "COUNTERSIGN_TOKEN_FILE",
        "COUNTERSIGN_DATA_DIR",
        "COUNTERSIGN_OUTPUT",
    ] {
        assert!(help.contains(&format!("[env: {variable}=")), "{variable}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_shown_from_a_file_and_decides_beside_a_certificate() {
    let elsewhere = Elsewhere::start().await;
    let file = elsewhere
        .files
        .file("token", &format!("{ISSUER_TOKEN}\n"))
        .display()
        .to_string();
    let shown = |words: &[&'static str]| [words, &["--token-file"]].concat();
    let issuer = [&shown(&["token", "introspect", "t"])[..], &[&file]].concat();
    assert!(
        elsewhere
            .run(&issuer, Some("x.example.com"))
            .await
            .status
            .success()
    );
    let refused = elsewhere
        .run(
            &[&shown(&["consumer", "list"])[..], &[&file]].concat(),
            Some("ops.example.com"),
        )
        .await;
    assert!(
        stderr(&refused).contains("needs the admin role"),
        "{}",
        stderr(&refused)
    );
}

/// A server whose API requires a client certificate.
struct Elsewhere {
    files: Certificates,
    server: Countersign,
}

impl Elsewhere {
    async fn start() -> Self {
        let files = Certificates::create();
        let path = |name: &str| files.path(name).display().to_string();
        let config = format!(
            "[api]\nadmin_clients = \"ops.example.com\"\nissuer_clients = \"login.example.com\"\n[api.tls]\n\
             certificate_file = {:?}\nkey_file = {:?}\nclient_ca_file = {:?}\n",
            path("server.pem"),
            path("server.key"),
            path("ca.pem")
        );
        let issuer = [("COUNTERSIGN_ISSUER_TOKEN", ISSUER_TOKEN)];
        let server = Countersign::start_in(&issuer, "memory:", &config).await;
        Self { files, server }
    }

    /// Runs a command with a certificate for this name, or without one.
    async fn run(&self, words: &[&str], name: Option<&str>) -> Output {
        self.run_at("https://localhost", words, name).await
    }

    /// Runs a command, as [`run`](Self::run) does, with this server before the port.
    async fn run_at(&self, server: &str, words: &[&str], name: Option<&str>) -> Output {
        let mut command = program();
        let port = self.server.api.port();
        command.args(words).arg(format!("--server={server}:{port}"));
        command
            .arg("--ca")
            .arg(self.files.path("ca.pem"))
            .arg("--data-dir=/nowhere");
        if let Some(name) = name {
            let (certificate, key) = self.certificate(name);
            command
                .arg("--client-certificate")
                .arg(certificate)
                .arg("--client-key")
                .arg(key);
        } else {
            command.env("COUNTERSIGN_ADMIN_TOKEN", self.server.admin_token());
        }
        task::spawn_blocking(move || command.output().unwrap())
            .await
            .unwrap()
    }

    fn certificate(&self, name: &str) -> (PathBuf, PathBuf) {
        let (certificate, key) = self.files.issue(&[&format!("dns:{name}")]);
        (
            self.files.file(&format!("{name}.pem"), &certificate),
            self.files.file(&format!("{name}.key"), &key),
        )
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

const ISSUER_TOKEN: &str = "a-token-of-the-login-site";
