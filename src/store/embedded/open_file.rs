//! Opens or creates the store file: mode 0600 in a directory of mode 0700, locked to one process.
//!
//! A new file is written under another name and renamed when it is complete. So an existing file is
//! either complete or damaged, and a damaged one is never mistaken for a new one.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use redb::backends::{FileBackend, InMemoryBackend};
use redb::{Builder, Database, DatabaseError};
use rustix::fs::{Advice, fadvise};

use super::disk_fault::ErrorCount;
use super::error::unusable;
use crate::store::StoreError;
use crate::store::data_dir::{directory_of, sync_directory};
use crate::trusted_file::{self, FileKind, TrustError, prepare_directory};

/// The reason for which a file cannot be opened.
#[derive(Debug, thiserror::Error)]
enum FileError {
    #[error("{} is locked by another process; stop that process, or set another data_dir or store.url for this one", .0.display())]
    Locked(PathBuf),
    #[error("{} is damaged: {problem}; restore a backup, or move the file away to start with an empty store", path.display())]
    Damaged { path: PathBuf, problem: String },
    #[error(transparent)]
    Untrusted(#[from] TrustError),
    #[error("cannot open {}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("cannot open {}", path.display())]
    Redb {
        path: PathBuf,
        source: DatabaseError,
    },
}

/// An open database, and the means to open it again.
pub(super) struct OpenedFile {
    pub(super) database: Database,
    /// `None` for a database in memory.
    pub(super) reopener: Option<Reopener>,
}

/// Opens the same file again, whatever its path names by then.
pub(super) struct Reopener {
    path: PathBuf,
    file: File,
    /// The errors of the file before the last time that it was reopened.
    pub(super) reopened_after: Option<ErrorCount>,
}

// === impl Reopener ===

impl Reopener {
    /// Opens the database again, after the one before was dropped.
    ///
    /// The kernel may still have pages that it could not write, and return them as if they were in
    /// the file. They are dropped first.
    pub(super) fn reopen(&self) -> Result<Database, StoreError> {
        let reopened = || {
            fadvise(&self.file, 0, None, Advice::DontNeed)?;
            self.file.try_clone()
        };
        let file = reopened().map_err(io_error(&self.path)).map_err(unusable)?;
        database(&self.path, file).map_err(unusable)
    }
}

/// Opens the file at `path`, or creates it and its directory.
pub(super) fn open(path: &Path) -> Result<OpenedFile, StoreError> {
    prepare_directory(directory_of(path)).map_err(unusable)?;
    let opened = match open_existing(path) {
        Err(FileError::Untrusted(error)) if error.is_missing() => create(path),
        opened => opened,
    };
    opened.map_err(unusable)
}

/// Returns a database in memory.
pub(super) fn in_memory() -> Result<OpenedFile, StoreError> {
    let database = Builder::new()
        .create_with_backend(InMemoryBackend::new())
        .map_err(unusable)?;
    Ok(OpenedFile {
        database,
        reopener: None,
    })
}

fn open_existing(path: &Path) -> Result<OpenedFile, FileError> {
    let file = trusted_file::open_with(
        OpenOptions::new().read(true).write(true),
        path,
        FileKind::Own,
    )?;
    if file.metadata().map_err(io_error(path))?.len() == 0 {
        return Err(FileError::Damaged {
            path: path.to_owned(),
            problem: "it is empty".into(),
        });
    }
    opened(path, file)
}

fn create(path: &Path) -> Result<OpenedFile, FileError> {
    let directory = directory_of(path);
    let unfinished = path.with_added_extension("new");
    let file = open_unfinished(&unfinished)?;
    // The rest of an interrupted start is cleared under the lock alone. The lock also keeps two
    // first starts apart: the second one cannot lock the file, or finds the finished file of the
    // first.
    if file.try_lock().is_err() || path.try_exists().map_err(io_error(path))? {
        return Err(FileError::Locked(path.to_owned()));
    }
    file.set_len(0).map_err(io_error(&unfinished))?;
    let opened = opened(path, file)?;
    fs::rename(&unfinished, path).map_err(io_error(path))?;
    sync_directory(directory).map_err(io_error(directory))?;
    Ok(opened)
}

fn opened(path: &Path, file: File) -> Result<OpenedFile, FileError> {
    let kept = file.try_clone().map_err(io_error(path))?;
    Ok(OpenedFile {
        database: database(path, file)?,
        reopener: Some(Reopener {
            path: path.to_owned(),
            file: kept,
            reopened_after: None,
        }),
    })
}

fn open_unfinished(path: &Path) -> Result<File, TrustError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    trusted_file::open_with(&mut options, path, FileKind::Own)
}

fn database(path: &Path, file: File) -> Result<Database, FileError> {
    let backend = FileBackend::new(file).map_err(|source| redb_error(path, source))?;
    Builder::new()
        .set_cache_size(CACHE_BYTES)
        .set_check_integrity_on_open(true)
        .create_with_backend(backend)
        .map_err(|source| redb_error(path, source))
}

fn io_error(path: &Path) -> impl Fn(io::Error) -> FileError + Copy {
    move |source| FileError::Io {
        path: path.to_owned(),
        source,
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "every other error of redb, also a later one, is reported as it is"
)]
fn redb_error(path: &Path, source: DatabaseError) -> FileError {
    let path = path.to_owned();
    match source {
        DatabaseError::DatabaseAlreadyOpen => FileError::Locked(path),
        DatabaseError::Storage(redb::StorageError::Corrupted(problem)) => {
            FileError::Damaged { path, problem }
        }
        DatabaseError::Storage(redb::StorageError::Io(source))
            if source.kind() == io::ErrorKind::InvalidData =>
        {
            FileError::Damaged {
                path,
                problem: "it is not a store file".into(),
            }
        }
        source => FileError::Redb { path, source },
    }
}

/// Bytes of memory for pages of the file: thousands of records.
const CACHE_BYTES: usize = 64 * 1024 * 1024;
