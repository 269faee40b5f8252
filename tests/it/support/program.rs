//! The real program, running as a server.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use serde_json::Value;
use tempfile::TempDir;
use tokio::task;

use crate::support::http::Request;
use crate::support::leaks;
use crate::support::process::{Process, START, eventually};

/// A running `countersign serve`; stops when dropped.
#[derive(Debug)]
pub(crate) struct Countersign {
    pub(crate) check: SocketAddr,
    pub(crate) api: SocketAddr,
    pub(crate) http: SocketAddr,
    pub(crate) ops: SocketAddr,
    process: Process,
    launch: Arc<Launch>,
}

/// The environment, store and configuration of an instance.
#[derive(Debug)]
struct Launch {
    environment: Vec<(String, String)>,
    store: String,
    directory: Arc<TempDir>,
}

/// The addresses of an instance.
struct Listening {
    check: SocketAddr,
    api: SocketAddr,
    http: SocketAddr,
    ops: SocketAddr,
}

impl Countersign {
    /// Starts the program on a store, with a configuration file, and returns when it listens.
    pub(crate) async fn start(store: &str, config: &str) -> Self {
        Self::start_in(&[], store, config).await
    }

    /// Starts the program with more environment variables; an empty value removes one.
    pub(crate) async fn start_in(environment: &[(&str, &str)], store: &str, config: &str) -> Self {
        Self::start_prepared(environment, store, config, |directory| {
            master_key(directory);
        })
        .await
    }

    /// Starts the program after `prepare` wrote the master key into its directory.
    pub(crate) async fn start_prepared(
        environment: &[(&str, &str)],
        store: &str,
        config: &str,
        prepare: impl FnOnce(&Path),
    ) -> Self {
        let directory = Arc::new(tempfile::tempdir().unwrap());
        fs::write(directory.path().join(CONFIG), config).unwrap();
        prepare(directory.path());
        let environment = environment
            .iter()
            .map(|&(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        Arc::new(Launch {
            environment,
            store: store.to_owned(),
            directory,
        })
        .instance()
        .await
    }

    /// Starts another instance with the same configuration, on the same store.
    pub(crate) async fn beside(&self) -> Self {
        Arc::clone(&self.launch).instance().await
    }

    /// Starts another instance with the same configuration and master key, on another store.
    pub(crate) async fn beside_on(&self, store: &str) -> Self {
        let launch = Launch {
            environment: self.launch.environment.clone(),
            store: store.to_owned(),
            directory: Arc::clone(&self.launch.directory),
        };
        Arc::new(launch).instance().await
    }

    /// Returns the directory of its configuration, its keys and its data.
    pub(crate) fn directory(&self) -> &Path {
        self.launch.directory.path()
    }

    /// Kills the program with SIGKILL, and restarts it on its store and at the address that Envoy
    /// uses.
    pub(crate) async fn restart_killed(&mut self) {
        self.process.kill();
        self.start_again().await;
    }

    /// Ends the program with SIGTERM, and restarts it once it has drained.
    pub(crate) async fn restart(&mut self) {
        self.process.signal("TERM");
        self.process.has_ended().await;
        self.start_again().await;
    }

    async fn start_again(&mut self) {
        let (
            process,
            Listening {
                check,
                api,
                http,
                ops,
            },
        ) = self.launch.start(&self.check.to_string()).await;
        (self.process, self.check, self.api, self.http, self.ops) =
            (process, check, api, http, ops);
    }

    /// Asks for a reload, and returns when so many have succeeded since the start.
    pub(crate) async fn reload(&self, count: u64) {
        self.hang_up();
        eventually("the files are read again", START, async || {
            let succeeded = self.metric(RELOADS).await;
            (succeeded == count).then_some(())
        })
        .await;
    }

    /// Kills the program with SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// Freezes the program with SIGSTOP: it keeps its connections and does not respond.
    pub(crate) fn freeze(&mut self) {
        self.process.signal("STOP");
    }

    /// Asks for a reload with SIGHUP.
    pub(crate) fn hang_up(&self) {
        self.process.signal("HUP");
    }

    /// Asks for a shutdown with SIGTERM.
    pub(crate) fn terminate(&self) {
        self.process.signal("TERM");
    }

    /// Replaces the configuration file.
    pub(crate) fn configure(&self, config: &str) {
        fs::write(self.path(CONFIG), config).unwrap();
    }

    /// Replaces a file that only its owner may read.
    pub(crate) fn write_secret(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// Returns the path of a file in the directory of the instance, which is its data directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.launch.directory.path().join(name)
    }

    /// Limits the size of the files that the program may write, as a full disk does; `None` ends
    /// the limit.
    pub(crate) fn limit_files(&self, bytes: Option<u64>) {
        let limit = bytes.map_or_else(|| "unlimited".to_owned(), |bytes| bytes.to_string());
        let set = Command::new("prlimit")
            .arg(format!("--pid={}", self.process.id()))
            .arg(format!("--fsize={limit}:unlimited"))
            .status()
            .unwrap();
        assert!(set.success(), "prlimit failed");
    }

    /// Runs an administration command, and returns its JSON output.
    pub(crate) async fn admin(&self, arguments: &[&str]) -> Value {
        let mut command = program();
        command
            .args(arguments)
            .arg("--output=json")
            .arg(format!("--server=http://{}", self.api));
        command.arg("--data-dir").arg(self.launch.directory.path());
        let output = task::spawn_blocking(move || command.output().unwrap())
            .await
            .unwrap();
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let json = serde_json::from_slice(&output.stdout).unwrap();
        leaks::secrets_of(&json);
        json
    }

    /// Runs an administration command that must fail, and returns its error.
    pub(crate) async fn admin_failure(&self, arguments: &[&str]) -> String {
        let mut command = program();
        command
            .args(arguments)
            .arg(format!("--server=http://{}", self.api));
        command.arg("--data-dir").arg(self.launch.directory.path());
        let output = task::spawn_blocking(move || command.output().unwrap())
            .await
            .unwrap();
        leaks::errors_of(&output);
        assert!(!output.status.success(), "{arguments:?} succeeded");
        String::from_utf8(output.stderr).unwrap()
    }

    /// Runs an administration command, and returns its text output.
    pub(crate) async fn admin_text(&self, arguments: &[&str]) -> String {
        let output = self.run_admin(arguments).await;
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs an administration command that must fail, and returns why it did.
    pub(crate) async fn refused(&self, arguments: &[&str]) -> String {
        let output = self.run_admin(arguments).await;
        assert!(!output.status.success(), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    async fn run_admin(&self, arguments: &[&str]) -> Output {
        let mut command = program();
        command
            .args(arguments)
            .arg(format!("--server=http://{}", self.api));
        command.arg("--data-dir").arg(self.launch.directory.path());
        let output = task::spawn_blocking(move || command.output().unwrap())
            .await
            .unwrap();
        leaks::errors_of(&output);
        output
    }

    /// Returns the admin token in the data directory.
    pub(crate) fn admin_token(&self) -> String {
        fs::read_to_string(self.launch.directory.path().join("admin-token"))
            .unwrap()
            .trim_end()
            .to_owned()
    }

    /// Returns the master key file, which a test may change before a restart.
    pub(crate) fn master_key_file(&self) -> PathBuf {
        self.launch.directory.path().join(MASTER_KEY)
    }

    /// Returns whether `countersign healthcheck` reports SERVING.
    pub(crate) async fn is_serving(&self) -> bool {
        let mut command = program();
        command
            .arg("healthcheck")
            .arg(format!("--server=http://{}", self.check));
        task::spawn_blocking(move || command.output().unwrap().status.success())
            .await
            .unwrap()
    }

    /// Returns the metrics in the text format.
    pub(crate) async fn metrics(&self) -> String {
        Request::get("/metrics").send(self.ops).await.body
    }

    /// Returns the value of a counter or gauge with its labels; 0 for a series without a value.
    pub(crate) async fn metric(&self, series: &str) -> u64 {
        let metrics = self.metrics().await;
        let value = |line: &str| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok();
        metrics.lines().find_map(value).unwrap_or(0)
    }

    /// Returns the largest resident memory so far, in bytes.
    pub(crate) fn peak_memory(&self) -> u64 {
        self.process.peak_memory()
    }

    /// Waits until a text is in the log.
    pub(crate) async fn logs(&self, text: &str) {
        self.process.logs(text).await;
    }

    /// Returns the log so far.
    pub(crate) fn log(&self) -> String {
        self.process.log()
    }
}

impl Launch {
    /// Starts an instance on free ports.
    async fn instance(self: Arc<Self>) -> Countersign {
        let (
            process,
            Listening {
                check,
                api,
                http,
                ops,
            },
        ) = self.start("127.0.0.1:0").await;
        Countersign {
            check,
            api,
            http,
            ops,
            process,
            launch: self,
        }
    }

    /// Starts the process, and returns its addresses.
    async fn start(&self, check: &str) -> (Process, Listening) {
        let directory = self.directory.path();
        let mut command = program();
        command.args([
            "serve",
            "--store",
            &self.store,
            "--check",
            check,
            "--api=127.0.0.1:0",
            "--http=127.0.0.1:0",
        ]);
        command
            .arg("--ops=127.0.0.1:0")
            .arg("--config")
            .arg(directory.join(CONFIG))
            .arg("--data-dir")
            .arg(directory);
        command
            .arg("--master-key-file")
            .arg(directory.join(MASTER_KEY))
            .env("COUNTERSIGN_LOG__JSON", "true");
        if leaks::is_recording() {
            command.envs([leaks::LOG_FILTER]);
        }
        for (name, value) in &self.environment {
            match value.as_str() {
                "" => command.env_remove(name),
                value => command.env(name, value),
            };
        }
        let mut process = Process::spawn("countersign", &mut command);
        let check = process.line(|line| listening(line, "check")).await;
        let api = process.line(|line| listening(line, "api")).await;
        let http = process.line(|line| listening(line, "http")).await;
        let ops = process.line(|line| listening(line, "ops")).await;
        self.plant_secrets();
        (
            process,
            Listening {
                check,
                api,
                http,
                ops,
            },
        )
    }
}

impl Launch {
    fn plant_secrets(&self) {
        for file in [MASTER_KEY, "admin-token"] {
            let text = fs::read_to_string(self.directory.path().join(file)).unwrap_or_default();
            let secret = text.trim_end();
            leaks::secret(secret.split_once(':').map_or(secret, |(_, key)| key));
        }
    }
}

impl Drop for Countersign {
    fn drop(&mut self) {
        leaks::ops(self.ops);
    }
}

/// Returns the program, without configuration from this environment.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("COUNTERSIGN_")) {
        command.env_remove(name);
    }
    command
}

/// Creates a master key file as `countersign keygen` does, and returns its path.
pub(crate) fn master_key(directory: &Path) -> PathBuf {
    write_master_key(directory, &new_master_key())
}

/// Writes a master key file with this line, and returns its path.
pub(crate) fn write_master_key(directory: &Path, line: &str) -> PathBuf {
    let path = directory.join(MASTER_KEY);
    fs::write(&path, line).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

/// Returns the line of a new master key.
pub(crate) fn new_master_key() -> String {
    String::from_utf8(program().arg("keygen").output().unwrap().stdout).unwrap()
}

/// Returns the address of a listener from its log line.
pub(crate) fn listening(line: &str, listener: &str) -> Option<SocketAddr> {
    let event: Value = serde_json::from_str(line).ok()?;
    let is_it = event["message"] == "listening" && event["listener"] == listener;
    is_it.then(|| event["address"].as_str().unwrap().parse().unwrap())
}

const RELOADS: &str = r#"countersign_config_reloads_total{result="success"}"#;

const CONFIG: &str = "countersign.toml";

/// The master key file.
pub(crate) const MASTER_KEY: &str = "keys";
