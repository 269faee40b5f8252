//! "Rotate the master key" in `docs/operations.md`: its commands, in order and as written, rotate
//! the key of an embedded store.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::docs::issuing::{blocks, there};
use crate::support::process::{Process, eventually, project};
use crate::support::program::{listening, program};

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_of_the_page_rotate_the_key() {
    let page = fs::read_to_string(project("docs/operations.md")).unwrap();
    let section = page.split("## Rotate the master key").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let steps = blocks(&section.replace("   ```", "```"), "sh");
    assert_eq!(steps.len(), 4);
    let home = tempfile::tempdir().unwrap();
    let server = Server::start(home.path()).await;
    let created = server.run("countersign consumer create --name Printer --consumer-key K");
    assert!(created.contains('K'), "{created}");
    let old = first_key(home.path());

    let (mut printed, mut reloads) = (Vec::new(), 0);
    for step in &steps {
        printed.push(server.run(step));
        if !step.contains("rekey") {
            reloads += 1;
            server.reload(reloads).await;
        }
    }
    assert_ne!(first_key(home.path()), old);
    let keys = fs::read_to_string(home.path().join("master-key")).unwrap();
    assert_eq!(keys.lines().count(), 1);
    // The consumer, and the canary unless a synthetic check has sealed it already.
    let sealed = ["1", "2"].iter().any(|count| {
        let of = |what: &str| printed[2].contains(&format!("{count} records {what}"));
        of("to seal") && of("sealed")
    });
    assert!(sealed, "{}", printed[2]);
    let listed = server.run("countersign consumer list");
    assert!(listed.contains("Printer"), "{listed}");
}

/// A server whose data directory is its current directory.
struct Server<'h> {
    home: &'h Path,
    there: String,
    process: Process,
}

impl<'h> Server<'h> {
    async fn start(home: &'h Path) -> Self {
        let mut serve = program();
        serve.args([
            "serve",
            "--data-dir=.",
            "--check=127.0.0.1:0",
            "--api=127.0.0.1:0",
            "--http=127.0.0.1:0",
            "--ops=127.0.0.1:0",
        ]);
        serve.current_dir(home).env("COUNTERSIGN_LOG__JSON", "true");
        let mut process = Process::spawn("countersign", &mut serve);
        let api = process.line(|line| listening(line, "api")).await;
        process.line(|line| listening(line, "ops")).await;
        // `keygen` takes no server.
        let there = there(api).replace("in sign)", "in sign|keygen)");
        Self {
            home,
            there,
            process,
        }
    }

    /// Makes the server read its master keys for the `count`th time.
    async fn reload(&self, count: usize) {
        let what = format!("{count} changes of the master keys");
        eventually(&what, Duration::from_secs(60), async || {
            self.process.signal("HUP");
            let log = self.process.log();
            (log.matches("the master keys changed").count() >= count).then_some(())
        })
        .await;
    }

    /// Runs commands of the page in the data directory, and returns what they print.
    fn run(&self, commands: &str) -> String {
        let script = format!("set -e\n{}\n{commands}", self.there);
        let mut bash = Command::new("bash");
        bash.args(["-c", &script])
            .current_dir(self.home)
            .env("COUNTERSIGN_DATA_DIR", ".");
        let output = bash.output().unwrap();
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{commands}\n{printed}\n{errors}");
        printed
    }
}

fn first_key(home: &Path) -> String {
    let keys = fs::read_to_string(home.join("master-key")).unwrap();
    keys.split(':').next().unwrap().to_owned()
}
