//! TLS to Redis with its own certificate authority.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use tempfile::TempDir;

use crate::replica::{Replica, Settings};
use crate::row::Row;
use crate::rows::pause;
use crate::run::{Evidence, Run};
use crate::support::redis::{RedisServer, free_port};

/// Returns the rows.
pub(crate) fn rows() -> Vec<Row> {
    vec![
        Row::new(
            "tls-kill",
            "Redis over TLS, own CA in `SSL_CERT_FILE`, is killed and back after 2 s",
            "503 until it is back; passes again within a second",
            || Box::pin(killed()),
        )
        // In a debug build, a TLS handshake holds a check thread.
        .answers_within(400),
        Row::new(
            "tls-untrusted",
            "the CA of Redis' certificate is not trusted",
            "never ready",
            || Box::pin(refused("127.0.0.1", false)),
        ),
        Row::new(
            "tls-wrong-name",
            "Redis' certificate is for another name",
            "never ready",
            || Box::pin(refused("192.0.2.1", true)),
        ),
    ]
}

/// A Redis that takes TLS connections only on a port of its own.
struct TlsRedis {
    server: RedisServer,
    port: u16,
    files: TempDir,
}

impl TlsRedis {
    fn start(name: &str) -> Self {
        let files = tempfile::tempdir().unwrap();
        certify(files.path(), name);
        let port = free_port();
        let file = |name: &str| files.path().join(name).to_str().unwrap().to_owned();
        let (certificate, key, ca) = (file("redis.pem"), file("redis.key"), file("ca.pem"));
        let port_text = port.to_string();
        let options = [
            ("--appendonly", "yes"),
            ("--tls-port", &port_text),
            ("--tls-cert-file", &certificate),
            ("--tls-key-file", &key),
            ("--tls-ca-cert-file", &ca),
            ("--tls-auth-clients", "no"),
        ];
        let options: Vec<_> = options
            .iter()
            .flat_map(|&(name, value)| [name, value])
            .collect();
        Self {
            server: RedisServer::start_with(&options),
            port,
            files,
        }
    }

    fn settings(&self) -> Settings {
        Settings::of(&format!("rediss://127.0.0.1:{}", self.port), "")
    }

    fn trusting(&self) -> Settings {
        let ca = self.files.path().join("ca.pem");
        self.settings().with("SSL_CERT_FILE", ca.to_str().unwrap())
    }
}

async fn killed() -> Evidence {
    let mut redis = TlsRedis::start("127.0.0.1");
    let replicas = Replica::pair(redis.trusting()).await;
    let mut run = Run::start(replicas).await;
    run.fault_begins();
    redis.server.kill();
    pause(2.0).await;
    redis.server.restart();
    run.fault_ends();
    run.finish(3.0).await
}

async fn refused(name: &str, trusting: bool) -> Evidence {
    let redis = TlsRedis::start(name);
    let settings = if trusting {
        redis.trusting()
    } else {
        redis.settings()
    };
    let mut evidence = Evidence::without_traffic();
    match Replica::try_start(settings).await {
        Err(_) => evidence.note("does not start"),
        Ok(replica) => {
            let ready = replica.is_ready_within(Duration::from_secs(5)).await;
            evidence.must(!ready, "not ready");
            let says = replica.log().to_lowercase().contains("certificate");
            evidence.must(says, "the log names the certificate");
        }
    }
    evidence
}

/// Writes a new CA, and a certificate of it for an IP address.
fn certify(directory: &Path, ip: &str) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.subject_alt_names = vec![SanType::IpAddress(ip.parse().unwrap())];
    let certificate = params.signed_by(&key, &authority).unwrap();
    let write = |name: &str, text: &str| fs::write(directory.join(name), text).unwrap();
    write("ca.pem", &authority.pem());
    write("redis.pem", &certificate.pem());
    write("redis.key", &key.serialize_pem());
}
