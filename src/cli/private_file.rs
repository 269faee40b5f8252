//! A file with secrets. It has mode 0600, and gets its name when it is complete.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tempfile::NamedTempFile;

use super::exit::Usage;
use super::output::{self, Stdout};

/// A file that is being written, or standard output.
pub(crate) enum PrivateFile {
    /// Standard output.
    Stdout(BufWriter<Stdout>),
    /// A file.
    Named(UnfinishedFile),
}

/// A file with a temporary name; removed when dropped.
pub(crate) struct UnfinishedFile {
    to: BufWriter<NamedTempFile>,
    path: PathBuf,
    force: bool,
}

// === impl PrivateFile ===

impl PrivateFile {
    /// Creates the file; `-` is standard output.
    ///
    /// # Errors
    /// If the file exists and must not be replaced, or cannot be created.
    pub(crate) fn create(path: &Path, force: bool) -> Result<Self, Usage> {
        if path == Path::new("-") {
            return Ok(Self::Stdout(BufWriter::new(output::stdout())));
        }
        check_free(path, force)?;
        let file = create_beside(path).map_err(|error| not_written(path, &error))?;
        Ok(Self::Named(UnfinishedFile {
            to: BufWriter::new(file),
            path: path.to_owned(),
            force,
        }))
    }

    /// Writes a line.
    pub(crate) fn line(&mut self, line: &str) -> anyhow::Result<()> {
        match self {
            Self::Stdout(to) => Ok(writeln!(to, "{line}")?),
            Self::Named(file) => {
                let written = writeln!(file.to, "{line}");
                written.with_context(|| format!("cannot write {}", file.path.display()))
            }
        }
    }

    /// Makes the file durable and gives it its name.
    pub(crate) fn finish(self) -> anyhow::Result<()> {
        match self {
            Self::Stdout(mut to) => Ok(to.flush()?),
            Self::Named(file) => {
                let path = file.path.clone();
                let finished = file.finish();
                finished.with_context(|| format!("cannot write {}", path.display()))
            }
        }
    }
}

// === impl UnfinishedFile ===

impl UnfinishedFile {
    fn finish(self) -> io::Result<()> {
        let file = self.to.into_inner()?;
        file.as_file().sync_all()?;
        if self.force {
            file.persist(&self.path)?;
        } else {
            file.persist_noclobber(&self.path)?;
        }
        File::open(directory_of(&self.path))?.sync_all()
    }
}

/// Checks that a path is free, or has a regular file that may be replaced.
fn check_free(path: &Path, force: bool) -> Result<(), Usage> {
    let shown = path.display();
    match fs::symlink_metadata(path) {
        Err(_) => Ok(()),
        Ok(found) if !found.is_file() => Err(Usage(format!(
            "{shown} is not a regular file: name a new file, or - for standard output"
        ))),
        Ok(_) if !force => Err(Usage(format!(
            "{shown} exists: name a new file, or add --force to replace it"
        ))),
        Ok(_) => Ok(()),
    }
}

/// Creates a file with mode 0600 and a random name in the directory of `path`.
fn create_beside(path: &Path) -> io::Result<NamedTempFile> {
    let mut prefix = path.file_name().map_or_else(OsString::new, OsString::from);
    prefix.push(".");
    let mut builder = tempfile::Builder::new();
    let builder = builder.prefix(&prefix).suffix(".part");
    builder.tempfile_in(directory_of(path))
}

fn directory_of(path: &Path) -> &Path {
    let directory = path.parent();
    let directory = directory.filter(|directory| !directory.as_os_str().is_empty());
    directory.unwrap_or_else(|| Path::new("."))
}

fn not_written(path: &Path, error: &io::Error) -> Usage {
    Usage(format!("cannot write {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_file_has_its_name_once_it_is_complete_and_only_its_owner_reads_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("backup.jsonl");
        let mut file = PrivateFile::create(&path, false).unwrap();
        file.line("one").unwrap();
        assert!(!path.exists());
        let modes = || {
            let files = fs::read_dir(directory.path()).unwrap();
            files.map(|file| file.unwrap().metadata().unwrap().permissions().mode() & 0o777)
        };
        assert_eq!(modes().collect::<Vec<_>>(), [0o600]);
        file.finish().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\n");
        assert_eq!(modes().collect::<Vec<_>>(), [0o600]);
    }

    #[test]
    fn a_command_that_fails_leaves_no_file() {
        let directory = tempfile::tempdir().unwrap();
        let mut file = PrivateFile::create(&directory.path().join("backup"), false).unwrap();
        file.line("s3cret").unwrap();
        drop(file);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_file_that_another_command_finishes_first_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("backup");
        let [mut first, second] = [(); 2].map(|()| PrivateFile::create(&path, false).unwrap());
        first.line("first").unwrap();
        first.finish().unwrap();
        assert!(second.finish().is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "first\n");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn an_existing_file_is_replaced_only_on_request() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("backup");
        fs::write(&path, "before").unwrap();
        let refused = PrivateFile::create(&path, false).err().unwrap().to_string();
        assert!(refused.contains("--force"), "{refused}");
        PrivateFile::create(&path, true).unwrap().finish().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "");
        let refused = PrivateFile::create(directory.path(), true).err().unwrap();
        assert!(refused.to_string().contains("not a regular file"));
    }
}
