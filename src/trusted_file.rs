//! Files and directories that must be in the hands of the operator: keys, tokens, certificates and
//! the data directory.
//!
//! A file is opened without waiting, so that a FIFO does not hang, and then judged by what was
//! opened: the name is not resolved a second time, when it could mean another file.
//!
//! | file | links | owner | permissions |
//! |---|---|---|---|
//! | in the data directory | refused | the user of the process | owner alone |
//! | a secret that the configuration names | followed | the user of the process, or root | the group may read |
//! | a certificate or an image that the configuration names | followed | the user of the process, or root | all may read, the group may write |
//! | the data directory | followed | the user of the process, or root | only the owner may write |
//!
//! Kubernetes mounts Secrets as links to files of root, readable by the `fsGroup`; so links are
//! followed if an operator chose the path.

use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::process::geteuid;
use zeroize::Zeroizing;

/// The kind of a file, which says who may own, read and write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A file that Countersign wrote into its data directory.
    Own,
    /// Such a file, read by a command instead of the server: root may read the file of any user.
    OwnOfServer,
    /// A key or token that the configuration names.
    Secret,
    /// A certificate that the configuration names.
    Certificate,
    /// An image that the configuration names.
    Image,
}

/// The reason why a file or directory cannot be used. Each says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// The system refused to open or read it.
    #[error("cannot read {}: {cause}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The cause.
        cause: io::Error,
    },
    /// It is a symbolic link in the data directory.
    #[error(
        "{} is a symbolic link, and Countersign follows none in its data directory: put the file itself there",
        path.display()
    )]
    Link {
        /// The link.
        path: PathBuf,
    },
    /// It is longer than a file of its kind can be.
    #[error("{} is longer than {limit} bytes: put only what belongs there into it", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// The longest accepted length.
        limit: u64,
    },
    /// It is a FIFO, a socket, a device or a directory.
    #[error("{} is not a regular file: replace it with one", path.display())]
    NotAFile {
        /// The file.
        path: PathBuf,
    },
    /// Another user owns it.
    #[error(
        "{} belongs to user {owner}, who can change it; run: chown {user} {}",
        path.display(),
        path.display()
    )]
    Owner {
        /// The file or directory.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// The user of this process.
        user: u32,
    },
    /// Other users have permissions that they must not have.
    #[error(
        "{} has mode {mode:04o}: other users can read or change it; replace its content unless you know that nobody \
         did, and run: chmod {allowed:o} {}",
        path.display(),
        path.display()
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
        /// The permissions that it may have.
        allowed: u32,
    },
    /// Other users can replace the files in a directory.
    #[error(
        "the directory {} has mode {mode:04o}: other users can replace the files in it; run: chmod go-w {}, or name a \
         directory below it, which Countersign creates with mode 0700",
        path.display(),
        path.display()
    )]
    OpenDirectory {
        /// The directory.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
}

// === impl TrustError ===

impl TrustError {
    /// Returns true if the file does not exist.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Io { cause, .. } if cause.kind() == io::ErrorKind::NotFound)
    }
}

/// Opens a file to read it.
///
/// # Errors
/// If it cannot be opened, or somebody else could change it or read its secret.
pub fn open(path: &Path, kind: FileKind) -> Result<File, TrustError> {
    open_with(OpenOptions::new().read(true), path, kind)
}

/// Opens any file to read it, without waiting for the writer of a FIFO. The caller judges it.
///
/// # Errors
/// If the system refuses to open it.
pub fn open_unchecked(path: &Path) -> io::Result<File> {
    let flags = i32::try_from((OFlags::NONBLOCK | OFlags::NOCTTY).bits()).unwrap_or_default();
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

/// Opens a file with `options`, which may create it with mode 0600.
///
/// # Errors
/// The same as [`open`].
pub fn open_with(
    options: &mut OpenOptions,
    path: &Path,
    kind: FileKind,
) -> Result<File, TrustError> {
    let mut flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    if kind.is_own() {
        flags |= OFlags::NOFOLLOW;
    }
    let failed = |cause| TrustError::Io {
        path: path.to_owned(),
        cause,
    };
    // The flags of Linux fit.
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    let opened = options.mode(0o600).custom_flags(flags).open(path);
    let file = opened.map_err(|error| match rustix::io::Errno::from_io_error(&error) {
        Some(rustix::io::Errno::LOOP) if kind.is_own() => TrustError::Link {
            path: path.to_owned(),
        },
        // The open of a socket, or of a FIFO to write.
        Some(rustix::io::Errno::NXIO) => TrustError::NotAFile {
            path: path.to_owned(),
        },
        _ => failed(error),
    })?;
    let facts = FileFacts::of(&file.metadata().map_err(failed)?);
    kind.check(&facts, path, geteuid().as_raw())?;
    Ok(file)
}

/// Reads a file of at most `limit` bytes.
///
/// # Errors
/// The same as [`open`], and if it is longer or cannot be read.
pub fn read(path: &Path, kind: FileKind, limit: u64) -> Result<Zeroizing<Vec<u8>>, TrustError> {
    let file = open(path, kind)?;
    let failed = |cause| TrustError::Io {
        path: path.to_owned(),
        cause,
    };
    let len = file.metadata().map_err(failed)?.len();
    if len > limit {
        return Err(TrustError::TooLong {
            path: path.to_owned(),
            limit,
        });
    }
    // One allocation, so that no copy of a secret is left in memory.
    let mut bytes = Zeroizing::new(Vec::<u8>::with_capacity(
        usize::try_from(len).unwrap_or_default(),
    ));
    file.take(len).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// Creates a directory, and its missing parents, with mode 0700; checks one that exists.
///
/// # Errors
/// If it cannot be created, or somebody else could replace the files in it.
pub fn prepare_directory(path: &Path) -> Result<(), TrustError> {
    let failed = |cause| TrustError::Io {
        path: path.to_owned(),
        cause,
    };
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(path).map_err(failed)?;
    let metadata = File::open(path).and_then(|directory| directory.metadata());
    let facts = FileFacts::of(&metadata.map_err(failed)?);
    check_directory(&facts, path, geteuid().as_raw())
}

/// The facts about a file that decide.
#[derive(Clone, Copy, Debug)]
struct FileFacts {
    is_file: bool,
    owner: u32,
    mode: u32,
}

// === impl FileFacts ===

impl FileFacts {
    fn of(metadata: &Metadata) -> Self {
        Self {
            is_file: metadata.is_file(),
            owner: metadata.uid(),
            mode: metadata.mode() & 0o7777,
        }
    }

    fn check_owner(&self, path: &Path, user: u32) -> Result<(), TrustError> {
        if self.owner == user || self.owner == ROOT {
            return Ok(());
        }
        Err(TrustError::Owner {
            path: path.to_owned(),
            owner: self.owner,
            user,
        })
    }
}

// === impl FileKind ===

impl FileKind {
    const fn is_own(self) -> bool {
        matches!(self, Self::Own | Self::OwnOfServer)
    }

    /// Returns the most permissions that a file may have.
    const fn allowed(self) -> u32 {
        match self {
            Self::Own | Self::OwnOfServer => 0o700,
            Self::Secret => 0o740,
            Self::Certificate | Self::Image => 0o775,
        }
    }

    fn check(self, facts: &FileFacts, path: &Path, user: u32) -> Result<(), TrustError> {
        let path_of = || path.to_owned();
        if !facts.is_file {
            return Err(TrustError::NotAFile { path: path_of() });
        }
        if facts.mode & 0o777 & !self.allowed() != 0 {
            return Err(TrustError::Exposed {
                path: path_of(),
                mode: facts.mode,
                allowed: self.allowed() & 0o666,
            });
        }
        if self == Self::OwnOfServer && user == ROOT {
            return Ok(());
        }
        facts.check_owner(path, user)
    }
}

fn check_directory(facts: &FileFacts, path: &Path, user: u32) -> Result<(), TrustError> {
    facts.check_owner(path, user)?;
    if facts.mode & 0o022 == 0 {
        return Ok(());
    }
    Err(TrustError::OpenDirectory {
        path: path.to_owned(),
        mode: facts.mode,
    })
}

const ROOT: u32 = 0;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    #[test]
    fn a_file_that_cannot_be_trusted_is_refused_with_the_remedy() {
        use FileKind::{Certificate, Own, OwnOfServer, Secret};
        for (kind, owner, mode, expected) in [
            (Own, USER, 0o600, ""),
            (Own, ROOT, 0o400, ""),
            (Own, USER, 0o640, "chmod 600 /f"),
            (
                Own,
                OTHER,
                0o600,
                "belongs to user 1001, who can change it; run: chown 1000 /f",
            ),
            (OwnOfServer, OTHER, 0o600, "chown 1000 /f"),
            (Secret, ROOT, 0o440, ""),
            (Secret, USER, 0o644, "chmod 640 /f"),
            (Secret, USER, 0o620, "chmod 640 /f"),
            (Secret, OTHER, 0o640, "chown 1000 /f"),
            (Certificate, ROOT, 0o644, ""),
            (Certificate, USER, 0o646, "chmod 664 /f"),
            (Certificate, OTHER, 0o644, "chown 1000 /f"),
        ] {
            assert_says(
                kind.check(&facts(owner, mode), Path::new("/f"), USER),
                expected,
            );
        }
        // A command of root reads the token of a server that another user runs.
        assert_says(
            OwnOfServer.check(&facts(OTHER, 0o600), Path::new("/f"), ROOT),
            "",
        );
        assert_says(
            Own.check(&facts(OTHER, 0o600), Path::new("/f"), ROOT),
            "chown 0 /f",
        );
    }

    #[test]
    fn a_directory_that_others_can_write_is_refused() {
        for (owner, mode, expected) in [
            (USER, 0o700, ""),
            (USER, 0o755, ""),
            (ROOT, 0o755, ""),
            (USER, 0o777, "chmod go-w /d"),
            (USER, 0o770, "has mode 0770"),
            (ROOT, 0o1777, "has mode 1777"),
            (OTHER, 0o700, "chown 1000 /d"),
        ] {
            assert_says(
                check_directory(&facts(owner, mode), Path::new("/d"), USER),
                expected,
            );
        }
    }

    #[test]
    fn links_are_followed_only_where_the_operator_chose_the_path() {
        let home = tempfile::tempdir().unwrap();
        let (file, link) = (home.path().join("file"), home.path().join("link"));
        write(&file, 0o600);
        symlink(&file, &link).unwrap();
        assert!(matches!(
            open(&link, FileKind::Own),
            Err(TrustError::Link { .. })
        ));
        assert_eq!(*read(&link, FileKind::Secret, 100).unwrap(), b"text");
    }

    #[test]
    fn what_is_no_file_is_refused_without_waiting() {
        let home = tempfile::tempdir().unwrap();
        let fifo = home.path().join("fifo");
        let mode = Mode::from_raw_mode(0o600);
        mknodat(CWD, &fifo, FileType::Fifo, mode, 0).unwrap();
        for kind in [FileKind::Own, FileKind::Secret, FileKind::Certificate] {
            for path in [&fifo, home.path()] {
                let refused = open(path, kind);
                assert!(
                    matches!(refused, Err(TrustError::NotAFile { .. })),
                    "{refused:?}"
                );
            }
        }
    }

    #[test]
    fn a_new_directory_and_a_new_file_are_private() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("new/data");
        prepare_directory(&directory).unwrap();
        let mut options = OpenOptions::new();
        let file = directory.join("file");
        open_with(options.write(true).create_new(true), &file, FileKind::Own).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!((mode(&directory), mode(&file)), (0o700, 0o600));
        prepare_directory(&directory).unwrap();
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(prepare_directory(&directory).is_err());
    }

    fn assert_says(outcome: Result<(), TrustError>, expected: &str) {
        let said = outcome.map_or_else(|error| error.to_string(), |()| String::new());
        let is_expected = said.contains(expected) && said.is_empty() == expected.is_empty();
        assert!(is_expected, "{said:?} instead of {expected:?}");
    }

    const fn facts(owner: u32, mode: u32) -> FileFacts {
        FileFacts {
            is_file: true,
            owner,
            mode,
        }
    }

    fn write(path: &Path, mode: u32) {
        fs::write(path, "text").unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    const USER: u32 = 1000;
    const OTHER: u32 = 1001;
}
