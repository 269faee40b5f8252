//! The issuer token: what a program shows that may issue, exchange, introspect and revoke tokens, and nothing else.
//!
//! No server makes one: it is in the file that `api.issuer_token_file` names, or in the environment variable
//! [`IssuerToken::VARIABLE`], which is stronger. Without either there is none, and nobody is an issuer by a token.

use std::io;
use std::path::{Path, PathBuf};

use super::admin_token::AdminToken;
use super::bearer::{self, MAX_LEN, MIN_LEN, Unread};
use crate::model::Secret;

/// The bearer token of issuers.
///
/// # Security
/// Whoever has it can act for every user: issue a token for whom they name.
#[derive(Clone, Debug)]
pub struct IssuerToken(Secret);

/// Why the issuer token can not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IssuerTokenError {
    /// The file can not be read.
    #[error("`api.issuer_token_file`: {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others can read or change the file.
    #[error(
        "`api.issuer_token_file`: {} has mode {mode:04o}: others can read or change it; put a new token there, or \
         `chmod 600` it if none did",
        path.display()
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// There is something else than a token.
    #[error("{place}: an issuer token has {MIN_LEN} to {MAX_LEN} visible ASCII characters")]
    Malformed {
        /// Where it stands.
        place: String,
    },
    /// It is the admin token, so that issuers would be administrators.
    #[error("{place}: the issuer token is the admin token; give issuers one of their own")]
    SameAsAdmin {
        /// Where it stands.
        place: String,
    },
}

impl IssuerToken {
    /// The environment variable that takes the place of the file.
    pub const VARIABLE: &str = "COUNTERSIGN_ISSUER_TOKEN";

    /// Takes a token; `None` when it is too short, too long or can not stand in a header.
    pub fn new(text: &str) -> Option<Self> {
        bearer::parse(text).map(Self)
    }

    /// The token of a server, if there is one: from the environment, else from `file`.
    ///
    /// `variable` is the value of [`Self::VARIABLE`], `admin` what it must differ from.
    ///
    /// # Errors
    /// When the file can not be read, can be read by others, or what stands there is no issuer token.
    pub fn load(
        file: Option<&Path>,
        variable: Option<&str>,
        admin: &AdminToken,
    ) -> Result<Option<Self>, IssuerTokenError> {
        let (text, place) = match (variable, file) {
            (Some(text), _) => (text.to_owned().into(), Self::VARIABLE.to_owned()),
            (None, Some(path)) => (
                read(path)?,
                format!("`api.issuer_token_file`: {}", path.display()),
            ),
            (None, None) => return Ok(None),
        };
        match Self::new(&text) {
            None => Err(IssuerTokenError::Malformed { place }),
            Some(token) if admin.matches(token.0.expose()) => {
                Err(IssuerTokenError::SameAsAdmin { place })
            }
            token => Ok(token),
        }
    }

    /// Whether `presented` is this token; takes the same time wherever they differ.
    pub(super) fn matches(&self, presented: &[u8]) -> bool {
        self.0 == Secret::new(presented)
    }
}

fn read(path: &Path) -> Result<zeroize::Zeroizing<String>, IssuerTokenError> {
    bearer::read(path, EXPOSED).map_err(|unread| match unread {
        Unread::File(source) => IssuerTokenError::File {
            path: path.to_owned(),
            source,
        },
        Unread::Exposed(mode) => IssuerTokenError::Exposed {
            path: path.to_owned(),
            mode,
        },
    })
}

/// Group may read: a mounted secret belongs to root and the group of the service.
const EXPOSED: u32 = 0o037;

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn without_a_file_and_a_variable_there_is_none() {
        assert!(load(None, None).unwrap().is_none());
    }

    #[test]
    fn the_environment_is_stronger_than_the_file() {
        let file = file("token-of-the-file\n", 0o640);
        let path = Some(file.path());
        assert!(
            load(path, None)
                .unwrap()
                .unwrap()
                .matches(b"token-of-the-file")
        );
        assert!(
            load(path, Some("token-of-the-environment"))
                .unwrap()
                .unwrap()
                .matches(b"token-of-the-environment")
        );
    }

    #[test]
    fn a_token_that_others_can_read_or_that_is_none_is_refused() {
        let exposed = file("token-of-the-file", 0o644);
        let refused = load(Some(exposed.path()), None).unwrap_err().to_string();
        assert!(
            refused.contains("has mode 0644") && refused.contains("api.issuer_token_file"),
            "{refused}"
        );
        let empty = file("", 0o600);
        assert!(matches!(
            load(Some(empty.path()), None),
            Err(IssuerTokenError::Malformed { .. })
        ));
        assert!(matches!(
            load(None, Some("short")),
            Err(IssuerTokenError::Malformed { .. })
        ));
        assert!(matches!(
            load(Some(Path::new("no/such/file")), None),
            Err(IssuerTokenError::File { .. })
        ));
    }

    #[test]
    fn an_issuer_is_no_administrator() {
        let refused = load(None, Some(ADMIN)).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "COUNTERSIGN_ISSUER_TOKEN: the issuer token is the admin token; give issuers one of their own"
        );
    }

    const ADMIN: &str = "correct-horse-battery";

    fn load(
        file: Option<&Path>,
        variable: Option<&str>,
    ) -> Result<Option<IssuerToken>, IssuerTokenError> {
        IssuerToken::load(file, variable, &AdminToken::new(ADMIN).unwrap())
    }

    fn file(content: &str, mode: u32) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), content).unwrap();
        fs::set_permissions(file.path(), Permissions::from_mode(mode)).unwrap();
        file
    }
}
