//! The data directory: its entries survive a crash.

use std::fs::File;
use std::io;
use std::path::Path;

/// Returns the directory that contains `path`.
pub(super) fn directory_of(path: &Path) -> &Path {
    path.parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or_else(|| Path::new("."))
}

/// Makes the entries of a directory durable after one was created, renamed or linked.
pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
