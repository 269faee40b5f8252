//! The file with generated secrets. Each secret is on the disk before the next change is made,
//! because the server never shows it again: no end of the command loses one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::cli::exit::Usage;

/// A new file that only its owner can read.
pub(super) struct SecretsFile {
    file: File,
    path: PathBuf,
    is_empty: bool,
}

impl SecretsFile {
    /// Creates the file, and makes its name durable.
    ///
    /// # Errors
    /// If the file exists or cannot be created.
    pub(super) fn create(path: &Path) -> Result<Self, Usage> {
        let mut options = OpenOptions::new();
        let options = options.write(true).create_new(true).mode(0o600);
        let file = options.open(path).and_then(|file| {
            sync_directory_of(path)?;
            Ok(file)
        });
        let file = file.map_err(|error| not_created(path, &error))?;
        Ok(Self {
            file,
            path: path.to_owned(),
            is_empty: true,
        })
    }

    /// Writes a line and makes it durable.
    pub(super) fn line(&mut self, line: &str) -> anyhow::Result<()> {
        self.is_empty = false;
        let written = self.file.write_all(format!("{line}\n").as_bytes());
        let written = written.and_then(|()| self.file.sync_all());
        written.with_context(|| self.unwritten())
    }

    /// Removes a file without a line.
    pub(super) fn finish(self) -> anyhow::Result<()> {
        if !self.is_empty {
            return Ok(());
        }
        fs::remove_file(&self.path).with_context(|| self.unwritten())
    }

    fn unwritten(&self) -> String {
        format!("cannot write {}", self.path.display())
    }
}

fn not_created(path: &Path, error: &io::Error) -> Usage {
    let path = path.display();
    if error.kind() == io::ErrorKind::AlreadyExists {
        return Usage(format!(
            "--generate-secrets: {path} exists: name a new file"
        ));
    }
    Usage(format!("--generate-secrets: cannot create {path}: {error}"))
}

fn sync_directory_of(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|found| !found.as_os_str().is_empty());
    File::open(directory.unwrap_or_else(|| Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn each_line_is_in_the_file_at_once_and_only_its_owner_reads_it() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("secrets.jsonl");
        let mut file = SecretsFile::create(&path).unwrap();
        file.line("one").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\n");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        // Not even the end of the process removes it.
        drop(file);
        assert!(path.exists());
    }

    #[test]
    fn an_existing_file_or_link_stays_and_a_file_without_a_line_goes() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("secrets.jsonl");
        SecretsFile::create(&path).unwrap().finish().unwrap();
        assert!(!path.exists());
        symlink(home.path().join("elsewhere"), &path).unwrap();
        let refused = SecretsFile::create(&path).err().unwrap().to_string();
        assert!(refused.ends_with("exists: name a new file"), "{refused}");
    }
}
