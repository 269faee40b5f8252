//! Refusals by Redis: commands, keys and channels by its access control list, renamed commands,
//! databases. Each refusal is named, and the documented list suffices.

use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use countersign::store::{ClaimOutcome, StoreErrorKind};

use super::bench::{Bench, causes, claim_anything, consumer, key};
use super::redis::Logs;
use crate::support::redis::{RedisServer, free_port, wait_until};

/// Returns a bench whose Redis user has exactly the access that docs/redis.md lists.
pub(crate) fn with_the_documented_user() -> (Bench, RedisServer) {
    let server = RedisServer::start();
    let documented = documented_list().replace(">PASSWORD", &format!(">{PASSWORD}"));
    server.run::<()>(&documented.split_whitespace().collect::<Vec<_>>());
    (bench_of(&server, "countersign"), server)
}

#[tokio::test]
async fn the_documented_list_suffices_and_allows_no_more() {
    let (bench, server) = with_the_documented_user();
    let store = bench.open().await;
    store.create_consumer(&consumer("ck")).await.unwrap();
    assert_eq!(claim_anything(&*store).await.unwrap(), ClaimOutcome::Fresh);
    let refused: Vec<redis::Value> = server.run(&["ACL", "LOG"]);
    assert_eq!(refused, Vec::new());
    for forbidden in [
        ["GET", "other"].as_slice(),
        &["FLUSHALL"],
        &["CONFIG", "GET", "*"],
        &["KEYS", "*"],
    ] {
        let done: redis::RedisResult<redis::Value> = as_user(&server, forbidden);
        assert!(done.is_err(), "{forbidden:?} is allowed");
    }
}

/// The user of deploy/redis has the same access.
#[test]
fn the_list_in_deploy_is_the_documented_one() {
    let file = include_str!("../../../deploy/redis/users.acl");
    let user = file
        .lines()
        .find_map(|line| line.strip_prefix("user countersign "));
    let documented = documented_list();
    let documented: Vec<_> = documented.split_whitespace().skip(3).collect();
    let shipped: Vec<_> = user.unwrap().split_whitespace().collect();
    assert_eq!(shipped[2..], documented[2..]);
}

#[tokio::test]
async fn min_replicas_works_as_the_documented_user() {
    let (mut bench, server) = with_the_documented_user();
    bench.config.min_replicas = 1;
    let store = bench.open().await;
    let error = store.create_consumer(&consumer("ck")).await.unwrap_err();
    let said = causes(&error);
    assert!(said.contains("(0 of 1)"), "no replica confirms: {said}");
    let refused: Vec<redis::Value> = server.run(&["ACL", "LOG"]);
    assert_eq!(refused, Vec::new());
}

#[tokio::test]
async fn without_dangerous_commands_it_works_and_says_what_is_lost() {
    for options in [[].as_slice(), &["--rename-command", "INFO", ""]] {
        let server = RedisServer::start_with(options);
        let rules = "~* &* +@all -@dangerous -@admin";
        let bench = user_with(&server, rules);
        let logs = Logs::capture();
        let store = bench.open().await;
        store.create_consumer(&consumer("ck")).await.unwrap();
        assert!(store.consumer(&key("ck")).await.unwrap().is_some());
        assert_eq!(claim_anything(&*store).await.unwrap(), ClaimOutcome::Fresh);
        store.ping().await.unwrap();
        let said = logs.text();
        assert_eq!(said.matches("working without INFO").count(), 1, "{said}");
        let why = if options.is_empty() {
            "grant +info to the user"
        } else {
            "unknown command 'INFO'"
        };
        assert!(said.contains(why), "{said}");
    }
}

#[tokio::test]
async fn a_command_or_key_that_is_not_granted_is_named() {
    let all = "~countersign:* &countersign:changes* +@all";
    for (rules, named) in [
        (format!("{all} -eval"), "grant +eval to"),
        (format!("{all} -evalsha"), "grant +evalsha to"),
        (format!("{all} -time"), "grant +time to"),
        (format!("{all} -set"), "grant +set to"),
        (
            all.replace("~countersign:*", "~other:*"),
            "grant ~countersign:* to",
        ),
    ] {
        let server = RedisServer::start();
        let bench = user_with(&server, &rules);
        let logs = Logs::capture();
        let store = bench.open().await;
        let said = match claim_anything(&*store).await {
            Ok(_) => store
                .ping()
                .await
                .err()
                .map_or(String::new(), |error| causes(&error)),
            Err(error) => causes(&error),
        };
        assert!(said.contains(named), "{rules}: {said} {}", logs.text());
        assert!(!logs.text().contains(PASSWORD));
    }
}

#[tokio::test]
async fn a_database_that_does_not_exist_is_named() {
    let server = RedisServer::start_with(&["--databases", "1"]);
    let bench = patient(format!("{}/1", server.url()));
    let error = claim_anything(&*bench.open().await).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    let said = causes(&error);
    assert!(
        said.contains("refused the database of store.url") && said.contains("out of range"),
        "{said}"
    );
}

#[tokio::test]
async fn a_renamed_command_is_named_without_its_arguments() {
    for name in ["EVAL", "EVALSHA", "TIME"] {
        let server = RedisServer::start_with(&["--rename-command", name, ""]);
        let store = patient(server.url()).open().await;
        let error = match claim_anything(&*store).await {
            Ok(_) => store.ping().await.unwrap_err(),
            Err(error) => error,
        };
        let said = causes(&error);
        assert!(
            said.contains(&format!("unknown command '{name}'")),
            "{said}"
        );
        assert!(!said.contains("args"), "{said}");
    }
}

#[tokio::test]
async fn a_renamed_auth_does_not_show_the_password() {
    let server = RedisServer::start_with(&["--rename-command", "AUTH", ""]);
    let url = format!("redis://:{PASSWORD}@127.0.0.1:{}", server.port());
    let logs = Logs::capture();
    let error = claim_anything(&*patient(url).open().await)
        .await
        .unwrap_err();
    let said = format!("{} {error:?} {}", causes(&error), logs.text());
    assert!(!said.contains(PASSWORD), "{said}");
}

#[tokio::test]
async fn sentinels_that_want_a_password_are_named() {
    let sentinel = Sentinel::start();
    for url in [
        format!("redis+sentinel://127.0.0.1:{}/main", sentinel.port),
        format!(
            "redis+sentinel://:{PASSWORD}@127.0.0.1:{}/main?sentinel_password=wrong",
            sentinel.port
        ),
    ] {
        let store = patient(url).open().await;
        let said = causes(&claim_anything(&*store).await.unwrap_err());
        assert!(said.contains("?sentinel_password=PASSWORD"), "{said}");
        assert!(!said.contains(PASSWORD), "{said}");
    }
}

/// A Sentinel that wants a password.
struct Sentinel {
    child: Child,
    port: u16,
    _directory: tempfile::TempDir,
}

impl Sentinel {
    fn start() -> Self {
        let (directory, port) = (tempfile::tempdir().unwrap(), free_port());
        let settings = directory.path().join("sentinel.conf");
        std::fs::write(&settings, format!("requirepass {PASSWORD}\n")).unwrap();
        let child = Command::new("redis-server")
            .arg(settings)
            .args(["--sentinel", "--bind", "127.0.0.1"])
            .args(["--port", &port.to_string()])
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is installed (scripts/test does that)");
        wait_until("the Sentinel listens", || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        Self {
            child,
            port,
            _directory: directory,
        }
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns the command of docs/redis.md that creates the user.
fn documented_list() -> String {
    let page = include_str!("../../../docs/redis.md");
    let begin = page.find("ACL SETUSER countersign on").unwrap();
    let command = &page[begin..];
    let end = command.find("\n\n").unwrap();
    command[..end].replace('\\', " ")
}

/// Creates a user with these rules, and returns a bench that logs in as that user.
fn user_with(server: &RedisServer, rules: &str) -> Bench {
    let password = format!(">{PASSWORD}");
    let mut command = vec!["ACL", "SETUSER", "app", "on", &password];
    command.extend(rules.split_whitespace());
    server.run::<()>(&command);
    bench_of(server, "app")
}

fn bench_of(server: &RedisServer, user: &str) -> Bench {
    patient(format!(
        "redis://{user}:{PASSWORD}@127.0.0.1:{}",
        server.port()
    ))
}

/// Returns a bench that does not time out on a busy machine.
fn patient(url: String) -> Bench {
    let mut bench = Bench::redis(url);
    bench.config.timeout = Duration::from_secs(2);
    bench
}

fn as_user(server: &RedisServer, command: &[&str]) -> redis::RedisResult<redis::Value> {
    let url = format!("redis://countersign:{PASSWORD}@127.0.0.1:{}", server.port());
    let mut sent = redis::Cmd::new();
    sent.arg(command);
    sent.query(&mut redis::Client::open(url)?.get_connection()?)
}

const PASSWORD: &str = "s3cr3t-of-redis";
