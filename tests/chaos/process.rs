//! A child process: its log, its signals, and its end when it is dropped.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::time::timeout;

/// A running program; killed when dropped.
pub(crate) struct Process {
    child: Child,
    name: &'static str,
    log: Arc<Mutex<String>>,
    lines: UnboundedReceiver<String>,
}

impl Process {
    /// Starts a program with its standard error as its log.
    ///
    /// # Panics
    /// If the program does not start.
    pub(crate) fn spawn(name: &'static str, command: &mut Command) -> Self {
        let command = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        let log = Arc::new(Mutex::new(String::new()));
        let (sender, lines) = mpsc::unbounded_channel();
        let (stderr, copy) = (child.stderr.take().unwrap(), Arc::clone(&log));
        thread::spawn(move || copy_lines(stderr, &copy, &sender));
        Self {
            child,
            name,
            log,
            lines,
        }
    }

    /// Returns the result of `wanted` for the first log line that has one.
    ///
    /// # Errors
    /// The last lines, if the process ends or the time is up.
    pub(crate) async fn line<T>(
        &mut self,
        wanted: impl Fn(&str) -> Option<T>,
    ) -> Result<T, String> {
        let found = timeout(START, async {
            while let Some(line) = self.lines.recv().await {
                if let Some(found) = wanted(&line) {
                    return Some(found);
                }
            }
            None
        });
        let found = found.await.ok().flatten();
        found.ok_or_else(|| format!("{} did not start: {}", self.name, self.last_lines()))
    }

    /// Returns the log so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Returns the process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal, for example `STOP`.
    pub(crate) fn signal(&self, signal: &str) {
        signal_to(self.child.id(), signal);
    }

    /// Kills the process (SIGKILL), and waits for its end.
    pub(crate) fn kill(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Returns the exit status if the process has ended.
    pub(crate) fn ended(&mut self) -> Option<String> {
        let status = self.child.try_wait().unwrap()?;
        Some(status.to_string())
    }

    fn last_lines(&self) -> String {
        let log = self.log();
        let from = log.lines().count().saturating_sub(5);
        log.lines().skip(from).collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Sends a signal to a process that this program started.
pub(crate) fn signal_to(process: u32, signal: &str) {
    let sent = Command::new("kill")
        .arg(format!("-{signal}"))
        .arg(process.to_string())
        .stderr(Stdio::null())
        .status();
    assert!(sent.is_ok(), "kill is installed (scripts/chaos does that)");
}

fn copy_lines(from: ChildStderr, log: &Mutex<String>, lines: &mpsc::UnboundedSender<String>) {
    for line in BufReader::new(from).lines().map_while(Result::ok) {
        log.lock().unwrap().push_str(&format!("{line}\n"));
        // Nothing reads the lines once the process is up.
        let _ = lines.send(line);
    }
}

/// The time in which a process must start.
pub(crate) const START: Duration = Duration::from_secs(30);
