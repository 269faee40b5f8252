//! The programs of a measurement, which end with it, and their CPU time.

use std::fs::{self, OpenOptions};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::calls::{self, Account};

/// A running program, killed when this is dropped.
pub(crate) struct Process(Child);

impl Process {
    /// Starts a program and waits until it listens on `address`.
    pub(crate) fn start(command: &mut Command, address: SocketAddr) -> Self {
        let process = Self(
            command
                .stdin(Stdio::null())
                .spawn()
                .unwrap_or_else(|error| panic!("{command:?}: {error}")),
        );
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(address).is_err() {
            assert!(
                Instant::now() < deadline,
                "{command:?} does not listen on {address} after 20 s"
            );
            sleep(Duration::from_millis(20));
        }
        process
    }

    /// Returns the id of the process.
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// Returns the resident memory in bytes.
    pub(crate) fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let kibibytes = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:")?.strip_suffix("kB"));
        kibibytes.unwrap().trim().parse::<u64>().unwrap() * 1024
    }

    /// Returns the CPU time of all threads so far, user and system time together.
    pub(crate) fn cpu(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap();
        // Fields 14 and 15 of proc_pid_stat(5), in ticks of 10 ms. They come after the name, which
        // may have spaces.
        let fields: Vec<_> = stat
            .rsplit_once(')')
            .unwrap()
            .1
            .split_whitespace()
            .collect();
        let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        Duration::from_millis(ticks * 10)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Moves all threads of a process to one core; its children inherit that.
pub(crate) fn on_core(process: u32, core: usize) {
    let mut taskset = Command::new("taskset");
    taskset.args(["-acp", &core.to_string(), &process.to_string()]);
    assert!(taskset.output().unwrap().status.success(), "{taskset:?}");
}

/// Returns a free address on loopback.
pub(crate) fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

/// A Redis without persistence.
pub(crate) struct Redis {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
}

impl Redis {
    pub(crate) fn start(dir: &Path) -> Self {
        let address = free_address();
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        command
            .arg("--port")
            .arg(address.port().to_string())
            .arg("--dir")
            .arg(dir)
            .stdout(Stdio::null());
        Self {
            process: Process::start(&mut command, address),
            address,
        }
    }

    /// Returns a section of `INFO`.
    pub(crate) fn info(&self, section: &str) -> String {
        self.run(&["INFO", section])
    }

    /// Returns whether a key does not exist.
    pub(crate) fn is_absent(&self, key: &str) -> bool {
        self.run(&["EXISTS", key]).trim() == "0"
    }

    fn run(&self, args: &[&str]) -> String {
        let mut command = Command::new("redis-cli");
        let ended = command
            .args(["-p", &self.address.port().to_string()])
            .args(args)
            .output();
        String::from_utf8(ended.unwrap().stdout).unwrap()
    }

    /// Returns a number of `INFO`.
    pub(crate) fn number(&self, name: &str) -> u64 {
        let text = self.info("all");
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        value.unwrap().trim().parse().unwrap()
    }

    /// Returns the usage so far.
    pub(crate) fn usage(&self) -> RedisUsage {
        RedisUsage {
            cpu: self.process.cpu(),
            commands: self.number("total_commands_processed"),
            reads: self.number("total_reads_processed"),
        }
    }
}

/// The CPU time of a Redis, and its own counts of commands and of reads of its sockets.
#[derive(Clone, Copy, Default)]
pub(crate) struct RedisUsage {
    pub(crate) cpu: Duration,
    pub(crate) commands: u64,
    pub(crate) reads: u64,
}

impl RedisUsage {
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            cpu: self.cpu - before.cpu,
            commands: self.commands - before.commands,
            reads: self.reads - before.reads,
        }
    }
}

/// A running Countersign.
pub(crate) struct Countersign {
    pub(crate) process: Process,
    /// The address for checks.
    pub(crate) address: SocketAddr,
    pub(crate) api: SocketAddr,
    pub(crate) ops: SocketAddr,
    dir: PathBuf,
}

impl Countersign {
    /// Starts it with `store` and the accounts of [`calls`]. Its files and its log are in `dir`.
    pub(crate) fn start(dir: &Path, store: &str, workers: usize) -> Self {
        Self::start_build(Path::new(PROGRAM), dir, store, workers)
    }

    /// Starts another build, with the accounts of [`calls`].
    pub(crate) fn start_build(program: &Path, dir: &Path, store: &str, workers: usize) -> Self {
        let log = fs::File::create(dir.join("log")).unwrap();
        let server = Self::start_program(program, dir, store, workers, (log.into(), &[]));
        server.add_accounts();
        server
    }

    /// Starts it without accounts, with its log going to `log`.
    pub(crate) fn start_logging(dir: &Path, store: &str, workers: usize, log: Stdio) -> Self {
        Self::start_set(dir, store, workers, (log, &[]))
    }

    /// Starts it without accounts, with a destination of its log and additional environment
    /// variables.
    pub(crate) fn start_set(
        dir: &Path,
        store: &str,
        workers: usize,
        set: (Stdio, &[(&str, &str)]),
    ) -> Self {
        Self::start_program(Path::new(PROGRAM), dir, store, workers, set)
    }

    fn start_program(
        program: &Path,
        dir: &Path,
        store: &str,
        workers: usize,
        (log, environment): (Stdio, &[(&str, &str)]),
    ) -> Self {
        let (address, api, ops) = (free_address(), free_address(), free_address());
        let mut command = Command::new(program);
        command.args([
            "serve",
            "--store",
            store,
            "--http",
            "127.0.0.1:0",
            "--workers",
            &workers.to_string(),
        ]);
        command
            .arg("--data-dir")
            .arg(dir)
            .arg("--master-key-file")
            .arg(key_file(dir));
        for (listener, address) in [("--check", address), ("--api", api), ("--ops", ops)] {
            command.arg(listener).arg(address.to_string());
        }
        let process = Process::start(
            command.stderr(log).envs(environment.iter().copied()),
            address,
        );
        Self {
            process,
            address,
            api,
            ops,
            dir: dir.to_owned(),
        }
    }

    pub(crate) fn add_accounts(&self) {
        for Account {
            key,
            secret,
            token,
            token_secret,
        } in calls::accounts()
        {
            self.admin(&[
                "consumer",
                "create",
                "--name",
                &key,
                "--consumer-key",
                &key,
                "--consumer-secret",
                &secret,
            ]);
            self.admin(&[
                "token",
                "create",
                "--consumer-key",
                &key,
                "--token",
                &token,
                "--token-secret",
                &token_secret,
            ]);
        }
    }

    /// Runs an administration command.
    pub(crate) fn admin(&self, args: &[&str]) {
        let mut command = Command::new(PROGRAM);
        command
            .args(args)
            .arg("--data-dir")
            .arg(&self.dir)
            .arg("--server")
            .arg(format!("http://{}", self.api));
        let ended = command.output().unwrap();
        let log = || fs::read_to_string(self.dir.join("log")).unwrap_or_default();
        assert!(
            ended.status.success(),
            "{args:?}: {}{}",
            String::from_utf8_lossy(&ended.stderr),
            log()
        );
    }

    /// Reads the token of administrators.
    pub(crate) fn admin_token(&self) -> String {
        fs::read_to_string(self.dir.join("admin-token"))
            .unwrap()
            .trim_end()
            .to_owned()
    }
}

/// Returns the master key file in a directory, and creates it if it is missing.
pub(crate) fn key_file(dir: &Path) -> PathBuf {
    let path = dir.join("master.key");
    if !path.exists() {
        let key = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .unwrap();
        assert!(
            Command::new(PROGRAM)
                .arg("keygen")
                .stdout(key)
                .status()
                .unwrap()
                .success()
        );
    }
    path
}

/// Creates a directory with that name in `dir`.
pub(crate) fn directory(dir: &Path, name: &str) -> PathBuf {
    let path = dir.join(name);
    fs::create_dir(&path).unwrap();
    path
}

/// The build of Countersign that is measured.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_countersign");
