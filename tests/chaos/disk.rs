//! A small disk that a row fills: a tmpfs in the mount namespace of one program. It ends with the
//! program.
//!
//! Without root, this needs a kernel that permits user namespaces to everybody.

use std::fs;
use std::process::Command;

use tempfile::TempDir;

/// A small disk.
pub(crate) struct Disk {
    directory: TempDir,
    size: &'static str,
}

impl Disk {
    /// Returns a disk of a size such as `6m`.
    pub(crate) fn new(size: &'static str) -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            size,
        }
    }

    /// Returns the path of the disk, which exists for the program only.
    pub(crate) fn path(&self) -> String {
        self.directory.path().display().to_string()
    }

    /// Returns the command in front of the program.
    pub(crate) fn wrapper(&self) -> Vec<String> {
        let mount = format!(
            "mount -t tmpfs -o size={},mode=0700 none {} && exec \"$0\" \"$@\"",
            self.size,
            self.path()
        );
        let words = ["unshare", "--mount", "--map-root-user", "sh", "-c", &mount];
        words.map(str::to_owned).into()
    }

    /// Returns the command of a program that has the disk.
    pub(crate) fn command(&self, program: &str) -> Command {
        let wrapper = self.wrapper();
        let mut command = Command::new(&wrapper[0]);
        command.args(&wrapper[1..]).arg(program);
        command
    }

    /// Fills the disk of a process.
    pub(crate) fn fill(&self, process: u32) {
        // Fails when the disk is full.
        let _ = fs::write(self.filler(process), vec![1; 64 << 20]);
    }

    /// Frees the disk of a process.
    pub(crate) fn free(&self, process: u32) {
        // The process may have ended, and the disk with it.
        let _ = fs::remove_file(self.filler(process));
    }

    fn filler(&self, process: u32) -> String {
        format!("/proc/{process}/root{}/filler", self.path())
    }
}
