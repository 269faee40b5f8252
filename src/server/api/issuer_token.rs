//! The issuer token, for programs that may only issue, exchange, introspect and revoke tokens.
//!
//! The operator provides it in the environment variable [`IssuerToken::VARIABLE`], or else in the
//! file `api.issuer_token_file`. Without either, no token makes a caller an issuer.

use std::path::Path;

use super::admin_token::AdminToken;
use super::bearer::{self, MAX_LEN, MIN_LEN};
use crate::model::Secret;
use crate::trusted_file::{FileKind, TrustError};

/// The bearer token of issuers.
///
/// # Security
/// The holder can act for every user, by issuing a token for that user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerToken(Secret);

/// The reason why the issuer token cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IssuerTokenError {
    /// The file cannot be read, or others could read or change it.
    #[error("`api.issuer_token_file`: {0}")]
    File(TrustError),
    /// The file or the variable does not hold a token.
    #[error(
        "{place} does not hold an issuer token, which has {MIN_LEN} to {MAX_LEN} visible ASCII characters"
    )]
    Malformed {
        /// The file or the variable.
        place: String,
    },
    /// The token equals the admin token, so that issuers would be administrators.
    #[error("{place} holds the admin token: issuers need a different token")]
    SameAsAdmin {
        /// The file or the variable.
        place: String,
    },
}

impl IssuerToken {
    /// The environment variable that replaces the file.
    pub const VARIABLE: &str = "COUNTERSIGN_ISSUER_TOKEN";

    /// Creates a token; `None` if it is too short, too long, or a header cannot carry it.
    pub fn new(text: &str) -> Option<Self> {
        bearer::parse(text).map(Self)
    }

    /// Returns the token of a server, if it has one: from the environment, else from `file`.
    ///
    /// `variable` is the value of [`Self::VARIABLE`]; the token must differ from `admin`, if there is
    /// one yet.
    ///
    /// # Errors
    /// If the file cannot be read, other users can read it, or no issuer token is in it.
    pub fn load(
        file: Option<&Path>,
        variable: Option<&str>,
        admin: Option<&AdminToken>,
    ) -> Result<Option<Self>, IssuerTokenError> {
        let (text, place) = match (variable, file) {
            (Some(text), _) => (text.to_owned().into(), Self::VARIABLE.to_owned()),
            (None, Some(path)) => (
                bearer::read(path, FileKind::Secret).map_err(IssuerTokenError::File)?,
                format!("`api.issuer_token_file`: {}", path.display()),
            ),
            (None, None) => return Ok(None),
        };
        match Self::new(&text) {
            None => Err(IssuerTokenError::Malformed { place }),
            Some(token) if admin.is_some_and(|admin| admin.matches(token.0.expose())) => {
                Err(IssuerTokenError::SameAsAdmin { place })
            }
            token => Ok(token),
        }
    }

    /// Returns true if `presented` is this token, in constant time.
    pub(super) fn matches(&self, presented: &[u8]) -> bool {
        self.0 == Secret::new(presented)
    }
}

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
            Err(IssuerTokenError::File(_))
        ));
    }

    #[test]
    fn an_issuer_is_no_administrator() {
        let refused = load(None, Some(ADMIN)).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "COUNTERSIGN_ISSUER_TOKEN holds the admin token: issuers need a different token"
        );
    }

    const ADMIN: &str = "correct-horse-battery";

    fn load(
        file: Option<&Path>,
        variable: Option<&str>,
    ) -> Result<Option<IssuerToken>, IssuerTokenError> {
        IssuerToken::load(file, variable, AdminToken::new(ADMIN).as_ref())
    }

    fn file(content: &str, mode: u32) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), content).unwrap();
        fs::set_permissions(file.path(), Permissions::from_mode(mode)).unwrap();
        file
    }
}
