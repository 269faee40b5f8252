//! `countersign export`, and `countersign import` of it: a backup restores into an empty store of
//! the other kind, and nothing but the server that knows the master key can read or make one.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use envoy_types::pb::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use serde_json::{Value, json};
use tonic::transport::{Channel, Endpoint};

use crate::service::replicas::check_request;
use crate::support::caller::Caller;
use crate::support::http::Request;
use crate::support::process::{START, eventually, project};
use crate::support::program::{Countersign, write_master_key};
use crate::support::redis::RedisServer;

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_the_embedded_store_restores_into_an_empty_redis() {
    let redis = RedisServer::start();
    restore_into_the_other_kind("embedded:source.redb", &redis.url()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_redis_restores_into_an_empty_embedded_store() {
    let redis = RedisServer::start();
    restore_into_the_other_kind(&redis.url(), "embedded:target.redb").await;
}

async fn restore_into_the_other_kind(from: &str, to: &str) {
    let source = Countersign::start(from, CONFIG).await;
    let world = World::create(&source).await;
    let backup = source.directory().join("backup.jsonl");
    let exported = source.admin(&["export", text(&backup)]).await;
    assert_eq!(
        exported,
        json!({"consumers": 2, "users": 3, "tokens": 3, "unreadable": 0})
    );
    assert_eq!(mode(&backup), 0o600);
    assert_no_secret(&backup, &world);
    let before = everything(&source).await;
    // Signed as late as possible, so that only the fence refuses it after the restore.
    let replayed = world.alice.sign(&photos());
    assert_eq!(check(&source, &replayed).await, ALLOWED);

    let target = source.beside_on(to).await;
    let dry = target.admin(&["import", text(&backup), "--dry-run"]).await;
    assert_eq!(dry, summary(true, 8, 0));
    assert_eq!(target.admin(&["consumer", "list"]).await, json!([]));
    let restored = target.admin(&["import", text(&backup)]).await;
    assert_eq!(restored, summary(false, 8, 0));

    assert_eq!(check(&target, &replayed).await, "timestamp_refused");
    assert_eq!(everything(&target).await, before);
    world.works_at(&target).await;
    assert_ne!(check(&target, &replayed).await, ALLOWED);
    let again = target.admin(&["import", text(&backup)]).await;
    assert_eq!(again, summary(false, 0, 8));
    for action in ["store.begin_restore", "token.restore", "store.end_restore"] {
        target.logs(action).await;
    }
    source.logs("store.export").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_was_changed_restores_nothing() {
    let source = Countersign::start("memory:", CONFIG).await;
    World::create(&source).await;
    let backup = source.directory().join("backup.jsonl");
    source.admin(&["export", text(&backup)]).await;
    let lines: Vec<String> = fs::read_to_string(&backup)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect();
    let target = source.beside_on("memory:").await;
    for (name, said, change) in changes() {
        let mut lines = lines.clone();
        change(&mut lines);
        let path = source.directory().join(format!("{name}.jsonl"));
        fs::write(&path, lines.join("\n") + "\n").unwrap();
        let refused = target.refused(&["import", text(&path)]).await;
        assert!(refused.contains(said), "{name}: {refused}");
        assert_eq!(
            target.admin(&["consumer", "list"]).await,
            json!([]),
            "{name}"
        );
    }
    let whole = fs::read(&backup).unwrap();
    let path = source.directory().join("cut.jsonl");
    fs::write(&path, &whole[..whole.len() - 20]).unwrap();
    let refused = target.refused(&["import", text(&path)]).await;
    assert!(refused.contains("incomplete"), "{refused}");
}

type Change = fn(&mut Vec<String>);

/// Returns changes of an export, each with a name and the words of its refusal.
fn changes() -> [(&'static str, &'static str, Change); 7] {
    let digest = "digest is not that of the export";
    [
        ("without its end", "is incomplete", |lines| {
            drop(lines.pop())
        }),
        ("with fewer records", "is incomplete", |lines| {
            drop(lines.remove(2))
        }),
        ("with fewer records and their number", digest, |lines| {
            lines.remove(2);
            let end = lines.pop().unwrap();
            lines.push(end.replacen("\"records\":8", "\"records\":7", 1));
        }),
        ("in another order", digest, |lines| lines.swap(1, 2)),
        ("with a record twice", digest, |lines| {
            lines[2] = lines[1].clone()
        }),
        ("under another name", digest, |lines| {
            let renamed = lines[1].replacen("\"name\":\"", "\"name\":\"x", 1);
            lines[1] = renamed;
        }),
        ("with more after it", "continues after the end", |lines| {
            lines.push(lines[1].clone());
        }),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_under_another_master_key_names_the_key_and_restores_nothing() {
    let source = Countersign::start("memory:", CONFIG).await;
    World::create(&source).await;
    let backup = source.directory().join("backup.jsonl");
    source.admin(&["export", text(&backup)]).await;
    let target = Countersign::start("memory:", CONFIG).await;
    let refused = target.refused(&["import", text(&backup)]).await;
    let keys = fs::read_to_string(source.directory().join("keys")).unwrap();
    let id = keys.split(':').next().unwrap();
    assert!(
        refused.contains(id) && refused.contains("master key file"),
        "{refused}"
    );
    assert_eq!(target.admin(&["consumer", "list"]).await, json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_differ_stop_the_restore_before_it_begins_unless_they_are_skipped() {
    let source = Countersign::start("memory:", CONFIG).await;
    let world = World::create(&source).await;
    let backup = source.directory().join("backup.jsonl");
    source.admin(&["export", text(&backup)]).await;
    // After the backup: a revocation, and a deletion.
    source.admin_text(&["token", "revoke", "T", "--yes"]).await;
    source
        .admin_text(&["consumer", "delete", "scanner", "--yes"])
        .await;
    let refused = source.refused(&["import", text(&backup)]).await;
    assert!(
        refused.contains("token T differs from the record"),
        "{refused}"
    );
    assert!(refused.contains("nothing was restored"), "{refused}");
    source.refused(&["consumer", "get", "scanner"]).await;

    let restored = source
        .admin(&["import", text(&backup), "--skip-existing"])
        .await;
    assert_eq!(
        (&restored["created"], &restored["skipped"]),
        (&json!(1), &json!(1))
    );
    source.admin(&["consumer", "get", "scanner"]).await;
    assert_eq!(
        check(&source, &world.alice.sign(&photos())).await,
        "token_revoked"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_username_of_another_user_stops_the_restore_before_it_begins() {
    let source = Countersign::start("memory:", CONFIG).await;
    World::create(&source).await;
    let backup = source.directory().join("backup.jsonl");
    source.admin(&["export", text(&backup)]).await;
    let target = source.beside_on("memory:").await;
    target
        .admin(&["user", "create", "--username=Alice", "--user-id=u-9"])
        .await;
    let refused = target.refused(&["import", text(&backup)]).await;
    let problem = "user u-1 its username belongs to another user";
    assert!(refused.contains(problem), "{refused}");
    assert_eq!(target.admin(&["consumer", "list"]).await, json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_is_private_and_an_existing_one_stays() {
    let server = Countersign::start("memory:", CONFIG).await;
    let path = server.directory().join("backup.jsonl");
    fs::write(&path, "before").unwrap();
    let refused = server.refused(&["export", text(&path)]).await;
    assert!(refused.contains("--force"), "{refused}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "before");
    server.admin(&["export", text(&path), "--force"]).await;
    assert_eq!(mode(&path), 0o600);
    let printed = server.admin_text(&["export", "-"]).await;
    assert!(
        printed.starts_with("{\"countersign_export\":1,"),
        "{printed}"
    );
    assert!(
        printed.contains("{\"kind\":\"end\",\"records\":0,"),
        "{printed}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_exported_in_clear_only_if_the_configuration_and_the_operator_say_so() {
    let server = Countersign::start("memory:", CONFIG).await;
    let path = server.directory().join("all.jsonl");
    let unconfirmed = server
        .refused(&["export", text(&path), "--plaintext"])
        .await;
    assert!(unconfirmed.contains("add --yes"), "{unconfirmed}");
    let refused = server
        .refused(&["export", text(&path), "--plaintext", "--yes"])
        .await;
    assert!(refused.contains("api.allow_plaintext_export"), "{refused}");
    assert!(!path.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_in_clear_is_what_import_reads() {
    let config = format!("{CONFIG}\napi.allow_plaintext_export = true");
    let source = Countersign::start("memory:", &config).await;
    let world = World::create(&source).await;
    let path = source.directory().join("all.jsonl");
    let exported = source
        .admin(&["export", text(&path), "--plaintext", "--yes"])
        .await;
    assert_eq!(
        exported,
        json!({"consumers": 2, "users": 2, "tokens": 3, "unreadable": 0})
    );
    assert_eq!(mode(&path), 0o600);
    let rows = rows(&path);
    let find = |name: &str, value: &str| rows.iter().find(|row| row[name] == value).unwrap();
    assert_eq!(
        find("token", "T")["token_secret"],
        world.alice.token.as_ref().unwrap().1.as_str()
    );
    let hash = find("username", "alice")["password_hash"].as_str().unwrap();
    assert!(hash.starts_with("$argon2id$"), "{hash}");
    source.logs("store.export_secrets").await;

    // The same as YAML, which is no difference here and everything elsewhere.
    let yaml = source.directory().join("all.yaml");
    let clear = [
        "export",
        text(&yaml),
        "--format=yaml",
        "--plaintext",
        "--yes",
    ];
    let exported = source.admin(&clear).await;
    assert_eq!(
        (&exported["consumers"], &exported["tokens"]),
        (&json!(2), &json!(1))
    );
    assert_eq!(mode(&yaml), 0o600);
    let apply = ["apply", "-f", text(&yaml)];
    assert_eq!(source.admin(&apply).await["unchanged"], 3);
    let elsewhere = Countersign::start("memory:", CONFIG).await;
    assert_eq!(elsewhere.admin(&apply).await["created"], 3);
    assert_eq!(
        check(&elsewhere, &world.alice.sign(&photos())).await,
        ALLOWED
    );
    let scanner = elsewhere.admin(&["consumer", "get", "scanner"]).await;
    assert_eq!(scanner["status"], "CONSUMER_STATUS_DISABLED");

    // Another installation, with another master key. Disabled and revoked ones would be revived.
    let target = Countersign::start("memory:", CONFIG).await;
    let kept: String = fs::read_to_string(&path)
        .unwrap()
        .lines()
        .filter(|row| !row.contains("STATUS_DISABLED\"") && !row.contains("STATUS_REVOKED\""))
        .map(|row| format!("{row}\n"))
        .collect();
    fs::write(&path, kept).unwrap();
    let imported = target.admin(&["import", text(&path)]).await;
    assert_eq!(
        imported,
        json!({"dry_run": false, "created": 2, "existed": 0, "noted": 0, "skipped": 1, "refused": 0})
    );
    assert_eq!(check(&target, &world.alice.sign(&photos())).await, ALLOWED);
}

/// Releases after 0.1.0 read this file too: see "Upgrading" in docs/operations.md.
#[tokio::test(flavor = "multi_thread")]
async fn the_golden_export_restores_into_both_stores() {
    let redis = RedisServer::start();
    let golden = project("tests/vectors/export-v1.jsonl");
    for store in ["embedded:countersign.redb", &redis.url()] {
        let server = Countersign::start_prepared(&[], store, CONFIG, |directory| {
            write_master_key(directory, GOLDEN_KEY);
        })
        .await;
        let restored = server.admin(&["import", text(&golden)]).await;
        assert_eq!(restored, summary(false, 8, 0), "{store}");
        let alice = Caller {
            consumer_key: "printer".to_owned(),
            consumer_secret: "kd94hf93k423kf44".to_owned(),
            token: Some(("T".to_owned(), "pfkkdhi9sl3r4s00".to_owned())),
        };
        eventually("the fence is past", START, async || {
            (check(&server, &alice.sign(&photos())).await == ALLOWED).then_some(())
        })
        .await;
        let revoked = server.admin(&["token", "get", "R"]).await;
        assert_eq!(revoked["status"], "TOKEN_STATUS_REVOKED", "{store}");
    }
}

/// Two consumers, one disabled; three users, one disabled and one deleted; three tokens, one
/// revoked, and one of the deleted user.
struct World {
    alice: Caller,
    scanner: Caller,
    revoked: Caller,
    of_deleted: Caller,
    password: PathBuf,
}

impl World {
    async fn create(server: &Countersign) -> Self {
        let password = server.directory().join("password");
        fs::write(&password, PASSWORD).unwrap();
        let alice = ["user", "create", "--username=alice", "--user-id=u-1"];
        let alice = [&alice[..], &["--password-file", text(&password)]].concat();
        server.admin_text(&alice).await;
        for command in COMMANDS {
            let arguments: Vec<_> = command.split(' ').collect();
            server.admin_text(&arguments).await;
        }
        let of = |token: &str, secret: &str| Caller {
            consumer_key: "printer".to_owned(),
            consumer_secret: "kd94hf93k423kf44".to_owned(),
            token: Some((token.to_owned(), secret.to_owned())),
        };
        Self {
            alice: of("T", "pfkkdhi9sl3r4s00"),
            revoked: of("R", "pfkkdhi9sl3r4s01"),
            of_deleted: of("D", "pfkkdhi9sl3r4s02"),
            scanner: Caller {
                consumer_key: "scanner".to_owned(),
                consumer_secret: "kd94hf93k423kf45".to_owned(),
                token: None,
            },
            password,
        }
    }

    /// Asserts that callers see what they saw before: also who was refused is refused.
    async fn works_at(&self, server: &Countersign) {
        eventually("the fence is past", START, async || {
            (check(server, &self.alice.sign(&photos())).await == ALLOWED).then_some(())
        })
        .await;
        for (caller, problem) in [
            (&self.scanner, "consumer_key_refused"),
            (&self.revoked, "token_revoked"),
            (&self.of_deleted, "token_revoked"),
        ] {
            assert_eq!(check(server, &caller.sign(&photos())).await, problem);
        }
        let file = text(&self.password);
        let login = [
            "token",
            "exchange-password",
            "--consumer-key=printer",
            "--username=ALICE",
            "--password-file",
            file,
        ];
        let token = server.admin(&login).await;
        assert!(token["token_secret"].is_string(), "{token}");
        // The name of the deleted user is free, and her id keeps her tokens revoked.
        server
            .admin_text(&["user", "create", "--username=carol"])
            .await;
        let named = ["token", "revoke", token["token"].as_str().unwrap(), "--yes"];
        server.admin_text(&named).await;
    }
}

/// Returns everything that the lists show of the world.
async fn everything(server: &Countersign) -> Value {
    json!({
        "consumers": server.admin(&["consumer", "list"]).await,
        "users": server.admin(&["user", "list"]).await,
        "tokens": server.admin(&["token", "list", "--consumer-key=printer"]).await,
        "alices": server.admin(&["token", "list", "--user-id=u-1"]).await,
        "carols": server.admin(&["token", "introspect", "D"]).await,
        "alice": server.admin(&["user", "get", "--username=alice"]).await,
    })
}

fn assert_no_secret(file: &Path, world: &World) {
    let written = fs::read_to_string(file).unwrap();
    for secret in [
        &*world.alice.consumer_secret,
        "pfkkdhi9sl3r4s00",
        "argon2id",
        "Printer",
    ] {
        assert!(!written.contains(secret), "{secret}");
    }
}

/// Returns `allowed`, or the problem of the denial.
async fn check(server: &Countersign, request: &Request) -> String {
    let address = format!("http://{}", server.check);
    let channel: Channel = Endpoint::from_shared(address)
        .unwrap()
        .connect()
        .await
        .unwrap();
    let answer = AuthorizationClient::new(channel)
        .check(check_request(request))
        .await;
    match answer.unwrap().into_inner().http_response.unwrap() {
        HttpResponse::OkResponse(_) => ALLOWED.to_owned(),
        HttpResponse::DeniedResponse(denied) => {
            let body: Value = serde_json::from_str(&denied.body).unwrap();
            body["oauth_problem"].as_str().unwrap().to_owned()
        }
        other @ HttpResponse::ErrorResponse(_) => panic!("{other:?}"),
    }
}

fn photos() -> Request {
    Request::get("/photos")
}

fn rows(path: &Path) -> Vec<Value> {
    let written = fs::read_to_string(path).unwrap();
    written
        .lines()
        .map(|row| serde_json::from_str(row).unwrap())
        .collect()
}

fn summary(dry_run: bool, created: u64, existed: u64) -> Value {
    json!({"dry_run": dry_run, "created": created, "existed": existed, "noted": 0, "skipped": 0, "refused": 0})
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The commands that make the world, after its first user.
const COMMANDS: [&str; 11] = [
    "consumer create --name=Printer --consumer-key=printer --consumer-secret=kd94hf93k423kf44 --flow=two-legged --flow=xauth",
    "consumer create --name=Scanner --consumer-key=scanner --consumer-secret=kd94hf93k423kf45",
    "user create --username=bob --user-id=u-2",
    "user create --username=carol --user-id=u-3",
    "token create --consumer-key=printer --user-id=u-1 --token=T --token-secret=pfkkdhi9sl3r4s00",
    "token create --consumer-key=printer --user-id=u-1 --token=R --token-secret=pfkkdhi9sl3r4s01",
    "token create --consumer-key=printer --user-id=u-3 --token=D --token-secret=pfkkdhi9sl3r4s02",
    "consumer disable scanner",
    "user disable u-2",
    "user delete u-3 --yes",
    "token revoke R --yes",
];

const ALLOWED: &str = "allowed";
const PASSWORD: &str = "correct horse battery staple";

/// Patient, since other tests cover deadlines; cheap hashes.
const CONFIG: &str = "check.timeout = \"5s\"\nstore.timeout = \"3s\"\npassword.memory_kib = 64\npassword.iterations = 1\n";

/// The master key of the golden files, which is no secret: 32 bytes of 7.
const GOLDEN_KEY: &str = "golden:BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
