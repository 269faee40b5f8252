//! The admin token, and its file.
//!
//! The first start of a server writes `DATA_DIR/admin-token`, readable by its owner only; the
//! command line on the same machine reads it there. If the environment variable
//! [`AdminToken::VARIABLE`] is set, its value is the token, and no file is read or written.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::bearer::{self, MAX_LEN, MIN_LEN};
use crate::clock::Entropy;
use crate::issue::random;
use crate::model::Secret;
use crate::trusted_file::{self, FileKind, TrustError};

/// The bearer token of an administrator.
///
/// # Security
/// The holder can create credentials, and read none: a secret is only in the response that creates
/// it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminToken(Secret);

/// The reason why the admin token cannot be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdminTokenError {
    /// The file does not exist; only a server writes it.
    #[error(
        "{} does not exist: `countersign serve` writes it at its first start; pass the data directory of the server, or set {}",
        path.display(),
        AdminToken::VARIABLE
    )]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The file or its directory cannot be read, or others could read or change it.
    #[error(transparent)]
    Untrusted(#[from] TrustError),
    /// The file or the variable does not hold a token.
    #[error(
        "{place} does not hold an admin token, which has {MIN_LEN} to {MAX_LEN} visible ASCII characters"
    )]
    Malformed {
        /// The file or the variable.
        place: String,
    },
}

impl AdminToken {
    /// The environment variable that replaces the file.
    pub const VARIABLE: &str = "COUNTERSIGN_ADMIN_TOKEN";

    /// The name of the file in the data directory.
    pub const FILE: &str = "admin-token";

    /// Creates a token; `None` if it is too short, too long, or a header cannot carry it.
    pub fn new(text: &str) -> Option<Self> {
        bearer::parse(text).map(Self)
    }

    /// Returns the token of a server: from the environment, else from the file in `data_dir`, which
    /// is written if it does not exist.
    ///
    /// `variable` is the value of [`Self::VARIABLE`].
    ///
    /// # Errors
    /// If the file cannot be read or written, others could read or change it, or no token is in it.
    pub fn load_or_create(
        data_dir: &Path,
        variable: Option<&str>,
        entropy: &dyn Entropy,
    ) -> Result<Self, AdminTokenError> {
        if let Some(text) = variable {
            return parse(text, || Self::VARIABLE.to_owned());
        }
        trusted_file::prepare_directory(data_dir)?;
        let path = data_dir.join(Self::FILE);
        match read(&path, FileKind::Own) {
            Err(AdminTokenError::Missing { .. }) => {
                create(&path, entropy).map_err(|source| AdminTokenError::File {
                    path: path.clone(),
                    source,
                })?;
                read(&path, FileKind::Own)
            }
            read => read,
        }
    }

    /// Returns the token of a running server again: from the environment, else from the file in
    /// `data_dir`.
    ///
    /// # Errors
    /// If the file does not exist, cannot be read, or others could read or change it, or if no
    /// token is in it.
    pub fn read_again(data_dir: &Path, variable: Option<&str>) -> Result<Self, AdminTokenError> {
        match variable {
            Some(text) => parse(text, || Self::VARIABLE.to_owned()),
            None => read(&data_dir.join(Self::FILE), FileKind::Own),
        }
    }

    /// Returns the token for a client: from the environment, else from the file in `data_dir`.
    ///
    /// # Errors
    /// If the file does not exist, cannot be read, or others could read or change it, or if no
    /// token is in it.
    pub fn load(data_dir: &Path, variable: Option<&str>) -> Result<Self, AdminTokenError> {
        match variable {
            Some(text) => parse(text, || Self::VARIABLE.to_owned()),
            None => read(&data_dir.join(Self::FILE), FileKind::OwnOfServer),
        }
    }

    /// Returns the token, for the code that sends it.
    pub fn expose(&self) -> &[u8] {
        self.0.expose()
    }

    /// Returns true if `presented` is this token, in constant time.
    pub(in crate::server) fn matches(&self, presented: &[u8]) -> bool {
        self.0 == Secret::new(presented)
    }
}

fn parse(text: &str, place: impl Fn() -> String) -> Result<AdminToken, AdminTokenError> {
    AdminToken::new(text).ok_or_else(|| AdminTokenError::Malformed { place: place() })
}

fn read(path: &Path, kind: FileKind) -> Result<AdminToken, AdminTokenError> {
    let text = bearer::read(path, kind).map_err(|error| {
        if error.is_missing() {
            AdminTokenError::Missing {
                path: path.to_owned(),
            }
        } else {
            error.into()
        }
    })?;
    parse(&text, || path.display().to_string())
}

/// Writes a new token beside `path` and links it there, so that no other process sees a
/// half-written file, and two servers that start at the same time use the same token.
fn create(path: &Path, entropy: &dyn Entropy) -> io::Result<()> {
    let draft = path.with_extension(random::identifier(entropy));
    let linked = write(&draft, &random::secret(entropy)).and_then(|()| fs::hard_link(&draft, path));
    let removed = fs::remove_file(&draft);
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => removed,
        Err(error) => Err(error),
        Ok(()) => {
            tracing::info!(file = %path.display(), "wrote a new admin token");
            removed
        }
    }
}

fn write(path: &Path, token: &Secret) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(token.expose())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::clock::{CountingEntropy, SystemEntropy};

    #[test]
    fn the_first_start_writes_a_token_that_the_next_one_reads() {
        let home = tempfile::tempdir().unwrap();
        let data_dir = home.path().join("new/data");
        let first = AdminToken::load_or_create(&data_dir, None, &SystemEntropy).unwrap();
        let second = AdminToken::load_or_create(&data_dir, None, &SystemEntropy).unwrap();
        assert!(second.matches(first.expose()));
        assert!(
            AdminToken::load(&data_dir, None)
                .unwrap()
                .matches(first.expose())
        );

        assert_eq!(mode(&data_dir.join("admin-token")), 0o600);
        assert_eq!(mode(&data_dir), 0o700);
        assert_eq!(
            fs::read_dir(&data_dir).unwrap().count(),
            1,
            "nothing else is left behind"
        );
    }

    #[test]
    fn of_two_first_starts_at_once_both_use_the_first_token() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join(AdminToken::FILE);
        let entropy = CountingEntropy::default();
        create(&path, &entropy).unwrap();
        let first = read(&path, FileKind::Own).unwrap();
        create(&path, &entropy).unwrap();
        assert!(read(&path, FileKind::Own).unwrap().matches(first.expose()));
    }

    #[test]
    fn the_environment_takes_the_place_of_the_file() {
        let home = tempfile::tempdir().unwrap();
        let token =
            AdminToken::load_or_create(home.path(), Some("correct-horse-battery"), &SystemEntropy)
                .unwrap();
        assert!(token.matches(b"correct-horse-battery"));
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_token_that_others_can_read_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join(AdminToken::FILE);
        fs::write(&path, "correct-horse-battery\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let refused = AdminToken::load_or_create(home.path(), None, &SystemEntropy).unwrap_err();
        assert!(refused.to_string().contains("has mode 0640"), "{refused}");

        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        assert!(AdminToken::load(home.path(), None).is_ok());
    }

    #[test]
    fn an_empty_token_opens_nothing() {
        let home = tempfile::tempdir().unwrap();
        for wrong in ["", "short", "with a space in it", "schlüssel-schlüssel"] {
            let refused = AdminToken::load(home.path(), Some(wrong)).unwrap_err();
            assert!(
                matches!(refused, AdminTokenError::Malformed { .. }),
                "{wrong:?}"
            );
        }
        write(&home.path().join(AdminToken::FILE), &Secret::new(*b"")).unwrap();
        let refused = AdminToken::load_or_create(home.path(), None, &SystemEntropy).unwrap_err();
        assert!(
            matches!(refused, AdminTokenError::Malformed { .. }),
            "{refused}"
        );
    }

    #[test]
    fn a_missing_file_names_its_origin() {
        let missing = AdminToken::load(Path::new("no/such/place"), None).unwrap_err();
        assert_eq!(
            missing.to_string(),
            "no/such/place/admin-token does not exist: `countersign serve` writes it at its first start; pass the data \
             directory of the server, or set COUNTERSIGN_ADMIN_TOKEN"
        );
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }
}
