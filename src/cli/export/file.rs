//! The file of an export. It has mode 0600, and gets its name when it is complete.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process;

use anyhow::Context as _;

use crate::cli::exit::Usage;
use crate::cli::output::{self, Stdout};

/// A file that is being written, or standard output.
pub(super) enum ExportFile {
    /// Standard output.
    Stdout(BufWriter<Stdout>),
    /// A file.
    Named(UnfinishedFile),
}

/// A file with a temporary name; removed when dropped.
pub(super) struct UnfinishedFile {
    to: BufWriter<File>,
    unfinished: PathBuf,
    path: PathBuf,
}

// === impl ExportFile ===

impl ExportFile {
    /// Creates the file; `-` is standard output.
    ///
    /// # Errors
    /// If the file exists and must not be replaced, or cannot be created.
    pub(super) fn create(path: &Path, force: bool) -> Result<Self, Usage> {
        if path == Path::new("-") {
            return Ok(Self::Stdout(BufWriter::new(output::stdout())));
        }
        check_free(path, force)?;
        let unfinished = path.with_added_extension(format!("{}.part", process::id()));
        let file = create_private(&unfinished).map_err(|error| not_written(path, &error))?;
        Ok(Self::Named(UnfinishedFile {
            to: BufWriter::new(file),
            unfinished,
            path: path.to_owned(),
        }))
    }

    /// Writes a line.
    pub(super) fn line(&mut self, line: &str) -> anyhow::Result<()> {
        match self {
            Self::Stdout(to) => Ok(writeln!(to, "{line}")?),
            Self::Named(file) => {
                let written = writeln!(file.to, "{line}");
                written.with_context(|| format!("cannot write {}", file.path.display()))
            }
        }
    }

    /// Makes the file durable and gives it its name.
    pub(super) fn finish(self) -> anyhow::Result<()> {
        match self {
            Self::Stdout(mut to) => Ok(to.flush()?),
            Self::Named(mut file) => {
                let finished = file.finish();
                finished.with_context(|| format!("cannot write {}", file.path.display()))
            }
        }
    }
}

// === impl UnfinishedFile ===

impl UnfinishedFile {
    fn finish(&mut self) -> io::Result<()> {
        self.to.flush()?;
        self.to.get_ref().sync_all()?;
        fs::rename(&self.unfinished, &self.path)?;
        let directory = self.path.parent();
        let directory = directory.filter(|directory| !directory.as_os_str().is_empty());
        File::open(directory.unwrap_or_else(|| Path::new(".")))?.sync_all()
    }
}

impl Drop for UnfinishedFile {
    fn drop(&mut self) {
        // It is gone if the file is finished.
        let _: io::Result<()> = fs::remove_file(&self.unfinished);
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

fn create_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    options.open(path)
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
        let mut file = ExportFile::create(&path, false).unwrap();
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
    fn an_export_that_fails_leaves_no_file() {
        let directory = tempfile::tempdir().unwrap();
        let mut file = ExportFile::create(&directory.path().join("backup"), false).unwrap();
        file.line("s3cret").unwrap();
        drop(file);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn an_existing_file_is_replaced_only_on_request() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("backup");
        fs::write(&path, "before").unwrap();
        let refused = ExportFile::create(&path, false).err().unwrap().to_string();
        assert!(refused.contains("--force"), "{refused}");
        ExportFile::create(&path, true).unwrap().finish().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "");
        let refused = ExportFile::create(directory.path(), true).err().unwrap();
        assert!(refused.to_string().contains("not a regular file"));
    }
}
