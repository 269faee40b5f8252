//! A real Redis for one test: started on a free port, killed when it is dropped.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ::redis::{Cmd, Connection, FromRedisValue};

/// A running `redis-server`, with a directory of its own.
pub(crate) struct RedisServer {
    child: Child,
    port: u16,
    directory: tempfile::TempDir,
    options: Vec<String>,
}

impl RedisServer {
    /// Starts one that writes nothing to its disk, and waits until it answers.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts one with more options, for example `["--requirepass", "x"]`.
    pub(crate) fn start_with(options: &[&str]) -> Self {
        Self::start_on(free_port(), options)
    }

    /// Starts one on a port that the test chose.
    pub(crate) fn start_on(port: u16, options: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let options: Vec<String> = options.iter().map(|&option| option.to_owned()).collect();
        let child = spawn(port, directory.path(), &options);
        let server = Self { child, port, directory, options };
        server.wait_until_it_answers();
        server
    }

    /// Its address, as `store.url` has it.
    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Its port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Where it keeps its files.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again on the same port and directory, and waits until it answers.
    pub(crate) fn restart(&mut self) {
        self.restart_with(&[]);
        self.wait_until_it_answers();
    }

    /// Starts it again with more options and does not wait.
    pub(crate) fn restart_with(&mut self, options: &[&str]) {
        let all: Vec<_> = self.options.iter().cloned().chain(options.iter().map(|&option| option.to_owned())).collect();
        self.child = spawn(self.port, self.directory.path(), &all);
    }

    /// Freezes it: it keeps its connections and answers nothing.
    pub(crate) fn stop(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on.
    pub(crate) fn cont(&self) {
        self.signal("-CONT");
    }

    /// Runs a command on it, for example `["CLIENT", "KILL", "TYPE", "normal"]`.
    pub(crate) fn run<T: FromRedisValue>(&self, command: &[&str]) -> T {
        let mut sent = Cmd::new();
        sent.arg(command);
        sent.query(&mut self.connect().unwrap()).unwrap()
    }

    fn connect(&self) -> ::redis::RedisResult<Connection> {
        let password = self.options.iter().skip_while(|option| *option != "--requirepass").nth(1);
        let user = password.map(|password| format!(":{password}@")).unwrap_or_default();
        ::redis::Client::open(format!("redis://{user}127.0.0.1:{}", self.port))?
            .get_connection_with_timeout(Duration::from_secs(5))
    }

    fn wait_until_it_answers(&self) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.connect().is_err() {
            assert!(Instant::now() < deadline, "redis-server on port {} does not answer", self.port);
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn signal(&self, signal: &str) {
        let done = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(done.success(), "kill {signal} failed");
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // It may be dead already; a frozen one dies of this too.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn spawn(port: u16, directory: &Path, options: &[String]) -> Child {
    Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
        .args(["--rdbcompression", "no", "--dir"])
        .arg(directory)
        .args(options)
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server is installed (scripts/test does that)")
}
