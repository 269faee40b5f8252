//! `docs/operations.md`, "Backup and restore": its commands run as written, on a server of each
//! kind of store.

use std::fs;
use std::process::Command;

use tokio::task;

use super::issuing::{blocks, there};
use crate::support::process::project;
use crate::support::program::Countersign;
use crate::support::redis::RedisServer;

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_back_up_one_store_and_restore_into_the_other() {
    let page = fs::read_to_string(project("docs/operations.md")).unwrap();
    let section = page.split("\n## Backup and restore\n").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let [export, import] = blocks(section, "sh").try_into().unwrap();
    let redis = RedisServer::start();

    let source = Countersign::start("embedded:source.redb", "").await;
    let create = ["consumer", "create", "--name=Printer", "--consumer-key=K"];
    source.admin(&create).await;
    run(&source, &export).await;
    let target = source.beside_on(&redis.url()).await;
    run(&target, &import).await;
    let restored = target.admin(&["consumer", "get", "K"]).await;
    assert_eq!(restored, source.admin(&["consumer", "get", "K"]).await);

    // The command that lists what was changed since the backup.
    source.admin(&["consumer", "disable", "K"]).await;
    let backup = source.directory().join("backup.jsonl");
    let command = ["import", backup.to_str().unwrap(), "--dry-run"];
    assert!(section.contains("    countersign import backup.jsonl --dry-run\n"));
    let listed = source.refused(&command).await;
    assert!(listed.contains("consumer K differs"), "{listed}");
}

/// Runs a block in the directory of a server.
async fn run(server: &Countersign, block: &str) {
    let script = format!("set -e\n{}\n{block}", there(server.api));
    let mut bash = Command::new("bash");
    bash.args(["-c", &script])
        .current_dir(server.directory())
        .env("COUNTERSIGN_ADMIN_TOKEN", server.admin_token());
    let output = task::spawn_blocking(move || bash.output().unwrap())
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{block}: {said}");
}
