//! `countersign apply`, and the YAML of `countersign export`.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::support::admin_server::{ADMIN_TOKEN, AdminServer};
use crate::support::leaks;
use crate::support::process;
use crate::support::terminal::Terminal;

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_applied_once_and_then_changes_nothing() {
    let bench = Bench::start(FILE).await;
    let dry = bench.run(&["apply", "-f", FILE_NAME, "--dry-run"]).await;
    let expected = "\
+ consumer bank
    + name: Bank
    + status: active
    + flows: two-legged three-legged
    + rsa_public_keys: SHA-256 ";
    assert!(out(&dry).starts_with(expected), "{}", both(&dry));
    for line in [
        "+ consumer printer",
        "    + scopes: read write",
        "    + consumer_secret: *** (of the file)",
        "+ token nnch734d00sl2jdk",
        "    + user_id: alice",
        "dry run: 3 created; nothing was changed",
    ] {
        assert!(out(&dry).contains(line), "{line}: {}", out(&dry));
    }
    let detailed = ["apply", "-f", FILE_NAME, "--dry-run", "--detailed-exitcode"];
    assert_eq!(bench.run(&detailed).await.status.code(), Some(2));
    assert_eq!(bench.json(&["consumer", "list"]).await, json!([]));

    let first = bench.json(&["apply", "-f", FILE_NAME]).await;
    assert_eq!(
        (&first["created"], &first["unchanged"]),
        (&json!(3), &json!(0))
    );
    let again = bench.json(&["apply", "-f", FILE_NAME]).await;
    assert_eq!(again["changes"], json!([]));
    assert_eq!(
        (&again["created"], &again["unchanged"]),
        (&json!(0), &json!(3))
    );
    assert_eq!(bench.run(&detailed).await.status.code(), Some(0));

    let printer = bench.json(&["consumer", "get", "printer"]).await;
    assert_eq!(
        (
            &printer["secret_count"],
            &printer["verified"],
            &printer["flows"]
        ),
        (&json!(1), &json!(true), &json!(["two-legged"]))
    );
    let bank = bench.json(&["consumer", "get", "bank"]).await;
    assert_eq!(
        (&bank["secret_count"], &bank["scopes"]),
        (&json!(0), &json!([]))
    );
    let token = bench.json(&["token", "get", "nnch734d00sl2jdk"]).await;
    assert_eq!(token["user_id"], "alice");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_the_file_of_the_server() {
    let bench = Bench::start(FILE).await;
    bench.succeeds(&["apply", "-f", FILE_NAME]).await;
    bench
        .succeeds(&["token", "create", "--consumer-key=bank", "--token=R"])
        .await;
    bench.succeeds(&["token", "revoke", "R", "--yes"]).await;
    bench.succeeds(&["consumer", "disable", "bank"]).await;
    bench
        .succeeds(&["export", "export.yaml", "--format=yaml"])
        .await;
    let exported = bench.read("export.yaml");
    assert!(exported.contains("status: disabled\n"), "{exported}");
    assert!(!exported.contains("secret"), "{exported}");
    assert!(!exported.contains("token: R\n"), "{exported}");
    let of_export = [
        "apply",
        "-f",
        "export.yaml",
        "--dry-run",
        "--detailed-exitcode",
    ];
    let same = bench.run(&of_export).await;
    assert_eq!(
        (same.status.code(), out(&same).as_str()),
        (Some(0), "dry run: 3 unchanged; nothing was changed\n"),
        "{}",
        both(&same)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_difference_is_shown_without_secrets_and_applied() {
    let bench = Bench::start(FILE).await;
    bench.succeeds(&["apply", "-f", FILE_NAME]).await;
    bench.succeeds(&["consumer", "disable", "printer"]).await;
    let changed = FILE
        .replace("scopes: [read, write]", "scopes: [read]")
        .replace("deny_detail: problem", "deny_detail: debug")
        .replace("token_secret_env", "status: revoked\n    token_secret_env");
    bench.write(FILE_NAME, &changed);
    bench.write("printer.secret", "next-kd94hf93k423kf44");
    let overlap = ["apply", "-f", FILE_NAME, "--overlap=7d"];
    let applied = bench.run(&overlap).await;
    let expected = "\
~ consumer printer
    - scopes: read write
    + scopes: read
    - deny_detail: problem
    + deny_detail: debug
    - consumer_secret: ***
    + consumer_secret: *** (of the file) (the one before stays valid until 2023-11-21T22:13:20Z)
- token nnch734d00sl2jdk
1 changed, 1 revoked, 1 unchanged
";
    assert_eq!(out(&applied), expected, "{}", both(&applied));
    let again = bench.run(&overlap).await;
    assert_eq!(out(&again), "3 unchanged\n", "{}", both(&again));
    let shown = bench.run(&["consumer", "get", "printer"]).await;
    for line in [
        "status             disabled\n",
        "shared secrets     2\n",
        "overlap ends       2023-11-21T22:13:20Z\n",
        "signature methods  HMAC-SHA256\n",
    ] {
        assert!(out(&shown).contains(line), "{}", out(&shown));
    }
    let bank = bench.run(&["consumer", "get", "bank"]).await;
    let methods = "signature methods  RSA-SHA256 RSA-SHA512 (default)\n";
    assert!(out(&bank).contains(methods), "{}", out(&bank));
    let listed = bench.run(&["consumer", "list"]).await;
    let methods = "active    RSA-SHA256 RSA-SHA512 (default)  ";
    assert!(out(&listed).contains(methods), "{}", out(&listed));
    let unconfirmed = ["consumer", "expire-previous-secret", "printer"];
    assert_eq!(bench.run(&unconfirmed).await.status.code(), Some(64));
    let expire = ["consumer", "expire-previous-secret", "printer", "--yes"];
    assert_eq!(bench.json(&expire).await["secret_count"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_revoked_and_never_changed() {
    let bench = Bench::start(FILE).await;
    bench.succeeds(&["apply", "-f", FILE_NAME]).await;
    bench
        .succeeds(&["token", "revoke", "nnch734d00sl2jdk", "--yes"])
        .await;
    let token = FILE.replace("user_id: alice", "user_id: bob\n    status: active");
    bench.write(FILE_NAME, &token);
    let refused = bench.run(&["apply", "-f", FILE_NAME]).await;
    assert_eq!(refused.status.code(), Some(64));
    let message = err(&refused);
    for problem in [
        ":27: token nnch734d00sl2jdk: user_id differs",
        ":28: ",
        "revoked permanently",
    ] {
        assert!(message.contains(problem), "{problem}: {message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistake_in_one_record_changes_nothing() {
    let bench = Bench::start(MISTAKES).await;
    for words in [
        &["apply", "-f", FILE_NAME][..],
        &["apply", "-f", FILE_NAME, "--dry-run"],
    ] {
        let refused = bench.run(words).await;
        assert_eq!(refused.status.code(), Some(64), "{}", both(&refused));
        assert_eq!(
            err(&refused),
            "error: 7 mistakes in consumers.yaml; nothing was changed\n  \
             consumers.yaml:6: consumer printer: nmae is unknown; known are consumer_key, name, description, platform, \
             app_url, verified, status, signature_methods, flows, callbacks, scopes, rsa_public_keys, compat_profiles, \
             deny_detail, deprecated_at, sunset_at, consumer_secret, consumer_secret_file, consumer_secret_env\n  \
             consumers.yaml:7: consumer scanner: consumer_secret is missing, and so are rsa_public_keys: without either \
             the consumer could never sign; add consumer_secret_file or consumer_secret_env, or generate the secret with \
             --generate-secrets FILE\n  \
             consumers.yaml:9: consumer scanner: callbacks[0] has a scheme that browsers execute or open locally\n  \
             consumers.yaml:10: consumer plotter: consumer_secret_file names missing: cannot read missing: No such file or \
             directory (os error 2)\n  \
             consumers.yaml:14: token T: consumer_key is refused: no consumer has the key nobody\n  \
             consumers.yaml:15: token U: token_secret is missing, and the token is new: add token_secret_file or \
             token_secret_env, or generate the secret with --generate-secrets FILE\n  \
             consumers.yaml:15: token U: scopes has \"write\", which its consumer does not have\n"
        );
    }
    assert_eq!(bench.json(&["consumer", "list"]).await, json!([]));

    bench.write(
        FILE_NAME,
        "consumers:\n  - consumer_key: a\n   name: s3cret-b\n",
    );
    let refused = bench.run(&["apply", "-f", FILE_NAME]).await;
    assert_eq!(refused.status.code(), Some(64));
    assert!(
        err(&refused).contains("consumers.yaml:3: "),
        "{}",
        err(&refused)
    );
    assert!(!err(&refused).contains("s3cret"), "{}", err(&refused));
    assert_eq!(
        bench.run(&["apply", "-f", "none.yaml"]).await.status.code(),
        Some(64)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_consumers_that_the_file_lacks_are_pruned_after_a_confirmation() {
    let bench = Bench::start(FILE).await;
    bench.succeeds(&["apply", "-f", FILE_NAME]).await;
    bench
        .succeeds(&["consumer", "create", "--name=Stray", "--consumer-key=stray"])
        .await;
    let more = ["token", "create", "--consumer-key=bank", "--token=MORE"];
    bench.succeeds(&more).await;
    let kept = bench.run(&["apply", "-f", FILE_NAME]).await;
    assert_eq!(out(&kept), "3 unchanged\n");
    let prune = ["apply", "-f", FILE_NAME, "--prune"];
    let unconfirmed = bench.run(&prune).await;
    assert_eq!(unconfirmed.status.code(), Some(64));
    assert!(err(&unconfirmed).contains("--yes"), "{}", err(&unconfirmed));
    let dry = bench.run(&[&prune[..], &["--dry-run"]].concat()).await;
    let expected = "- consumer stray and its tokens\n    - name: Stray\n\
                    dry run: 1 deleted, 3 unchanged; nothing was changed\n";
    assert_eq!(out(&dry), expected, "{}", both(&dry));
    bench.succeeds(&["consumer", "get", "stray"]).await;
    bench.succeeds(&[&prune[..], &["--yes"]].concat()).await;
    let gone = bench.run(&["consumer", "get", "stray"]).await;
    assert_eq!(gone.status.code(), Some(66));
    bench.succeeds(&["token", "get", "MORE"]).await;

    bench.write(FILE_NAME, "tokens: []\n");
    let refused = bench.run(&[&prune[..], &["--yes"]].concat()).await;
    assert_eq!(refused.status.code(), Some(64));
    assert!(
        err(&refused).contains("every consumer"),
        "{}",
        err(&refused)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn standard_input_is_applied_and_missing_secrets_are_generated_into_a_file() {
    let bench = Bench::start("").await;
    let documents = "\
consumers: [{consumer_key: a, name: A, scopes: [read]}]
---
tokens: [{token: T, consumer_key: a, scopes: [read]}]
";
    let words = ["apply", "-f", "-", "--generate-secrets=secrets.jsonl"];
    let mut child = bench.command(&words).stdin(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(documents.as_bytes()).await.unwrap();
    drop(input);
    let applied = child.wait_with_output().await.unwrap();
    assert!(applied.status.success(), "{}", both(&applied));
    assert!(
        out(&applied).contains("consumer_secret: *** (generated)"),
        "{}",
        out(&applied)
    );
    let secrets = bench.read("secrets.jsonl");
    let secrets: Vec<Value> = secrets
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    secrets.iter().for_each(leaks::secrets_of);
    let lengths = [&secrets[0]["consumer_secret"], &secrets[1]["token_secret"]];
    let lengths = lengths.map(|secret| secret.as_str().unwrap().len());
    assert_eq!(lengths, [64, 64]);
    assert_eq!(
        (&secrets[0]["consumer_key"], &secrets[1]["token"]),
        (&json!("a"), &json!("T"))
    );
}

/// While the command waits for a confirmation, its view of the server becomes stale.
#[tokio::test(flavor = "multi_thread")]
async fn only_the_state_that_was_shown_is_changed() {
    for (meanwhile, made, refusal) in [
        (
            "consumer update printer --description=new",
            0,
            "consumer printer: the record was changed since it was read",
        ),
        (
            "consumer create --consumer-key=late --name=Other",
            1,
            "consumer late: the record was changed since it was read",
        ),
        ("token create --consumer-key=bank --token=T", 2, "token T: "),
        (
            "consumer update stray --description=new",
            3,
            "consumer stray: the record was changed since it was read",
        ),
    ] {
        let bench = Bench::start(FILE).await;
        bench.succeeds(&["apply", "-f", FILE_NAME]).await;
        let stray = ["consumer", "create", "--name=S", "--consumer-key=stray"];
        bench.succeeds(&stray).await;
        let file = FILE.replace("name: Printer", "name: Printer 2");
        bench.write(FILE_NAME, &format!("{file}{LATE}"));
        let prune = ["apply", "-f", FILE_NAME, "--prune", "--output=json"];
        let mut terminal = Terminal::run(&bench.command(&prune));
        terminal.shows("Type yes to continue:").await;
        let words: Vec<_> = meanwhile.split(' ').collect();
        bench.succeeds(&words).await;
        let ended = terminal.answer("yes\n").await;
        let shown = out(&ended);
        assert_eq!(ended.status.code(), Some(1), "{shown}");
        let expected = format!(
            "error: stopped after {made} of 4 changes; run it again to make the others: {refusal}"
        );
        assert!(shown.contains(&expected), "{shown}");
        // The report of the changes that were made.
        assert_eq!(shown.matches("\"action\": ").count(), made, "{shown}");
        bench.succeeds(&["consumer", "get", "stray"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_applies_at_once_create_each_consumer_once() {
    let bench = Bench::start(FILE).await;
    let apply = ["apply", "-f", FILE_NAME, "--output=json"];
    let (one, other) = tokio::join!(bench.run(&apply), bench.run(&apply));
    let mut created = 0;
    for ended in [one, other] {
        let report: Value = serde_json::from_slice(&ended.stdout).unwrap();
        created += report["created"].as_u64().unwrap();
        let is_stopped = err(&ended).contains("run it again");
        assert_eq!(ended.status.success(), !is_stopped, "{}", both(&ended));
    }
    assert!(created <= 3, "{created}");
    bench.succeeds(&apply).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interruption_loses_no_secret() {
    let bench = Bench::start(&many_consumers()).await;
    let words = ["apply", "-f", FILE_NAME, "--generate-secrets=secrets.jsonl"];
    let child = bench.command(&words).spawn().unwrap();
    let secrets = bench.path("secrets.jsonl");
    let lines = || {
        fs::read_to_string(&secrets)
            .unwrap_or_default()
            .lines()
            .count()
    };
    while lines() == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    process::send("INT", child.id().unwrap());
    let ended = child.wait_with_output().await.unwrap();
    assert_eq!(ended.status.code(), Some(1), "{}", both(&ended));
    let error = err(&ended);
    assert!(error.contains("make the others: interrupted"), "{error}");
    let listed = bench.json(&["consumer", "list"]).await;
    let listed = listed.as_array().unwrap().len();
    assert_eq!(lines(), listed);
    assert!((1..MANY).contains(&listed), "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_output_stops_no_change() {
    let bench = Bench::start(FILE).await;
    let mut child = bench.command(&["apply", "-f", FILE_NAME]).spawn().unwrap();
    drop(child.stdout.take());
    let ended = child.wait_with_output().await.unwrap();
    assert_eq!(ended.status.code(), Some(141), "{}", both(&ended));
    let again = bench.run(&["apply", "-f", FILE_NAME]).await;
    assert_eq!(out(&again), "3 unchanged\n", "{}", both(&again));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_every_user_can_read_is_pointed_out() {
    let bench = Bench::start(FILE).await;
    let secret = bench.path("printer.secret");
    fs::set_permissions(&secret, Permissions::from_mode(0o644)).unwrap();
    let dry = bench.run(&["apply", "-f", FILE_NAME, "--dry-run"]).await;
    let warning = "warning: every user of this machine can read or change printer.secret; run: chmod 600 printer.secret\n";
    assert_eq!((err(&dry).as_str(), dry.status.code()), (warning, Some(0)));
}

/// A server and a directory with files.
struct Bench {
    server: AdminServer,
    home: TempDir,
}

impl Bench {
    async fn start(file: &str) -> Self {
        let bench = Self {
            server: AdminServer::start().await,
            home: tempfile::tempdir().unwrap(),
        };
        bench.write(FILE_NAME, file);
        bench.write("printer.secret", CONSUMER_SECRET);
        bench.write("bank.pem", include_str!("rsa_public.pem"));
        for secret in [CONSUMER_SECRET, TOKEN_SECRET] {
            leaks::secret(secret);
        }
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        command
            .args(words)
            .current_dir(self.home.path())
            .env("COUNTERSIGN_ADMIN_TOKEN", ADMIN_TOKEN)
            .env(
                "COUNTERSIGN_SERVER",
                format!("http://{}", self.server.address),
            )
            .env("ALICE_SECRET", TOKEN_SECRET)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs a command, whose output must have no secret.
    async fn run(&self, words: &[&str]) -> Output {
        let output = self.command(words).output().await.unwrap();
        leaks::errors_of(&output);
        for secret in [CONSUMER_SECRET, TOKEN_SECRET] {
            assert!(!both(&output).contains(secret), "{}", both(&output));
        }
        output
    }

    async fn succeeds(&self, words: &[&str]) {
        let output = self.run(words).await;
        assert!(output.status.success(), "{words:?}: {}", both(&output));
    }

    async fn json(&self, words: &[&str]) -> Value {
        let output = self.run(&[words, &["--output=json"]].concat()).await;
        assert!(output.status.success(), "{words:?}: {}", both(&output));
        let json = serde_json::from_slice(&output.stdout).unwrap();
        leaks::secrets_of(&json);
        json
    }
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn both(output: &Output) -> String {
    format!("{}\n{}", out(output), err(output))
}

const FILE_NAME: &str = "consumers.yaml";

const CONSUMER_SECRET: &str = "kd94hf93k423kf44-apply";

const TOKEN_SECRET: &str = "pfkkdhi9sl3r4s00-apply";

const FILE: &str = "\
consumers:
  - consumer_key: bank
    name: Bank
    rsa_public_keys:
      - pem_file: bank.pem
  - consumer_key: printer
    name: Printer
    description: 'Prints: photos'
    platform: ios
    app_url: https://printer.example.com/
    verified: true
    signature_methods: [HMAC-SHA256]
    flows: [two-legged]
    callbacks:
      - oob
      - https://printer.example.com/ready
    scopes: [read, write]
    compat_profiles: [plus-literal]
    deny_detail: problem
    deprecated_at: 2029-01-31T00:00:00Z
    sunset_at: 2030-01-31T00:00:00Z
    consumer_secret_file: printer.secret
---
tokens:
  - token: nnch734d00sl2jdk
    consumer_key: printer
    user_id: alice
    scopes: [read]
    token_secret_env: ALICE_SECRET
";

/// A token and a consumer that the server lacks.
const LATE: &str = "  - {token: T, consumer_key: bank, token_secret: t-kd94hf93k423kf44}
---
consumers:
  - {consumer_key: late, name: Late, consumer_secret: late-kd94hf93k423kf44}
";

const MANY: usize = 1000;

fn many_consumers() -> String {
    let consumers = (0..MANY).map(|at| format!("  - {{consumer_key: k{at}, name: K}}\n"));
    format!("consumers:\n{}", consumers.collect::<String>())
}

const MISTAKES: &str = "\
consumers:
  - {consumer_key: fine, name: Fine, consumer_secret: fine-kd94hf93k423kf44, scopes: [read]}
  - consumer_key: printer
    name: Printer
    consumer_secret: printer-kd94hf93k423kf44
    nmae: Printer
  - consumer_key: scanner
    name: Scanner
    callbacks: ['javascript:x']
  - {consumer_key: plotter, name: Plotter, consumer_secret_file: missing}
tokens:
  - {token: S, consumer_key: printer, token_secret: s-kd94hf93k423kf44}
  - {token: V, consumer_key: fine, scopes: [read], token_secret: v-kd94hf93k423kf44}
  - {token: T, consumer_key: nobody, token_secret: t-kd94hf93k423kf44}
  - {token: U, consumer_key: fine, scopes: [write]}
";
