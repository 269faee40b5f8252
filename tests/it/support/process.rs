//! Child processes that end with the test; their output is shown when it fails.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::support::leaks;

use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::time::{Instant, sleep, timeout};

/// Sends a process a signal, for example `STOP`.
pub(crate) fn send(signal: &str, process: u32) {
    let sent = Command::new("kill")
        .args([&format!("-{signal}"), &process.to_string()])
        .status()
        .unwrap();
    assert!(sent.success(), "kill {signal} failed");
}

/// A child process; killed when dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    name: &'static str,
    log: Arc<Mutex<String>>,
    lines: UnboundedReceiver<String>,
}

impl Process {
    /// Starts `command`, with its standard error as its log.
    pub(crate) fn spawn(name: &'static str, command: &mut Command) -> Self {
        Self::spawn_with_output(name, command, Stdio::null())
    }

    /// Starts `command`, with a destination for its standard output.
    pub(crate) fn spawn_with_output(
        name: &'static str,
        command: &mut Command,
        output: Stdio,
    ) -> Self {
        let child = command
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(Stdio::piped())
            .spawn();
        let mut child = child.unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        let log = Arc::new(Mutex::new(String::new()));
        let (sender, lines) = mpsc::unbounded_channel();
        let (stderr, copy) = (child.stderr.take().unwrap(), Arc::clone(&log));
        thread::spawn(move || copy_lines(name, stderr, &copy, &sender));
        Self {
            child,
            name,
            log,
            lines,
        }
    }

    /// Returns the result of `wanted` for the first log line that has one.
    pub(crate) async fn line<T>(&mut self, wanted: impl Fn(&str) -> Option<T>) -> T {
        self.try_line(wanted)
            .await
            .unwrap_or_else(|problem| panic!("{problem}"))
    }

    /// Returns the result of `wanted` for the first log line that has one.
    ///
    /// # Errors
    /// The last lines of the log, if the process ends or the time is up.
    pub(crate) async fn try_line<T>(
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
        found.ok_or_else(|| {
            let state = self.ended().unwrap_or_else(|| "still running".to_owned());
            let (name, log) = (self.name, self.last_lines());
            format!("{name} ({state}) did not say what was waited for:\n{log}")
        })
    }

    /// Returns the log so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits until a text is in the log, which is read after the process has written it.
    pub(crate) async fn logs(&self, text: &str) {
        let seen = async || self.log().contains(text).then_some(());
        let what = format!("{text:?} is in the log of {}", self.name);
        eventually(&what, Duration::from_secs(30), seen).await;
    }

    /// Returns the exit status if the process has ended.
    pub(crate) fn ended(&mut self) -> Option<String> {
        let status = self.child.try_wait().unwrap()?;
        Some(status.to_string())
    }

    /// Sends the process a signal, for example `STOP`.
    pub(crate) fn signal(&self, signal: &str) {
        send(signal, self.child.id());
    }

    /// Returns the process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns the largest resident memory so far, in bytes. Linux counts it inexactly: a later value may
    /// be a few pages lower.
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let peak: Option<u64> = status.lines().find_map(|line| {
            line.strip_prefix("VmHWM:")?
                .trim()
                .strip_suffix(" kB")?
                .parse()
                .ok()
        });
        1024 * peak.unwrap_or_else(|| panic!("no peak in {status}"))
    }

    /// Waits until the process has ended by itself, with success.
    pub(crate) async fn has_ended(&mut self) {
        let end = Instant::now() + DRAIN;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < end, "{} does not end", self.name);
            sleep(PAUSE).await;
        };
        assert!(status.success(), "{} ended with {status}", self.name);
    }

    /// Kills the process (SIGKILL), and waits for its end.
    pub(crate) fn kill(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn last_lines(&self) -> String {
        let log = self.log();
        let from = log.lines().count().saturating_sub(5);
        log.lines().skip(from).collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Process {
    #[expect(
        clippy::print_stderr,
        reason = "the test harness shows it with the failure"
    )]
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            eprintln!("--- log of {} ---\n{}", self.name, self.log());
        }
    }
}

fn copy_lines(
    name: &str,
    from: ChildStderr,
    log: &Mutex<String>,
    lines: &mpsc::UnboundedSender<String>,
) {
    for line in BufReader::new(from).lines().map_while(Result::ok) {
        leaks::log_line(name, &line);
        if leaks::is_only_recorded(&line) {
            continue;
        }
        log.lock().unwrap().push_str(&format!("{line}\n"));
        // Nothing reads the lines once the process is up.
        let _ = lines.send(line);
    }
}

/// Retries until there is a result, and fails the test after `patience`.
pub(crate) async fn eventually<T, F>(
    what: &str,
    patience: Duration,
    mut ask: impl FnMut() -> F,
) -> T
where
    F: Future<Output = Option<T>>,
{
    let end = Instant::now() + patience;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < end, "{what}: not within {patience:?}");
        sleep(PAUSE).await;
    }
}

/// Returns the path of a file of this project.
pub(crate) fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Returns the path of a file that `scripts/test` installs.
pub(crate) fn installed(path: &str) -> PathBuf {
    let path = project(path);
    assert!(
        path.exists(),
        "{} is missing: scripts/test installs it",
        path.display()
    );
    path
}

/// The time in which a process must start.
pub(crate) const START: Duration = Duration::from_secs(20);

/// The time in which a process must end: its `shutdown.delay` and `shutdown.timeout`.
const DRAIN: Duration = Duration::from_secs(40);

const PAUSE: Duration = Duration::from_millis(20);
