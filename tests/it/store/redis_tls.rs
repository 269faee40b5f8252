//! TLS to Redis with client certificates and an authority of its own, and users whose passwords are
//! in files: one server, Sentinels and a Cluster.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::Duration;

use countersign::config::{ConnectionFiles, LoginFiles};
use countersign::store::{ClaimOutcome, StoreErrorKind};

use super::bench::{Bench, causes, claim_anything, consumer, key};
use super::redis::until_it_works;
use crate::support::certificates::Certificates;
use crate::support::process::{START, eventually};
use crate::support::program::{Countersign, master_key, program};
use crate::support::redis::{RedisServer, free_port, wait_until};
use crate::support::redis_tls::{Mount, TlsRedis, allow, hang_up, tls_options, users_of};

#[tokio::test(flavor = "multi_thread")]
async fn every_connection_presents_the_certificate_and_logs_in_as_the_user() {
    let authority = Certificates::create();
    let redis = TlsRedis::start(&authority);
    redis.allow("app", PASSWORD);
    let mount = Mount::new(&authority, PASSWORD);
    let username = authority.file("username", "app\n");
    let mut files = mount.all();
    files.redis.username_file = Some(username);
    let store = bench(redis.url(""), files).open().await;
    assert_eq!(claim_anything(&*store).await.unwrap(), ClaimOutcome::Fresh);
    eventually("the channel is connected", START, async || {
        (!store.status().cut_off).then_some(())
    })
    .await;
    let users = users_of(&redis.server, redis.port);
    assert!(
        users.len() >= 2 && users.iter().all(|user| user == "app"),
        "{users:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_or_client_that_cannot_prove_itself_is_refused() {
    let (authority, other) = (Certificates::create(), Certificates::create());
    let redis = TlsRedis::start(&authority);
    let renamed = TlsRedis::start_as(&authority, &["dns:redis.test"], &[]);
    let mount = |trusted, issuer| {
        let mount = Mount::new(issuer, PASSWORD);
        mount.replace(&[trusted], issuer, PASSWORD);
        mount
    };
    let good = mount(&authority, &authority);
    let without_client = ConnectionFiles {
        client: None,
        ..good.certificates()
    };
    let (untrusting, untrusted) = (mount(&other, &authority), mount(&authority, &other));
    for (server, files, expected) in [
        (
            &redis,
            untrusting.certificates(),
            "UnknownIssuer; set store.tls.ca_file",
        ),
        (
            &renamed,
            good.certificates(),
            "write a name of the certificate in store.url",
        ),
        (
            &redis,
            without_client,
            "set store.tls.certificate_file and store.tls.key_file",
        ),
        (
            &redis,
            untrusted.certificates(),
            "Redis refuses the client certificate",
        ),
    ] {
        let store = bench(server.url(""), files).open().await;
        let error = claim_anything(&*store).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
        let said = causes(&error);
        assert!(said.contains(expected), "{said}");
    }
}

/// The other authority is that of the system here.
#[tokio::test(flavor = "multi_thread")]
async fn an_authority_of_the_system_is_not_trusted_beside_the_given_one() {
    let (authority, given) = (Certificates::create(), Certificates::create());
    let redis = TlsRedis::start(&authority);
    let mount = Mount::new(&authority, PASSWORD);
    let system = authority.path("ca.pem");
    let environment = mount.environment();
    let path = |name: &str| environment.iter().find(|(key, _)| key.contains(name));
    let mut set = vec![("SSL_CERT_FILE", system.to_str().unwrap())];
    set.extend(["CERTIFICATE", "KEY_FILE"].map(|name| {
        let (key, path) = path(name).unwrap();
        (*key, path.as_str())
    }));
    let program = Countersign::start_in(&set, &redis.url(""), "").await;
    eventually("Redis is trusted by the system", START, async || {
        program.is_serving().await.then_some(())
    })
    .await;
    drop(program);
    let ca = given.path("ca.pem");
    set.push(("COUNTERSIGN_STORE__TLS__CA_FILE", ca.to_str().unwrap()));
    let program = Countersign::start_in(&set, &redis.url(""), "").await;
    program.logs("UnknownIssuer").await;
    assert!(!program.is_serving().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_with_certificates_never_falls_back_to_plaintext() {
    let authority = Certificates::create();
    let plain = RedisServer::start();
    let mount = Mount::new(&authority, PASSWORD);
    let url = format!("rediss://127.0.0.1:{}", plain.port());
    let store = bench(url, mount.certificates()).open().await;
    // A Redis without TLS waits for the end of the line.
    assert!(claim_anything(&*store).await.is_err());
    let url = format!("redis://127.0.0.1:{}", plain.port());
    let store = bench(url, mount.certificates()).open().await;
    assert!(claim_anything(&*store).await.is_err());
    assert!(!plain.command_counts().contains_key("evalsha"));
}

#[test]
fn a_file_that_cannot_be_used_at_the_start_ends_with_64() {
    let authority = Certificates::create();
    let mount = Mount::new(&authority, PASSWORD);
    let home = tempfile::tempdir().unwrap();
    let key = master_key(home.path());
    let bad = authority.file("bad", "s3cr3t\nof two lines\n");
    let exposed = authority.file("exposed", PASSWORD);
    fs::set_permissions(&exposed, fs::Permissions::from_mode(0o644)).unwrap();
    for (variable, file, expected) in [
        ("TLS__CA_FILE", &bad, "store.tls.ca_file: "),
        (
            "TLS__CERTIFICATE_FILE",
            &bad,
            "does not hold certificates in PEM",
        ),
        ("TLS__KEY_FILE", &bad, "does not hold a private key in PEM"),
        (
            "TLS__KEY_FILE",
            &authority.path("server.key"),
            "is not the key of the certificate",
        ),
        ("PASSWORD_FILE", &bad, "does not hold one line of text"),
        ("PASSWORD_FILE", &exposed, "chmod 640"),
        ("PASSWORD_FILE", &authority.path("missing"), "cannot read"),
    ] {
        let mut command = program();
        command.args(["serve", "--store=rediss://127.0.0.1:1", "--master-key-file"]);
        command.arg(&key).arg("--data-dir").arg(home.path());
        command.envs(mount.environment());
        command.env(format!("COUNTERSIGN_STORE__{variable}"), file);
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(64), "{variable}: {said}");
        let names_it = said.contains(file.to_str().unwrap());
        assert!(names_it && said.contains(expected), "{variable}: {said}");
        assert!(!said.contains("s3cr3t"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sentinels_over_tls_are_followed_with_a_user_of_their_own() {
    let authority = Certificates::create();
    let replicating = [
        "--tls-replication",
        "yes",
        "--repl-diskless-sync-delay",
        "0",
    ];
    let primary = TlsRedis::start_as(&authority, &["ip:127.0.0.1"], &replicating);
    let of = format!("127.0.0.1 {}", primary.port);
    let options = [replicating.as_slice(), &["--replicaof", &of]].concat();
    let replica = TlsRedis::start_as(&authority, &["ip:127.0.0.1"], &options);
    let (sentinel, port) = sentinel(&authority, primary.port);
    for server in [&primary, &replica] {
        server.allow("app", PASSWORD);
    }
    wait_until("the Sentinel knows the replica", || {
        let replicas: Vec<redis::Value> = sentinel.run(&["SENTINEL", "REPLICAS", "main"]);
        let info: String = replica.server.run(&["INFO", "replication"]);
        replicas.len() == 1 && info.contains("master_link_status:up")
    });
    allow_sentinel(&sentinel, "watcher", SENTINEL_PASSWORD);
    let mount = Mount::new(&authority, PASSWORD);
    let files = ConnectionFiles {
        sentinel: LoginFiles {
            username_file: Some(authority.file("sentinel-user", "watcher")),
            password_file: Some(authority.file("sentinel-password", SENTINEL_PASSWORD)),
        },
        ..mount.all()
    };
    let url = format!("rediss+sentinel://app@127.0.0.1:{port}/main");
    let store = bench(url, files).open().await;
    store.create_consumer(&consumer("ck")).await.unwrap();
    assert_eq!(claim_anything(&*store).await.unwrap(), ClaimOutcome::Fresh);
    let users = users_of(&sentinel, port);
    let are_all = users.iter().all(|user| user == "watcher");
    assert!(are_all && !users.is_empty(), "{users:?}");
    primary.server.wait_until_replicated();
    wait_until("the Sentinel begins a failover", || {
        let begun: redis::RedisResult<()> = sentinel.try_run(&["SENTINEL", "FAILOVER", "main"]);
        begun.is_ok()
    });
    wait_until("the replica is promoted", || {
        // The Sentinel closes the connections of a server that it promotes.
        let info = replica.server.try_run::<String>(&["INFO", "replication"]);
        info.is_ok_and(|info| info.contains("role:master"))
    });
    until_it_works(&*store).await;
    assert!(store.consumer(&key("ck")).await.unwrap().is_some());
    eventually(
        "the connections lead to the new primary",
        START,
        async || {
            let users = users_of(&replica.server, replica.port);
            users.iter().any(|user| user == "app").then_some(())
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_over_tls_is_reached_also_after_a_change_of_the_password() {
    let authority = Certificates::create();
    let (nodes, ports) = cluster(&authority);
    for node in &nodes {
        allow(node, "app", PASSWORD);
    }
    let mount = Mount::new(&authority, "wrong");
    let hosts: Vec<_> = ports
        .iter()
        .map(|port| format!("127.0.0.1:{port}"))
        .collect();
    let url = format!("rediss+cluster://app@{}", hosts.join(","));
    let store = bench(url, mount.all()).open().await;
    let said = causes(&claim_anything(&*store).await.unwrap_err());
    assert!(said.contains("WRONGPASS"), "{said}");

    mount.replace(&[&authority], &authority, PASSWORD);
    until_it_works(&*store).await;
    for at in 0..20 {
        store
            .create_consumer(&consumer(&format!("ck{at}")))
            .await
            .unwrap();
    }
    for (node, &port) in nodes.iter().zip(&ports) {
        let users = users_of(node, port);
        let are_all = users.iter().all(|user| user == "app");
        assert!(are_all && !users.is_empty(), "{users:?}");
        allow(node, "app", "second");
    }
    mount.replace(&[&authority], &authority, "second");
    for node in &nodes {
        node.run::<()>(&["ACL", "SETUSER", "app", &format!("<{PASSWORD}")]);
        hang_up(node);
    }
    until_it_works(&*store).await;
    for at in 20..40 {
        let created = consumer(&format!("ck{at}"));
        store.create_consumer(&created).await.unwrap();
    }
}

/// Starts a Sentinel of the primary on a port, and returns its own port for TLS.
fn sentinel(authority: &Certificates, primary: u16) -> (RedisServer, u16) {
    let port = free_port();
    let mut lines = vec![
        format!("sentinel monitor main 127.0.0.1 {primary} 1"),
        "tls-replication yes".to_owned(),
    ];
    let options = tls_options(authority, &["ip:127.0.0.1"], port);
    let options = options.chunks(2).map(|pair| pair.join(" "));
    lines.extend(options.map(|line| line.trim_start_matches('-').to_owned()));
    (RedisServer::start_sentinel_with(&lines), port)
}

fn allow_sentinel(sentinel: &RedisServer, user: &str, password: &str) {
    let password = format!(">{password}");
    sentinel.run::<()>(&["ACL", "SETUSER", user, "on", &password, "&*", "+@all"]);
}

/// Starts three primaries that talk TLS alone to each other, and returns them with their ports.
fn cluster(authority: &Certificates) -> (Vec<RedisServer>, Vec<u16>) {
    // The port of the bus is higher by 10,000.
    let port = || std::iter::repeat_with(free_port).find(|&port| port < 55_000);
    let ports: Vec<_> = (0..3).map(|_| port().unwrap()).collect();
    let nodes = ports.iter().map(|&port| {
        let mut options = tls_options(authority, &["ip:127.0.0.1"], port);
        for name in ["--cluster-enabled", "--tls-cluster", "--tls-replication"] {
            options.extend([name.to_owned(), "yes".to_owned()]);
        }
        RedisServer::start_with(&options.iter().map(String::as_str).collect::<Vec<_>>())
    });
    let nodes: Vec<_> = nodes.collect();
    let mount = Mount::new(authority, PASSWORD);
    let created = Command::new("redis-cli")
        .args(["--cluster", "create"])
        .args(ports.iter().map(|port| format!("127.0.0.1:{port}")))
        .args([
            "--cluster-replicas",
            "0",
            "--cluster-yes",
            "--tls",
            "--cacert",
        ])
        .arg(mount.path("ca.pem"))
        .arg("--cert")
        .arg(mount.path("client.pem"))
        .arg("--key")
        .arg(mount.path("client.key"))
        .output()
        .expect("redis-cli is installed (scripts/test does that)");
    assert!(created.status.success(), "{created:?}");
    wait_until("the Cluster serves every slot", || {
        nodes.iter().all(|node| {
            let info: String = node.run(&["CLUSTER", "INFO"]);
            info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3")
        })
    });
    (nodes, ports)
}

/// Returns a bench that does not time out on a busy machine.
pub(super) fn bench(url: String, files: ConnectionFiles) -> Bench {
    let mut bench = Bench::redis(url);
    bench.config.files = files;
    bench.config.timeout = Duration::from_secs(5);
    bench
}

pub(super) const PASSWORD: &str = "s3cr3t-of-redis";
const SENTINEL_PASSWORD: &str = "s3cr3t-of-sentinel";
