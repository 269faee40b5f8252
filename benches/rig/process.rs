//! Programs that are started for a measurement and end with it, and the CPU time that they use.

use std::fs::{self, OpenOptions};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// A program that is killed when this is dropped.
pub(crate) struct Process(Child);

impl Process {
    /// Starts a program and waits until it answers at `address`.
    pub(crate) fn start(command: &mut Command, address: SocketAddr) -> Self {
        let process = Self(command.stdin(Stdio::null()).spawn().unwrap_or_else(|error| panic!("{command:?}: {error}")));
        let patience = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(address).is_err() {
            assert!(Instant::now() < patience, "{command:?} does not listen on {address}");
            sleep(Duration::from_millis(20));
        }
        process
    }

    /// The CPU time of all its threads until now, user and system together.
    pub(crate) fn cpu(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap();
        // After the name, which may have spaces: fields 14 and 15 of proc(5), in ticks of 10 ms.
        let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
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

/// An address on loopback that nobody listens on.
pub(crate) fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A Redis that keeps nothing on disk.
pub(crate) struct Redis {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
}

impl Redis {
    pub(crate) fn start(dir: &Path) -> Self {
        let address = free_address();
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        command.arg("--port").arg(address.port().to_string()).arg("--dir").arg(dir).stdout(Stdio::null());
        Self { process: Process::start(&mut command, address), address }
    }

    /// What it used until now.
    pub(crate) fn used(&self) -> Used {
        let asked =
            Command::new("redis-cli").arg("-p").arg(self.address.port().to_string()).args(["INFO", "stats"]).output();
        let text = String::from_utf8(asked.unwrap().stdout).unwrap();
        let number = |name| text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok()).unwrap();
        let (commands, reads) = (number("total_commands_processed:"), number("total_reads_processed:"));
        Used { cpu: self.process.cpu(), commands, reads }
    }
}

/// What a Redis used: CPU time, and by its own counters commands and reads of its sockets.
#[derive(Clone, Copy, Default)]
pub(crate) struct Used {
    pub(crate) cpu: Duration,
    pub(crate) commands: u64,
    pub(crate) reads: u64,
}

impl Used {
    pub(crate) fn since(self, before: Self) -> Self {
        Self { cpu: self.cpu - before.cpu, commands: self.commands - before.commands, reads: self.reads - before.reads }
    }
}

/// A Countersign, with the credentials that [`crate::calls`] signs with.
pub(crate) struct Countersign {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
}

impl Countersign {
    /// Starts it on `store`; `dir` takes its files.
    pub(crate) fn start(dir: &Path, store: &str, workers: usize) -> Self {
        let (check, api) = (free_address(), free_address());
        let key_file = dir.join("master.key");
        let key = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&key_file).unwrap();
        assert!(Command::new(PROGRAM).arg("keygen").stdout(key).status().unwrap().success());
        let mut command = Command::new(PROGRAM);
        command.args(["serve", "--store", store, "--http", "127.0.0.1:0", "--ops", "127.0.0.1:0"]);
        command.arg("--data-dir").arg(dir).arg("--master-key-file").arg(key_file);
        command.arg("--check").arg(check.to_string()).arg("--api").arg(api.to_string());
        command.arg("--workers").arg(workers.to_string()).stderr(fs::File::create(dir.join("log")).unwrap());
        let process = Process::start(&mut command, check);
        Self::administer(dir, api);
        Self { process, address: check }
    }

    fn administer(dir: &Path, api: SocketAddr) {
        for (key, secret, token, token_secret) in crate::calls::credentials() {
            let run = |args: &[&str]| {
                let mut command = Command::new(PROGRAM);
                command.args(args).arg("--data-dir").arg(dir).arg("--server").arg(format!("http://{api}"));
                let ended = command.output().unwrap();
                assert!(ended.status.success(), "{command:?}: {}", String::from_utf8_lossy(&ended.stderr));
            };
            run(&["consumer", "create", "--name", &key, "--consumer-key", &key, "--consumer-secret", &secret]);
            run(&["token", "create", "--consumer-key", &key, "--token", &token, "--token-secret", &token_secret]);
        }
    }
}

const PROGRAM: &str = env!("CARGO_BIN_EXE_countersign");
