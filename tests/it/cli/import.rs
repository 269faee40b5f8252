//! `countersign import`: the imported and the refused rows, and a second import of the same file.

use std::fs;
use std::process::{Output, Stdio};

use countersign::v1;
use countersign::v1::consumer_service_client::ConsumerServiceClient;
use countersign::v1::token_service_client::TokenServiceClient;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::support::admin_server::{ADMIN_TOKEN, AdminServer};
use crate::support::leaks;
use crate::support::redis::RedisServer;

#[tokio::test(flavor = "multi_thread")]
async fn a_second_import_changes_nothing() {
    let bench = Bench::start().await;
    let file = bench.file(
        "all.csv",
        "kind,consumer_key,consumer_secret,name,scopes,callbacks,token,token_secret,user_id\n\
         consumer,K,kd94hf93k423kf44,Printer,read write,https://printer.example.com/done oob,,,\n\
         consumer,L,pfkkdhi9sl3r4s00,\"Frame, \"\"digital\"\"\",,,,,\n\
         token,K,,,read,,T,s8a7t6s5,alice\n",
    );
    let first = bench.import(&[&file]).await;
    assert_eq!(
        summary(&first),
        json!({"dry_run": false, "created": 3, "existed": 0, "noted": 0, "skipped": 0, "refused": 0})
    );
    let before = (bench.consumer("K").await, bench.token("T").await);
    assert_eq!(
        before.0.callbacks,
        ["https://printer.example.com/done", "oob"]
    );
    assert_eq!(
        (before.1.user_id.as_str(), &before.1.scopes[..]),
        ("alice", &["read".to_owned()][..])
    );
    assert_eq!(bench.consumer("L").await.name, "Frame, \"digital\"");

    bench
        .server
        .clock
        .advance(std::time::Duration::from_secs(60));
    let second = bench.import(&[&file]).await;
    assert_eq!(
        summary(&second),
        json!({"dry_run": false, "created": 0, "existed": 3, "noted": 0, "skipped": 0, "refused": 0})
    );
    assert_eq!((bench.consumer("K").await, bench.token("T").await), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_reports_and_changes_nothing() {
    let bench = Bench::start().await;
    let file = bench.file(
        "all.jsonl",
        "{\"consumer_key\":\"K\",\"consumer_secret\":\"S\",\"name\":\"Printer\"}\n\
         {\"consumer_key\":\"K\",\"token\":\"T\",\"token_secret\":\"S\"}\n\
         {\"consumer_key\":\"nobody\",\"token\":\"U\",\"token_secret\":\"S\"}\n",
    );
    let dry = bench.import(&[&file, "--dry-run"]).await;
    assert_eq!(dry.status.code(), Some(1));
    assert_eq!(
        printed(&dry),
        json!({"dry_run": true, "created": 2, "existed": 0, "noted": 0, "skipped": 0, "refused": 1})
    );
    assert_eq!(
        stderr(&dry),
        "line 3: consumer_key no consumer has the key nobody\n"
    );
    assert!(bench.find_consumer("K").await.is_none());

    let wet = bench.import(&[&file]).await;
    assert_eq!(
        printed(&wet),
        json!({"dry_run": false, "created": 2, "existed": 0, "noted": 0, "skipped": 0, "refused": 1})
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_refused_is_named_with_its_field_and_never_its_secret() {
    let bench = Bench::start().await;
    let long = "d".repeat(1024 * 1024);
    let file = bench.file(
        "consumers.csv",
        &format!(
            "consumer_key,consumer_secret,name,description,scopes\n\
             a b,s3cret-1,Printer,,\n\
             K,\"s3cret\n2\",Printer,,say\"\"hi\n\
             L,s3cret-3,,{long},\n\
             M,s3cret-4,Printer,,\n\
             M,s3cret-5,Printer,,\n"
        ),
    );
    let report = bench.home.path().join("report.jsonl");
    let refused = bench
        .import(&[&file, "--report", report.to_str().unwrap()])
        .await;
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(
        printed(&refused),
        json!({"dry_run": false, "created": 1, "existed": 0, "noted": 0, "skipped": 0, "refused": 4})
    );
    let report = fs::read_to_string(&report).unwrap();
    let expected = [
        (2, "consumer_key"),
        (3, "consumer_secret scopes[0]"),
        (5, "description"),
        (7, ""),
    ];
    assert_eq!(
        wrong_fields(&report),
        expected.map(|(line, fields)| (line, fields.to_owned()))
    );
    assert!(!report.contains("s3cret"), "{report}");
    assert!(!stderr(&refused).contains("s3cret"), "{}", stderr(&refused));
    assert!(
        stderr(&refused).contains("line 5: description is 1048576 bytes long"),
        "{}",
        stderr(&refused)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_of_several_rows_with_one_name_is_imported() {
    let bench = Bench::start().await;
    let pair = |at: usize| format!("k{at},first-{at},Printer\nk{at},second-{at},Printer\n");
    let rows: String = (0..50).map(pair).collect();
    let file = bench.file(
        "consumers.csv",
        &format!("consumer_key,consumer_secret,name\n{rows}"),
    );
    let report = bench.home.path().join("report.jsonl");
    let imported = bench
        .import(&[&file, "--report", report.to_str().unwrap()])
        .await;
    assert_eq!(
        printed(&imported),
        json!({"dry_run": false, "created": 50, "existed": 0, "noted": 0, "skipped": 0, "refused": 50})
    );
    let report = fs::read_to_string(&report).unwrap();
    let refused = report.lines().map(|line| {
        serde_json::from_str::<Value>(line).unwrap()["line"]
            .as_u64()
            .unwrap()
    });
    assert_eq!(
        refused.collect::<Vec<_>>(),
        (0..50).map(|at| 2 * at + 3).collect::<Vec<_>>()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_file_is_reported_with_the_line() {
    let bench = Bench::start().await;
    for (name, text, problem) in [
        (
            "a.csv",
            "consumer_key,nmae\n",
            "error: line 1: the column \"nmae\" is unknown: docs/issuing.md lists all columns\n",
        ),
        (
            "b.csv",
            "consumer_key\nK\n",
            "error: line 1: the column \"name\" is missing\n",
        ),
        (
            "c.csv",
            "consumer_key,name\nK,\"N\n",
            "error: line 2: a quote opens here and is never closed\n",
        ),
    ] {
        let refused = bench.import(&[&bench.file(name, text)]).await;
        assert_eq!(refused.status.code(), Some(1), "{name}");
        assert!(stderr(&refused).ends_with(problem), "{}", stderr(&refused));
    }
    let unnamed = bench.import(&[&bench.file("consumers.txt", "")]).await;
    assert_eq!(unnamed.status.code(), Some(64));
    assert!(
        stderr(&unnamed).contains("--format csv"),
        "{}",
        stderr(&unnamed)
    );

    let latin1 = bench.home.path().join("latin1.csv");
    fs::write(
        &latin1,
        b"consumer_key,consumer_secret,name\nK,S,M\xfcller\n",
    )
    .unwrap();
    let refused = bench.import(&[latin1.to_str().unwrap()]).await;
    assert_eq!(
        stderr(&refused),
        "line 2: is not UTF-8 at byte 5: convert the file with `iconv -f ENCODING -t UTF-8`\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_output_of_the_command_line_can_be_imported_elsewhere() {
    let [from, to] = [Bench::start().await, Bench::start().await];
    let consumer = from
        .run(&[
            "consumer",
            "create",
            "--name=Printer",
            "--scope=read",
            "--flow=xauth",
        ])
        .await;
    let key = printed(&consumer)["consumer_key"]
        .as_str()
        .unwrap()
        .to_owned();
    let token = from
        .run(&[
            "token",
            "create",
            "--consumer-key",
            &key,
            "--user-id=alice",
            "--expires-in=30d",
        ])
        .await;
    let lines = format!("{}\n{}\n", printed(&consumer), printed(&token));
    let mut child = to
        .command(&["import", "-", "--format=jsonl"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(lines.as_bytes())
        .await
        .unwrap();
    let imported = child.wait_with_output().await.unwrap();
    assert_eq!(summary(&imported)["created"], 2, "{}", stderr(&imported));
    let (there, here) = (from.consumer(&key).await, to.consumer(&key).await);
    assert_eq!(
        (there.name, there.scopes, there.flows),
        (here.name, here.scopes, here.flows)
    );
    let name = printed(&token)["token"].as_str().unwrap().to_owned();
    assert_eq!(
        from.token(&name).await.expire_time,
        to.token(&name).await.expire_time
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_consumers_of_the_2013_provider_keep_their_rights() {
    let (bench, redis) = (
        Bench::start().await,
        RedisServer::start_with(&["--enable-debug-command", "local"]),
    );
    fill_provider(&redis);
    let before: String = redis.run(&["DEBUG", "DIGEST"]);

    let options = ["--redis", &redis.url()];
    let imported = bench.import(&options).await;
    assert_eq!(
        printed(&imported),
        json!({"dry_run": false, "created": 3, "existed": 0, "noted": 2, "skipped": 0, "refused": 2})
    );
    assert!(
        stderr(&imported).contains("consumer broken: app_info is not a JSON object"),
        "{}",
        stderr(&imported)
    );
    assert!(
        stderr(&imported).contains("consumer foreign: name has the character 'ü'"),
        "{}",
        stderr(&imported)
    );
    assert!(
        !stderr(&imported).contains("0123456789abcdef"),
        "{}",
        stderr(&imported)
    );
    let consumer = bench.consumer("known").await;
    assert_eq!(
        (consumer.name.as_str(), consumer.description.as_str()),
        ("Printer", "Prints")
    );
    assert_eq!(
        (consumer.platform.as_str(), consumer.app_url.as_str()),
        ("ios", "https://printer.example.com")
    );
    assert_eq!(
        (&consumer.flows[..], &consumer.signature_methods[..]),
        (&two("two-legged", "xauth")[..], &one("HMAC-SHA1")[..])
    );
    assert_eq!(bench.consumer("nameless").await.name, "nameless");
    assert_eq!(bench.consumer("unheard").await.name, "unheard");
    assert!(bench.find_consumer("without-secret").await.is_none());

    let repaired = bench.import(&[&options[..], &["--repair"]].concat()).await;
    assert_eq!(
        printed(&repaired),
        json!({"dry_run": false, "created": 1, "existed": 3, "noted": 3, "skipped": 0, "refused": 1})
    );
    let foreign = bench.consumer("foreign").await;
    assert_eq!(
        (foreign.name.as_str(), foreign.app_url.as_str()),
        ("foreign", "")
    );
    assert_eq!(
        redis.run::<String>(&["DEBUG", "DIGEST"]),
        before,
        "the import wrote to the provider's Redis"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_without_redis_is_an_error() {
    let bench = Bench::start().await;
    for (url, status) in [
        ("redis://127.0.0.1:1", 1),
        ("http://:hunter2@127.0.0.1:1", 64),
    ] {
        let refused = bench.import(&["--redis", url]).await;
        assert_eq!(refused.status.code(), Some(status), "{url}");
        let message = stderr(&refused);
        assert!(
            message.starts_with("error: ") && !message.contains("hunter2"),
            "{message}"
        );
    }
    for missing in [
        &["missing.csv"][..],
        &["-", "--format=csv", "--report=no/such/folder"],
    ] {
        assert_eq!(
            bench.import(missing).await.status.code(),
            Some(64),
            "{missing:?}"
        );
    }
    assert_eq!(bench.import(&[]).await.status.code(), Some(64));
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_not_held_in_memory() {
    let bench = Bench::start().await;
    let mut child = bench
        .command(&["import", "-", "--format=csv"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input
        .write_all(b"consumer_key,consumer_secret,name,description\n")
        .await
        .unwrap();
    let too_long = "d".repeat(10_000);
    let mut before = 0;
    for row in 0..ROWS {
        if row == ROWS / 10 {
            before = peak_memory_kib(child.id().unwrap());
        }
        input
            .write_all(format!("K{row},secret,Printer,{too_long}\n").as_bytes())
            .await
            .unwrap();
    }
    // The kernel updates the peak in steps, so it can report a little less than before.
    let growth = peak_memory_kib(child.id().unwrap()).saturating_sub(before);
    drop(input);
    let imported = child.wait_with_output().await.unwrap();
    assert_eq!(printed(&imported)["refused"], ROWS, "{}", stderr(&imported));
    assert_eq!(
        stderr(&imported).lines().count(),
        21,
        "{}",
        stderr(&imported)
    );
    assert!(growth < 6 * 1024, "{growth} KiB more for 18 MB of rows");
}

/// The lines of a report, each with the names of its wrong fields.
fn wrong_fields(report: &str) -> Vec<(u64, String)> {
    let field = |problem: &Value| problem["field"].as_str().unwrap().to_owned();
    let fields = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        let fields = line["problems"].as_array().unwrap().iter().map(field);
        let fields = fields.collect::<Vec<_>>().join(" ");
        (line["line"].as_u64().unwrap(), fields)
    };
    report.lines().map(fields).collect()
}

/// Five consumers as the 2013 provider stored them, and its other hashes.
fn fill_provider(redis: &RedisServer) {
    let hash = |name: &str, field: &str, value: &str| {
        redis.run::<()>(&["HSET", &format!("oauth1-redis-{name}"), field, value]);
    };
    let known = r#"{"id": "0123456789abcdef0123456789abcdef", "name": "Printer", "description": "Prints", "platform": "ios", "app_url": "https://printer.example.com"}"#;
    for (key, info) in [
        ("known", Some(known)),
        ("nameless", Some(r#"{"name": null, "platform": ""}"#)),
        ("unheard", None),
        (
            "foreign",
            Some(r#"{"name": "M\u00fcller", "app_url": "www.example.com"}"#),
        ),
        ("broken", Some("{")),
    ] {
        hash("consumer_tokens", key, "0123456789abcdef0123456789abcdef");
        if let Some(info) = info {
            hash("app_info", key, info);
        }
    }
    hash("nonces", "1700000000", "x");
    hash("app_info", "without-secret", known);
}

struct Bench {
    server: AdminServer,
    home: TempDir,
}

impl Bench {
    async fn start() -> Self {
        Self {
            server: AdminServer::start().await,
            home: tempfile::tempdir().unwrap(),
        }
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.home.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    async fn import(&self, words: &[&str]) -> Output {
        self.run(&[&["import"], words].concat()).await
    }

    async fn run(&self, words: &[&str]) -> Output {
        let output = self.command(words).output().await.unwrap();
        leaks::errors_of(&output);
        output
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        command
            .env("COUNTERSIGN_ADMIN_TOKEN", ADMIN_TOKEN)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
            .args(words)
            .arg("--output=json")
            .arg(format!("--server=http://{}", self.server.address));
        command
    }

    async fn consumer(&self, key: &str) -> v1::Consumer {
        self.find_consumer(key)
            .await
            .unwrap_or_else(|| panic!("consumer {key} does not exist"))
    }

    async fn find_consumer(&self, key: &str) -> Option<v1::Consumer> {
        let request = v1::GetConsumerRequest {
            name: Some(v1::get_consumer_request::Name::ConsumerKey(key.to_owned())),
        };
        ConsumerServiceClient::new(self.server.admin().await)
            .get_consumer(request)
            .await
            .ok()
            .map(|found| found.into_inner())
    }

    async fn token(&self, token: &str) -> v1::Token {
        let request = v1::GetTokenRequest {
            token: token.to_owned(),
        };
        TokenServiceClient::new(self.server.admin().await)
            .get_token(request)
            .await
            .unwrap()
            .into_inner()
    }
}

fn summary(output: &Output) -> Value {
    assert!(output.status.success(), "{}", stderr(output));
    printed(output)
}

fn printed(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", stderr(output)))
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn one(text: &str) -> Vec<String> {
    vec![text.to_owned()]
}

fn two(one: &str, other: &str) -> Vec<String> {
    vec![one.to_owned(), other.to_owned()]
}

fn peak_memory_kib(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    peak.trim().trim_end_matches(" kB").parse().unwrap()
}

const ROWS: u64 = 2_000;
