//! Opens the file, or makes it: mode 0600 in a directory of mode 0700, locked to one process.
//!
//! A new file is made under another name and moved to its own when it is whole. So a file that is there is either whole
//! or damaged, and a damaged one is never taken for a new one.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use redb::backends::{FileBackend, InMemoryBackend};
use redb::{Builder, Database, DatabaseError};

use crate::store::data_dir::{create_directory, directory_of, sync_directory};
use crate::store::{StoreError, StoreErrorKind};

/// Why a file can not be opened.
#[derive(Debug, thiserror::Error)]
enum FileError {
    #[error("{} is open in another process; stop that one, or give this one a store of its own", .0.display())]
    Locked(PathBuf),
    #[error("{} is damaged ({problem}); put a backup in its place, or move it away to begin with an empty store", path.display())]
    Damaged { path: PathBuf, problem: String },
    #[error("{} can not be opened", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{} can not be opened", path.display())]
    Redb {
        path: PathBuf,
        source: DatabaseError,
    },
}

/// Opens the file at `path`, or makes it and the directory that it is in.
pub(super) fn open(path: &Path) -> Result<Database, StoreError> {
    let present = path
        .try_exists()
        .map_err(io_error(path))
        .map_err(unusable)?;
    if present {
        open_present(path)
    } else {
        create(path)
    }
    .map_err(unusable)
}

/// A database that is kept nowhere.
pub(super) fn in_memory() -> Result<Database, StoreError> {
    Builder::new()
        .create_with_backend(InMemoryBackend::new())
        .map_err(|source| {
            StoreError::new(StoreErrorKind::Unusable, "opening the store")
                .because(redb::Error::from(source))
        })
}

fn open_present(path: &Path) -> Result<Database, FileError> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .map_err(io_error(path))?;
    if file.metadata().map_err(io_error(path))?.len() == 0 {
        return Err(FileError::Damaged {
            path: path.to_owned(),
            problem: "it is empty".into(),
        });
    }
    database(path, file)
}

fn create(path: &Path) -> Result<Database, FileError> {
    let directory = directory_of(path);
    create_directory(directory).map_err(io_error(directory))?;
    let unfinished = path.with_added_extension("new");
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&unfinished)
        .map_err(io_error(&unfinished))?;
    // What an interrupted start left is cleared only under the lock, which also keeps two first starts apart: who gets
    // the lock and finds the file there has come second.
    let second = file.try_lock().is_err() || path.try_exists().map_err(io_error(path))?;
    if second {
        return Err(FileError::Locked(path.to_owned()));
    }
    file.set_len(0).map_err(io_error(&unfinished))?;
    let database = database(path, file)?;
    fs::rename(&unfinished, path).map_err(io_error(path))?;
    sync_directory(directory).map_err(io_error(directory))?;
    Ok(database)
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
    reason = "what redb may add later is an error like the others"
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

fn unusable(error: FileError) -> StoreError {
    StoreError::new(StoreErrorKind::Unusable, "opening the store file").because(error)
}

/// Memory for pages of the file: thousands of records.
const CACHE_BYTES: usize = 64 * 1024 * 1024;
