//! A command on a terminal of its own.

use std::process::{Output, Stdio};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, Command};

/// A running command on a terminal, which shows its output and its errors.
pub(crate) struct Terminal {
    child: Child,
    input: ChildStdin,
    shown: Vec<u8>,
}

impl Terminal {
    /// Runs a command with its arguments, variables and directory.
    pub(crate) fn run(of: &Command) -> Self {
        let of = of.as_std();
        let mut command = Command::new("python3");
        command
            .args(["-c", SPAWN])
            .arg(of.get_program())
            .args(of.get_args());
        for (name, value) in of.get_envs() {
            command.env(name, value.unwrap_or_default());
        }
        if let Some(directory) = of.get_current_dir() {
            command.current_dir(directory);
        }
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let input = child.stdin.take().unwrap();
        Self {
            child,
            input,
            shown: Vec::new(),
        }
    }

    /// Waits until the terminal shows a text.
    pub(crate) async fn shows(&mut self, text: &str) {
        let output = self.child.stdout.as_mut().unwrap();
        while !String::from_utf8_lossy(&self.shown).contains(text) {
            let read = output.read_buf(&mut self.shown).await.unwrap();
            assert!(read > 0, "{}", String::from_utf8_lossy(&self.shown));
        }
    }

    /// Types an answer, and waits for the end of the command. Its output has everything that the
    /// terminal showed.
    pub(crate) async fn answer(mut self, answer: &str) -> Output {
        self.input.write_all(answer.as_bytes()).await.unwrap();
        let mut output = self.child.wait_with_output().await.unwrap();
        self.shown.append(&mut output.stdout);
        output.stdout = self.shown;
        output
    }
}

/// Runs its arguments on a terminal, and ends with their status.
const SPAWN: &str =
    "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";
