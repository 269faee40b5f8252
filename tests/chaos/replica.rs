//! A replica of Countersign: the program, with what a row sets around it.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::support::process::Process;

/// A running replica; stops when dropped.
pub(crate) struct Replica {
    pub(crate) check: SocketAddr,
    pub(crate) api: SocketAddr,
    pub(crate) ops: SocketAddr,
    process: Process,
    settings: Settings,
    directory: Arc<TempDir>,
}

/// Everything that a replica starts with.
#[derive(Clone, Default)]
pub(crate) struct Settings {
    /// The value of `store.url`.
    pub(crate) store: String,
    /// The configuration file.
    pub(crate) config: String,
    /// Additional environment variables.
    pub(crate) environment: Vec<(String, String)>,
    /// A command in front of the program, for example `["prlimit", "--nofile=64"]`.
    pub(crate) wrapper: Vec<String>,
    /// The master key file; empty stands for one that the replica gets for itself.
    pub(crate) master_key: PathBuf,
    /// The address of its listeners; `None` stands for loopback.
    pub(crate) ip: Option<IpAddr>,
    /// A data directory of the row; empty stands for a temporary one.
    pub(crate) data_dir: PathBuf,
}

impl Settings {
    /// Returns the settings of a replica on a store.
    pub(crate) fn of(store: &str, config: &str) -> Self {
        Self {
            store: store.to_owned(),
            config: config.to_owned(),
            ..Self::default()
        }
    }

    /// Adds an environment variable.
    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Puts a command in front of the program.
    #[must_use]
    pub(crate) fn below(mut self, wrapper: &[&str]) -> Self {
        self.wrapper = wrapper.iter().map(|&word| word.to_owned()).collect();
        self
    }
}

impl Replica {
    /// Starts two replicas with the same settings and the same master key.
    pub(crate) async fn pair(settings: Settings) -> Vec<Self> {
        let first = Self::start(settings).await;
        let second = Self::start(first.settings.clone()).await;
        vec![first, second]
    }

    /// Starts a replica on free ports.
    ///
    /// # Panics
    /// If it does not start.
    pub(crate) async fn start(settings: Settings) -> Self {
        Self::try_start(settings).await.unwrap()
    }

    /// Starts a replica on free ports.
    ///
    /// # Errors
    /// The last lines of its log, if it does not start.
    pub(crate) async fn try_start(mut settings: Settings) -> Result<Self, String> {
        let directory = Arc::new(tempfile::tempdir().unwrap());
        if settings.data_dir.as_os_str().is_empty() {
            settings.data_dir = directory.path().to_owned();
        }
        if settings.master_key.as_os_str().is_empty() {
            settings.master_key = master_key(directory.path());
        }
        let ip = settings.ip.unwrap_or(LOOPBACK);
        let any = SocketAddr::new(ip, 0);
        let (process, [check, api, ops]) = launch(&settings, directory.path(), [any; 3]).await?;
        Ok(Self {
            check,
            api,
            ops,
            process,
            settings,
            directory,
        })
    }

    /// Returns the settings.
    pub(crate) fn settings(&self) -> Settings {
        self.settings.clone()
    }

    /// Kills the replica with SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// Restarts it at the same addresses, after it ended.
    pub(crate) async fn restart(&mut self) {
        self.process.kill();
        let addresses = [self.check, self.api, self.ops];
        let launched = launch(&self.settings, self.directory.path(), addresses).await;
        (self.process, _) = launched.unwrap();
    }

    /// Sends a signal, for example `STOP`.
    pub(crate) fn signal(&self, signal: &str) {
        self.process.signal(signal);
    }

    /// Returns the process id.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Returns the exit status if the process has ended.
    pub(crate) fn ended(&mut self) -> Option<String> {
        self.process.ended()
    }

    /// Returns the log so far.
    pub(crate) fn log(&self) -> String {
        self.process.log()
    }

    /// Returns the status and text of `/readyz`; status 0 stands for no answer.
    pub(crate) async fn readiness(&self) -> (u16, String) {
        self.get("/readyz").await
    }

    /// Waits until `/readyz` is 200, and returns whether it is within `patience`.
    pub(crate) async fn is_ready_within(&self, patience: Duration) -> bool {
        let end = Instant::now() + patience;
        while self.readiness().await.0 != 200 {
            if Instant::now() > end {
                return false;
            }
            sleep(PAUSE).await;
        }
        true
    }

    /// Returns the sum of a metric over its labels, without the prefix `countersign_`.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        let name = format!("countersign_{name}");
        let (_, text) = self.get("/metrics").await;
        let of_it = text.lines().filter_map(|line| {
            let rest = line.strip_prefix(&name)?;
            (rest.starts_with(' ') || rest.starts_with('{'))
                .then(|| rest.rsplit(' ').next()?.parse::<f64>().ok())?
        });
        of_it.sum()
    }

    /// Changes the configuration file, sends SIGHUP, and waits until the replica has read the file.
    ///
    /// # Errors
    /// It did not, or refused the file.
    pub(crate) async fn reload(&self, config: &str) -> Result<(), String> {
        let before = self.metric(RELOADS).await;
        fs::write(self.directory.path().join(CONFIG), config).unwrap();
        self.signal("HUP");
        let end = Instant::now() + RELOADED;
        while self.metric(RELOADS).await <= before {
            if Instant::now() > end {
                return Err("a replica did not reload its configuration".to_owned());
            }
            sleep(PAUSE).await;
        }
        let successful = self.metric("config_last_reload_successful").await;
        (successful > 0.0)
            .then_some(())
            .ok_or_else(|| format!("a replica refused the configuration: {}", self.log()))
    }

    /// Returns the resident memory in MiB.
    pub(crate) fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap_or_default();
        let kibibytes = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:")?.strip_suffix("kB"));
        kibibytes.map_or(0, |text| text.trim().parse::<u64>().unwrap() / 1024)
    }

    async fn get(&self, target: &str) -> (u16, String) {
        let asked = timeout(Duration::from_secs(2), get(self.ops, target)).await;
        asked.ok().and_then(Result::ok).unwrap_or_default()
    }
}

async fn get(from: SocketAddr, target: &str) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(from).await?;
    let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Ok((status.unwrap_or_default(), body.to_owned()))
}

async fn launch(
    settings: &Settings,
    directory: &Path,
    [check, api, ops]: [SocketAddr; 3],
) -> Result<(Process, [SocketAddr; 3]), String> {
    let config = directory.join(CONFIG);
    fs::write(&config, &settings.config).unwrap();
    let mut words = settings.wrapper.iter().map(String::as_str);
    let mut command = Command::new(words.next().unwrap_or(PROGRAM));
    command.args(words);
    if !settings.wrapper.is_empty() {
        command.arg(PROGRAM);
    }
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("COUNTERSIGN_")) {
        command.env_remove(name);
    }
    command.args(["serve", "--store", &settings.store, "--http=127.0.0.1:0"]);
    for (listener, address) in [("--check", check), ("--api", api), ("--ops", ops)] {
        command.arg(listener).arg(address.to_string());
    }
    command.arg("--config").arg(&config);
    command.arg("--data-dir").arg(&settings.data_dir);
    command.arg("--master-key-file").arg(&settings.master_key);
    command.env("COUNTERSIGN_LOG__JSON", "true");
    command.env("COUNTERSIGN_ADMIN_TOKEN", ADMIN_TOKEN);
    let environment = &settings.environment;
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    let mut process = Process::spawn("countersign", &mut command);
    let mut addresses = [check; 3];
    for (address, listener) in addresses.iter_mut().zip(["check", "api", "ops"]) {
        *address = process.try_line(|line| listening(line, listener)).await?;
    }
    Ok((process, addresses))
}

/// Returns the address of a listener from its log line.
fn listening(line: &str, listener: &str) -> Option<SocketAddr> {
    let event: Value = serde_json::from_str(line).ok()?;
    let is_it = event["message"] == "listening" && event["listener"] == listener;
    is_it.then(|| event["address"].as_str()?.parse().ok())?
}

/// Creates a master key file.
pub(crate) fn master_key(directory: &Path) -> PathBuf {
    let path = directory.join("master-key");
    let key = Command::new(PROGRAM).arg("keygen").output().unwrap();
    fs::write(&path, key.stdout).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

/// The address of listeners, unless a row sets another.
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

const CONFIG: &str = "countersign.toml";

const RELOADS: &str = "config_reloads_total";

/// The longest time for a reload.
const RELOADED: Duration = Duration::from_secs(10);

/// The program that the rows run against.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_countersign");

/// The admin token of every replica.
pub(crate) const ADMIN_TOKEN: &str = "the-admin-token-of-scripts-chaos";

const PAUSE: Duration = Duration::from_millis(20);
