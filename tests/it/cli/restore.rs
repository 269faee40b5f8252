//! `countersign import` of sealed exports that are not as they should be: with a record twice,
//! without a user, or changed during the import; and `countersign export` that is stopped.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::{Arc, Mutex};

use countersign::clock::UnixTime;
use countersign::store::{
    ExportDigest, ExportHeader, RecordKind, SealedRecord, Store, UnreadableCounts,
};
use countersign::v1;
use countersign::v1::backup_service_server::{BackupService, BackupServiceServer};
use futures_util::stream::BoxStream;
use serde_json::{Value, json};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

use crate::store::bench::Bench;
use crate::support::process::{Process, START, eventually};
use crate::support::program::{Countersign, program};
use crate::support::redis::RedisServer;

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_was_revoked_between_its_two_lines_stays_revoked() {
    let source = with_token("memory:").await;
    let [before, after] = ["before.jsonl", "after.jsonl"].map(|name| source.path(name));
    source.admin(&["export", text(&before)]).await;
    source.admin_text(&["token", "revoke", "T", "--yes"]).await;
    source.admin(&["export", text(&after)]).await;
    let active = lines(&before).into_iter().find(|line| line["name"] == "T");
    let mut twice = lines(&after);
    twice.insert(1, active.unwrap());
    seal(&mut twice, &source.master_key_file()).await;
    let backup = source.path("twice.jsonl");
    write(&backup, &twice);

    let target = source.beside_on("memory:").await;
    let restored = target.admin(&["import", text(&backup)]).await;
    assert_eq!(
        (&restored["created"], &restored["refused"]),
        (&json!(3), &json!(0))
    );
    let token = target.admin(&["token", "get", "T"]).await;
    assert_eq!(token["status"], "TOKEN_STATUS_REVOKED");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_without_an_unreadable_user_is_restored_only_on_request() {
    let redis = RedisServer::start();
    let source = with_token(&redis.url()).await;
    source.admin_text(&["user", "disable", "u-1"]).await;
    redis.set("countersign:{u-1}:user", b"damaged");
    redis.set("countersign:{u%0A}:user", b"damaged");
    let backup = source.path("backup.jsonl");
    let warned = source.refused(&["export", text(&backup)]).await;
    assert!(warned.contains("lacks 2 records"), "{warned}");
    // The line break in a name cannot begin another line of the log.
    source.logs(r#""name":"u\\n""#).await;

    let target = source.beside_on("memory:").await;
    let refused = target.refused(&["import", text(&backup)]).await;
    assert!(
        refused.contains("lacks 0 consumers and 2 users"),
        "{refused}"
    );
    assert!(refused.contains("--accept-missing"), "{refused}");
    assert_eq!(target.admin(&["consumer", "list"]).await, json!([]));

    let mut hidden = lines(&backup);
    hidden.last_mut().unwrap()["unreadable"]["users"] = 0.into();
    let path = source.path("hidden.jsonl");
    write(&path, &hidden);
    let refused = target.refused(&["import", text(&path)]).await;
    assert!(
        refused.contains("digest is not that of the export"),
        "{refused}"
    );

    let accepted = ["import", text(&backup), "--accept-missing"];
    assert_eq!(target.admin(&accepted).await["created"], 2);
    target.admin(&["token", "get", "T"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_token_is_restored_after_a_user_was_refused() {
    let directory = tempfile::tempdir().unwrap();
    let backup = directory.path().join("backup.jsonl");
    write(&backup, &one_of_each("a"));
    let server = Scripted::start(Script {
        refuses_users: true,
        ..Script::default()
    })
    .await;
    let stopped = server.import(&backup).await;
    assert!(
        stopped.contains("no token was restored, because 1 "),
        "{stopped}"
    );
    assert_eq!(server.written(), ["c-a", "u-a"]);
    assert!(!server.script.lock().unwrap().is_ended);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_replaced_during_the_import_is_restored_as_it_was_checked() {
    let directory = tempfile::tempdir().unwrap();
    let [backup, another] =
        ["backup.jsonl", "another.jsonl"].map(|name| directory.path().join(name));
    write(&backup, &one_of_each("a"));
    write(&another, &one_of_each("b"));
    let to = backup.clone();
    let server = Scripted::start(Script {
        between: Some(Box::new(move || fs::rename(&another, &to).unwrap())),
        ..Script::default()
    })
    .await;
    server.import(&backup).await;
    assert_eq!(server.written(), ["c-a", "u-a", "t-a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_changes_during_the_import_stops_it() {
    let directory = tempfile::tempdir().unwrap();
    let backup = directory.path().join("backup.jsonl");
    for change in ["another secret", "a record less"] {
        write(&backup, &one_of_each("a"));
        let to = backup.clone();
        let server = Scripted::start(Script {
            between: Some(Box::new(move || {
                let mut lines = one_of_each("a");
                if change == "another secret" {
                    lines[1]["sealed"] = "BBBB".into();
                } else {
                    lines.remove(3);
                }
                write(&to, &lines);
            })),
            ..Script::default()
        })
        .await;
        let stopped = server.import(&backup).await;
        assert!(
            stopped.contains("changed during the import"),
            "{change}: {stopped}"
        );
        assert!(!server.written().contains(&"t-a".to_owned()), "{change}");
        assert!(!server.script.lock().unwrap().is_ended, "{change}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_export_leaves_no_file() {
    // It accepts connections, and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    for signal in ["INT", "TERM", "HUP"] {
        let directory = tempfile::tempdir().unwrap();
        let mut command = program();
        command
            .arg("export")
            .arg(directory.path().join("backup.jsonl"));
        command.arg(format!("--server=http://{address}"));
        command.env("COUNTERSIGN_ADMIN_TOKEN", TOKEN);
        let export = Mutex::new(Process::spawn("export", &mut command));
        let files = || fs::read_dir(directory.path()).unwrap().count();
        eventually("the file is there", START, async || {
            (files() == 1).then_some(())
        })
        .await;
        export.lock().unwrap().signal(signal);
        let ended = async || export.lock().unwrap().ended();
        let status = eventually("the export ends", START, ended).await;
        assert_eq!(status, "exit status: 1", "{signal}");
        assert_eq!(files(), 0, "{signal}");
    }
}

/// Starts a server with a consumer, a user, and a token T of both.
async fn with_token(store: &str) -> Countersign {
    let server = Countersign::start(store, CONFIG).await;
    for command in [
        "consumer create --name=Printer --consumer-key=printer",
        "user create --username=alice --user-id=u-1",
        "token create --consumer-key=printer --user-id=u-1 --token=T",
    ] {
        let arguments: Vec<_> = command.split(' ').collect();
        server.admin_text(&arguments).await;
    }
    server
}

/// Returns the lines of an export of a consumer, a user and a token with that name, sealed by
/// nobody.
fn one_of_each(name: &str) -> Vec<Value> {
    let record = |kind: &str| {
        let name = format!("{}-{name}", &kind[..1]);
        json!({"kind": kind, "name": name, "sealed": "AAAA"})
    };
    let unreadable = json!({"consumers": 0, "users": 0, "tokens": 0});
    vec![
        json!({"countersign_export": 1, "begin_time": "2030-01-02T03:04:05Z", "store": "memory", "key_ids": ["k"]}),
        record("consumer"),
        record("user"),
        record("token"),
        json!({"kind": "end", "records": 3, "unreadable": unreadable, "seal": "AAAA"}),
    ]
}

/// Completes the last line of an export as the server that has these keys does.
async fn seal(lines: &mut [Value], master_key_file: &Path) {
    let mut bench = Bench::memory();
    bench.config.master_key_file = Some(master_key_file.to_owned());
    let store = bench.open().await;
    let (end, others) = lines.split_last_mut().unwrap();
    let (header, records) = others.split_first().unwrap();
    end["records"] = records.len().into();
    end["seal"] = base64(&sealed_digest(&*store, header, records)).into();
}

fn sealed_digest(store: &dyn Store, header: &Value, records: &[Value]) -> Vec<u8> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let began: prost_types::Timestamp = text(&header["begin_time"]).parse().unwrap();
    let millis = began.seconds * 1000 + i64::from(began.nanos) / 1_000_000;
    let mut digest = ExportDigest::new(&ExportHeader {
        format_version: 1,
        began_at: UnixTime::from_millis(millis.try_into().unwrap()),
        store: text(&header["store"]),
        key_ids: header["key_ids"]
            .as_array()
            .unwrap()
            .iter()
            .map(text)
            .collect(),
    });
    for record in records {
        let kind = match text(&record["kind"]).as_str() {
            "consumer" => RecordKind::Consumer,
            "user" => RecordKind::User,
            "token" => RecordKind::Token,
            other => panic!("{other}"),
        };
        let (name, sealed) = (text(&record["name"]), text(&record["sealed"]));
        let sealed = from_base64(&sealed);
        digest.add(&SealedRecord::exported(kind, name.into_bytes(), sealed));
    }
    let digest = digest.finish(&UnreadableCounts::default());
    store.seal_digest(&digest).unwrap()
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn from_base64(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD
        .decode(text)
        .unwrap()
}

fn lines(path: &Path) -> Vec<Value> {
    let lines = fs::read_to_string(path).unwrap();
    let lines = lines.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Writes the lines of an export as `countersign export` does: its first and its last line are
/// recognized by their first bytes.
fn write(path: &Path, lines: &[Value]) {
    let first = |line: &Value| {
        let mut fields = line.as_object().unwrap().clone();
        let name = ["countersign_export", "kind"]
            .into_iter()
            .find(|name| fields.contains_key(*name));
        let name = name.unwrap();
        let value = fields.remove(name).unwrap();
        let others = serde_json::to_string(&fields).unwrap();
        format!("{{\"{name}\":{value},{}\n", &others[1..])
    };
    fs::write(path, lines.iter().map(first).collect::<String>()).unwrap();
}

/// A server of the backup service that a test scripts.
struct Scripted {
    address: SocketAddr,
    script: Arc<Mutex<Script>>,
}

#[derive(Default)]
struct Script {
    refuses_users: bool,
    /// Runs between the check and the restore.
    between: Option<Box<dyn FnOnce() + Send>>,
    /// The names of the records that were to be written.
    written: Vec<String>,
    is_ended: bool,
}

struct ScriptedBackups(Arc<Mutex<Script>>);

impl Scripted {
    async fn start(script: Script) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let script = Arc::new(Mutex::new(script));
        let service = BackupServiceServer::new(ScriptedBackups(Arc::clone(&script)));
        let serving = Server::builder()
            .add_service(service)
            .serve_with_incoming(TcpIncoming::from(listener));
        tokio::spawn(serving);
        Self { address, script }
    }

    /// Imports a file, and returns what the command wrote to standard error.
    async fn import(&self, file: &Path) -> String {
        let mut command = program();
        command.arg("import").arg(file);
        command.arg(format!("--server=http://{}", self.address));
        command.env("COUNTERSIGN_ADMIN_TOKEN", TOKEN);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap());
        String::from_utf8(output.await.unwrap().stderr).unwrap()
    }

    fn written(&self) -> Vec<String> {
        self.script.lock().unwrap().written.clone()
    }
}

#[tonic::async_trait]
impl BackupService for ScriptedBackups {
    type ExportRecordsStream = BoxStream<'static, Result<v1::ExportRecordsResponse, Status>>;
    type ExportSecretsStream = BoxStream<'static, Result<v1::ExportSecretsResponse, Status>>;

    async fn export_records(
        &self,
        _: Request<v1::ExportRecordsRequest>,
    ) -> Result<Response<Self::ExportRecordsStream>, Status> {
        Err(Status::unimplemented("no export"))
    }

    async fn export_secrets(
        &self,
        _: Request<v1::ExportSecretsRequest>,
    ) -> Result<Response<Self::ExportSecretsStream>, Status> {
        Err(Status::unimplemented("no export"))
    }

    async fn begin_restore(
        &self,
        request: Request<v1::BeginRestoreRequest>,
    ) -> Result<Response<()>, Status> {
        if !request.into_inner().validate_only
            && let Some(between) = self.0.lock().unwrap().between.take()
        {
            between();
        }
        Ok(Response::new(()))
    }

    async fn restore_records(
        &self,
        request: Request<v1::RestoreRecordsRequest>,
    ) -> Result<Response<v1::RestoreRecordsResponse>, Status> {
        let request = request.into_inner();
        let mut script = self.0.lock().unwrap();
        let mut outcomes = Vec::new();
        for record in request.records {
            let is_refused = script.refuses_users
                && !request.validate_only
                && record.kind() == v1::RecordKind::User;
            let result = if is_refused {
                v1::RestoreResult::Refused
            } else {
                v1::RestoreResult::Created
            };
            outcomes.push(v1::RestoreOutcome {
                result: result.into(),
                problem: String::new(),
            });
            if !request.validate_only {
                script.written.push(record.name);
            }
        }
        Ok(Response::new(v1::RestoreRecordsResponse { outcomes }))
    }

    async fn end_restore(&self, _: Request<v1::EndRestoreRequest>) -> Result<Response<()>, Status> {
        self.0.lock().unwrap().is_ended = true;
        Ok(Response::new(()))
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

const TOKEN: &str = "a-token-that-is-long-enough-for-a-server";

/// Patient, since other tests cover deadlines.
const CONFIG: &str = "check.timeout = \"5s\"\nstore.timeout = \"3s\"\n";
