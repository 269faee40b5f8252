//! The program itself: exit statuses, help, and the messages about a wrong configuration.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Lines};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, ExitStatus, Output, Stdio};

use tempfile::TempDir;

#[test]
fn a_wrong_configuration_ends_with_64_and_lists_every_mistake() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("countersign.toml");
    fs::write(&file, "[check]\nreelm = \"x\"\n").unwrap();
    let mut command = countersign(&["serve", "--check", "nowhere", "--config"]);
    let output = command
        .arg(&file)
        .env("COUNTERSIGN_STORE__TIMEOUT", "soon")
        .output()
        .unwrap();
    let expected = format!(
        "error: 3 mistakes in the configuration\n  \
         {}:2: `check.reelm` is unknown; did you mean `check.realm`?\n  \
         COUNTERSIGN_STORE__TIMEOUT: `store.timeout` must be a duration from 1ms to 10s, for example \"1s\" or \"80ms\", \
         not \"soon\"\n  \
         --check: `check.listen` must be an IP address and port such as \"127.0.0.1:50051\", or \"unix:PATH\", not \
         \"nowhere\"\n",
        file.display()
    );
    assert_eq!(
        (output.status.code(), stderr(&output)),
        (Some(64), expected.as_str())
    );
}

#[test]
fn config_check_ends_with_64_only_if_there_is_a_mistake() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("countersign.toml");
    let check = |text: &str| {
        fs::write(&file, text).unwrap();
        countersign(&["config", "check", "--no-files"])
            .arg(&file)
            .output()
            .unwrap()
    };
    let right = check("[store]\nurl = \"memory:\"\n");
    assert_eq!(right.status.code(), Some(0));
    assert_eq!(
        stdout(&right),
        "warning: store.url = \"memory:\" loses nonces at a restart: requests from before it can be replayed\n\
         not checked: the files that the configuration names\nno mistakes\n"
    );
    let wrong = check("[store]\nurl = \"mysql://localhost\"\n");
    assert_eq!(wrong.status.code(), Some(64));
    assert!(
        stderr(&wrong).contains(":2: `store.url` must be "),
        "{}",
        stderr(&wrong)
    );
}

#[test]
fn config_default_prints_a_file_without_a_mistake() {
    let printed = countersign(&["config", "default"]).output().unwrap();
    assert_eq!(printed.status.code(), Some(0));
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("countersign.toml");
    fs::write(&file, printed.stdout).unwrap();
    let checked = countersign(&["config", "check"])
        .arg(&file)
        .current_dir(&directory)
        .output()
        .unwrap();
    assert_eq!(
        (checked.status.code(), stdout(&checked)),
        (
            Some(0),
            "not checked: ./data/master-key (store.master_key_file) does not exist; the first start \
             creates it\nnot checked: ./data/admin-token (data_dir) does not exist; the first start \
             creates it\nno mistakes\n"
        )
    );
}

#[test]
fn bad_usage_ends_with_64() {
    for arguments in [&["serve", "--nonsense"][..], &["nonsense"], &[]] {
        assert_eq!(
            countersign(arguments).output().unwrap().status.code(),
            Some(64),
            "{arguments:?}"
        );
    }
    assert_eq!(
        countersign(&["--help"]).output().unwrap().status.code(),
        Some(0)
    );
}

#[test]
fn an_unusable_master_key_file_ends_with_64_and_says_why() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("keys");
    for (mode, text, why) in [
        (0o644, &b"k1:AAAA"[..], "chmod 640"),
        (0o600, b"k1:AAAA", "not base64 of 32 bytes"),
        (0o600, b"# none", "has no key"),
        (0o600, b"k1:\xFF", "not text"),
    ] {
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        for store in ["memory:", "redis://127.0.0.1:1"] {
            let mut command = countersign(&["serve", "--store", store, "--master-key-file"]);
            let output = command.arg(&file).output().unwrap();
            let message = stderr(&output);
            assert_eq!(output.status.code(), Some(64), "{message}");
            assert!(message.contains(why), "{message}");
            assert!(!message.contains("AAAA"), "{message}");
        }
    }
    let output = countersign(&["serve", "--store=redis://127.0.0.1:1"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(64), "{}", stderr(&output));
}

#[test]
fn an_unreadable_file_ends_with_64() {
    for arguments in [
        &["serve", "--config=missing"][..],
        &["serve", "--store=memory:", "--master-key-file=missing"],
        &["config", "check", "missing"],
        &["explain", "missing"],
        &["consumer", "list", "--token-file=missing"],
        &["consumer", "list", "--data-dir=missing"],
        &["import", "missing.csv"],
    ] {
        let output = countersign(arguments).output().unwrap();
        let message = stderr(&output);
        assert_eq!(output.status.code(), Some(64), "{arguments:?}: {message}");
        assert!(message.contains("missing"), "{arguments:?}: {message}");
    }
}

#[test]
fn help_begins_with_the_first_steps_and_states_the_exit_statuses() {
    let printed = countersign(&["--help"]).output().unwrap();
    for expected in [
        "First steps:\n  countersign serve ",
        "Exit status:\n  0 ",
        "  64  ",
    ] {
        assert!(stdout(&printed).contains(expected), "{}", stdout(&printed));
    }
    for command in ["explain", "healthcheck", "import"] {
        let printed = countersign(&[command, "--help"]).output().unwrap();
        for expected in ["Examples:\n  countersign ", "Exit status:\n  0 "] {
            assert!(stdout(&printed).contains(expected), "{}", stdout(&printed));
        }
    }
}

#[test]
fn a_closed_output_ends_quietly() {
    for arguments in [
        &["--help"][..],
        &["config", "default"],
        &["config", "check"],
        &["keygen"],
        &[
            "sign",
            "GET",
            "https://h/",
            "--consumer-key=k",
            "--consumer-secret=s",
        ],
    ] {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let output = countersign(arguments).stdout(writer).output().unwrap();
        assert_eq!(
            (output.status.code(), stderr(&output)),
            (Some(141), ""),
            "{arguments:?}"
        );
    }
}

#[test]
fn a_data_directory_that_others_control_ends_the_start_with_the_remedy() {
    assert_refused(1, "chmod go-w", |home| set_mode(home, 0o777));
    assert_refused(1, "is not a regular file", |home| {
        let made = Command::new("mkfifo")
            .arg(home.join("admin-token"))
            .status();
        assert!(made.unwrap().success());
    });
    assert_refused(1, "is a symbolic link", |home| {
        write_private(&home.join("elsewhere"));
        symlink("elsewhere", home.join("admin-token")).unwrap();
    });
    for (name, code) in [
        ("admin-token", 1),
        ("master-key", 64),
        ("countersign.redb", 1),
    ] {
        assert_refused(code, "chmod 600", |home| {
            write_private(&home.join(name));
            set_mode(&home.join(name), 0o640);
        });
    }
}

/// Asserts that the program ends with `code` for a data directory after `spoil`, and says `remedy`.
fn assert_refused(code: i32, remedy: &str, spoil: impl Fn(&Path)) {
    let home = tempfile::tempdir().unwrap();
    let keygen = countersign(&["keygen"]).output().unwrap();
    let key = home.path().join("master-key");
    fs::write(&key, keygen.stdout).unwrap();
    set_mode(&key, 0o600);
    spoil(home.path());
    let mut command = countersign(&["serve"]);
    for listener in ["--check", "--api", "--http", "--ops"] {
        command.args([listener, "127.0.0.1:0"]);
    }
    let output = command.arg("--data-dir").arg(home.path()).output().unwrap();
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(code), "{remedy}: {said}");
    assert!(said.contains(remedy), "{said}");
}

fn write_private(path: &Path) {
    fs::write(path, "correct-horse-battery\n").unwrap();
    set_mode(path, 0o600);
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn the_first_signal_drains_and_ends_with_0() {
    for signal in ["TERM", "INT"] {
        let mut service = Serving::start("0s");
        service.signal(signal);
        service.wait_for("drained: every request was answered");
        assert_eq!(service.child.wait().unwrap().code(), Some(0), "{signal}");
    }
}

#[test]
fn the_second_signal_ends_it_immediately_with_1() {
    let mut service = Serving::start("1h");
    service.signal("TERM");
    service.wait_for("draining");
    service.signal("INT");
    service.wait_for("ended immediately by a second signal");
    assert_eq!(service.child.wait().unwrap().code(), Some(1));
}

/// A `countersign serve` on free ports.
struct Serving {
    child: Child,
    log: Lines<BufReader<ChildStderr>>,
    _data_dir: TempDir,
}

impl Serving {
    fn start(delay: &str) -> Self {
        let data_dir = tempfile::tempdir().unwrap();
        let mut command = countersign(&["serve", "--store", "memory:"]);
        for listener in ["--check", "--api", "--http", "--ops"] {
            command.args([listener, "127.0.0.1:0"]);
        }
        command
            .arg("--data-dir")
            .arg(data_dir.path())
            .env("COUNTERSIGN_SHUTDOWN__DELAY", delay);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut serving = Self {
            child,
            log,
            _data_dir: data_dir,
        };
        serving.wait_for("the store is available; ready");
        serving
    }

    /// Reads the log up to a line that contains these words.
    fn wait_for(&mut self, words: &str) {
        assert!(
            self.log.any(|line| line.unwrap().contains(words)),
            "the log ended without {words:?}"
        );
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("sh")
            .arg("-c")
            .arg(format!("kill -{name} {}", self.child.id()))
            .status()
            .unwrap();
        assert!(sent.success());
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // The process has already ended, unless the test failed.
        let _: io::Result<()> = self.child.kill();
        let _: io::Result<ExitStatus> = self.child.wait();
    }
}

/// Returns the program, with no variables of this test's environment.
fn countersign(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    command.args(arguments).env_clear();
    command
}

fn stdout(output: &Output) -> &str {
    str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> &str {
    str::from_utf8(&output.stderr).unwrap()
}
