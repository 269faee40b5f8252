//! The contents of the files that a configuration consists of.
//!
//! Contents are compared by their hash, through symbolic links: Kubernetes replaces the files of a
//! ConfigMap or Secret by moving a link. Owner and permissions count too, because they decide
//! whether a file is trusted.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::trusted_file;

/// The states of a set of files at one time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FileStates(BTreeMap<PathBuf, FileState>);

/// The state of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
enum FileState {
    /// It cannot be read.
    Unreadable(io::ErrorKind),
    /// It is a FIFO, a device, a socket or a directory.
    Irregular,
    /// It is longer than any file that is read.
    TooLong(u64),
    /// Its contents, owner and permissions.
    Content {
        hash: [u8; 32],
        owner: u32,
        mode: u32,
    },
}

// === impl FileStates ===

impl FileStates {
    /// Returns the states of these files now. Reads them, so it must not run on a thread that
    /// answers requests.
    pub(super) fn of(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        let mut states = Self::default();
        states.extend(paths);
        states
    }

    /// Adds the states of files that are not here yet.
    pub(super) fn extend(&mut self, paths: impl IntoIterator<Item = PathBuf>) {
        for path in paths {
            if let Entry::Vacant(place) = self.0.entry(path) {
                let state = FileState::of(place.key());
                place.insert(state);
            }
        }
    }

    /// Adds the states of files that are here but did not exist: the start may have created them.
    pub(super) fn add_created(&mut self) {
        let missing = FileState::Unreadable(io::ErrorKind::NotFound);
        for (path, state) in &mut self.0 {
            if *state == missing {
                *state = FileState::of(path);
            }
        }
    }

    /// Returns the states of the same files now.
    pub(super) fn again(&self) -> Self {
        Self::of(self.paths())
    }

    /// Returns the files.
    pub(super) fn paths(&self) -> impl Iterator<Item = PathBuf> {
        self.0.keys().cloned()
    }

    /// Returns the problem of a file that must not even be opened to read it again.
    pub(super) fn problem(&self, path: &Path) -> Option<String> {
        let path_shown = path.display();
        match self.0.get(path)? {
            FileState::Irregular => Some(format!(
                "{path_shown} is not a regular file, and cannot be read again: replace it with one"
            )),
            FileState::TooLong(len) => Some(format!(
                "{path_shown} has {len} bytes, more than {MAX_LEN}: put only what belongs there into it"
            )),
            FileState::Unreadable(_) | FileState::Content { .. } => None,
        }
    }
}

// === impl FileState ===

impl FileState {
    fn of(path: &Path) -> Self {
        Self::read(path).unwrap_or_else(|error| Self::Unreadable(error.kind()))
    }

    fn read(path: &Path) -> io::Result<Self> {
        // The writer of a FIFO takes who opens it for its reader.
        if !fs::metadata(path)?.is_file() {
            return Ok(Self::Irregular);
        }
        let file = trusted_file::open_unchecked(path)?;
        let facts = file.metadata()?;
        if !facts.is_file() {
            return Ok(Self::Irregular);
        }
        if facts.len() > MAX_LEN {
            return Ok(Self::TooLong(facts.len()));
        }
        let (mut hash, mut file) = (Sha256::new(), file.take(MAX_LEN));
        let mut buffer = Zeroizing::new([0; 4096]);
        loop {
            match file.read(&mut buffer[..])? {
                0 => break,
                read => hash.update(&buffer[..read]),
            }
        }
        Ok(Self::Content {
            hash: hash.finalize().into(),
            owner: facts.uid(),
            mode: facts.mode(),
        })
    }
}

/// More than the longest file that is read.
const MAX_LEN: u64 = 8 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::sync::mpsc::channel;
    use std::thread::spawn;
    use std::time::Duration;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    #[test]
    fn contents_and_permissions_count_and_times_do_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let state = || FileStates::of([path.clone()]);
        let absent = state();
        fs::write(&path, "a").unwrap();
        let first = state();
        assert_ne!(absent, first);
        fs::write(&path, "a").unwrap();
        assert_eq!(first, state(), "written again");
        fs::write(&path, "b").unwrap();
        let second = state();
        assert_ne!(first, second);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_ne!(second, state());
    }

    #[test]
    fn a_moved_link_is_a_change() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        for (version, content) in [("v1", "old"), ("v2", "new")] {
            fs::create_dir(at(version)).unwrap();
            fs::write(at(version).join("tls.crt"), content).unwrap();
        }
        symlink("v1", at("..data")).unwrap();
        symlink("..data/tls.crt", at("tls.crt")).unwrap();
        let before = FileStates::of([at("tls.crt")]);
        symlink("v2", at("..data_tmp")).unwrap();
        fs::rename(at("..data_tmp"), at("..data")).unwrap();
        assert_ne!(before, before.again());
    }

    #[test]
    fn the_writer_of_a_fifo_waits_for_its_reader() {
        let directory = tempfile::tempdir().unwrap();
        let fifo = directory.path().join("fifo");
        mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let written = fifo.clone();
        let writer = spawn(move || fs::write(written, "content"));
        for _ in 0..10_000 {
            FileStates::of([fifo.clone()]);
        }
        let (sender, receiver) = channel();
        spawn(move || sender.send(fs::read_to_string(fifo)));
        let read = receiver.recv_timeout(Duration::from_secs(20)).unwrap();
        assert_eq!(read.unwrap(), "content");
        writer.join().unwrap().unwrap();
    }

    #[test]
    fn a_fifo_and_a_huge_file_are_not_read() {
        let directory = tempfile::tempdir().unwrap();
        let (fifo, huge) = (directory.path().join("fifo"), directory.path().join("huge"));
        mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        fs::File::create(&huge).unwrap().set_len(1 << 40).unwrap();
        let states = FileStates::of([fifo.clone(), huge.clone(), directory.path().to_owned()]);
        let problem = |path| states.problem(path).unwrap();
        assert!(problem(&fifo).contains("not a regular file"));
        assert!(problem(directory.path()).contains("not a regular file"));
        assert!(problem(&huge).contains("more than"));
    }
}
